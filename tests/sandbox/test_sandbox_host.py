"""The simulated host is real where it matters: bash, users, mounts, statuses, the end of commands."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from pytest_pipeline.sandbox.child import SandboxChild, SandboxError
from pytest_pipeline.sandbox.host_namespace import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.conftest import OpenWorld, World

needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=f"no namespaces here: {why_not()}")


def test_commands_come_back_with_status_output_and_errors(world: World) -> None:
    assert world.run("echo out; echo err >&2; exit 42") == (42, "out\n", "err\n")
    assert world.run("cat", stdin=b"given\n") == (0, "given\n", "")
    assert world.run("kill -9 $$")[0] == 137


def test_nothing_of_a_large_output_is_lost(world: World) -> None:
    status, out, _ = world.run("head -c 8000000 /dev/zero | tr '\\0' x")

    assert (status, len(out)) == (0, 8_000_000)


def test_a_large_input_arrives_whole(world: World) -> None:
    assert world.run("wc -c", stdin=b"x" * 3_000_000)[1].strip() == "3000000"


def test_the_account_is_ubuntu_at_home(world: World) -> None:
    _, out, _ = world.run("echo $USER; pwd; echo ~; echo $SHELL")
    user, where, home, shell = out.split()

    assert (user, shell) == ("ubuntu", "/bin/bash")
    assert where == home == str(Path(world.host["key"]).parents[1] / "home")


def test_its_python_is_ours_with_packages_of_its_own(world: World) -> None:
    root = Path(world.host["key"]).parents[1]

    assert world.run("python3 -c 'import sys; print(sys.version, sys.prefix)'")[1] == f"{sys.version} {root}\n"


def test_bash_reads_bashrc_as_it_does_under_sshd(open_world: OpenWorld) -> None:
    status, out, err = open_world(variant="noisy-host").run("echo answer")

    assert status == 0
    assert out.splitlines() == [
        "*** System restart required ***",
        '{"not": "an answer"}',
        "Welcome back, ubuntu",
        "answer",
    ]
    assert err == "last login: today\n"


def test_it_has_no_credentials_but_its_own(world: World) -> None:
    names = world.run("env | cut -d= -f1 | sort")[1].split()

    assert [name for name in names if name.startswith("AWS_")] == ["AWS_EC2_METADATA_DISABLED"]
    assert "PYTHONPATH" not in names


@needs_namespaces
def test_the_volume_is_a_real_mount_that_comes_back_after_a_reboot(world: World) -> None:
    assert world.run("findmnt -no FSTYPE --mountpoint /mnt/training")[:2] == (0, "tmpfs\n")
    assert world.run("findmnt --fstab -no TARGET /mnt/training")[:2] == (0, "/mnt/training\n")
    assert world.run("echo x > /mnt/training/probe && cat /mnt/training/probe")[:2] == (0, "x\n")
    assert world.run("python3 -c 'import os; print(os.path.ismount(\"/mnt/training\"))'")[1] == "True\n"


@needs_namespaces
def test_nothing_of_it_is_seen_outside(world: World) -> None:
    world.run("echo x > /mnt/training/only-there")

    assert not Path("/mnt/training/only-there").exists()
    assert world.id not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


@needs_namespaces
def test_an_unmounted_path_is_on_no_tmpfs(open_world: OpenWorld) -> None:
    """Else a check that looks for a tmpfs, the sandbox's kind of volume, would find one."""
    out = open_world("ebs-unmounted").run("stat -f -c %T /mnt/training; findmnt --mountpoint /mnt/training")[1]

    assert out.strip() not in ("", "tmpfs")


@needs_namespaces
def test_permissions_bind_the_training_user_whoever_runs_the_sandbox(open_world: OpenWorld) -> None:
    world = open_world("ebs-not-writable")

    assert world.run("id -u; id -un")[1] == "1000\nubuntu\n"
    assert world.run("mkdir ~/mine && chmod 555 ~/mine && touch ~/mine/x")[0] == 1
    assert world.run("mount -t tmpfs tmpfs /mnt/training")[0] != 0


def test_a_command_ends_with_its_connection(world: World) -> None:
    client = world.ssh()
    transport = client.get_transport()
    assert transport is not None
    channel = transport.open_session()
    channel.exec_command("echo started; exec sleep 4711")
    assert channel.recv(100) == b"started\n"
    client.close()

    end = time.monotonic() + 5
    while world.run("pgrep -f '^sleep 4711'")[0] == 0 and time.monotonic() < end:
        pass
    assert world.run("pgrep -f '^sleep 4711'")[0] == 1


def test_many_sessions_share_a_connection(world: World) -> None:
    world.run("true")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: world.run(f"echo {n}")[1], range(16))) == [f"{n}\n" for n in range(16)]


def test_only_the_right_account_gets_in_and_strangers_learn_nothing(open_world: OpenWorld) -> None:
    said = set()
    for fault in ("ssh-user", "ssh-key"):
        with pytest.raises(paramiko.AuthenticationException) as caught:
            open_world(fault).ssh()
        said.add(str(caught.value))

    assert said == {"Authentication failed."}


@pytest.mark.skipif(not shutil.which("ssh"), reason="no OpenSSH client here")
def test_openssh_gets_in_too_and_refuses_a_key_that_others_may_read(open_world: OpenWorld) -> None:
    def ssh(world: World) -> subprocess.CompletedProcess[str]:
        options = ["-F", world.host["ssh_config"], "-i", world.host["key"], "-p", str(world.host["port"])]
        options += ["-o", f"UserKnownHostsFile={world.host['known_hosts']}", "-o", "BatchMode=yes"]
        return subprocess.run(
            ["ssh", *options, "ubuntu@127.0.0.1", "echo", "in"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env={"PATH": os.environ["PATH"]},
        )

    assert ssh(open_world()).stdout == "in\n"
    assert ssh(open_world(variant="many-keys-known-hosts")).stdout == "in\n"
    assert ssh(open_world(variant="hostkey-alias-config")).stdout == "in\n"
    refused = ssh(open_world("ssh-key-mode"))
    assert refused.returncode == 255
    assert "are too open" in refused.stderr


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[SandboxChild]:
    """A sandbox on a machine that forbids namespaces."""
    child = SandboxChild()
    child.start(tmp_path, namespaces=False)
    yield child
    child.stop()


def test_without_namespaces_the_volume_is_simulated_and_called_so(plain: SandboxChild) -> None:
    tenant = plain.open()

    assert tenant.simulated == ("accelerator", "volume")
    (path,) = [path for path in tenant.settings["requirements"]["disk"] if path != "~"]
    assert Path(path).is_dir()
    assert "kinds" not in tenant.settings["requirements"]["disk"][path]


def test_without_namespaces_commands_run_all_the_same(plain: SandboxChild, make_world: type[World]) -> None:
    with contextlib.ExitStack() as leave:
        world = make_world(plain, plain.open(["s3-get-deny"]), leave)

        assert world.run("echo $USER; cat", stdin=b"x")[:2] == (0, "ubuntu\nx")
        assert world.host_client("s3").list_objects_v2(Bucket="policy-database")["KeyCount"] == 30


def test_without_namespaces_a_fault_made_of_mounts_says_why_it_cannot_be_had(plain: SandboxChild) -> None:
    with pytest.raises(SandboxError, match=r"mount namespaces are forbidden.*unshare -Urm true"):
        plain.open(["ebs-ro"])

    assert plain.open().id


def test_without_namespaces_commands_end_with_the_sandbox(plain: SandboxChild, make_world: type[World]) -> None:
    with contextlib.ExitStack() as leave:
        transport = make_world(plain, plain.open(), leave).ssh().get_transport()
        assert transport is not None
        channel = transport.open_session()
        channel.exec_command("sleep 600 & echo $!; wait")
        sleeper = int(channel.recv(100))
        os.kill(sleeper, 0)

        plain.stop()

    end = time.monotonic() + 5
    while Path(f"/proc/{sleeper}/cmdline").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert not Path(f"/proc/{sleeper}/cmdline").exists()
