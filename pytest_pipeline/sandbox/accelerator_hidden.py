"""Hides this machine's own GPU from a simulated host, whose accelerator is the recorded one, or none."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where programs look for it beside their PATH.
_SMI = ("usr/bin", "usr/local/nvidia/bin", "usr/lib/wsl/lib", "opt/bin")
_DEVICES = "sys/bus/pci/devices"


def machine_has_gpu(root: Path = Path("/")) -> bool:
    """Whether anything of an NVIDIA GPU is to be seen on this machine."""
    return bool(_programs(root) or _device_files(root) or _on_bus(root))


def hide_gpu(root: Path = Path("/")) -> Iterator[str]:
    """Yield commands that cover what there is: root of a mount namespace runs them.

    A name cannot be taken away, but what it leads to can be: a program to a device file, which is no program, and a
    device file to a program, which is no device.
    """
    for path in _programs(root):
        yield f"mount --bind /dev/null {quote(str(path))}"
    for path in _device_files(root):
        yield f"mount --bind /bin/true {quote(str(path))}"
    if _on_bus(root):
        yield f"mount -t tmpfs tmpfs {quote(str(root / _DEVICES))}"


def _programs(root: Path) -> list[Path]:
    return [path for place in _SMI if (path := root / place / "nvidia-smi").is_file()]


def _device_files(root: Path) -> list[Path]:
    return sorted((root / "dev").glob("nvidia[0-9]*"))


def _on_bus(root: Path) -> bool:
    return any(path.read_text().strip() == "0x10de" for path in (root / _DEVICES).glob("*/vendor"))
