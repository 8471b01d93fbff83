"""Volumes as they really are: mounts, full and read-only file systems, links, in a private namespace of the test."""

from __future__ import annotations

import functools
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.connections.local import LocalConnection
from pytest_pipeline.observers.host import look_at_host
from pytest_pipeline.observers.host_readings import Volume, VolumeKind
from pytest_pipeline.observers.host_request import ContextRequest, HostRequest, SystemRequest, VolumeRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_pipeline.connections.connection import Finished

MIB = 1024 * 1024
AS_USER = "unshare -U --map-user=1000 --map-group=1000"


@functools.cache
def why_not() -> str:
    if not shutil.which("unshare"):
        return "there is no unshare"
    trial = subprocess.run(["unshare", "-Urm", "true"], capture_output=True, text=True, check=False)
    return "" if trial.returncode == 0 else trial.stderr.strip()


@dataclass(frozen=True)
class Namespace(LocalConnection):
    """A connection whose commands find the mounts that a script made; they are gone with each command."""

    setup: str
    become: str

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        script = f"set -e; {self.setup}\nexec {self.become} bash -c {shlex.quote(command)}"
        return LocalConnection().run(
            f"exec unshare -Urm bash -c {shlex.quote(script)}", stdin=stdin, timeout_s=timeout_s
        )


@pytest.fixture
def looks(tmp_path: Path) -> Callable[..., Volume]:
    """Look at `$T/PATH` after a script has run, where T is the test's own folder."""
    if why_not():
        pytest.skip(f"left out, as this machine forbids namespaces: {why_not()}")

    def look(setup: str, path: str, *, become: str = "", reuse: tuple[str, ...] = ()) -> Volume:
        connection = Namespace(f"T={tmp_path}; cd $T; {setup}", become)
        wanted = VolumeRequest(path=f"{tmp_path}/{path}", reuse=tuple(f"{tmp_path}/{one}" for one in reuse))
        readings = look_at_host(connection, HostRequest(volumes=(wanted,)), 30.0)
        return readings.volumes[wanted.path].value

    return look


def test_a_mounted_volume(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=64m tmpfs t", "t")
    assert (seen.exists, seen.is_mount, seen.mount.point) == (True, True, f"{tmp_path}/t")
    assert (seen.mount.fs_type, seen.mount.source, seen.mount.read_only) == ("tmpfs", "tmpfs", False)
    assert seen.kind is VolumeKind.TMPFS
    assert not seen.same_device_as_root
    assert seen.write.value.ok
    assert 62 * MIB < seen.free_bytes <= 64 * MIB
    assert seen.space.value.total_bytes == 64 * MIB
    assert seen.reboot.value.comes_back is False
    assert not any((tmp_path / "t").iterdir())


def test_a_plain_folder_is_no_mount_although_df_is_content(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t", "t")
    assert (seen.exists, seen.is_mount) == (True, False)
    assert seen.mount.point != f"{tmp_path}/t"
    assert seen.write.value.ok


def test_a_folder_of_a_mounted_volume(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t; mount -t tmpfs tmpfs t; mkdir t/output", "t/output")
    assert (seen.is_mount, seen.mount.point, seen.kind) == (False, f"{tmp_path}/t", VolumeKind.TMPFS)


def test_a_link_to_a_mount(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir real; mount -t tmpfs tmpfs real; ln -s real link", "link")
    assert (seen.is_mount, seen.real_path) == (True, f"{tmp_path}/real")


def test_a_link_to_nowhere(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t; mount -t tmpfs tmpfs t; ln -s t/gone/deeper link", "link")
    assert (seen.exists, seen.is_mount, seen.judged_path) == (False, False, f"{tmp_path}/t")


def test_an_absent_path_is_judged_by_its_nearest_parent(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=32m tmpfs t", "t/runs/one/two")
    assert (seen.exists, seen.judged_path) == (False, f"{tmp_path}/t")
    assert seen.space.value.total_bytes == 32 * MIB
    assert seen.write.value.ok


def test_a_file_is_judged_by_its_folder(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir t; mount -t tmpfs tmpfs t; touch t/file", "t/file")
    assert (seen.exists, seen.is_mount, seen.judged_path) == (True, False, f"{tmp_path}/t")


def test_read_only(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs tmpfs t; mount -o remount,ro,bind t", "t")
    assert seen.mount.read_only
    assert "ro" in seen.mount.options
    write = seen.write.value
    assert (write.ok, write.step, write.errno, write.why) == (False, "create", "EROFS", "Read-only file system")


def test_full(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=8m tmpfs t; head -c 8M /dev/zero > t/fill || true", "t")
    assert seen.free_bytes < MIB
    write = seen.write.value
    assert (write.ok, write.step, write.errno, write.why) == (False, "write", "ENOSPC", "No space left on device")


def test_no_inodes(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=8m,nr_inodes=2 tmpfs t; touch t/one", "t")
    assert seen.free_inodes == 0
    assert seen.free_bytes > 7 * MIB
    write = seen.write.value
    assert (write.ok, write.step, write.errno) == (False, "create", "ENOSPC")


def test_a_file_system_without_a_number_of_inodes(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=8m,nr_inodes=0 tmpfs t", "t")
    assert seen.space.value.inodes_total == 0
    assert seen.free_inodes is None


def test_not_writable_by_the_user(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o mode=555 tmpfs t", "t", become=AS_USER)
    write = seen.write.value
    assert (write.ok, write.step, write.errno, write.why) == (False, "create", "EACCES", "Permission denied")
    assert seen.free_bytes > 0


def test_a_path_that_may_not_be_looked_into_is_unknown(looks: Callable[..., Volume], tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception) as caught:
        looks("mkdir t; mount -t tmpfs tmpfs t; mkdir t/deep; chmod 0 t", "t/deep", become=AS_USER)
    assert str(caught.value) == f"{tmp_path}/t/deep: Permission denied: {tmp_path}/t/deep"


def test_the_upper_of_two_mounts_counts(looks: Callable[..., Volume]) -> None:
    seen = looks("mkdir t; mount -t tmpfs -o size=8m first t; mount -t tmpfs -o size=16m second t", "t")
    assert seen.mount.source == "second"
    assert seen.space.value.total_bytes == 16 * MIB


def test_a_mount_that_a_later_one_hides(looks: Callable[..., Volume], tmp_path: Path) -> None:
    setup = (
        "mkdir t; mount -t tmpfs one t; mkdir t/deep; mount -t tmpfs two t/deep; mount -t tmpfs three t; mkdir t/deep"
    )
    seen = looks(setup, "t/deep")
    # Names alone would say that t/deep is a mount.
    assert (seen.is_mount, seen.mount.source, seen.mount.point) == (False, "three", f"{tmp_path}/t")


def test_odd_names_of_mount_points(looks: Callable[..., Volume], tmp_path: Path) -> None:
    seen = looks("mkdir 'my data'; mount -t tmpfs tmpfs 'my data'", "my data")
    assert (seen.is_mount, seen.mount.point) == (True, f"{tmp_path}/my data")


def test_a_bind_mount_in_fstab(looks: Callable[..., Volume], tmp_path: Path) -> None:
    setup = (
        "mkdir real t; mount --bind real t; echo $T/real $T/t none bind,nofail 0 0 > fstab; "
        "export LIBMOUNT_FSTAB=$T/fstab"
    )
    seen = looks(setup, "t")
    assert seen.is_mount
    reboot = seen.reboot.value
    assert (reboot.comes_back, reboot.how, reboot.detail) == (True, "fstab", f"{tmp_path}/real {tmp_path}/t")


def test_what_is_there_to_reuse(looks: Callable[..., Volume], tmp_path: Path) -> None:
    setup = (
        "mkdir t; mount -t tmpfs tmpfs t; mkdir -p t/model/deep; head -c 3000000 /dev/zero > t/model/deep/weights; "
        "ln t/model/deep/weights t/model/again; ln -s /usr t/model/elsewhere; ln -s t/model link; "
        "mkdir other; truncate -s 1G other/sparse"
    )
    seen = looks(setup, "t", reuse=("t/model", "link", "t/none", "other"))
    model = seen.reuse[f"{tmp_path}/t/model"].value
    assert (model.exists, model.size_bytes, model.complete, model.same_device) == (True, 3_000_000, True, True)
    assert model.allocated_bytes == 733 * 4096
    assert seen.reuse[f"{tmp_path}/link"].value == model
    absent = seen.reuse[f"{tmp_path}/t/none"].value
    assert (absent.exists, absent.size_bytes) == (False, 0)
    other = seen.reuse[f"{tmp_path}/other"].value
    assert (other.size_bytes, other.allocated_bytes, other.same_device) == (1 << 30, 0, False)


def test_nothing_is_written_when_nothing_may_be(tmp_path: Path) -> None:
    request = HostRequest(volumes=(VolumeRequest(path=str(tmp_path)),), write_test=False)
    write = look_at_host(LocalConnection(), request, 30.0).volumes[str(tmp_path)].value.write
    assert (write.is_known, write.reason, write.by) == (
        False, f"writing to {tmp_path}: not tried: nothing may be written", "ebs-volume"
    )  # fmt: skip


def test_a_path_of_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    request = HostRequest(volumes=(VolumeRequest(path="~/models", reuse=("~/models",)), VolumeRequest(path="models")))
    volumes = look_at_host(LocalConnection(), request, 30.0).volumes
    assert volumes["~/models"].value.real_path == f"{tmp_path}/models"
    assert volumes["models"].value.real_path == f"{tmp_path}/models"
    assert volumes["~/models"].value.reuse["~/models"].value.exists


def test_on_a_full_root_disk_everything_else_is_still_read(tmp_path: Path) -> None:
    """Nothing is written but the write test, which says so; where nothing can be written, not even a file's name."""
    if why_not():
        pytest.skip(f"left out, as this machine forbids namespaces: {why_not()}")
    full = "mount -t tmpfs -o size=64k,nr_inodes=8 tmpfs $T; mkdir $T/tmp; (cat /dev/zero > $T/tmp/fill || true) 2>&-"
    hidden = "export HOME=$T TMPDIR=$T/tmp; mount --bind $T/tmp /tmp; mount -o remount,ro,bind /"
    setup = f"cd /; T={tmp_path}; {full}; {hidden}"
    request = HostRequest(
        volumes=(VolumeRequest(path="/tmp"),),
        contexts=(ContextRequest(name="train", packages=("json",)),),
        system=SystemRequest(names=("localhost",)),
    )
    readings = look_at_host(Namespace(setup, ""), request, 30.0)

    volume = readings.volumes["/tmp"].value
    assert (volume.free_bytes, volume.write.value.errno) == (0, "ENOSPC")
    train = readings.contexts["train"]
    known = (
        readings.identity, readings.python_version, readings.gpu_presence, readings.system.memory,
        readings.system.processes, readings.system.names["localhost"], train.interpreter, train.limits,
        train.distributions, train.packages["json"],
    )  # fmt: skip
    assert [one.reason for one in known if not one.is_known] == []
