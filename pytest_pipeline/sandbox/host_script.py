"""The commands that set a simulated host up: plain folders, mounts, /etc; run by root of its namespace."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.sandbox.plan import HostPlan

MNT = "/mnt"
"""What is covered, so that folders can be made in it by who may not write there."""


def fstab(plan: HostPlan) -> str:
    """Return the host's /etc/fstab."""
    if plan.fstab is not None:
        return plan.fstab
    lines = [f"{m.source} {m.path} tmpfs defaults,nofail,size={m.size_mib}m 0 0" for m in plan.mounts if m.in_fstab]
    return "\n".join(["LABEL=cloudimg-rootfs / ext4 defaults 0 1", *lines, ""])


def setup_script(plan: HostPlan, *, folder: Path, home: Path) -> str:
    """Return a shell script that says `ready` when all is set up, and then waits for the end of its input.

    `folder` is the tenant's, with `etc` in it; `home` is the home of the host's account. Raises ValueError for a path
    that a host of ours cannot have.
    """
    cover = folder / "cover"
    lines = [
        "set -e",
        *_cover(plan, cover),
        *_tree(plan, cover, home),
        f"mount --rbind {quote(str(cover))} {MNT}",
        *_mounts(plan, home),
        *(f"[ ! -e /etc/{name} ] || mount --bind {quote(str(folder / 'etc' / name))} /etc/{name}" for name in _ETC),
        # Forbidden where parts of /proc are masked; the outer one then shows the right mounts all the same.
        "mount -t proc proc /proc 2>/dev/null || :",
        "echo ready",
        "exec cat > /dev/null",
    ]
    return "\n".join([*lines, ""])


_ETC = ("passwd", "group", "fstab")


def _cover(plan: HostPlan, cover: Path) -> Iterator[str]:
    """Make what will lie over /mnt, with all that /mnt holds: the interpreter itself may be there."""
    yield f"mkdir {quote(str(cover))}"
    # A plain folder must not look like a mounted tmpfs where the sandbox's own folder lies on one.
    yield f"case $(stat -f -c %T {quote(str(cover))}) in tmpfs|ramfs) mount -t ramfs ramfs {quote(str(cover))};; esac"
    own = [*plan.folders, *plan.links, *(mount.path for mount in plan.mounts)]
    with os.scandir(MNT) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            named = any(path == entry.path or path.startswith(f"{entry.path}/") for path in own)
            if entry.is_dir(follow_symlinks=False) and not named:
                place = quote(str(cover / entry.name))
                yield f"mkdir {place} && mount --rbind {quote(entry.path)} {place}"


def _tree(plan: HostPlan, cover: Path, home: Path) -> Iterator[str]:
    """Make the folders and links of the host's own."""

    def place(path: str) -> str:
        if path.startswith("~/"):
            return quote(str(home / path[2:]))
        if path.startswith(f"{MNT}/"):
            return quote(str(cover / path.removeprefix(f"{MNT}/")))
        raise ValueError(f"the sandbox's host has no place for {path}; use a path below {MNT} or ~")

    for path, mode in plan.folders.items():
        yield f"mkdir -p {place(path)} && chmod {mode:o} {place(path)}"
    for mount in plan.mounts:
        yield f"mkdir -p {place(mount.path)}"
    for path, target in plan.links.items():
        yield f"ln -s {quote(target)} {place(path)}"


def _mounts(plan: HostPlan, home: Path) -> Iterator[str]:
    """Mount the file systems, and put in what lies on them before any becomes read-only."""

    def seen(path: str) -> str:
        return quote(str(home / path[2:])) if path.startswith("~/") else quote(path)

    for mount in plan.mounts:
        inodes = f",nr_inodes={mount.inodes}" if mount.inodes is not None else ""
        yield f"mount -t tmpfs -o size={mount.size_mib}m,mode={mount.mode:o}{inodes} {mount.source} {seen(mount.path)}"
        if mount.fill_mib:
            yield f"head -c {mount.fill_mib}M /dev/zero > {seen(mount.path)}/.other-run"
    for path, size in plan.files.items():
        yield f"mkdir -p {seen(str(Path(path).parent))} && head -c {size} /dev/zero > {seen(path)}"
    yield from (f"mount -o remount,bind,ro {seen(mount.path)}" for mount in plan.mounts if mount.read_only)
