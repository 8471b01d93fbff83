"""Tenants have nothing in common, and leave nothing behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import botocore.exceptions
import botocore.session
from botocore.config import Config

if TYPE_CHECKING:
    from sandbox.conftest import Code, OpenWorld, World

READ, WRITE = "policy-database", "asoba-llm-cache"


def test_two_tenants_have_the_same_names_and_nothing_in_common(open_world: OpenWorld, code: Code) -> None:
    one, two = open_world(), open_world()

    def fill(world: World) -> list[str]:
        s3 = world.client("s3")
        for n in range(5):
            s3.put_object(Bucket=WRITE, Key=f"training-runs/{n}", Body=world.id.encode())
        found = s3.list_objects_v2(Bucket=WRITE, Prefix="training-runs/")["Contents"]
        return [s3.get_object(Bucket=WRITE, Key=each["Key"])["Body"].read().decode() for each in found]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fill, (one, two))) == [[one.id] * 5, [two.id] * 5]
    assert one.settings["aws"]["account"] != two.settings["aws"]["account"]
    assert code(one.client("ec2").describe_instances, InstanceIds=two.host["instance_ids"])[1] == (
        "InvalidInstanceID.NotFound"
    )
    before = two.run("ls -A /mnt/training ~")
    one.run("touch /mnt/training/mine ~/mine")
    assert "mine" in one.run("ls -A /mnt/training ~")[1]
    assert two.run("ls -A /mnt/training ~") == before


def test_a_fault_of_one_tenant_is_not_felt_by_another(open_world: OpenWorld, code: Code) -> None:
    ill, well = open_world("s3-slow-forever", "aws-expired", "ebs-ro"), open_world()

    assert code(ill.client("s3").list_objects_v2, Bucket=READ)[1] == "ExpiredToken"
    assert well.client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 30
    assert well.run("touch /mnt/training/x")[0] == 0
    assert ill.run("touch /mnt/training/x")[0] == 1
    assert (ill.felt("aws-expired"), ill.felt("ebs-ro")) == (1, 1)
    assert ill.felt("s3-slow-forever") == 0, "nobody got that far"


def test_the_account_of_a_closed_tenant_is_gone(open_world: OpenWorld, code: Code) -> None:
    one, two = open_world(), open_world()
    sts = one.client("sts")
    assert sts.get_caller_identity()

    one.close()

    assert code(sts.get_caller_identity)[1] == "InvalidClientTokenId"
    assert two.client("sts").get_caller_identity()


def test_a_call_that_hangs_is_let_go_with_its_tenant(open_world: OpenWorld) -> None:
    world = open_world("s3-hang")
    s3 = world.session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=world.settings["aws"]["endpoint_url"],
        config=Config(read_timeout=60, retries={"total_max_attempts": 1}),
    )
    with ThreadPoolExecutor(1) as pool:
        listing = pool.submit(s3.list_objects_v2, Bucket=READ)
        while not world.felt("s3-hang"):
            assert not listing.done()

        world.close()

        assert isinstance(listing.exception(10), botocore.exceptions.HTTPClientError)
