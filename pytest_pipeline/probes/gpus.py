"""What nvidia-smi says of the GPUs, in one call; and what else shows that there are any."""

import os
import re
import shutil
import stat

NAME = "nvidia-smi"
# Where it lies beside the PATH: containers, GKE and the like, WSL 2, CoreOS.
PLACES = ("/usr/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib", "/opt/bin")
SHARE = 0.8  # of the deadline, so that it is this reading that is late and not all of them
PRINTED_BYTES = 4 * 1024 * 1024
SENT_CHARACTERS = 512 * 1024
NVIDIA = "0x10de"
PID = re.compile(r"<pid>(\d+)</pid>")
FIRST_PIDS = "pid:[4026531836]"  # the pid namespace that a machine starts with (PROC_PID_INIT_INO of Linux)
DISPLAY = "0x03"  # the class of display controllers; a card also has audio and bridges on the bus


def read(request: dict, parts: dict) -> dict:
    """Answer {"deadline_s", "nonce"}."""
    attempt = parts["frame"].attempt
    smi = attempt(lambda: ask(parts["program"], request["deadline_s"] * SHARE))
    pids = PID.findall(smi.get("value", {}).get("stdout", ""))
    return {
        "presence": attempt(presence),
        "smi": smi,
        # At once: a process of our own that computes may be gone in a moment.
        "owners": attempt(
            lambda: parts["processes"].owners(
                [int(pid) for pid in pids], request["nonce"], complete=parts["locks"].complete("/proc")
            )
        ),
    }


def find(places: tuple = PLACES) -> str:
    """Return where nvidia-smi is, also where it may not be executed; "" where it is not."""
    paths = [os.path.join(place, NAME) for place in places]
    return shutil.which(NAME) or next((path for path in paths if os.path.isfile(path)), "")


def ask(program: object, deadline_s: float) -> dict:
    """Return all that `nvidia-smi -q -x` printed, less the lists of clocks, which are most of it."""
    path = find()
    if not path:
        return {"program": ""}
    try:
        answer = program.run([path, "-q", "-x"], deadline_s, PRINTED_BYTES)
    except program.Late:
        return {"program": path, "late_s": deadline_s}
    text = re.sub(r"(?s)<supported_clocks>.*?</supported_clocks>\s*", "", answer["stdout"])
    answer["cut"] = answer["cut"] or len(text) > SENT_CHARACTERS
    answer["stdout"] = text[:SENT_CHARACTERS]
    answer["program"] = path
    return answer


def presence(dev: str = "/dev", devices: str = "/sys/bus/pci/devices") -> dict:
    """Return what shows that there are NVIDIA cards, whether or not nvidia-smi works."""
    nodes = [name for name in os.listdir(dev) if re.match(r"nvidia\d+$", name)]
    return {
        "program": find(),
        "device_files": sum(stat.S_ISCHR(os.stat(os.path.join(dev, name)).st_mode) for name in nodes),
        "cards": sum(is_card(os.path.join(devices, name)) for name in os.listdir(devices))
        if os.path.isdir(devices)
        else 0,
        "contained": contained(),
    }


def contained() -> bool:
    """Whether this may be a container: its bus shows more than it may use."""
    try:
        return os.readlink("/proc/self/ns/pid") != FIRST_PIDS
    except OSError:
        return True


def is_card(device: str) -> bool:
    """Whether a device of the PCI bus is a GPU of NVIDIA's."""
    with open(os.path.join(device, "vendor"), encoding="ascii") as file:
        if file.read().strip() != NVIDIA:
            return False
    with open(os.path.join(device, "class"), encoding="ascii") as file:
        return file.read().startswith(DISPLAY)
