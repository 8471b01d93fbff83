"""From what a shell printed, where no Python answered, to readings; pure, strict, and never an exception.

Everything that a shell cannot tell is missing by `python-version`: the interpreter is the cause.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_pipeline.observers.gpu_answer import gpu_presence, gpus
from pytest_pipeline.observers.host_readings import Disk, HostIdentity, Mount, Space, Volume
from pytest_pipeline.observers.system_readings import Memory
from pytest_pipeline.observers.untrusted import Unreadable, printable
from pytest_pipeline.observers.volume_kind import kind_of
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_pipeline.observers.host_readings import HostReadings
    from pytest_pipeline.observers.host_request import VolumeRequest

T = TypeVar("T")

_PYTHON = "python-version"
_LARGEST = 2**64
_FIRST_PIDS = "pid:[4026531836]"  # of probes/gpus.py
_LATE = frozenset({124, 137})  # `timeout` ended the command, or a SIGKILL did
_NOT_FOUND = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one command printed, errors included, and its exit status."""

    output: str
    status: int


def parts_of(stdout: bytes, nonce: str) -> dict[str, Part]:
    """Return the parts that came whole. A name that came twice is nobody's."""
    text = stdout.decode("utf-8", "replace")
    pieces = re.split(rf"\n@@pipeline-(part|status) {re.escape(nonce)} ([a-z0-9.-]{{1,40}})@@\n", text)
    # What lies between two marks belongs to the first; it is whole where the second one closes it.
    marks = list(zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True))
    begun = Counter(name for kind, name, _ in marks if kind == "part")
    return {
        name: Part(output=output, status=int(status))
        for (kind, name, output), (closing, status, _) in pairwise(marks)
        if (kind, closing) == ("part", "status") and status.isdecimal() and begun[name] == 1
    }


def why_no_python(parts: Mapping[str, Part], last_words: str) -> tuple[Reading[str], str]:
    """Return the version of the interpreter that was found, and why it told nothing."""
    ended, tried = parts.get("ended"), parts.get("interpreters")
    if ended is not None:
        path, version, status = [*ended.output.splitlines(), "", "", ""][:3]
        said = last_words or "it said nothing"
        why = f"python3 on the host gave no answer (exit status {printable(status)}): {said}"
        return _version(version, f"{why} ({printable(path)})"), why
    lines = [line.split("\t") for line in tried.output.splitlines()] if tried else []
    others = [(printable(line[0]), line[1], printable(line[2])) for line in lines if len(line) == 3]  # noqa: PLR2004
    for path, status, said in others:
        if status == "1" and _is_version(said):
            why = f"the host's Python is {said} ({path}), and the facts need 3.7 or later"
            return Reading.of(said), why
    if others:
        words = "; ".join(_how_it_failed(*one) for one in others[:3])
        why = f"python3 on the host gave no answer: {words}"
    else:
        why = "python3 was not found on the host: neither on the PATH of a command nor where it is usually installed"
    return Reading.missing(why, by=_PYTHON), why


def _how_it_failed(path: str, status: str, said: str) -> str:
    if status in map(str, _LATE):
        return f"{path} did not start in time"
    return f"{path} (exit status {status}): {said or 'it said nothing'}"


def _is_version(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}(\.\d{1,5}){1,2}\S{0,20}", text) is not None


def _version(text: str, why: str) -> Reading[str]:
    return Reading.of(printable(text)) if _is_version(text) else Reading.missing(why, by=_PYTHON)


def with_shell_facts(known: HostReadings, parts: Mapping[str, Part], asked: tuple[VolumeRequest, ...]) -> HostReadings:
    """Return readings of which all are missing, completed by what the shell read."""
    why = known.instance.hand_on()  # any of them: all are missing for one reason
    return replace(
        known,
        identity=_reading(parts, "identity", "the host's identity", _identity),
        volumes={one.path: _volume(parts, number, one, why) for number, one in enumerate(asked)},
        gpus=gpus(_gpus_as_a_probe_says_it(parts)),
        gpu_presence=gpu_presence(_gpus_as_a_probe_says_it(parts)),
        system=replace(known.system, memory=_reading(parts, "memory", "/proc/meminfo", _memory)),
    )


def clock_of(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return the host's time as the frame gives it: the latest it can have been at first, the earliest at last."""
    first, last = parts.get("clock"), parts.get("clock-end") or parts.get("clock")
    if first is None or last is None or not all(re.fullmatch(r"\d{1,12}\n?", one.output) for one in (first, last)):
        return {}
    return {"clock_start": int(first.output) + 1, "clock_end": int(last.output)}


def _reading(parts: Mapping[str, Part], name: str, what: str, read: Callable[[str], T]) -> Reading[T]:
    """Return what one part tells."""
    part = parts.get(name)
    if part is None:
        return Reading.missing(f"{what}: the host's shell did not answer in time", by=_PYTHON)
    if part.status in _LATE:
        return Reading.missing(f"{what}: no answer in time", by=_PYTHON)
    if part.status:
        words = printable(part.output, 200) or f"exit status {part.status}"
        return Reading.missing(f"{what}: {words}", by=_PYTHON)
    try:
        return Reading.of(read(part.output))
    except Unreadable as error:
        return Reading.missing(f"the host's answer for {what} makes no sense: {error}", by=_PYTHON)


def _identity(output: str) -> HostIdentity:
    hostname, kernel, arch, user, uid = _lines(output, 5)
    return HostIdentity(hostname=hostname, user=user, uid=_whole(uid), kernel=kernel, arch=arch)


def _memory(output: str) -> Memory:
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", output, re.MULTILINE))

    def size(name: str) -> int:
        return _whole(sizes.get(name, f"nothing for {name}")) * 1024

    return Memory(
        total_bytes=size("MemTotal"),
        available_bytes=size("MemAvailable"),
        swap_total_bytes=size("SwapTotal"),
        swap_free_bytes=size("SwapFree"),
    )


def _volume(parts: Mapping[str, Part], number: int, wanted: VolumeRequest, why: Reading[Any]) -> Reading[Volume]:
    path = wanted.path
    place = _reading(parts, f"{number}.place", path, lambda output: _lines(output, 3))
    mounts = _reading(parts, f"{number}.mounts", f"the mounts for {path}", _mounts)
    if not place.is_known or not mounts.is_known:
        return (mounts if place.is_known else place).hand_on()
    exists, judged, real = place.value
    over = _over(judged, mounts.value)
    if over is None or exists not in ("yes", "no"):
        return Reading.missing(f"the host's answer for {path} makes no sense", by=_PYTHON)
    device, mount = over
    disks = _reading(parts, f"{number}.disks", f"the disks under {path}", _disks)
    kind = kind_of(mount, disks.or_none or ())
    if kind == "other" and not disks.is_known:
        return disks.hand_on()  # of which kind the volume is, is then anybody's guess
    return Reading.of(
        Volume(
            path=path,
            real_path=real,
            judged_path=judged,
            exists=exists == "yes",
            is_mount=exists == "yes" and mount.point == real,
            mount=mount,
            kind=kind,
            same_device_as_root=any(one == device and root.point == "/" for one, root in mounts.value),
            space=_space(parts, number, path),
            quota=why.hand_on(),
            write=why.hand_on(),
            disks=disks,
            reboot=why.hand_on(),
            reuse={name: why.hand_on() for name in wanted.reuse},
        )
    )


def _space(parts: Mapping[str, Part], number: int, path: str) -> Reading[Space]:
    blocks = _reading(parts, f"{number}.space", f"the space of {path}", _df)
    inodes = _reading(parts, f"{number}.inodes", f"the inodes of {path}", _df)
    if not blocks.is_known or not inodes.is_known:
        return (inodes if blocks.is_known else blocks).hand_on()
    (total, available), (inodes_total, inodes_available) = blocks.value, inodes.value
    return Reading.of(
        Space(
            total_bytes=total * 1024,
            available_bytes=available * 1024,
            inodes_total=inodes_total,
            inodes_available=inodes_available,
        )
    )


def _df(output: str) -> tuple[int, int]:
    """Read the last line of `df -P`: all there is, and what an ordinary user may still take."""
    last = output.rstrip("\n").rpartition("\n")[2]
    found = re.fullmatch(r".*?\s(-|\d+)\s+(?:-|-?\d+)\s+(-|-?\d+)\s+(?:-|\d+%)\s+/.*", last)
    if found is None:
        raise Unreadable(f"df said {printable(last, 100)!r}")
    # A dash is a number that does not exist, as of inodes on btrfs; a minus sign: what is reserved for root is taken.
    total, available = ("0" if one.startswith("-") else one for one in found.groups())
    return _whole(total), _whole(available)


def _mounts(output: str) -> tuple[tuple[str, Mount], ...]:
    """Read mountinfo (proc(5)): each mount with the number of its device, later ones over earlier ones."""
    return tuple(_mount(line) for line in output.splitlines())


def _mount(line: str) -> tuple[str, Mount]:
    left, dash, right = line.partition(" - ")
    fields, kind = left.split(" "), right.split(" ")
    if not dash or len(fields) < 6 or len(kind) != 3:  # noqa: PLR2004  # proc(5)
        raise Unreadable(f"mountinfo has the line {printable(line, 100)!r}")
    options = sorted({*fields[5].split(","), *kind[2].split(",")})
    return fields[2], Mount(
        point=_unescaped(fields[4]),
        fs_type=printable(kind[0]),
        source=_unescaped(kind[1]),
        options=tuple(printable(option) for option in options),
        read_only="ro" in options,
    )


def _unescaped(text: str) -> str:
    return printable(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text))


def _over(folder: str, mounts: tuple[tuple[str, Mount], ...]) -> tuple[str, Mount] | None:
    """Return what a folder lies on: of the mounts above it the deepest, and of several at one place the last."""
    over = None
    for one in mounts:
        point = one[1].point.rstrip("/") + "/"
        if f"{folder}/".startswith(point) and (over is None or len(one[1].point) >= len(over[1].point)):
            over = one
    return over


def _disks(output: str) -> tuple[Disk, ...]:
    """Read `lsblk -Ps`: what a device is made of, the disks among it last and each layer before its disks."""
    layers: list[str] = []
    disks = []
    for line in output.splitlines():
        try:
            of = dict(pair.split("=", 1) for pair in shlex.split(line))
            name, kind, model, serial = (printable(of[key]).strip() for key in ("NAME", "TYPE", "MODEL", "SERIAL"))
        except (ValueError, KeyError) as error:
            raise Unreadable(f"lsblk said {printable(line, 100)!r}") from error
        if kind == "disk":
            disks.append(Disk(name=name, model=model, serial=serial, layers=tuple(layers)))
        elif kind != "part":
            layers.append(f"{kind}: {name}")
    return tuple(disks)


def _gpus_as_a_probe_says_it(parts: Mapping[str, Part]) -> Reading[Any]:
    """Return the parts about GPUs in the shape of probes/gpus.py, for its decoder to judge."""
    presence = _reading(parts, "presence", "what shows that there are GPUs", lambda output: _lines(output, 4))
    if not presence.is_known:
        return presence.hand_on()
    device_files, cards, program, pids = presence.value
    seen = {"program": program, "device_files": _count(device_files), "cards": _count(cards)}
    seen["contained"] = pids != _FIRST_PIDS
    smi, said = parts.get("smi"), parts.get("smi-said")
    if not program:
        answer: dict[str, Any] = {"value": {"program": ""}}
    elif smi is None or smi.status in _LATE:
        answer = {"error": "nvidia-smi gave no answer in time"}
    else:
        text = re.sub(r"(?s)<supported_clocks>.*?</supported_clocks>\s*", "", smi.output)
        stderr = said.output if said else ""
        value = {"program": program, "status": smi.status, "stdout": text, "stderr": stderr, "cut": False}
        answer = {"value": value}
    return Reading.of({"presence": {"value": seen}, "smi": answer})


def _lines(output: str, count: int) -> tuple[str, ...]:
    lines = output.removesuffix("\n").split("\n")
    if len(lines) != count:
        raise Unreadable(f"it has {len(lines)} lines, not {count}")
    return tuple(printable(line) for line in lines)


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,20}", text) or int(text) > _LARGEST:
        raise Unreadable(f"{printable(text, 40)!r} is no whole number")
    return int(text)


def _count(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\d{1,4}", text) else None
