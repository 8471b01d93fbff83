"""What is taken from ~/.ssh/config, and what is not."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

import pytest

from pytest_pipeline.connections.connection import ConnectionFailed, Target, Trouble
from pytest_pipeline.connections.ssh_config import login_for


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def config(home: Path, text: str, name: str = "config") -> Path:
    path = home / ".ssh" / name
    path.write_text(text)
    return path


def test_without_a_configuration(home: Path) -> None:
    login = login_for(Target(address="10.0.0.1", ssh_config=config(home, "")))
    assert (login.address, login.port, login.user) == ("10.0.0.1", 22, getpass.getuser())
    assert login.keys == tuple(home / ".ssh" / name for name in ("id_ed25519", "id_ecdsa", "id_rsa"))
    assert not login.keys_are_given
    assert login.known_hosts[:2] == (home / ".ssh/known_hosts", home / ".ssh/known_hosts2")
    assert Path("/etc/ssh/ssh_known_hosts") in login.known_hosts
    assert login.host_key_name == "10.0.0.1"
    assert (login.proxy_jump, login.proxy_command) == ((), "")


def test_the_users_own_file_is_found(home: Path) -> None:
    config(
        home,
        """
        Host gpu
          HostName 10.0.0.7
          User trainer
          Port 2222
          IdentityFile ~/.ssh/gpu.pem
          HostKeyAlias gpu-box
          ProxyJump bastion, me@second:2200
          UserKnownHostsFile ~/.ssh/known_gpus
        """,
    )
    login = login_for(Target(address="gpu"))
    assert (login.address, login.port, login.user) == ("10.0.0.7", 2222, "trainer")
    assert login.keys == (home / ".ssh/gpu.pem",)
    assert login.host_key_name == "gpu-box"
    assert login.proxy_jump == ("bastion", "me@second:2200")
    assert login.known_hosts[0] == home / ".ssh/known_gpus"


def test_the_target_wins(home: Path) -> None:
    file = config(home, "Host *\n User nobody\n Port 1\n IdentityFile ~/x\n HostKeyAlias x\n ProxyCommand none\n")
    login = login_for(
        Target(
            address="gpu",
            port=2,
            user="me",
            key=home / "key",
            host_key_alias="Y",
            known_hosts=home / "kh",
            ssh_config=file,
        )
    )
    assert (login.port, login.user, login.keys, login.host_key_name) == (2, "me", (home / "key",), "y")
    assert login.keys_are_given
    assert login.known_hosts[0] == home / "kh"
    assert login.proxy_command == ""


def test_tokens_of_a_proxy_command_are_filled_in(home: Path) -> None:
    file = config(home, "Host i-*\n ProxyCommand aws ssm start-session --target %h --parameters port=%p\n")
    login = login_for(Target(address="i-0abc", ssh_config=file))
    assert login.proxy_command == "aws ssm start-session --target i-0abc --parameters port=22"


def test_include(home: Path) -> None:
    (home / ".ssh/config.d").mkdir()
    config(home, "Host gpu\n  HostName 10.0.0.9\n", "config.d/10-gpu")
    config(home, "Host other\n  Port 2200\n", "config.d/20-other")
    file = config(home, "Include config.d/*\nUser everyone\nHost gpu\n  Include deeper\n  Port 2222\n")
    config(home, "IdentityFile ~/.ssh/deep\nHost elsewhere\n  Port 9\n", "deeper")
    login = login_for(Target(address="gpu", ssh_config=file))
    # "User" stands after an included file that ends in a Host block of its own; so does "Port".
    assert (login.address, login.port, login.user) == ("10.0.0.9", 2222, "everyone")
    assert login.keys == (home / ".ssh/deep",)


def test_include_agrees_with_openssh(home: Path) -> None:
    deep = config(home, "IdentityFile ~/.ssh/deep\nHost elsewhere\n  Port 9\n", "deeper")
    file = config(home, f"Include {deep}\nUser everyone\nHost gpu\n  Port 2222\n  HostName 10.0.0.9\n")
    said = subprocess.run(["ssh", "-F", file, "-G", "gpu"], capture_output=True, text=True, check=True).stdout
    login = login_for(Target(address="gpu", ssh_config=file))
    for name, value in {"hostname": login.address, "port": login.port, "user": login.user}.items():
        assert f"\n{name} {value}\n" in f"\n{said}"


def test_a_file_that_includes_itself_ends(home: Path) -> None:
    file = config(home, "Include config\nPort 2222\n")
    assert login_for(Target(address="gpu", ssh_config=file)).port == 2222


def test_a_given_configuration_must_be_there(home: Path) -> None:
    with pytest.raises(ConnectionFailed) as caught:
        login_for(Target(address="gpu", ssh_config=home / "none"))
    assert caught.value.kind is Trouble.CONFIGURATION
    assert caught.value.message == f"ssh configuration {home}/none cannot be read: No such file or directory"
    assert caught.value.remedy == f"ls -l {home}/none"


def test_what_paramiko_cannot_read_is_said(home: Path) -> None:
    file = config(home, "Match all host gpu\n  Port 1\n")
    with pytest.raises(ConnectionFailed) as caught:
        login_for(Target(address="gpu", ssh_config=file))
    assert caught.value.kind is Trouble.CONFIGURATION
    assert caught.value.message.startswith(f"{file} cannot be used for gpu: ")
    assert caught.value.message.endswith('; host.connection = "openssh" leaves it to ssh itself')
    assert caught.value.remedy == "ssh -G gpu"


def test_a_port_that_is_no_number(home: Path) -> None:
    with pytest.raises(ConnectionFailed, match=r"^ssh configuration has a Port that is no number: ssh$"):
        login_for(Target(address="gpu", ssh_config=config(home, "Port ssh\n")))
