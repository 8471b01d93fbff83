"""The sandbox's stand-in for pip: it says whose it is, and installs nothing."""

from __future__ import annotations

import sys
from pathlib import Path

__version__ = "24.0"
__simulated__ = True


def main(arguments: list[str]) -> int:
    """Answer `pip --version`, and nothing else."""
    if arguments not in (["--version"], ["-V"]):
        sys.stderr.write("pip: the sandbox's stand-in answers `pip --version` alone\n")
        return 2
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    sys.stdout.write(f"pip {__version__} from {Path(__file__).parent} (python {python})\n")
    return 0
