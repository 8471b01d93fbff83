"""The commands that set a simulated host up: plain folders, mounts, /etc; run by root of its namespace."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.accelerator_hidden import hide_gpu
from pytest_pipeline.sandbox.host_content import inodes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.sandbox.plan import HostPlan, MountPlan

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
        *_mounts(plan, folder, home),
        *hide_gpu(),
        *(_hide_pythons() if plan.hidden_pythons else ()),
        *_shared_memory(plan.shm),
        *(f"[ ! -e /etc/{name} ] || mount --bind {quote(str(folder / 'etc' / name))} /etc/{name}" for name in _ETC),
        *_names(plan),
        # Forbidden where parts of /proc are masked; the outer one then shows the right mounts all the same.
        "mount -t proc proc /proc 2>/dev/null || :",
        *_busy(plan, folder, home),
        "echo ready",
        "exec cat > /dev/null",
    ]
    return "\n".join([*lines, ""])


_ETC = ("passwd", "group", "fstab", "profile", "hosts", "nsswitch.conf", "resolv.conf")
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"
"""The host's /etc/nsswitch.conf: nobody outside is asked for a name."""


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


def _hide_pythons() -> Iterator[str]:
    """Cover every interpreter that stands where systems have them: what a name leads to is then no program."""
    found = {path.resolve() for pattern in _PYTHONS for path in Path("/").glob(pattern) if path.is_file()}
    for path in sorted(found):
        yield f"mount --bind /dev/null {quote(str(path))}"


_PYTHONS = ("usr/bin/python3*", "usr/local/bin/python3*", "opt/*/bin/python3", "usr/libexec/platform-python")


def _mounts(plan: HostPlan, folder: Path, home: Path) -> Iterator[str]:
    """Mount the file systems, and put in what lies on them before any becomes read-only."""

    def seen(path: str) -> str:
        return quote(str(home / path[2:])) if path.startswith("~/") else quote(path)

    for number, mount in enumerate(plan.mounts):
        inodes = f",nr_inodes={mount.inodes + inodes_of(mount.content)}" if mount.inodes is not None else ""
        yield f"mount -t tmpfs -o size={mount.size_mib}m,mode={mount.mode:o}{inodes} {mount.source} {seen(mount.path)}"
        if mount.fill_mib:
            yield f"head -c {mount.fill_mib}M /dev/zero > {seen(mount.path)}/.other-run"
        if mount.content:
            content = quote(str(folder / "content" / str(number)))
            yield f"cp -dR --preserve=mode,timestamps {content}/* {seen(mount.path)}"
    for path, size in plan.files.items():
        yield f"mkdir -p {seen(str(Path(path).parent))} && head -c {size} /dev/zero > {seen(path)}"
    yield from (f"mount -o remount,bind,ro {seen(mount.path)}" for mount in plan.mounts if mount.read_only)
    if plan.home_read_only:
        yield f"mount --bind {quote(str(home))} {quote(str(home))} && mount -o remount,bind,ro {quote(str(home))}"


def _shared_memory(shm: MountPlan) -> Iterator[str]:
    """Mount a /dev/shm of the host's own, where there is a place for it."""
    place = quote(shm.path)
    yield f"[ ! -d {place} ] || mount -t tmpfs -o size={shm.size_mib}m,mode={shm.mode:o} tmpfs {place}"
    if shm.fill_mib:
        yield f"head -c {shm.fill_mib}M /dev/zero > {quote(f'{shm.path}/torch_4242_1')}"


def _names(plan: HostPlan) -> Iterator[str]:
    """Let a named pipe be /etc/resolv.conf, and keep this machine's cache of names out, which would ask others."""
    if plan.resolv_pipe:
        yield f"mount --bind {quote(str(plan.resolv_pipe))} /etc/resolv.conf"
    yield "[ ! -d /var/run/nscd ] || mount -t tmpfs tmpfs /var/run/nscd"


def _busy(plan: HostPlan, folder: Path, home: Path) -> Iterator[str]:
    """Lock the files that are to be locked, and start what is to run. It all ends with the host's first process."""
    for number, path in enumerate(plan.locked, start=6):
        yield f"exec {number}>{quote(path)} && flock {number}"
    within = f"cd {quote(str(home))}; PATH={quote(str(folder / 'bin'))}:$PATH; exec setsid"
    for command in plan.processes:
        argv = " ".join(quote(word) for word in command)
        yield f"({within} {argv}) < /dev/null > /dev/null 2>&1 &"
