"""The way into a host's Python: a line that every login shell can read, and what a POSIX shell does then.

The line starts /bin/sh, which says that it is there and then reads shell text from standard input, up to a line of its
own. `read` takes no byte more than that line: what follows is the interpreter's. So one command looks for an
interpreter, runs the probes with it, and where there is none reads by itself what a shell can.
"""

from __future__ import annotations

from importlib.resources import files
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_pipeline.observers.host_request import ContextRequest, HostRequest

_END = "#end"
# No line break, no exclamation mark, no backslash before a quote: csh and fish read them in quotes too.
_COMMAND = (
    'exec /bin/sh -c \'printf "\\n@@%s@@\\n" "pipeline-shell {nonce}"; n=$(printf "\\nx"); n=${{n%x}}; p=; '
    'while IFS= read -r l; do case $l in "' + _END + '") eval "$p"; exit;; esac; p=$p$l$n; done; exit 70\''
)
_SHARE = 0.2  # of a round trip's deadline one program of the shell may use; two in a row leave enough for the rest
_ASK = """\
if [ "$python" ]; then
  "$python" -I - && exit 0
  status=$?
fi
section interpreters printf %s "$tried"
if [ "$python" ]; then section ended printf '%s\\n' "$python" "$version" "$status"; fi
"""
# The program is no argument: it is too long for one, and whoever reads the list of processes takes its words for names.
_READ = """\
import os, sys
left, text = int(sys.argv[1]), b""
while left:
    part = os.read(0, left)
    if not part:
        sys.exit(1)
    text, left = text + part, left - len(part)
exec(compile(text, "<probe>", "exec"))
"""
_EXEC = """\
if [ ! "$python" ]; then echo "python3 was not found, nor any other Python from 3.7 on" >&2; exit 127; fi
exec "$python" -I {arguments}
"""


def command(nonce: str) -> str:
    """Return the line for the login shell. Its first output is a mark with this nonce."""
    return _COMMAND.format(nonce=nonce)


def mark_of(nonce: str) -> bytes:
    """Return that mark, with the end of its line."""
    return f"@@pipeline-shell {nonce}@@\n".encode("ascii")


def ask(program: bytes, request: HostRequest, nonce: str, deadline_s: float) -> bytes:
    """Return the input of `command`: run a program; where that fails, read what a shell can."""
    numbers = range(len(request.volumes))
    volume = _text("frame", **_settings(nonce, deadline_s)) + _text("volume")
    paths = {f"path_{number}": request.volumes[number].path for number in numbers}
    fallback = _text("shell", volume=volume, paths=" ".join(map(str, numbers)), **paths)
    return _input(_choose(nonce, deadline_s, request.contexts), _ASK, fallback) + program


def ask_python(program: bytes, nonce: str, deadline_s: float) -> bytes:
    """Return the input of `command`: run a program; where there is no Python, say so."""
    return _input(_choose(nonce, deadline_s), _ASK) + program


def execute(source: bytes, nonce: str, deadline_s: float) -> bytes:
    """Return the input of `command` that turns it into a Python which runs this source, to its own exit status."""
    return _input(_choose(nonce, deadline_s), _EXEC.format(arguments="-")) + source


def hold(program: bytes, nonce: str, deadline_s: float, *, name: str) -> bytes:
    """Return the input of `command` that turns it into a Python which runs a program, its input still open behind it.

    `name` is what it is called in the host's list of processes: the last of its arguments.
    """
    arguments = f"-c {quote(_READ)} {len(program)} {quote(name)}"
    return _input(_choose(nonce, deadline_s), _EXEC.format(arguments=arguments)) + program


def _choose(nonce: str, deadline_s: float, contexts: tuple[ContextRequest, ...] = ()) -> str:
    further = {str(number): text for number, context in enumerate(contexts) if (text := _found_by(context))}
    functions = "".join(f"further_{number}() {{ {text}; }}\n" for number, text in further.items())
    frame = _text("frame", **_settings(nonce, deadline_s))
    return f"{frame}{functions}{_text('interpreter', further=' '.join(further))}"


def _settings(nonce: str, deadline_s: float) -> dict[str, str]:
    return {"nonce": nonce, "limit_s": str(max(1, int(deadline_s * _SHARE)))}


def _found_by(context: ContextRequest) -> str:
    """Return what prints where a context's interpreter is; nothing where it is in a container, out of our reach."""
    if context.wrap:
        return ""
    login = "-l " if context.shell == "login" else ""
    script = "\n".join([context.setup, f"command -v {_unquoted_home(context.python)}"])
    return f"limited bash {login}-c {quote(script)} </dev/null 2>/dev/null | tail -n 1"


def _unquoted_home(path: str) -> str:
    return f"~/{quote(path[2:])}" if path.startswith("~/") else quote(path)


def _text(name: str, **variables: str) -> str:
    """Return a part written in shell, its comments left out, after the variables that it needs."""
    source = (files("pytest_pipeline") / "probes" / f"{name}.sh").read_text(encoding="utf-8")
    given = "".join(f"{variable}={quote(value)}\n" for variable, value in variables.items())
    return given + "".join(line for line in source.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def _input(*texts: str) -> bytes:
    return "".join([*texts, _END, "\n"]).encode("utf-8")
