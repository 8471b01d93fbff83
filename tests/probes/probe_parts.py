"""Loads probes for tests as the host's frame does: as sources, each a module of its own."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import types
from importlib.resources import files
from pathlib import Path
from typing import Any

NAMES = (
    "metadata", "quotas", "disks", "reboot", "host", "volumes", "gpus", "kernel_log", "s3_credentials", "s3_request",
    "s3",
    "program", "processes", "locks", "lifetime", "system",
    "contexts", "context", "interpreter", "distributions", "imports",
    "imposters", "safetensors", "model_place", "model_shapes", "model_tokenizer", "model_vocabulary", "model_code",
    "model_weights", "model", "entry_points", "deployed", "script_syntax", "interlock", "download",
)  # fmt: skip
PYENV = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
PYTHONS = tuple(f"python3.{minor}" for minor in range(7, 15))


def source(name: str) -> str:
    """The text of a probe."""
    return (files("pytest_pipeline") / "probes" / f"{name}.py").read_text(encoding="utf-8")


def part(name: str) -> Any:
    """One probe as a module."""
    module = types.ModuleType(name)
    exec(compile(source(name), f"<probe {name}>", "exec"), module.__dict__)  # noqa: S102  # as the frame does
    return module


def parts() -> dict[str, Any]:
    """All probes, as `read` gets them."""
    return {name: part(name) for name in ("frame", *NAMES)}


@functools.cache
def working_python(name: str) -> str:
    """The path of an interpreter that is here and answers, on the PATH or kept by pyenv; or nothing."""
    kept = sorted(PYENV.glob(f"versions/*/bin/{name}"))
    for path in filter(None, (shutil.which(name), *map(str, kept))):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return ""
