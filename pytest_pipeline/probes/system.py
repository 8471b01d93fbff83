"""The host as a machine: memory, processes, lock files, clock, names, credentials, notices; each fails alone."""

import ctypes
import json
import re
import socket
import time

NAME_S = 10.0  # a resolver whose first server is dead takes 5 s; one that takes longer is of no use
PROGRAM_S = 5.0
OUTPUT_BYTES = 16384
ESTIMATED = ("MemFree", "Buffers", "Cached")  # before Linux 3.14
UNKNOWN_ERROR_US = 16000000  # NTP_PHASE_LIMIT of Linux: as wrong as an unkept clock is assumed to be


def read(request: dict, parts: dict) -> dict:
    """Answer SystemRequest of observers.host_request, with "nonce" and "deadline_s"."""
    side_by_side, deadline_s = parts["frame"].side_by_side, request["deadline_s"]
    jobs = {
        "memory": memory,
        "processes": lambda: parts["processes"].look(request["components"], request["nonce"]),
        "clock_sync": lambda: clock_sync(parts["program"]),
    }
    if request["credentials"]:
        jobs["credentials"] = lambda: parts["lifetime"].look(request, parts)
    if request["metadata"]:
        jobs["notices"] = lambda: notices(parts["metadata"].Metadata(request["metadata_address"]), parts["metadata"])
    if request["units"]:
        jobs["unit_limits"] = lambda: unit_limits(parts["program"])
    for kind, look in (("names", resolved), ("locks", parts["locks"].look)):
        for wanted in request[kind]:
            jobs[(kind, wanted)] = lambda look=look, wanted=wanted: look(wanted)
    found = side_by_side(jobs, deadline_s, {("names", name): min(NAME_S, deadline_s) for name in request["names"]})
    answers = {name: answer for name, answer in found.items() if isinstance(name, str)}
    for kind in ("names", "locks"):
        answers[kind] = {wanted: found[(kind, wanted)] for wanted in request[kind]}
    return answers


def memory(path: str = "/proc/meminfo") -> dict:
    """Return main memory in bytes (proc(5))."""
    with open(path, encoding="ascii", errors="replace") as file:
        sizes = {
            name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.MULTILINE)
        }
    available = sizes.get("MemAvailable", sum(sizes[name] for name in ESTIMATED if name in sizes))
    return {
        "total_bytes": sizes["MemTotal"],
        "available_bytes": available,
        "swap_total_bytes": sizes.get("SwapTotal", 0),
        "swap_free_bytes": sizes.get("SwapFree", 0),
    }


def clock_sync(program: object) -> dict:
    """Return whether somebody keeps the clock: chrony's own word where it runs, else the kernel's."""
    try:
        done = program.run(["chronyc", "-n", "tracking"], PROGRAM_S, OUTPUT_BYTES)
        leap = re.search(r"^Leap status\s*:\s*(.+?)\s*$", done["stdout"], re.MULTILINE)
        if leap:
            return {"synchronized": not leap.group(1).lower().startswith("not "), "source": "chronyc"}
    except (OSError, program.Late):
        pass  # another daemon may keep the clock, or the hypervisor; the kernel knows
    try:
        # As systemd judges (ntp_synced); STA_UNSYNC alone says only whether the hardware clock is set too.
        return {"synchronized": kernel_error_us() < UNKNOWN_ERROR_US, "source": "kernel"}
    except (OSError, AttributeError):
        return {"synchronized": None, "source": ""}


class Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)), with room for the rest."""

    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_long * 60),
    ]  # fmt: skip


def kernel_error_us() -> int:
    """Return by how much the kernel thinks that the clock may be wrong. Reading it needs no right."""
    asked = Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.byref(asked)) < 0:
        raise OSError(ctypes.get_errno(), "adjtimex failed")
    return asked.maxerror


def resolved(name: str) -> dict:
    """Return the addresses of a name, as any program of the host would get them, and how long that took."""
    start = time.monotonic()
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    addresses = sorted({str(address[4][0]) for address in found})
    return {"addresses": addresses, "took_s": time.monotonic() - start}


def unit_limits(program: object) -> dict:
    """Return the soft limits that systemd gives a unit which says nothing of its own (systemd-system.conf(5))."""
    names = {"open_files": "DefaultLimitNOFILESoft", "processes": "DefaultLimitNPROCSoft"}
    done = program.run(["systemctl", "show", "--property=" + ",".join(names.values())], PROGRAM_S, OUTPUT_BYTES)
    said = dict(line.split("=", 1) for line in done["stdout"].splitlines() if "=" in line)
    if not all(name in said for name in names.values()):
        raise OSError("systemctl: " + (done["stderr"].strip().split("\n")[-1] or "it does not say"))
    return {name: None if said[title] == "infinity" else int(said[title]) for name, title in names.items()}


def notices(service: object, metadata: object) -> dict:
    """Return what the instance is told of its end (AWS: "Spot Instance interruption notices" and others)."""

    def at(path: str) -> str:
        try:
            return service.get("meta-data/" + path)
        except metadata.Absent:
            return ""

    spot = json.loads(at("spot/instance-action") or "{}")
    rebalance = json.loads(at("events/recommendations/rebalance") or "{}")
    events = json.loads(at("events/maintenance/scheduled") or "[]")
    return {
        "life_cycle": at("instance-life-cycle").strip(),
        "spot_action": " ".join(str(spot[name]) for name in ("action", "time") if name in spot),
        "rebalance": str(rebalance.get("noticeTime", "")),
        "maintenance": [
            "%s from %s" % (event.get("Code", "?"), event.get("NotBefore", "?"))
            for event in events
            if event.get("State") in ("active", None)
        ],
    }
