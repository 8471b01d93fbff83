"""Faults of the host's file systems: the rows ebs-volume and disk-space must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.host_quota import quota_package, quota_program
from pytest_pipeline.sandbox.plan import VOLUME, MountPlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

VOLUME_ROW, SPACE_ROW = "ebs-volume", "disk-space"
_CACHE = "~/.cache"


def _unmounted(plan: TenantPlan) -> Tally:
    plan.mounts.clear()
    return plan.host.commands


def _plain_folder(plan: TenantPlan) -> Tally:
    plan.mounts.clear()
    # As left by a run that did not notice: it all looks as it should, and lies on the root volume.
    plan.host.folders |= {f"{VOLUME}/models": 0o755, f"{VOLUME}/datasets": 0o755, f"{VOLUME}/lost+found": 0o755}
    return plan.host.commands


def _missing(plan: TenantPlan) -> Tally:
    plan.mounts.clear()
    plan.host.folders.clear()
    return plan.host.commands


def _dangling(plan: TenantPlan) -> Tally:
    _missing(plan)
    plan.host.links[VOLUME] = "/mnt/nvme1"
    return plan.host.commands


def _wrong_kind(plan: TenantPlan) -> Tally:
    _ = plan.volume
    plan.settings["requirements"]["disk"][VOLUME]["kinds"] = ["ebs"]
    return plan.host.commands


def _read_only(plan: TenantPlan) -> Tally:
    plan.volume.read_only = True
    return plan.host.commands


def _not_writable(plan: TenantPlan) -> Tally:
    # Commands run as an ordinary user of a second namespace, so this binds them also where the sandbox is root's.
    plan.volume.mode = 0o555
    return plan.host.commands


def _detached(plan: TenantPlan) -> Tally:
    _ = plan.volume
    plan.instance.data_volume_gib = None
    return plan.rule("ec2:DescribeInstances ec2:DescribeVolumes")


def _not_in_fstab(plan: TenantPlan) -> Tally:
    plan.volume.in_fstab = False
    return plan.host.commands


def _fstab_elsewhere(plan: TenantPlan) -> Tally:
    _ = plan.volume
    plan.host.fstab = "LABEL=cloudimg-rootfs / ext4 defaults 0 1\ntmpfs /mnt/trainning tmpfs defaults,nofail 0 0\n"
    return plan.host.commands


def _low(plan: TenantPlan) -> Tally:
    plan.volume.fill_mib = 400
    return plan.host.commands


def _inodes(plan: TenantPlan) -> Tally:
    plan.volume.inodes = 2
    return plan.host.commands


def _other_path_low(plan: TenantPlan) -> Tally:
    plan.mounts.append(MountPlan(path=_CACHE, size_mib=1))
    plan.settings["requirements"]["disk"][_CACHE] = {"free_gb": 0.05}
    return plan.host.commands


def _quota(plan: TenantPlan) -> Tally:
    plan.volume.source = "/dev/mapper/training"  # only file systems on a device have quotas
    plan.host.programs["quota"] = quota_program(limit_kib=10_240)
    plan.host.system_python.packages["simulated-quota"] = quota_package(limit_kib=10_240)
    plan.simulated.append("quota")  # one on a real tmpfs is root's to set
    return plan.host.commands


VOLUME_FAULTS = (
    Fault(
        id="ebs-unmounted",
        row=VOLUME_ROW,
        kind="gross",
        words="Training volume not available",
        summary="nothing is mounted at the path: `df` exits 0 and shows the root volume",
        inject=_unmounted,
    ),
    Fault(
        id="ebs-plain-folder",
        row=VOLUME_ROW,
        kind="subtle",
        words="Training volume not available",
        summary="a plain folder that looks just as the volume would",
        inject=_plain_folder,
    ),
    Fault(
        id="ebs-missing",
        row=VOLUME_ROW,
        kind="gross",
        words="Training volume not available",
        summary="the path is not there",
        inject=_missing,
    ),
    Fault(
        id="ebs-dangling",
        row=VOLUME_ROW,
        kind="subtle",
        words="Training volume not available",
        summary="a symbolic link to where the volume was",
        inject=_dangling,
    ),
    Fault(
        id="ebs-wrong-kind",
        row=VOLUME_ROW,
        kind="subtle",
        words="tmpfs",
        summary="a file system of another kind than the settings allow",
        inject=_wrong_kind,
    ),
    Fault(
        id="ebs-ro",
        row=VOLUME_ROW,
        kind="gross",
        words="read-only",
        summary="the volume is mounted read-only",
        inject=_read_only,
    ),
    Fault(
        id="ebs-not-writable",
        row=VOLUME_ROW,
        kind="subtle",
        words="writ",
        summary="the training user may not write to the volume",
        inject=_not_writable,
    ),
    Fault(
        id="ebs-detached",
        row=VOLUME_ROW,
        kind="subtle",
        words="attached",
        summary="something is mounted, and EC2 has no data volume attached to the instance",
        inject=_detached,
    ),
    Fault(
        id="ebs-not-in-fstab",
        row=VOLUME_ROW,
        kind="subtle",
        expect=Status.WARNED,
        words="reboot",
        summary="the volume is mounted by hand: gone after a reboot",
        inject=_not_in_fstab,
    ),
    Fault(
        id="ebs-fstab-elsewhere",
        row=VOLUME_ROW,
        kind="subtle",
        expect=Status.WARNED,
        words="reboot",
        summary="fstab mounts the volume at a misspelt path",
        inject=_fstab_elsewhere,
    ),
    Fault(
        id="disk-low",
        row=SPACE_ROW,
        kind="gross",
        words="free, need",
        summary="another run has filled the volume",
        inject=_low,
    ),
    Fault(
        id="disk-inodes",
        row=SPACE_ROW,
        kind="subtle",
        words="inodes",
        summary="space is free, and no file can be created",
        inject=_inodes,
    ),
    Fault(
        id="disk-tmp-low",
        row=SPACE_ROW,
        kind="subtle",
        words=".cache",
        summary="the volume has room, and another declared path has none",
        inject=_other_path_low,
    ),
    Fault(
        id="disk-quota",
        row=SPACE_ROW,
        kind="subtle",
        words="quota",
        summary="the volume has room, and the training user's quota is used up",
        inject=_quota,
    ),
)
"""The volume first, then the room on it."""
