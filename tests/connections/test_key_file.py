"""Private key files: what OpenSSH would refuse, said before connecting."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest

from pytest_pipeline.connections.connection import ConnectionFailed, Trouble
from pytest_pipeline.connections.key_file import encrypted, hardware, read_key_file

ED25519 = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256")


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def fault(path: Path) -> tuple[Trouble, str, str]:
    with pytest.raises(ConnectionFailed) as caught:
        read_key_file(path)
    return caught.value.kind, caught.value.message, caught.value.remedy


@pytest.mark.parametrize("key", [ED25519, RSA, ECDSA], ids=["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("form", ["openssh", "pkcs1-pem", "pkcs8-pem"])
def test_usable(tmp_path: Path, key: asyncssh.SSHKey, form: str) -> None:
    if key is ED25519 and form == "pkcs1-pem":
        pytest.skip("there is no such format for ed25519")
    file = read_key_file(write(tmp_path / "key", key.export_private_key(form)))
    assert file.key is not None
    assert file.key.asbytes() == key.public_data
    assert not file.is_encrypted


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "no such key.pem"
    assert fault(path) == (Trouble.KEY_MISSING, f"there is no private key at {path}", f"ls -l {tmp_path}")


def test_a_folder(tmp_path: Path) -> None:
    assert fault(tmp_path) == (
        Trouble.KEY_MALFORMED, f"{tmp_path} is not a file and so no private key", f"ls -ld {tmp_path}"
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "key", ED25519.export_private_key(), mode=0)
    assert fault(path)[:2] == (Trouble.KEY_UNREADABLE, f"private key {path} cannot be read: Permission denied")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_readable_by_others(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", ED25519.export_private_key(), mode=mode)
    assert fault(path) == (
        Trouble.KEY_READABLE_BY_OTHERS,
        f"private key {path} is readable by others (mode 0{mode:o}); OpenSSH refuses it",
        f"chmod 600 {path}",
    )


def test_others_keys_may_have_any_mode_as_in_openssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "key", ED25519.export_private_key("openssh"), mode=0o644)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert read_key_file(path).key is not None


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem", "rfc4716"])
def test_a_public_key(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "key.pub", ED25519.export_public_key(form), mode=0o644)
    assert fault(path) == (
        Trouble.KEY_PUBLIC,
        f"{path} is a public key; give the private key instead, {tmp_path}/key",
        f"ls -l {tmp_path}/key",
    )


@pytest.mark.parametrize("form", ["openssh", "pkcs8-pem"])
def test_encrypted(tmp_path: Path, form: str) -> None:
    file = read_key_file(write(tmp_path / "key", RSA.export_private_key(form, "secret")))
    assert file.key is None
    assert file.is_encrypted
    assert file.public_blob == (RSA.public_data if form == "openssh" else b"")
    said = encrypted(file.path)
    assert said.kind is Trouble.KEY_ENCRYPTED
    assert said.message == (
        f"private key {tmp_path}/key is encrypted and no agent holds it; a gate asks nobody for a passphrase"
    )
    assert said.remedy == f'eval "$(ssh-agent)" && ssh-add {tmp_path}/key'


def test_cut_off_line_end(tmp_path: Path) -> None:
    path = write(tmp_path / "key", ED25519.export_private_key("openssh").rstrip())
    assert fault(path) == (
        Trouble.KEY_MALFORMED,
        f"private key {path} lacks its final line end (cut off when it was pasted?); OpenSSH refuses it",
        f"echo >> {path}",
    )


def test_windows_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "key", ED25519.export_private_key("openssh").replace(b"\n", b"\r\n"))
    assert fault(path) == (
        Trouble.KEY_MALFORMED,
        f"private key {path} has Windows line ends; OpenSSH refuses it",
        f"sed -i 's/\\r$//' {path}",
    )


def test_putty(tmp_path: Path) -> None:
    path = write(tmp_path / "trainer.ppk", b"PuTTY-User-Key-File-3: ssh-ed25519\n")
    assert fault(path) == (
        Trouble.KEY_MALFORMED,
        f"{path} is a PuTTY key, which OpenSSH cannot read",
        f"puttygen {path} -O private-openssh -o {tmp_path}/trainer.pem",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nbm90IGEga2V5\n-----END RSA PRIVATE KEY-----\n",
    ],
    ids=["empty", "text", "pem"],
)
def test_malformed(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "key", content)
    assert fault(path) == (
        Trouble.KEY_MALFORMED,
        f"{path} is no usable private key: it is not in a format that OpenSSH knows, or damaged",
        f"ssh-keygen -y -f {path}",
    )


@pytest.mark.parametrize(
    "body", [b"", b"bm90IGEga2V5", b"b3BlbnNzaC1rZXktdjEA////////"], ids=["nothing", "no-magic", "cut-short"]
)
def test_a_damaged_openssh_key(tmp_path: Path, body: bytes) -> None:
    content = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + b"\n-----END OPENSSH PRIVATE KEY-----\n"
    path = write(tmp_path / "key", content)
    assert fault(path)[:2] == (Trouble.KEY_MALFORMED, f"{path} is no usable private key: its content is damaged")


def test_a_type_that_is_no_longer_used(tmp_path: Path) -> None:
    ed448 = asyncssh.generate_private_key("ssh-ed448")
    path = write(tmp_path / "key", ed448.export_private_key("pkcs8-pem"))
    assert fault(path) == (
        Trouble.KEY_UNSUPPORTED,
        f"private key {path} is of a type that SSH no longer uses; use ed25519, ecdsa or rsa",
        "ssh-keygen -t ed25519",
    )


def test_hardware_keys_are_for_openssh() -> None:
    said = hardware(Path("/k/id_ed25519_sk"))
    assert said.kind is Trouble.KEY_UNSUPPORTED
    assert said.message == (
        "private key /k/id_ed25519_sk lives in a hardware token (FIDO), which only OpenSSH can use: set "
        'host.connection = "openssh"'
    )
