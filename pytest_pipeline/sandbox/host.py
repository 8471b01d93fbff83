"""The simulated GPU host of one tenant: an SSH server whose commands are run by real bash on real mounts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.accelerator_smi import smi_programs
from pytest_pipeline.sandbox.host_commands import Commands
from pytest_pipeline.sandbox.host_door import HostDoor
from pytest_pipeline.sandbox.host_kernel_log import kernel_log_programs
from pytest_pipeline.sandbox.host_namespace import Namespace
from pytest_pipeline.sandbox.host_programs import shared_programs
from pytest_pipeline.sandbox.host_python import make_pythons

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import asyncssh

    from pytest_pipeline.sandbox.plan import HostPlan

_PROGRAMS = "programs"  # of all hosts of a sandbox, beside their folders


class Host:
    """Made in any thread; `open` and `close` belong to the event loop that serves it.

    Without `namespaces` it has no file systems of its own: its commands see this machine's.
    """

    def __init__(
        self, plan: HostPlan, *, folder: Path, home: Path, sockets: list[socket.socket], namespaces: bool
    ) -> None:
        self._plan = plan
        self._home = home
        programs = folder / "bin"
        _install(plan, programs, home=home)  # before the namespace, which may start some of them
        self._namespace = Namespace(plan, folder=folder, home=home) if namespaces else None
        shared = shared_programs(folder.parent / _PROGRAMS)
        environment = {
            "PATH": f"{programs}:{shared}",
            "HOME": str(home),
            "USER": plan.user,
            "LOGNAME": plan.user,
            "SHELL": plan.shell,
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",  # its address lies outside this machine
            "LIBMOUNT_FSTAB": str(folder / "etc" / "fstab"),  # for where /etc/fstab cannot be covered
            **plan.environment,
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


def _install(plan: HostPlan, programs: Path, *, home: Path) -> None:
    """Put the host's own programs where its PATH begins."""
    programs.mkdir()
    make_pythons(plan, root=programs.parent, home=home)
    for name, text in {**kernel_log_programs(), **smi_programs(plan.accelerator), **plan.programs}.items():
        program = programs / name
        program.unlink(missing_ok=True)
        program.write_text(text)
        program.chmod(0o755)
