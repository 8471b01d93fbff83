"""The simulated GPU host of one tenant: an SSH server whose commands are run by real bash on real mounts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.host_commands import Commands
from pytest_pipeline.sandbox.host_door import HostDoor
from pytest_pipeline.sandbox.host_namespace import Namespace

if TYPE_CHECKING:
    import socket

    import asyncssh

    from pytest_pipeline.sandbox.plan import HostPlan

_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


class Host:
    """Made in any thread; `open` and `close` belong to the event loop that serves it.

    Without `namespaces` it has no file systems of its own: its commands see this machine's.
    """

    def __init__(
        self, plan: HostPlan, *, folder: Path, home: Path, sockets: list[socket.socket], namespaces: bool
    ) -> None:
        self._plan = plan
        self._home = home
        self._namespace = Namespace(plan, folder=folder, home=home) if namespaces else None
        programs = folder / "bin"
        _install(plan, programs)
        path = [str(programs), *(_SYSTEM_PATH if plan.python else ())]
        environment = {
            "PATH": ":".join(path),
            "HOME": str(home),
            "USER": plan.user,
            "LOGNAME": plan.user,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",  # its address lies outside this machine
            "LIBMOUNT_FSTAB": str(folder / "etc" / "fstab"),  # for where /etc/fstab cannot be covered
        }
        self._door = HostDoor(plan, sockets)
        self._commands = Commands(plan, prepare=self._on_host, home=home, environment=environment)

    def _on_host(self, command: list[str]) -> list[str]:
        if self._namespace:
            return self._namespace.argv(command, home=self._home)
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return [*leash, *command]

    async def open(self, *, host_key: asyncssh.SSHKey, authorized: asyncssh.SSHKey) -> None:
        """Let clients in."""
        await self._door.open(self._commands.serve, host_key=host_key, authorized=authorized)

    async def close(self) -> None:
        """End the connections, then the host and all that runs on it."""
        await self._door.close()
        self.kill()

    def kill(self) -> None:
        """End all that runs on the host, at once and from any thread."""
        self._commands.kill()
        if self._namespace:
            self._namespace.close()


def _install(plan: HostPlan, programs: Path) -> None:
    """Put the host's own programs where its PATH begins."""
    programs.mkdir()
    if plan.python:
        # Resolved by Python itself, and out of any virtual environment: a host's python3 is its system's.
        (programs / "python3").symlink_to(sys.executable)
    else:
        for folder in _SYSTEM_PATH:
            for entry in os.scandir(folder) if Path(folder).is_dir() else ():
                link = programs / entry.name
                if not entry.name.startswith(("python", "pypy")) and not link.is_symlink():
                    link.symlink_to(entry.path)
    for name, text in plan.programs.items():
        program = programs / name
        program.unlink(missing_ok=True)
        program.write_text(text)
        program.chmod(0o755)
