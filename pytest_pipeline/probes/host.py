"""Who the probe is on the host, and which instance the host says that it is."""

import json
import os
import pwd
import socket


def read(request: dict, parts: dict) -> dict:
    """Answer {"metadata": bool, "metadata_address": str}. Each reading fails alone."""
    answers = {"identity": parts["frame"].attempt(identity)}
    if request["metadata"]:
        answers["instance"] = parts["frame"].attempt(
            lambda: instance(parts["metadata"].Metadata(request["metadata_address"]))
        )
    return answers


def identity() -> dict:
    """Return who the probe is, and where."""
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    system = os.uname()
    return {
        "hostname": socket.gethostname(),
        "user": user,
        "uid": uid,
        "kernel": system.release,
        "arch": system.machine,
    }


def instance(metadata: object) -> dict:
    """Return the instance identity document, and the disks that end with the instance."""
    document = json.loads(metadata.get("dynamic/instance-identity/document"))
    mapping = "meta-data/block-device-mapping/"
    names = [name for name in metadata.get(mapping).split() if name.startswith("ephemeral")]
    return {
        "id": document["instanceId"],
        "type": document["instanceType"],
        "region": document["region"],
        "zone": document["availabilityZone"],
        "account": document["accountId"],
        "image": document.get("imageId") or "",
        "ephemeral": [metadata.get(mapping + name).strip() for name in names],
    }
