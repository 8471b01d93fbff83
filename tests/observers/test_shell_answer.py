"""What a shell alone tells of a host where no Python answers: its real output here, and what must not be believed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.observers.host_answer import Printed, decode
from pytest_pipeline.observers.host_request import HostRequest, VolumeRequest
from pytest_pipeline.observers.launch import ask, command
from pytest_pipeline.observers.shell_answer import clock_of, parts_of, why_no_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.observers.host_readings import Volume
    from pytest_pipeline.outcome import Reading

FACTS = Path(__file__).parent / "facts" / "shell"
NONCE = "c0ffee00c0ffee00"
TRAINING = "/mnt/training"
SHELLS = [shell for shell in ("dash", "bash", "zsh") if shutil.which(shell)]

TOLD: dict[str, Callable[[Reading[Volume]], Any]] = {
    "reason": lambda of: of.reason,
    "kind": lambda of: of.value.kind.value,
    "exists": lambda of: of.value.exists,
    "is_mount": lambda of: of.value.is_mount,
    "as_root": lambda of: of.value.same_device_as_root,
    "source": lambda of: of.value.mount.source,
    "read_only": lambda of: of.value.mount.read_only,
    "free_bytes": lambda of: of.value.free_bytes,
    "inodes": lambda of: (of.value.space.value.inodes_total, of.value.space.value.inodes_available),
    "ids": lambda of: list(of.value.volume_ids),
    "layers": lambda of: [disk.layers for disk in of.value.disks.value],
}


def part(name: str, output: str, status: int = 0) -> str:
    return f"\n@@pipeline-part {NONCE} {name}@@\n{output}\n@@pipeline-status {NONCE} {status}@@\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_where_python_breaks_a_shell_reads_what_it_can(shell: str, tmp_path: Path) -> None:
    there, nowhere = str(tmp_path), str(tmp_path / "none")
    request = HostRequest(volumes=(VolumeRequest(path=there), VolumeRequest(path=nowhere)))
    done = subprocess.run(
        [shell, "-c", command(NONCE)],
        input=ask(b"raise SystemExit(3)\n", request, NONCE, 20.0),
        capture_output=True,
        timeout=60,
        check=False,
    )
    seen = decode(Printed(nonce=NONCE, stdout=done.stdout, stderr=done.stderr, exit_status=done.returncode), request)

    assert seen.shell.value
    assert seen.identity.value.hostname == os.uname().nodename
    assert seen.identity.value.uid == os.getuid()
    assert seen.system.memory.value.total_bytes > 0
    assert seen.volumes[there].value.exists
    assert seen.volumes[there].value.space.value.total_bytes > 0
    assert not seen.volumes[nowhere].value.exists
    assert seen.gpu_presence.is_known
    assert (seen.s3_reads.by, seen.s3_reads.is_known) == ("python-version", False)
    assert seen.s3_reads.reason.startswith("python3 on the host gave no answer (exit status 3)")


def test_a_part_that_was_cut_short_or_came_twice_is_nobodys() -> None:
    whole, twice = part("memory", "x"), part("identity", "me") + part("identity", "somebody else")
    cut = f"\n@@pipeline-part {NONCE} clock@@\n17"

    assert [*parts_of((whole + twice + cut).encode(), NONCE)] == ["memory"]
    assert parts_of(whole.encode(), "another") == {}


def test_every_interpreter_that_was_tried_is_named() -> None:
    tried = part("interpreters", "/usr/bin/python3\t126\tPermission denied\n/opt/python3\t124\t")
    version, why = why_no_python(parts_of(tried.encode(), NONCE), "")

    assert not version.is_known
    assert why == (
        "python3 on the host gave no answer: /usr/bin/python3 (exit status 126): Permission denied; "
        "/opt/python3 did not start in time"
    )


def test_without_any_interpreter_it_was_not_found() -> None:
    _, why = why_no_python(parts_of(part("interpreters", "").encode(), NONCE), "")

    assert (
        why == "python3 was not found on the host: neither on the PATH of a command nor where it is usually installed"
    )


def test_a_clock_that_makes_no_sense_is_none() -> None:
    assert clock_of(parts_of((part("clock", "100") + part("clock-end", "107")).encode(), NONCE)) == {
        "clock_start": 101,
        "clock_end": 107,
    }
    assert clock_of(parts_of(part("clock", "date: not found", 127).encode(), NONCE)) == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (part("identity", "a\nb"), "the host's answer for the host's identity makes no sense: it has 2 lines, not 5"),
        (part("identity", "gone", 124), "the host's identity: no answer in time"),
        (part("identity", "id: denied", 1), "the host's identity: id: denied"),
        (part("clock", "1"), "the host's identity: the host's shell did not answer in time"),
    ],
    ids=["senseless", "late", "refused", "not come"],
)
def test_what_was_not_read_is_missing(answer: str, reason: str) -> None:
    stdout = f"\n@@pipeline-shell {NONCE}@@\n{answer}".encode()
    identity = decode(Printed(nonce=NONCE, stdout=stdout), HostRequest()).identity

    assert (identity.reason, identity.by) == (reason, "python-version")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("btrfs", {"kind": "ebs", "is_mount": True, "free_bytes": 224256 * 1024, "inodes": (0, 0)}),
        ("busybox", {"kind": "network", "free_bytes": 224256 * 1024, "inodes": (0, 0)}),
        ("without_lsblk", {"reason": "the disks under /mnt/training: sh: lsblk: not found"}),
        ("nfs", {"kind": "network", "source": "nas.example.com:/my models", "free_bytes": 402653184 * 1024}),
        (
            "lvm",
            {
                "kind": "ebs",
                "free_bytes": 0,
                "read_only": True,
                "ids": ["vol-0aaaaaaaa", "vol-0bbbbbbbb"],
                "layers": [("lvm: vg-train--ing",)] * 2,
            },
        ),
        ("absent", {"kind": "root", "exists": False, "is_mount": False, "as_root": True, "ids": []}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_volumes_as_shells_tell_of_them(name: str, expected: dict[str, Any]) -> None:
    stdout = f"\n@@pipeline-shell {NONCE}@@\n{(FACTS / f'{name}.txt').read_text()}".encode()
    request = HostRequest(volumes=(VolumeRequest(path=TRAINING),))
    volume = decode(Printed(nonce=NONCE, stdout=stdout), request).volumes[TRAINING]

    assert {key: read(volume) for key, read in TOLD.items() if key in expected} == expected
