"""What lies at the base model's path: the row model-files judges it by what its files say of each other."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from matrix_tests.volumes import not_the_volume
from pytest_pipeline.observers.model_readings import Defect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.host_access import SshSession
    from pytest_pipeline.observers.host_readings import Volume
    from pytest_pipeline.observers.model_readings import Finding, ModelFolder
    from pytest_pipeline.settings import Disk, Host, Model

_SAID_IN_FULL = 3
_ROOT = "/"


def judge_model(folder: ModelFolder, model: Model, evidence: Evidence) -> None:
    """Fail where no whole model lies at the path; warn of what somebody should look at."""
    fatal = [one for one in folder.findings if one.fatal]
    counts = Counter(one.defect for one in folder.findings)
    evidence(
        model=model.name,
        path=model.path,
        real_path=folder.real_path,
        weights=_weights(folder),
        shards=folder.shards,
        tensors=folder.tensors,
        size_gb=folder.weights_bytes // 10**8 / 10,
        architecture=folder.architecture,
        dtypes=", ".join(folder.dtypes),
        quantisation=folder.quantisation,
        compared_with_config=folder.compared_with_config,
        defects=", ".join(f"{count} {defect}" for defect, count in counts.items()),
        took_s=round(folder.took_s, 3),
    )
    why = "" if folder.exists else _why_absent(folder)
    if fatal:
        why = _in_words(fatal, folder)
    evidence(why=why)
    if why:
        pytest.fail(why, pytrace=False)
    for one in folder.findings:
        evidence.warn(f"{one.file}: {one.why}")
    if folder.left_out:
        evidence.warn(f"{folder.left_out} more like these")


def lost_volume(model: Model, disks: Mapping[str, Disk], volumes: Mapping[str, Reading[Volume]]) -> str:
    """Say why the volume that the model would lie on is not there, or nothing: an empty mount point has no model."""
    above = [path for path in disks if _below(model.path, path)]
    if not above:
        return ""
    nearest = max(above, key=len)
    volume = volumes[nearest].or_none
    return not_the_volume(volume, disks[nearest]) if volume else ""


def to_fetch(folder: ModelFolder, model: Model, host: Host, session: SshSession | None) -> str:
    """Return the command that mends the folder on its host, or nothing where nobody can know it."""
    fatal = [one for one in folder.findings if one.fatal]
    if folder.exists and not fatal:
        return ""
    path = f"~/{shlex.quote(model.path[2:])}" if model.path.startswith("~/") else shlex.quote(model.path)
    if any(one.defect is Defect.UNREADABLE and "Permission denied" in one.why for one in fatal):
        command = f"sudo chown -R {shlex.quote(host.user)} {path} && sudo chmod -R u+rX {path}"
    elif model.source:
        # A file of the right size is fetched again only where its time must be the source's too.
        again = "--exact-timestamps " if folder.exists else ""
        command = f"aws s3 sync {again}{shlex.quote(model.source)} {path}"
    else:
        return ""
    if host.connection == "local" or session is None:
        return command
    port = "" if session.port == 22 else f"-p {session.port} "
    key = f"-i {shlex.quote(str(host.key))} " if host.key else ""
    return f"ssh {key}{port}{shlex.quote(f'{session.user}@{session.address}')} {shlex.quote(command)}"


def _below(path: str, folder: str) -> bool:
    return PurePosixPath(folder) in (PurePosixPath(path), *PurePosixPath(path).parents)


def _weights(folder: ModelFolder) -> str:
    files = "1 file" if folder.shards == 1 else f"{folder.shards} shards"
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if folder.weights_bytes >= unit:
            return f"{files}, {folder.weights_bytes * 10 // unit / 10}{name}"
    return f"{files}, {folder.weights_bytes} bytes"


def _why_absent(folder: ModelFolder) -> str:
    leads = folder.real_path if folder.real_path.rstrip(_ROOT) != folder.path.rstrip(_ROOT) else ""
    linked = f"it leads to {leads}, which is not there; " if leads and not folder.path.startswith("~") else ""
    holds = ", ".join(folder.nearest_holds) or "nothing"
    return f"{linked}{folder.nearest} is there, and holds {holds}{_elsewhere(folder)}"


def _in_words(fatal: list[Finding], folder: ModelFolder) -> str:
    said = [one.why if one.file == "." else f"{one.file}: {one.why}" for one in fatal[:_SAID_IN_FULL]]
    more = len(fatal) - _SAID_IN_FULL + folder.left_out
    return "; ".join([*said, *([f"and {more} more like these"] if more > 0 else [])]) + _elsewhere(folder)


def _elsewhere(folder: ModelFolder) -> str:
    if not folder.elsewhere:
        return ""
    return f"; {'a model is' if len(folder.elsewhere) == 1 else 'models are'} at {', '.join(folder.elsewhere)}"
