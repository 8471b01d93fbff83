"""What an interpreter is, and what a process of it may have: limits, shared memory, the memory of its cgroup.

Sources: getrlimit(2), proc(5), cgroups(7); kernel documentation cgroup-v2 (memory.max) and cgroup-v1 (memory).
"""

import os
import re
import resource
import shutil
import sys

# Those that bend what is imported, and what CUDA sees; no others, as any may hold a secret.
VARIABLES = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONWARNINGS",
    "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYENV_VERSION", "LD_LIBRARY_PATH", "LD_PRELOAD",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "CUDA_PATH", "CUDA_MPS_PIPE_DIRECTORY",
    "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "PYTORCH_NVML_BASED_CUDA_CHECK",
    "PYTORCH_CUDA_ALLOC_CONF", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "LANG", "LC_ALL",
)  # fmt: skip
NO_LIMIT_BYTES = 2**62  # cgroup v1 writes "none" as the largest multiple of a page


def interpreter() -> dict:
    """Return what this interpreter is."""
    return {
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "executable": sys.executable or "",
        "real": os.path.realpath(sys.executable) if sys.executable else "",
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": list(sys.path),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "pip": pip(),
    }


def pip() -> str:
    """Return the interpreter that `pip` on the PATH starts with, our own by our name; "" where that is not known."""
    program = shutil.which("pip")
    if program is None:
        return ""
    with open(program, "rb") as file:
        lines = os.fsdecode(file.read(1024)).splitlines()
    # The second form is that of paths too long for a first line: a shell that starts Python.
    first = re.match(r"#!\s*(\S+)(?:\s+(\S+))?", lines[0]) if lines else None
    second = re.match('\'\'\'exec\' "?([^"]+?)"? "\\$0"', lines[1]) if len(lines) > 1 else None
    if second:
        found = second.group(1)
    elif first and os.path.basename(first.group(1)) == "env" and first.group(2):
        found = shutil.which(first.group(2)) or ""
    else:
        found = first.group(1) if first else ""
    if not re.match("(python|pypy)", os.path.basename(found)):
        return ""  # a script of another kind (pyenv's), or no script: it does not say
    return sys.executable if same_interpreter(found, sys.executable) else found


def same_interpreter(one: str, other: str) -> bool:
    """Whether two names stand for one interpreter: virtual environments share their binary, and not their folder."""
    return os.path.realpath(one) == os.path.realpath(other) and (
        os.path.realpath(os.path.dirname(one)) == os.path.realpath(os.path.dirname(other))
    )


def limits() -> dict:
    """Return the limits of this process, None for none."""

    def of(kind: int, index: int = 0) -> object:
        value = resource.getrlimit(kind)[index]
        return None if value == resource.RLIM_INFINITY else value

    return {
        "open_files": of(resource.RLIMIT_NOFILE),
        "open_files_hard": of(resource.RLIMIT_NOFILE, 1),
        "processes": of(resource.RLIMIT_NPROC),
        "locked_bytes": of(resource.RLIMIT_MEMLOCK),
        "address_space_bytes": of(resource.RLIMIT_AS),
        "file_bytes": of(resource.RLIMIT_FSIZE),
    }


def shared_memory(folder: str = "/dev/shm", proc: str = "/proc") -> dict:  # noqa: S108  # looked at, not used
    """Return what shared memory has, as an ordinary user may use it."""
    size = os.statvfs(folder)
    unit = size.f_frsize or size.f_bsize
    kinds = [mount["type"] for mount in mounts(proc) if mount["point"] == folder]
    return {
        "total_bytes": size.f_blocks * unit,
        "available_bytes": size.f_bavail * unit,
        "fs_type": kinds[-1] if kinds else "",
    }


def memory_limit_bytes(proc: str = "/proc") -> object:
    """Return the least memory limit of our cgroup and those above it, None for none."""
    with open(proc + "/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        groups = [line.rstrip("\n").split(":", 2) for line in file if line.count(":") >= 2]  # noqa: PLR2004  # id:names:path
    by_controller = {name: path for _, names, path in groups for name in names.split(",")}
    if "memory" in by_controller:
        kind, path, name = "cgroup", by_controller["memory"], "memory.limit_in_bytes"
    elif "" in by_controller:
        kind, path, name = "cgroup2", by_controller[""], "memory.max"
    else:
        return None  # without the controller there is no limit
    places = [one for one in mounts(proc) if one["type"] == kind and (kind == "cgroup2" or "memory" in one["options"])]
    if not places:
        raise OSError("the cgroups are not mounted, and their memory limit cannot be read")
    found = []
    for folder in upwards(places[-1]["point"], places[-1]["root"], path):
        try:
            with open(os.path.join(folder, name), encoding="ascii") as file:
                text = file.read().strip()
        except FileNotFoundError:
            continue  # the root has no limit; nor has a group that the controller is not enabled for
        if text != "max" and int(text) < NO_LIMIT_BYTES:
            found.append(int(text))
    return min(found, default=None)


def upwards(point: str, root: str, path: str) -> list:
    """Return the folders of a cgroup and of those above it, as far as they are mounted here."""
    below = path[len(root.rstrip("/")) :] if (path + "/").startswith(root.rstrip("/") + "/") else ""
    folder = os.path.normpath(point + "/" + below)
    folders = [folder]
    while folder != point and len(folder) > len(point):
        folder = os.path.dirname(folder)
        folders.append(folder)
    return folders


def mounts(proc: str) -> list:
    """Return the mounts, in the order of their making (proc(5), mountinfo)."""
    found = []
    with open(proc + "/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, right = line.rstrip("\n").split(" - ", 1)
            root, point = left.split(" ")[3:5]
            kind, _, options = right.split(" ", 2)
            found.append({"root": root, "point": point, "type": kind, "options": options.split(",")})
    return found
