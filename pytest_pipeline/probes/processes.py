"""The processes of the host: the largest, those of the pipeline, and those that look like a training run.

Whole command lines are matched here and stay here: arguments may be secrets. What is shown of one is its program, and
the script or module that it runs. A process that ends while it is read, or that may not be read, is normal.
Source: proc(5).
"""

import os
import pwd
import re

HOLDER = "pipeline-gate of "  # how the process begins its last argument that holds a gate's lock
LINE_BYTES = 65536
LARGEST = 8
MATCHES = 50  # of a kind are answered; a run with more of them is no less alive
KERNEL_THREAD = 0x00200000  # PF_KTHREAD
WORD = 60
SHELL = re.compile(r"^-?(ba|da|z|k|c|fi|a)?sh$")
PYTHON = re.compile(r"^(python|pypy)[\d.]*$")
# Names as train.py, run_pretraining, sft-trainer, fine_tune; not as trainee, constrain, trains.
TRAINS = re.compile(r"(^|[^a-z])(pre|re)?train(?!ee|s(?![a-z]))|(^|[^a-z])fine[_-]?tun", re.IGNORECASE)
# Launchers, and the subcommand with which they train.
LAUNCHERS = {
    "torchrun": "", "deepspeed": "", "accelerate": "launch", "axolotl": "train", "llamafactory-cli": "train",
    "tune": "run",
}  # fmt: skip
MODULES = ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch")
# Modules that run what follows them.
RUNNERS = ("cProfile", "profile", "pdb", "trace", "debugpy", "coverage", "viztracer", "scalene", "memray", "kernprof")
# Programs that name a component's script, and are not it; unless the pattern itself names the program.
ONLOOKERS = ("vi", "vim", "nvim", "nano", "emacs", "less", "more", "view", "tail", "head", "cat", "grep", "rg", "watch")


def look(components: dict, nonce: str, proc: str = "/proc") -> dict:
    """Read all processes. `components` are regular expressions by name; `{run_id}` in one stands for any run's."""
    patterns = [(name, re.compile(text.replace("{run_id}", r"\S+"))) for name, text in components.items()]
    table, gate, hidden = scan(proc, nonce, lambda argv: (component_of(argv, patterns), is_trainer(argv)))
    boot_s = first_number(proc + "/uptime")
    found = {"components": [], "trainers": []}
    for one in table.values():
        name, trains = one["told"]
        if name or trains:
            if marked(one["pid"], nonce, proc):
                gate.add(one["pid"])
            found["components" if name else "trainers"].append((one, name))
    largest = sorted(table.values(), key=lambda one: -one["resident_bytes"])[:LARGEST]
    answers = {kind: [shown(one, name, gate, boot_s) for one, name in seen[:MATCHES]] for kind, seen in found.items()}
    answers.update(
        largest=[shown(one, "", gate, boot_s) for one in largest],
        total=len(table),
        hidden=hidden,
    )
    return answers


def component_of(argv: list, patterns: list) -> str:
    """Return the component whose command line this is, "" for none; of somebody who looks at one it is not."""
    line = " ".join(argv)
    program = program_of(argv) if argv and argv[0].split() else ""
    for name, pattern in patterns:
        if line and pattern.search(line) and (program not in ONLOOKERS or program in pattern.pattern):
            return name
    return ""


def is_of_a_gate(argv: list, nonce: str) -> bool:
    """Whether a command line is a gate's; what ours starts in a container is no child of it, and has its nonce."""
    return nonce in argv or (bool(argv) and argv[-1].startswith(HOLDER))


def owners(pids: list, nonce: str, *, complete: bool, proc: str = "/proc") -> list:
    """Return those of these processes that can be seen here, and those that have ended meanwhile (in state X).

    `complete` is whether all processes of the machine have a number here; else another may be of another container.
    """
    if not pids:
        return []
    table, gate, _ = scan(proc, nonce, lambda _: None)
    boot_s = first_number(proc + "/uptime")
    found = []
    for pid in pids[:MATCHES]:
        if pid in table:
            if marked(pid, nonce, proc):
                gate.add(pid)
            found.append(shown(table[pid], "", gate, boot_s))
        elif complete and not exists(pid):
            found.append(ended(pid))
    return found


def exists(pid: int) -> bool:
    """Whether there is such a process, also one that is hidden from us."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ended(pid: int) -> dict:
    """Return what there is to say of a process that is gone."""
    return {
        "pid": pid, "user": "", "command": "", "resident_bytes": 0, "age_s": 0.0, "component": "", "gate": False,
        "state": "X",
    }  # fmt: skip


def scan(proc: str, nonce: str, tell: object) -> tuple:
    """Return the processes by pid, the pids of the gate, and whether others may be hidden (hidepid of proc(5)).

    Of a command line only what `tell` says of it is kept, and what may be shown: thousands of long ones take gigabytes.
    Kernel threads are left out. Where this /proc is that of another pid namespace, as in some containers, only those of
    what it shows are on this host that are of our own namespace.
    """
    itself = int(os.readlink(proc + "/self"))
    outer = itself != os.getpid()
    own = os.readlink(proc + "/self/ns/pid") if outer else ""
    table, gates, hidden = {}, set(), False
    for name in os.listdir(proc):
        if name.isdigit():
            try:
                if not outer or os.readlink("%s/%s/ns/pid" % (proc, name)) == own:
                    one = process(proc, int(name))
                    argv = one.pop("argv")
                    if not one["flags"] & KERNEL_THREAD:
                        table[one["pid"]] = dict(one, told=tell(argv), command=command(argv, one["name"]))
                        gates |= {one["pid"]} if is_of_a_gate(argv, nonce) else set()
            except PermissionError:
                hidden = True
            except (OSError, ValueError, IndexError):
                pass  # it has ended meanwhile
    return table, family(table, itself) | gates, hidden or (1 not in table and not outer)


def process(proc: str, pid: int) -> dict:
    """Read one process."""
    folder = "%s/%d" % (proc, pid)
    with open(folder + "/stat", "rb") as file:
        before, _, after = file.read().rpartition(b")")
    fields = after.split()  # from the third one on
    with open(folder + "/cmdline", "rb") as file:
        line = file.read(LINE_BYTES).decode("utf-8", "replace")
    return {
        "pid": pid,
        "name": before.partition(b"(")[2].decode("utf-8", "replace"),
        "state": fields[0].decode(),
        "parent": int(fields[1]),
        "flags": int(fields[6]),
        "started_ticks": int(fields[19]),
        "resident_bytes": int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        "uid": os.stat(folder).st_uid,
        "argv": line.rstrip("\0").split("\0") if line.strip("\0") else [],
    }


def family(table: dict, itself: int) -> set:
    """Return the probe, its ancestors, and all that descends from it."""
    ancestors, pid = {itself}, itself
    while pid in table and table[pid]["parent"] in table and table[pid]["parent"] not in ancestors:
        pid = table[pid]["parent"]
        ancestors.add(pid)
    ours = {itself}
    grown = True
    while grown:
        more = {one["pid"] for one in table.values() if one["parent"] in ours} - ours
        ours |= more
        grown = bool(more)
    return ours | ancestors


def marked(pid: int, nonce: str, proc: str) -> bool:
    """Whether the gate started this process: what it starts elsewhere has the nonce in its environment."""
    try:
        with open("%s/%d/environ" % (proc, pid), "rb") as file:
            return nonce.encode() in file.read()
    except OSError:
        return False


def shown(one: dict, component: str, gate: set, boot_s: float) -> dict:
    """Return what may leave the host of a process."""
    try:
        user = pwd.getpwuid(one["uid"]).pw_name
    except KeyError:
        user = str(one["uid"])
    return {
        "pid": one["pid"],
        "user": user,
        "command": one["command"],
        "resident_bytes": one["resident_bytes"],
        "age_s": max(0.0, boot_s - one["started_ticks"] / os.sysconf("SC_CLK_TCK")),
        "component": component,
        "gate": one["pid"] in gate,
        "state": one["state"],
    }


def command(argv: list, name: str) -> str:
    """Return the program and what it runs, without any further argument."""
    if not argv or not argv[0].split():
        return name
    program = program_of(argv)
    words = [program]
    if PYTHON.match(program) or SHELL.match(program):
        words += [word for word in run_by(argv) if word]
    if words[-1] in LAUNCHERS:
        words += [os.path.basename(word) for word in argv[1:] if word.endswith(".py")][:1]
    return " ".join(word[:WORD] for word in words)


def program_of(argv: list) -> str:
    """Return the program's name; a process that sets its own title puts all of it into the first argument."""
    return os.path.basename(argv[0].split()[0])


def run_by(argv: list) -> tuple:
    """Return what an interpreter runs: ("-m", module), ("", script), ("-c", ""), or nothing."""
    words = iter(argv[1:])
    return run_by_shell(words) if SHELL.match(program_of(argv)) else run_by_python(words)


def run_by_shell(words: object) -> tuple:
    """Return what a shell runs."""
    for word in words:
        if word in ("--rcfile", "--init-file"):
            next(words, "")
        elif word in ("-", "--"):
            return ("", os.path.basename(next(words, "")))
        elif word[:1] not in ("-", "+"):
            return ("", os.path.basename(word))
        elif not word.startswith("--"):
            if "c" in word:
                return ("-c", "")
            if "s" in word:
                break  # it reads its commands, and what follows are arguments
            for _ in re.findall("[oO]", word):  # each takes a name: -euo pipefail
                next(words, "")
    return ()


def run_by_python(words: object) -> tuple:
    """Return what Python runs."""
    for word in words:
        if word == "-" or not word.startswith("-"):
            return ("", os.path.basename(word))
        if word == "--check-hash-based-pycs":
            next(words, "")
        elif not word.startswith("--"):
            for place, letter in enumerate(word[1:], start=2):
                if letter == "c":
                    return ("-c", "")
                if letter == "m":
                    return run_as_module(word[place:] or next(words, ""), words)
                if letter in "WX":  # takes the rest of the word, else the next one
                    if not word[place:]:
                        next(words, "")
                    break
    return ()


def run_as_module(module: str, words: object) -> tuple:
    """Return what a module runs, where it is one that runs others; else the module."""
    if module in RUNNERS:
        for word in words:
            if word.endswith(".py"):
                return ("", os.path.basename(word))
            if word == "-m":
                return ("-m", next(words, ""))
    return ("-m", module)


def is_trainer(argv: list) -> bool:
    """Whether a command line looks like a training run: by the name of what runs, never by its arguments."""
    if not argv or not argv[0].split():
        return False
    how, name = "", program_of(argv)
    if PYTHON.match(name) or SHELL.match(name):
        how, name = (run_by(argv) or ("", ""))[:2]
    if name in LAUNCHERS:
        return LAUNCHERS[name] in ("", *argv)
    if how == "-m" and name in MODULES:
        return True
    return how != "-c" and bool(TRAINS.search(name))


def first_number(path: str) -> float:
    """Return the number that a file begins with."""
    with open(path, encoding="ascii") as file:
        return float(file.read().split()[0])
