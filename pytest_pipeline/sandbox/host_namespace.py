"""The file systems of a simulated host: a private mount namespace, made by an unprivileged user.

Real mounts in it make real findings: a full volume is ENOSPC, a read-only one EROFS, an unmounted one a plain folder.
The first user namespace is root's, who mounts; commands run in a second one as an ordinary user, so that permissions
bind them too, also where the sandbox itself is run by root. Nothing of it is visible outside, and it is gone with the
pipe that its first process reads.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.host_content import lay_out
from pytest_pipeline.sandbox.host_script import MNT, NSSWITCH, fstab, setup_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_pipeline.sandbox.plan import HostPlan

_UNSHARE = ("unshare", "-Urm", "--pid", "--fork", "--kill-child")
_UID = 1000
_START_S = 20.0


def why_not() -> str:
    """Return why this machine has no namespaces for us, or "" where it has."""
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        return "unshare and nsenter (util-linux) are not installed"
    if not Path(MNT).is_dir():
        return f"there is no {MNT} to mount on"
    trial = subprocess.run(  # noqa: S603  # a fixed command
        [*_UNSHARE, "unshare", "-U", f"--map-user={_UID}", f"--map-group={_UID}", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if trial.returncode == 0 else trial.stderr.strip() or f"unshare ended with {trial.returncode}"


class Namespace:
    """The running namespace of one host. `folder` is the tenant's, `home` the home of its account."""

    def __init__(self, plan: HostPlan, *, folder: Path, home: Path) -> None:
        etc = folder / "etc"
        etc.mkdir()
        (etc / "passwd").write_text(
            f"root:x:0:0:root:/root:/bin/bash\n{plan.user}:x:{_UID}:{_UID}:Ubuntu:{home}:{plan.shell}\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        )
        (etc / "group").write_text(f"root:x:0:\n{plan.user}:x:{_UID}:\nnogroup:x:65534:\n")
        (etc / "fstab").write_text(fstab(plan))
        (etc / "profile").write_text("# Ubuntu's leaves PATH alone, whatever this machine's does.\n")
        (etc / "hosts").write_text(plan.hosts)
        (etc / "nsswitch.conf").write_text(NSSWITCH)
        (etc / "resolv.conf").write_text("# This host asks nobody.\n")
        for number, mount in enumerate(plan.mounts):
            lay_out(mount.content, folder / "content" / str(number))
        script = folder / "namespace.sh"
        script.write_text(setup_script(plan, folder=folder, home=home))
        self._process = subprocess.Popen(  # noqa: S603  # a script of ours
            [*_UNSHARE, "/bin/sh", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101  # for the type checker: it is a pipe
        if self._process.stdout.readline() != "ready\n":
            _, errors = self._process.communicate(timeout=_START_S)
            raise RuntimeError(f"the sandbox's host could not be set up: {errors.strip()}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii")
        self._init = children.split()[0]

    def argv(self, command: Sequence[str], *, home: Path) -> list[str]:
        """Return what runs a command on the host, in the home of its account."""
        enter = ["nsenter", "-t", self._init, "-U", "-m", "-p", "--preserve-credentials"]
        become = ["unshare", "-U", f"--map-user={_UID}", f"--map-group={_UID}"]
        return [*enter, *become, "env", f"--chdir={home}", *command]

    def close(self) -> None:
        """End every process of the host; its mounts go with them."""
        self._process.kill()  # --kill-child takes the first process along, and that one all others
        self._process.communicate()
