"""A copy of the folder that the user's pipeline runs in: what a stage writes, breaks or leaves is gone with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NEVER_COPIED = (
    ".git", ".hg", ".svn", "__pycache__",
    ".env", ".env.*", "*.env", ".envrc", ".netrc", ".aws", ".ssh", ".kube", ".docker", "credentials",
    "*.pem", "*.key", "*.ppk", "*.p12", "*.pfx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
)  # fmt: skip
"""Names that stay behind at any depth: a history is large, and secrets would undo what the environment leaves out."""

_PREFIX, _UNFINISHED = "pipeline-gate-", "pipeline-gate.new-"


class ScratchError(Exception):
    """The folder cannot be copied. Its text is the whole message for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A copy: the folder to run in, one for temporary files, and what was left out of it, relative to the original."""

    root: Path
    workdir: Path
    temporary: Path
    left_out: tuple[str, ...]


@contextlib.contextmanager
def scratch_copy(
    source: Path, *, exclude: Sequence[str] = (), limit_bytes: int = 10**9, parent: Path | None = None
) -> Iterator[Scratch]:
    """Copy a folder for as long as the context lasts, and remove all that has come of it.

    Left out are `NEVER_COPIED` and `exclude` (patterns of fnmatch: of a name, or with a slash of the path below the
    folder), links that lead out of the folder, and what is no file, folder or link. `parent` is where the copy is made;
    left out, the folder for temporary files: paths there are short, and a socket's path has 107 bytes at most
    (unix(7)). What killed gates left there is removed. Raises ScratchError: no folder, unreadable, too large.
    """
    where = parent or Path(tempfile.gettempdir())
    _remove_abandoned(where)
    made = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=where))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    root = made.rename(made.with_name(made.name.replace(_UNFINISHED, _PREFIX)))
    try:
        workdir, temporary = root / "work", root / "tmp"
        temporary.mkdir()
        try:
            left_out = _copy(source.resolve(strict=True), workdir, (*NEVER_COPIED, *exclude), limit_bytes)
        except OSError as error:
            raise ScratchError(f"{source} cannot be copied: {error.filename}: {error.strerror}") from error
        yield Scratch(root=root, workdir=workdir, temporary=temporary, left_out=tuple(sorted(left_out)))
    finally:
        _remove(root)
        os.close(lock)
        if root.exists():
            raise ScratchError(f"{root}, the copy that a stage ran in, cannot be removed; remove it")


def _copy(source: Path, target: Path, exclude: Sequence[str], limit_bytes: int) -> list[str]:
    left_out: list[str] = []
    sizes: dict[str, int] = {}
    target.mkdir()
    folders = [source]
    while folders:
        folder = folders.pop()
        for path in folder.iterdir():
            name = path.relative_to(source)
            if path == target.parent:
                continue
            kind = path.lstat()
            link = _link_within(path, source) if stat.S_ISLNK(kind.st_mode) else ""
            if _is_excluded(name, exclude) or link is None or not _can_be_copied(kind.st_mode):
                left_out.append(str(name))
            elif link:
                (target / name).symlink_to(link)
            elif stat.S_ISDIR(kind.st_mode):
                (target / name).mkdir()
                folders.append(path)
            else:
                first = name.parts[0]
                sizes[first] = sizes.get(first, 0) + kind.st_size
                if sum(sizes.values()) > limit_bytes:
                    raise ScratchError(_too_large(source, sizes, limit_bytes))
                shutil.copy2(path, target / name, follow_symlinks=False)
    return left_out


def _is_excluded(name: Path, exclude: Sequence[str]) -> bool:
    patterns = [pattern.rstrip("/") for pattern in exclude]
    return any(fnmatch(str(name) if "/" in pattern else name.name, pattern) for pattern in patterns)


def _can_be_copied(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _link_within(link: Path, source: Path) -> str | None:
    """Return what a link is in a copy of the folder, None where it leads out of it."""
    target = Path(os.path.realpath(link))
    return os.path.relpath(target, link.parent) if target.is_relative_to(source) else None


def _too_large(source: Path, sizes: dict[str, int], limit_bytes: int) -> str:
    largest = max(sizes, key=lambda name: sizes[name])
    return (
        f"{source} has more than {limit_bytes / 1e9:g} GB to copy ({largest} alone has {sizes[largest] / 1e9:.1f}); "
        "exclude what the pipeline does not need, or allow more"
    )


def _remove_abandoned(where: Path) -> None:
    """Remove the copies that nobody holds any more."""
    for root in where.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or just being removed
            lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(root)
            finally:
                os.close(lock)


def _remove(root: Path) -> None:
    """Remove a folder, and in it what a stage has made read-only."""
    for folder, below, _ in os.walk(root):  # from the top: what is below is opened after this
        for path in (Path(folder, name) for name in below):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(root, ignore_errors=True)
