"""Opening a connection of the kind that the settings name. Each kind is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from pytest_pipeline.connections.connection import Opened, Target


def open_connection(kind: Literal["fabric", "openssh", "local"], target: Target | None) -> Opened:
    """Open the way to a host; `target` is not looked at for "local". Raises ConnectionFailed."""
    if kind == "local":
        from pytest_pipeline.connections.local import open_local  # noqa: PLC0415  # see the module's first line

        return open_local()
    if target is None:
        raise ValueError(f"a connection by {kind} needs a target")
    if kind == "openssh":
        from pytest_pipeline.connections.openssh import open_openssh  # noqa: PLC0415  # likewise

        return open_openssh(target)
    from pytest_pipeline.connections.ssh import open_ssh  # noqa: PLC0415  # likewise

    return open_ssh(target)
