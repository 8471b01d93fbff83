"""Asks contexts as the frame does: real shells, real interpreters, and packages that a test has just written."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

from probe_parts import parts, source

SENT = ("frame", "interpreter", "distributions", "imports", "context")

TORCH = """
import fcntl, os, sys, time, warnings

__version__ = "2.5.1+cu124"
float32, float16, bfloat16 = "float32", "float16", "bfloat16"


class version:
    cuda, hip = "12.4", None


class backends:
    class cudnn:
        @staticmethod
        def version():
            return 90100


class Tensor:
    def __init__(self, rows, dtype, place):
        self.rows, self.dtype, self.place = rows, dtype, place

    def to(self, where):
        if where.startswith("cuda"):
            return Tensor(self.rows, self.dtype, where)
        return Tensor(self.rows, where, self.place)

    def __matmul__(self, other):
        columns = list(zip(*other.rows))
        rows = [[sum(a * b for a, b in zip(row, column)) for column in columns] for row in self.rows]
        if self.place != "cpu":
            rows = cuda.multiplied(self, rows)
        return Tensor(rows, self.dtype, self.place)

    def tolist(self):
        return self.rows


def tensor(rows, dtype):
    digits = {"float32": 7, "float16": 3, "bfloat16": 2}[dtype]
    return Tensor([[round(value, digits) for value in row] for row in rows], dtype, "cpu")


class Properties:
    name, major, minor, total_memory, uuid = "NVIDIA A10G", 8, 6, 23696375808, "5a1d0b10"


class cuda:
    free_bytes = 23000000000

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def device_count():
        return 1

    @staticmethod
    def get_arch_list():
        return ["sm_80", "sm_86"]

    @staticmethod
    def get_device_properties(index):
        return Properties

    @classmethod
    def mem_get_info(cls, index):
        return cls.free_bytes, 23600000000

    @staticmethod
    def is_bf16_supported():
        return True

    @staticmethod
    def synchronize(index):
        pass

    @staticmethod
    def multiplied(left, rows):
        return rows
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return folder


def package(name: str, version: str = "1.0", *requires: str, record: str = "", code: str | None = "") -> dict[str, str]:
    """The files of an installed distribution, its module of the same name among them."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    files = {
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *lines, "", "Name: not this one", ""]),
        f"{info}/RECORD": record or f"{module}/__init__.py,,\n{info}/METADATA,,\n",
    }
    if code is not None:
        files[f"{module}/__init__.py"] = code or f"__version__ = {version!r}\n"
    return files


def asked(**changed: Any) -> dict[str, Any]:
    """A context as it is asked for: bash, the python3 of the PATH, nothing to import."""
    context: dict[str, Any] = {
        "name": "train",
        "shell": "non-login",
        "setup": "",
        "python": "python3",
        "wrap": [],
        "environment": {},
        "packages": [],
        "entry_points": [],
        "precision": "fp32",
    }
    return {**context, **changed}


class World:
    """A host's account: its home, its shell, and what was written into its folder of packages."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.packages = home / "packages"
        self.shell = "/bin/bash"
        self.nonce = secrets.token_hex(8)
        self.imports_s = 20.0
        self.deadline_s = 20.0
        self.sent = {name: source(name) for name in SENT}

    def install(self, *packages: dict[str, str]) -> None:
        """Write packages into the folder that contexts import from."""
        for files in packages:
            write(self.packages, files)

    def ask_all(self, *contexts: dict[str, Any]) -> dict[str, Any]:
        """What the probe answers for contexts, by name."""
        loaded = parts()
        account = {"user": "ubuntu", "home": str(self.home), "shell": self.shell}
        loaded["contexts"].own_account = lambda: account
        request = {
            "contexts": list(contexts),
            "sources": self.sent,
            "nonce": self.nonce,
            "imports_s": self.imports_s,
            "deadline_s": self.deadline_s,
        }
        answers = loaded["contexts"].read(request, loaded)
        assert isinstance(answers, dict)
        return answers

    def ask(self, **changed: Any) -> dict[str, Any]:
        """What the probe answers for one context."""
        answer = self.ask_all(asked(**changed))["train"]
        assert isinstance(answer, dict)
        return answer

    def answers(self, **changed: Any) -> dict[str, Any]:
        """The answers of one context that imports from the folder of packages."""
        changed.setdefault("environment", {"PYTHONPATH": str(self.packages)})
        value = self.ask(**changed)["value"]
        assert value["ended"] == ""
        answers = value["answers"]
        assert isinstance(answers, dict)
        return answers

    def left_over(self) -> list[str]:
        """Processes of the probe that still live. A killed one may take a moment to be gone."""
        end = time.monotonic() + 5
        while (found := self._alive()) and time.monotonic() < end:
            time.sleep(0.02)  # nobody tells us of the end of a stranger's children
        return found

    def _alive(self) -> list[str]:
        """Its own nonce is in the argv of each."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue  # it has just ended
                if self.nonce.encode() in command:
                    found.append(command[:80].decode("utf-8", "replace"))
        return found
