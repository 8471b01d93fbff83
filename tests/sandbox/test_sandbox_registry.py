"""The registries of faults and variants are whole and agree with the catalogue and the settings."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.faults import FAULTS
from pytest_pipeline.sandbox.variants import VARIANTS
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.fault import Fault
    from sandbox.conftest import OpenWorld, World

BINDING = [
    "aws-none",
    "aws-unknown",
    "aws-secret",
    "aws-expired",
    "aws-skew",
    "aws-partial",
    "aws-unreachable",
    "aws-account",
    "s3-list-deny",
    "s3-get-deny",
    "s3-no-bucket",
    "s3-slow-transient",
    "s3-slow-forever",
    "s3-hang",
    "s3-rst",
    "s3-region",
    "s3-put-deny",
    "s3-del-deny",
    "s3-mpu-deny",
    "s3-corrupt",
    "ec2-missing",
    "ec2-region",
    "ec2-deny",
    "ec2-stopped",
    "ec2-terminated",
    "ec2-pending",
    "ec2-shutting",
    "ec2-impaired",
    "ssh-refused",
    "ssh-blackhole",
    "ssh-silent",
    "ssh-notssh",
    "ssh-maxstartups",
    "ssh-key",
    "ssh-key-enc",
    "ssh-key-missing",
    "ssh-key-pub",
    "ssh-key-mode",
    "ssh-hostkey",
    "ssh-cut",
    "ssh-slow",
    "ebs-unmounted",
    "ebs-ro",
    "ebs-detached",
    "disk-low",
    "disk-inodes",
    "py-old",
    "py-none",
    "torch-none",
    "torch-ver",
    "torch-broken",
    "cuda-off",
    "smi-driver",
    "smi-mismatch",
    "smi-absent",
    "vram-small",
    "vram-busy",
    "vram-na",
    "dep-missing",
    "dep-broken",
    "dep-version",
]
"""The ids that notes and docs refer to. `ssh-noise` raises no alarm: it is the variant noisy-host."""

WORLDS = [
    "noisy-host",
    "two-volumes",
    "hostkey-alias",
    "slow-first-connection",
    "versioned-bucket",
    "paginated-prefixes",
    "sso-profile",
    "volume-symlink",
    "reused-model",
    "many-keys-known-hosts",
]


def test_the_binding_ids_are_there_and_more() -> None:
    assert set(BINDING) <= set(FAULTS)
    assert set(WORLDS) <= set(VARIANTS)
    assert len(FAULTS) >= 50


def test_each_row_of_phase_1_has_gross_and_subtle_faults() -> None:
    for row in (mode.id for mode in CATALOGUE.values() if mode.phase == 1):
        kinds = {fault.kind for fault in FAULTS.values() if fault.row == row}
        assert "subtle" in kinds, row
        assert "gross" in kinds or row == "instance-identity", row


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.id)
def test_a_fault_says_what_must_be_said(fault: Fault) -> None:
    assert fault.row in CATALOGUE
    assert all(row in CATALOGUE and row != fault.row for row in fault.also)
    assert fault.expect in (Status.FAILED, Status.WARNED, Status.BLOCKED)  # the last: unknown, and said so
    assert fault.words
    assert fault.summary
    assert not fault.summary.endswith(".")
    assert fault.id not in VARIANTS


def test_the_registry_imports_without_the_sandboxs_extra() -> None:
    forbid = "import sys; sys.modules.update(moto=None, asyncssh=None, flask=None, werkzeug=None, boto3=None)\n"
    code = f"{forbid}import pytest_pipeline.sandbox.faults, pytest_pipeline.sandbox.variants"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_the_settings_of_an_odd_tenant_are_settings_of_the_sandbox(open_world: OpenWorld, variant: str | None) -> None:
    settings = Settings.from_wire(dict(open_world(variant=variant).settings))

    assert settings.world == "sandbox"
    assert settings.host.configured


def test_the_accelerator_is_always_called_simulated(world: World) -> None:
    assert "accelerator" in world.simulated
