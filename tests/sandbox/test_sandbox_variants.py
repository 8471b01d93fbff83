"""Each odd world is healthy: plain clients that know its oddity have no trouble in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from pytest_pipeline.sandbox.host_namespace import why_not
from pytest_pipeline.sandbox.variants import VARIANTS

if TYPE_CHECKING:
    from sandbox.conftest import OpenWorld

READ, WRITE = "policy-database", "asoba-llm-cache"
ALIASED = ("hostkey-alias", "hostkey-alias-config")
needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=f"no namespaces here: {why_not()}")


@pytest.mark.parametrize("variant", [None, *sorted(set(VARIANTS) - set(ALIASED))])
def test_everything_works_in_it(open_world: OpenWorld, variant: str | None) -> None:
    world = open_world(variant=variant)
    paid = {"RequestPayer": "requester"} if variant == "requester-pays" else {}

    assert world.client("sts").get_caller_identity()["Account"] == world.settings["aws"]["account"]
    instance = world.client("ec2").describe_instances(InstanceIds=world.host["instance_ids"])
    assert instance["Reservations"][0]["Instances"][0]["State"]["Name"] == "running"
    for s3 in (world.client("s3"), world.host_client("s3")):
        assert s3.get_object(Bucket=READ, Key="econ-theory/chunk_0.jsonl", **paid)["Body"].read()
        s3.put_object(Bucket=WRITE, Key="training-runs/x", Body=b"x")
        s3.delete_object(Bucket=WRITE, Key="training-runs/x")
    assert world.run("touch ~/x")[0] == (1 if variant == "read-only-home" else 0)


@needs_namespaces
def test_the_link_leads_to_the_volume(open_world: OpenWorld) -> None:
    world = open_world(variant="volume-symlink")

    assert world.run("readlink -f /mnt/training && touch /mnt/training/x")[:2] == (0, "/mnt/nvme1\n")
    assert world.run("test -L /mnt/training")[0] == 0
    assert world.run("findmnt --mountpoint /mnt/nvme1")[0] == 0


@needs_namespaces
def test_the_model_takes_room_that_need_not_be_free_again(open_world: OpenWorld) -> None:
    world = open_world(variant="reused-model")
    need = world.settings["requirements"]["disk"]["/mnt/training"]

    free = int(world.run("df -B1 --output=avail /mnt/training | tail -1")[1])
    there = int(world.run(f"du -s -B1 {need['reuse'][0]}")[1].split()[0])

    assert free < need["free_gb"] * 1e9 < free + there


def test_an_output_bucket_keeps_versions(open_world: OpenWorld) -> None:
    s3 = open_world(variant="versioned-bucket").client("s3")
    s3.put_object(Bucket=WRITE, Key="training-runs/x", Body=b"1")
    s3.delete_object(Bucket=WRITE, Key="training-runs/x")

    versions = s3.list_object_versions(Bucket=WRITE, Prefix="training-runs/x")

    assert len(versions["Versions"]) == len(versions["DeleteMarkers"]) == 1


@pytest.mark.parametrize("variant", ALIASED)
def test_the_hosts_key_is_known_under_an_alias_alone(open_world: OpenWorld, variant: str) -> None:
    world = open_world(variant=variant)
    with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
        world.ssh()

    assert Path(world.host["known_hosts"]).read_text(encoding="ascii").startswith("trainer ssh-ed25519 ")


def test_the_sso_profile_gets_a_role_with_its_cached_token(open_world: OpenWorld) -> None:
    arn = open_world(variant="sso-profile").client("sts").get_caller_identity()["Arn"]

    assert "assumed-role/AWSReservedSSO_deployer" in arn


def test_the_cached_session_spares_the_mfa_code(open_world: OpenWorld) -> None:
    assert "assumed-role/deployer" in open_world(variant="cached-role").client("sts").get_caller_identity()["Arn"]
