"""Where a command to paste runs: here, or on the host. Nobody shall type `kill 21` into the wrong terminal. Pure."""

from __future__ import annotations

_ON_HOST = "on the host: "


def on_host(command: str) -> str:
    """Mark a command to paste as one for the host; nothing stays nothing.

    The report makes it one for this machine, `ssh user@host 'command'`, where the row's connection is known.
    """
    return f"{_ON_HOST}{command}" if command else ""


def meant_for_host(remedy: str) -> str:
    """Return the command of a remedy that is for the host, "" of another."""
    return remedy.removeprefix(_ON_HOST) if remedy.startswith(_ON_HOST) else ""
