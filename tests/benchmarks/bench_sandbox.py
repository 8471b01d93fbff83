"""Medians of the sandbox's own times. Run it as a script: `python tests/benchmarks/bench_sandbox.py [REPEATS]`."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.session

from pytest_pipeline.sandbox.child import SandboxChild

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.child import Tenant


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask(tenant: Tenant, service: str) -> None:
    """Ask one service of a tenant's AWS one question."""
    aws = tenant.settings["aws"]
    session = botocore.session.Session()
    session.set_config_variable("credentials_file", aws["credentials_file"])
    session.set_config_variable("config_file", aws["config_file"])
    session.set_config_variable("profile", aws["profile"])
    client = session.create_client(service, endpoint_url=aws["endpoint_url"])
    if service == "ec2":
        client.describe_instances(InstanceIds=tenant.settings["host"]["instance_ids"])
    else:
        client.get_caller_identity()


def once(folder: Path) -> dict[str, float]:
    """Start a sandbox, use it, stop it; return the seconds of each step."""
    child = SandboxChild()
    tenants: list[Tenant] = []
    return {
        "start to ready": seconds(lambda: child.start(folder)),
        "first tenant opened": seconds(lambda: tenants.append(child.open())),
        "first answer of STS": seconds(lambda: ask(tenants[0], "sts")),
        "first answer of EC2 (its import overlaps with the above)": seconds(lambda: ask(tenants[0], "ec2")),
        "further tenant opened": seconds(lambda: tenants.append(child.open())),
        "tenant closed": seconds(lambda: child.close_tenant(tenants[0].id)),
        "stop": seconds(child.stop),
    }


def main() -> None:
    """Print the median of each step."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        runs = [once(Path(folder)) for _ in range(repeats)]
    print(f"medians of {repeats} runs, in seconds")  # noqa: T201  # a script prints
    for step in runs[0]:
        print(f"{statistics.median(run[step] for run in runs):7.3f}  {step}")  # noqa: T201  # likewise


if __name__ == "__main__":
    main()
