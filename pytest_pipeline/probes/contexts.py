"""The contexts: each of the pipeline's own shells is started, and the interpreter that it finds is asked what it is.

A shell gets its whole text as one argument, and no input: `docker run` without -i would not hand it on. What comes back
is framed, as start-up files, activation scripts and containers print too; so are errors, to know whose they are.
"""

import base64
import json
import os
import pwd
import re
import shlex
import signal
import subprocess
import threading
import time
import zlib

LINE_BYTES = 1024 * 1024  # the longest answer: some hundred distributions take a tenth of it
HEARD_BYTES = 2 * 1024 * 1024  # of answers; the rest is dropped
ENDING_S = 2.0  # a container's client lives a little longer than what ran in it
NOT_FOUND = 127
NO_SHELLS = ("nologin", "false", "true", "sync", "git-shell")
SYSTEMD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Parses on every Python, 2 too: that it is an old one is an answer. The folder that we happen to be in is no place to
# import from; an empty entry of PYTHONPATH is that folder too, and `site` has made a full path of it.
BOOTSTRAP = """
import sys
import os
sys.path[:] = [entry for entry in sys.path if entry]
named = (os.environ.get("PYTHONPATH") or "none").split(":")
if "" in named and os.getcwd() in sys.path and os.getcwd() not in named:
    sys.path.remove(os.getcwd())
import json
about = {"version": sys.version.split()[0], "executable": sys.executable or "", "prefix": sys.prefix}
os.write(1, ("\\n@@" + "pipeline-python %(nonce)s@@" + json.dumps(about) + "\\n").encode("ascii"))
if sys.version_info[:2] >= (3, 7):
    import base64
    import zlib
    sent = json.loads(zlib.decompress(base64.b64decode("%(sent)s")).decode("ascii"))
    parts = {}
    for name in sent["sources"]:
        parts[name] = type(sys)(name)
        exec(compile(sent["sources"][name], "<probe " + name + ">", "exec"), parts[name].__dict__)
    parts["context"].main(sent["request"], parts, sent["sources"])
"""


def read(request: dict, parts: dict) -> dict:
    """Answer {"contexts": [...], "sources": {part: text}, "nonce", "imports_s", "deadline_s"}, all side by side."""
    jobs = {context["name"]: lambda context=context: ask(context, request, parts) for context in request["contexts"]}
    return parts["frame"].side_by_side(jobs, request["imports_s"] + 0.97 * request["deadline_s"])


def ask(context: dict, request: dict, parts: dict) -> dict:
    """Return {"python", "answers": {kind: {key: answer}}, "ended": why there are no more} of one context.

    Raises OSError where its interpreter does not answer at all.
    """
    startup_s, imports_s, ending_s = 0.8 * request["deadline_s"], request["imports_s"], 0.1 * request["deadline_s"]
    end = time.monotonic() + startup_s + imports_s + ending_s
    if context["wrap"]:
        startup_s += imports_s  # it may keep all that is printed until it ends, as `conda run` does
    started = start(context, request)
    heard = Heard(started.process, request["nonce"])
    try:
        heard.wait_for(heard.python, startup_s)
        if heard.about is None:
            raise OSError(why_silent(started, heard, startup_s))
        heard.wait_for(heard.end, min(imports_s + ending_s, end - time.monotonic()))
        ended = ""
        if not heard.end.is_set():
            ended = "the interpreter %s" % how_it_ended(started.process, imports_s, heard.last_error("ready"))
    finally:
        if started.process.poll() is None and heard.end.is_set():
            wait(started.process, ENDING_S)
        parts["program"].end_group(started.process)
        heard.read_out()
    return {"python": heard.about, "answers": heard.answers, "ended": ended}


class Started:
    """A shell that was started, and what for."""

    def __init__(self, context: dict, shell: list, process: object) -> None:
        self.context = context
        self.shell = shell
        self.process = process


def start(context: dict, request: dict) -> Started:
    """Start the shell of a context."""
    account = own_account()
    # Without SHLVL a shell takes itself for the first one, and reads what it reads when sshd starts it.
    environment = {name: value for name, value in os.environ.items() if name != "SHLVL"}
    if context["shell"] == "systemd":
        environment = {
            "HOME": account["home"],
            "USER": account["user"],
            "LOGNAME": account["user"],
            "SHELL": account["shell"],
            "PATH": SYSTEMD_PATH,
            "LANG": "C.UTF-8",
        }
    shell = [account["shell"], "-l"] if context["shell"] == "login" else [account["shell"]]
    process = subprocess.Popen(  # noqa: S603  # the account's own shell
        [*shell, "-c", shell_text(context, request)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/" if context["shell"] == "systemd" else None,
        start_new_session=True,
    )
    return Started(context, shell, process)


def own_account() -> dict:
    """Return who we are, where our home is, and our shell: /bin/sh where the account has none that runs commands."""
    try:
        entry = pwd.getpwuid(os.getuid())
        user, home, shell = entry.pw_name, entry.pw_dir, entry.pw_shell
    except KeyError:
        user, home, shell = str(os.getuid()), os.environ.get("HOME", "/"), ""
    if os.path.basename(shell) in NO_SHELLS or not os.access(shell, os.X_OK):
        shell = "/bin/sh"
    return {"user": user, "home": home, "shell": shell}


def shell_text(context: dict, request: dict) -> str:
    """Return what the shell is to run; bash, dash and zsh understand it. A setup that fails ends it."""
    lines = [mark("shell", request["nonce"]), mark("shell", request["nonce"]) + " >&2"]
    lines += ["export %s=%s" % (name, shlex.quote(value)) for name, value in sorted(context["environment"].items())]
    if context["setup"]:
        # By eval, so that an open quote ends with it; and `set -e` in it is no reason to be silent.
        lines += ["eval " + shlex.quote(context["setup"]), "pipeline_status=$?"]
        lines += ['if [ "$pipeline_status" -ne 0 ]; then exit "$pipeline_status"; fi']
    lines += [mark("ready", request["nonce"], '"${PATH-}"'), mark("ready", request["nonce"]) + " >&2"]
    command = [*context["wrap"], context["python"]]
    argv = [word(command[0])] + [shlex.quote(one) for one in command[1:]]
    lines.append("exec %s -B -c %s" % (" ".join(argv), shlex.quote(script(context, request))))
    return "\n".join(lines)


def mark(stage: str, nonce: str, rest: str = "''") -> str:
    """Return the command that prints a mark. It does not hold the mark itself: a shell may echo what it runs."""
    return "printf '\\n@@%%s@@%%s\\n' %s %s" % (shlex.quote("pipeline-" + stage + " " + nonce), rest)


def word(text: str) -> str:
    """Quote a program's name; only a home folder's `~` is left to the shell."""
    return '"$HOME"/' + shlex.quote(text[2:]) if text.startswith("~/") else shlex.quote(text)


def script(context: dict, request: dict) -> str:
    """Return what the interpreter is to run: all of it in one argument."""
    asked = {name: context[name] for name in ("packages", "entry_points", "precision")}
    asked.update({name: request[name] for name in ("nonce", "imports_s")})
    asked["turns"] = os.getpid() if len(request["contexts"]) > 1 else 0
    sent = json.dumps({"request": asked, "sources": request["sources"]}).encode("ascii")
    packed = base64.b64encode(zlib.compress(sent, 9)).decode("ascii")
    return BOOTSTRAP % {"nonce": request["nonce"], "sent": packed}


class Heard:
    """What a context prints, taken apart as it comes. `stages` holds the last lines of errors by who spoke."""

    def __init__(self, process: object, nonce: str) -> None:
        self.about = None
        self.answers = {}
        self.stage = ""
        self.path = ""
        self.python, self.end = threading.Event(), threading.Event()
        self._errors = {"": []}
        self._error_stage = ""
        self._left_bytes = HEARD_BYTES
        self._process = process
        self._mark = re.compile(b"@@pipeline-([a-z]+) " + nonce.encode("ascii") + b"@@(.*)", re.DOTALL)
        self._threads = [
            threading.Thread(target=self._hear, args=(process.stdout, self._take)),
            threading.Thread(target=self._hear, args=(process.stderr, self._take_error)),
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    @staticmethod
    def _hear(pipe: object, take: object) -> None:
        with pipe:
            for line in iter(lambda: pipe.readline(LINE_BYTES), b""):
                take(line.strip())

    def _take(self, line: bytes) -> None:
        found = self._mark.match(line)
        if found is None or self._left_bytes < len(line):
            return
        stage, rest = found.group(1).decode("ascii"), found.group(2)
        self._left_bytes -= len(line)
        if stage in ("shell", "ready"):
            self.stage, self.path = stage, os.fsdecode(rest)
            return
        try:
            self._note(stage, json.loads(rest.decode("ascii")))
        except (ValueError, TypeError, KeyError):
            return  # somebody else wrote into it; what it said counts as not said

    def _note(self, stage: str, told: object) -> None:
        if stage == "python":
            self.about = told
            self.python.set()
        elif stage == "record":
            kind, key, answer = told
            self.answers.setdefault(kind, {})[key] = answer
        elif stage == "end":
            self.end.set()

    def _take_error(self, line: bytes) -> None:
        found = self._mark.match(line)
        if found is not None:
            self._error_stage = found.group(1).decode("ascii")
            self._errors[self._error_stage] = []
        elif line:
            lines = self._errors[self._error_stage]
            lines.append(line[:500].decode("utf-8", "replace"))
            del lines[:-20]

    def wait_for(self, event: object, deadline_s: float) -> None:
        """Wait until something was said, or nothing more can be: what a start-up file left running holds the pipe."""
        end = time.monotonic() + deadline_s
        while self._process.poll() is None and time.monotonic() < end:
            if event.wait(min(0.05, max(0.0, end - time.monotonic()))):
                return
        if self._process.poll() is not None:
            self.read_out()

    def read_out(self) -> None:
        """Take in what a process that has ended said last; what it started may still hold the pipes."""
        for thread in self._threads:
            thread.join(0.5)

    def last_error(self, stage: str) -> str:
        """Return the telling line of what was said on stderr in a stage: a colon and the line, or nothing."""
        lines = self._errors.get(stage) or []
        telling = [
            line for line in lines if re.search("error|not found|no such|denied|cannot|fatal", line, re.IGNORECASE)
        ]
        return ": " + (telling or lines)[-1] if lines else ""


def why_silent(started: Started, heard: Heard, startup_s: float) -> str:
    """Say why an interpreter did not answer: which stage it stopped in, and what was said there."""
    ended = how_it_ended(started.process, startup_s, heard.last_error(heard.stage))
    shell = " ".join(started.shell)
    if not heard.stage:
        return "%s did not come to the command: it %s" % (shell, ended)
    if heard.stage == "shell":
        return "the setup `%s` (in %s) %s" % (started.context["setup"], shell, ended)
    python = started.context["python"]
    if started.process.poll() == NOT_FOUND and not started.context["wrap"]:
        return not_found(python, heard.path, heard.last_error("ready"))
    return "%s %s" % (" ".join([*started.context["wrap"], python]), ended)


def how_it_ended(process: object, deadline_s: float, said: str) -> str:
    """Say how a process ended, or that it did not."""
    status = process.poll()
    if status is None:
        return "did not answer within %g s%s" % (deadline_s, said)
    if status < 0:
        return "was ended by %s%s" % (signal_name(-status), said)
    return "ended with exit status %d%s" % (status, said)


def signal_name(number: int) -> str:
    """Return a signal's name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def not_found(python: str, path: str, said: str) -> str:
    """Say that an interpreter is not there, and which ones are."""
    others = pythons_on(path)
    there = "; there is %s" % ", ".join(others) if others else "; there is no other Python on its PATH"
    place = os.path.join(own_account()["home"], os.path.expanduser(python))
    if "/" not in python:
        return "%s was not found on its PATH%s" % (python, there)
    if os.path.islink(place) and not os.path.exists(place):
        return "%s is a link to %s, which is not there%s" % (python, os.path.realpath(place), there)
    return "%s was not found%s%s" % (python, said if os.path.exists(place) else "", there)


def pythons_on(path: str) -> list:
    """Return the interpreters on a PATH, each once."""
    found = {}
    for folder in path.split(":"):
        try:
            names = sorted(os.listdir(folder)) if folder.startswith("/") else []
        except OSError:
            continue  # an entry that is not there is no place for an interpreter
        for name in names:
            place = os.path.join(folder, name)
            if re.match(r"(python|pypy)[0-9.]*$", name) and os.path.isfile(place) and os.access(place, os.X_OK):
                found.setdefault(os.path.realpath(place), place)
    return list(found.values())[:10]


def wait(process: object, deadline_s: float) -> None:
    """Give a process time to end by itself."""
    try:
        process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        return
