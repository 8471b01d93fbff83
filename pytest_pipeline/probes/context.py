"""Runs in the interpreter of a context: what it is, what limits it has, what is installed, and what it can import.

Imports may crash or hang: they are steps in a child of the same interpreter, and cost their own answer only. Each
answer is printed as soon as it is there.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time

SHARE = 0.5  # of the time for all imports that a single one may take
SAID_BYTES = 16384  # of what a step says on stderr
CHILDS_PARTS = ("imports", "distributions", "entry_points", "deployed", "script_syntax")
WATCH_S = 0.5  # how often a child that is silent is looked after
LEAST_FREE_BYTES = 1024**3  # with less, a trial might take what a neighbour on the device needs
COLD = "; a cold disk may be the reason: run again, or raise host.import_timeout_s"

CHILD = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json
orders = open(int(sys.argv[2]), "rb")
sources = json.loads(orders.readline().decode("ascii"))
parts = {}
for name in sources:
    parts[name] = type(sys)(name)
    exec(compile(sources[name], "<probe " + name + ">", "exec"), parts[name].__dict__)
parts["imports"].serve(orders, int(sys.argv[3]), parts)
"""


def main(request: dict, parts: dict, sources: dict) -> None:
    """Answer {"packages", "entry_points", "precision", "imports_s", "nonce", "turns"}. Ends the process."""
    tell = Teller(request["nonce"]).tell
    attempt, interpreter = parts["frame"].attempt, parts["interpreter"]
    looks = {
        "interpreter": interpreter.interpreter,
        "limits": interpreter.limits,
        "shared_memory": interpreter.shared_memory,
        "memory_limit": interpreter.memory_limit_bytes,
        "distributions": lambda: parts["distributions"].installed([*request["packages"], "torch"]),
        "steps": lambda: take_steps(request, sources, tell),
    }
    jobs = {name: lambda name=name: tell("record", [name, "", attempt(looks[name])]) for name in looks}
    for name, answer in parts["frame"].side_by_side(jobs, request["imports_s"] * 1.02).items():
        if "error" in answer:
            tell("record", [name, "", answer])
    tell("end", [])
    os._exit(0)  # whatever hangs


class Teller:
    """Prints answers, each whole and on a line of its own."""

    def __init__(self, nonce: str) -> None:
        self._nonce = nonce
        self._lock = threading.Lock()

    def tell(self, mark: str, what: list) -> None:
        """Print one answer. Where nobody listens any more, all ends."""
        data = ("\n@@" + "pipeline-" + mark + " " + self._nonce + "@@" + json.dumps(what) + "\n").encode("ascii")
        with self._lock:
            try:
                while data:
                    data = data[os.write(1, data) :]
            except BrokenPipeError:
                os._exit(1)


def take_steps(request: dict, sources: dict, tell: object) -> None:
    """Take the steps in order: each entry point, of which nothing is executed; PyTorch, its devices, each package."""
    steps = Steps(request, sources, tell)
    for path in request["entry_points"]:
        steps.take("entry_point", path)
    torch = steps.take("torch", "")
    if "value" in torch:
        with turn(request["turns"], request["imports_s"] * SHARE):
            cuda = steps.take("cuda", "")
            devices = cuda["value"]["devices"] if "value" in cuda else []
            for device in devices:
                try_device(device, steps)
            if devices and request["turns"]:
                steps.end_child()  # what it holds of the devices, the next context would miss
    for package in request["packages"]:
        steps.take("package", package)
    steps.end_child()


def try_device(device: dict, steps: object) -> None:
    """Let a device multiply, if that harms nobody."""
    index, free_bytes = str(device["index"]), device["free"].get("value", 0)
    if free_bytes < LEAST_FREE_BYTES:
        free = "%d MiB of it is free" % (free_bytes >> 20) if "value" in device["free"] else "what is free is unknown"
        steps.tell("record", ["trial", index, {"error": "not tried: " + free, "not_tried": True}])
    elif "error" in steps.take("trial", index):
        steps.end_child()  # an error stays with the process, and would be taken for the next device's


@contextlib.contextmanager
def turn(pid: int, deadline_s: float) -> object:
    """Wait until no other context is at the devices: one would see the other's memory, or be refused (exclusive mode).

    What is locked is the process that asks all contexts; in a container it is another one, or none, and nobody waits.
    """
    opened = None
    try:
        if pid:
            opened = os.open("/proc/%d/stat" % pid, os.O_RDONLY | os.O_CLOEXEC)
            waiter = threading.Thread(target=fcntl.flock, args=(opened, fcntl.LOCK_EX))
            waiter.daemon = True
            waiter.start()
            waiter.join(deadline_s)
    except OSError:
        opened = None
    try:
        yield
    finally:
        if opened is not None:
            os.close(opened)


class Ended(Exception):  # noqa: N818  # what the child did
    """A child did not answer: it crashed, left, or was too slow."""


class TooSlow(Ended):
    """A step hung, and the time that it took is not there for others."""


class Steps:
    """Takes steps in a child, and in a new one after each that was lost. Answers are told as they come."""

    def __init__(self, request: dict, sources: dict, tell: object) -> None:
        self.tell = tell
        self._request = request
        self._sources = {name: sources[name] for name in CHILDS_PARTS if name in sources}
        self._child = None
        self._hung = ""
        self._end = time.monotonic() + request["imports_s"]

    def take(self, kind: str, key: str) -> dict:
        """Take one step, if there is time for it."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            answer = {"error": "not tried: the %g s for all imports were over%s" % (self._request["imports_s"], COLD)}
            answer["hung"] = self._hung
        else:
            try:
                if self._child is None:
                    self._child = Child(self._request["nonce"], self._sources)
                step = [kind, key, self._request["precision"]]
                answer = self._child.ask(step, min(left_s, SHARE * self._request["imports_s"]))
            except Ended as error:
                if isinstance(error, TooSlow):
                    self._hung = self._hung or kind
                self.end_child()
                answer = {"error": str(error)}
        self.tell("record", [kind, key, answer])
        return answer

    def end_child(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.end()
        self._child = None


class Child:
    """A process of this interpreter that takes steps. It is in our own process group, and ends with it."""

    def __init__(self, nonce: str, sources: dict) -> None:
        orders_theirs, self._orders = os.pipe()
        self._answers, answers_theirs = os.pipe()
        environment = dict(os.environ)
        if "PYTHONPATH" in environment:  # without its empty entries: the folder that we happen to be in
            environment["PYTHONPATH"] = ":".join(filter(None, environment["PYTHONPATH"].split(":")))
        # The nonce in its argv tells that it is the gate's own, whoever lists the processes on a device.
        argv = [sys.executable, "-B", "-c", CHILD, nonce, str(orders_theirs), str(answers_theirs)]
        self._process = subprocess.Popen(  # noqa: S603  # this very interpreter
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=(orders_theirs, answers_theirs),
        )
        os.close(orders_theirs)
        os.close(answers_theirs)
        self._errors = self._process.stderr.fileno()
        self._said = b""
        self._errors_open = True
        self._send(sources)

    def _send(self, what: object) -> None:
        data = (json.dumps(what) + "\n").encode("ascii")
        with contextlib.suppress(BrokenPipeError):  # that it is gone is noticed when it does not answer
            while data:
                data = data[os.write(self._orders, data) :]

    def ask(self, step: list, allowed_s: float) -> dict:
        """Return the answer to a step, with what was said meanwhile on stderr as warnings. Raises Ended."""
        end = time.monotonic() + allowed_s
        self._said = b""
        self._send(step)
        answer = b""
        while not answer.endswith(b"\n"):
            left_s = end - time.monotonic()
            if left_s <= 0:
                self._listen(0)
                raise TooSlow("did not end within %g s%s%s" % (allowed_s, self._last_line(), COLD))
            if self._answers not in self._listen(min(left_s, WATCH_S)):
                if self._process.poll() is not None and self._answers not in self._listen(0):
                    raise Ended(self._how_it_ended())
                continue
            chunk = os.read(self._answers, 65536)
            if not chunk:
                raise Ended(self._how_it_ended())
            answer += chunk
        told = json.loads(answer.decode("ascii"))
        while self._errors in self._listen(0):
            pass
        if isinstance(told.get("value"), dict) and "warnings" in told["value"]:
            told["value"]["warnings"] += self._lines()
        return told

    def _listen(self, wait_s: float) -> list:
        """Return what can be read, after taking in what was said on stderr. Ends all where nobody hears us."""
        pipes = [self._answers] + ([self._errors] if self._errors_open else [])
        ready = select.select(pipes, [], [], wait_s)[0]
        if self._errors in ready:
            chunk = os.read(self._errors, 65536)
            self._errors_open = bool(chunk)
            self._said = (self._said + chunk)[-SAID_BYTES:]
        listener = select.poll()
        listener.register(1, 0)
        if listener.poll(0):
            self.end()
            os._exit(1)
        return [one for one in ready if one != self._errors or self._errors_open]

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        while self._errors in self._listen(0):
            pass
        status = self._process.returncode
        if status is None:
            return "closed its pipes%s" % self._last_line()
        if status >= 0:
            return "ended the interpreter with exit status %d%s" % (status, self._last_line())
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "signal %d" % -status
        return "ended the interpreter with %s%s" % (name, self._last_line())

    def _lines(self) -> list:
        lines = self._said.decode("utf-8", "replace").splitlines()
        return [line.strip()[:300] for line in lines if line.strip()]

    def _last_line(self) -> str:
        lines = self._lines()
        return ": " + lines[-1] if lines else ""

    def end(self) -> None:
        """Kill it. What it started is in our group, and ends with that."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        for opened in (self._orders, self._answers):
            with contextlib.suppress(OSError):
                os.close(opened)
        self._process.stderr.close()
