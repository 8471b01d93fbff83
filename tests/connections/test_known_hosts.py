"""known_hosts files, held to what ssh-keygen makes of them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import asyncssh
import pytest

from pytest_pipeline.connections.connection import ConnectionFailed, Trouble
from pytest_pipeline.connections.known_hosts import (
    append_known_host,
    fingerprint,
    host_name_in_file,
    read_known_hosts,
)

if TYPE_CHECKING:
    from pathlib import Path

KEY = asyncssh.generate_private_key("ssh-ed25519")
LINE = KEY.export_public_key().decode()


def matches(names: str, host: str, tmp_path: Path) -> bool:
    file = tmp_path / "known_hosts"
    file.write_text(f"{names} {LINE}")
    (key,) = read_known_hosts([file])
    return key.names_host(host)


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        ("trainer", "trainer", True),
        ("trainer", "trainer2", False),
        ("10.0.0.1,trainer", "trainer", True),
        ("*.example.com", "gpu.example.com", True),
        ("*.example.com,!bad.example.com", "bad.example.com", False),
        ("10.0.0.?", "10.0.0.7", True),
        ("[127.0.0.1]:2222", "[127.0.0.1]:2222", True),
        ("[127.0.0.1]:2222", "127.0.0.1", False),
        ("[*.example.com]:2222", "[gpu.example.com]:2222", True),
        ("Trainer", "trainer", True),
    ],
)
def test_names(names: str, host: str, expected: bool, tmp_path: Path) -> None:  # noqa: FBT001  # a table's column
    assert matches(names, host, tmp_path) is expected


def test_hashed_names_as_ssh_keygen_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"[127.0.0.1]:2222 {LINE}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "127.0.0.1" not in file.read_text()
    (key,) = read_known_hosts([file])
    assert key.names_host("[127.0.0.1]:2222")
    assert not key.names_host("[127.0.0.1]:2223")


def test_the_name_of_a_host() -> None:
    assert host_name_in_file("GPU.example.com", 22) == "gpu.example.com"
    assert host_name_in_file("10.0.0.1", 2222) == "[10.0.0.1]:2222"


def test_fingerprints_read_as_in_ssh_keygen(tmp_path: Path) -> None:
    path = tmp_path / "key.pub"
    path.write_text(LINE)
    listed = subprocess.run(["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True).stdout
    _, digest, *_, kind = listed.split()
    assert fingerprint("ssh-ed25519", KEY.public_data) == f"{kind.strip('()')} {digest}"
    assert fingerprint("ecdsa-sha2-nistp256", b"").startswith("ECDSA SHA256:")


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"# a comment\n\nonly two\nhost ssh-ed25519 not-base64!\n|1|broken {LINE}@revoked old {LINE}")
    hashed, revoked = read_known_hosts([file])
    assert not hashed.names_host("trainer")
    assert (revoked.marker, revoked.names, revoked.where) == ("@revoked", "old", f"{file}:6")


def test_missing_files_are_empty_and_unreadable_ones_are_not(tmp_path: Path) -> None:
    assert read_known_hosts([tmp_path / "none", tmp_path / "none" / "deeper"]) == ()
    with pytest.raises(ConnectionFailed) as caught:
        read_known_hosts([tmp_path])
    assert caught.value.kind is Trouble.CONFIGURATION
    assert caught.value.message == f"{tmp_path} cannot be read: Is a directory"


def test_appending_keeps_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    append_known_host(file, "one", "ssh-ed25519", KEY.public_data)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    os.truncate(file, file.stat().st_size - 1)  # somebody's editor
    append_known_host(file, "two", "ssh-ed25519", KEY.public_data)
    assert [key.names for key in read_known_hosts([file])] == ["one", "two"]
