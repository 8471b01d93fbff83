"""The sandbox's one process: `python -m pytest_pipeline.sandbox.server --folder DIR --parent PID`.

It prints one JSON line when it is ready, then answers each JSON line of standard input with one line. It ends when
standard input does, and takes every listener, namespace and file of its own along.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import os
import queue
import shutil
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pytest_pipeline.sandbox.aws import AwsServer
from pytest_pipeline.sandbox.host_namespace import why_not
from pytest_pipeline.sandbox.lifeline import die_with_parent
from pytest_pipeline.sandbox.plan import UnavailableError
from pytest_pipeline.sandbox.slack import SlackReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_pipeline.sandbox.fault import Fault, Variant
    from pytest_pipeline.sandbox.tenant import Tenant


_Injectable = TypeVar("_Injectable", "Fault", "Variant")


class RequestError(Exception):
    """A request that cannot be served; its text is the whole message."""


class Sandbox:
    """All tenants, and the servers they share."""

    def __init__(self, folder: Path, aws: AwsServer, *, namespaces: bool) -> None:
        self._folder = folder
        self._aws = aws
        self._namespaces = namespaces
        self._tenants: dict[str, Tenant] = {}
        self._opened = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="hosts", daemon=True).start()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Serve one request. Raises RequestError where it makes no sense."""
        match request:
            case {"do": "open"}:
                return self._open(request.get("faults") or [], request.get("variant"))
            case {"do": "felt", "tenant": str(tenant)}:
                felt = self._tenant(tenant).felt
                return {"felt": {name: tally.hits if tally else None for name, tally in felt.items()}}
            case {"do": "close", "tenant": str(tenant)}:
                self._close(self._tenant(tenant))
                return {"closed": tenant}
        raise RequestError(f"cannot make sense of {json.dumps(request)}; ask to open, felt or close")

    def _open(self, faults: list[str], variant: str | None) -> dict[str, Any]:
        from pytest_pipeline.sandbox.faults import FAULTS  # noqa: PLC0415  # brings pytest, through the statuses
        from pytest_pipeline.sandbox.tenant import open_tenant  # noqa: PLC0415  # brings asyncssh: the ports are open by now
        from pytest_pipeline.sandbox.variants import VARIANTS  # noqa: PLC0415  # as above

        self._opened += 1
        number = self._opened
        try:
            tenant = open_tenant(
                number,
                folder=self._folder / f"t{number}",
                aws=self._aws,
                loop=self._loop,
                variant=_known(variant, VARIANTS, "variant").inject if variant is not None else None,
                namespaces=self._namespaces,
                faults={name: _known(name, FAULTS, "fault").inject for name in faults},
            )
        except UnavailableError as error:
            raise RequestError(str(error)) from None
        except OSError as error:
            raise RequestError(f"cannot open a tenant: {error}; see that {self._folder} has room") from error
        self._tenants[tenant.plan.id] = tenant
        return tenant.to_wire()

    def _tenant(self, name: str) -> Tenant:
        try:
            return self._tenants[name]
        except KeyError:
            raise RequestError(f"no tenant {name!r} is open; open one first") from None

    def _close(self, tenant: Tenant) -> None:
        del self._tenants[tenant.plan.id]
        tenant.end.close()

    def kill(self) -> None:
        """End every process of every tenant, at once and from any thread."""
        for tenant in list(self._tenants.values()):
            tenant.host.kill()


def _known(name: str, registry: Mapping[str, _Injectable], kind: str) -> _Injectable:
    """Return the fault or variant of this name. Raises RequestError where there is none."""
    if name not in registry:
        raise RequestError(_unknown(kind, name, registry))
    return registry[name]


def _unknown(kind: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=3)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"there are: {', '.join(sorted(known))}"
    return f"unknown {kind} {name!r}; {hint}"


def _take_stdout() -> Callable[[dict[str, Any]], None]:
    """Keep standard output to ourselves, and return how a line is said: moto prints now and then."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(line: dict[str, Any]) -> None:
        channel.write(json.dumps(line) + "\n")
        channel.flush()

    return say


def _read(requests: queue.SimpleQueue[str], sandbox: Sandbox, folder: Path) -> NoReturn:
    """Hand requests on. The end of standard input is the end of the process, whatever it is busy with."""
    for line in sys.stdin:
        requests.put(line)
    sandbox.kill()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # without waiting for threads: some hold calls that never get an answer


def main() -> NoReturn:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m pytest_pipeline.sandbox.server")
    parser.add_argument("--folder", type=Path, required=True, help="where the sandbox makes its own folder")
    parser.add_argument("--parent", type=int, required=True, help="the process id that it must not outlive")
    parser.add_argument("--no-namespaces", action="store_true", help="do as on a machine that forbids them")
    options = parser.parse_args()
    die_with_parent(options.parent)
    say = _take_stdout()
    folder = Path(tempfile.mkdtemp(prefix="sandbox-", dir=options.folder))
    aws, slack = AwsServer(), SlackReceiver()
    slack.start()
    say({"ready": True, "aws": aws.url, "slack": slack.url, "pid": os.getpid(), "folder": str(folder)})
    sandbox = Sandbox(folder, aws, namespaces=not options.no_namespaces and not why_not())
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, sandbox, folder), name="requests", daemon=True).start()
    aws.start()
    while True:
        line = requests.get()
        try:
            say(sandbox.answer(json.loads(line)))
        except (RequestError, ValueError) as error:
            say({"error": str(error)})
        except Exception as error:  # noqa: BLE001  # a defect of ours must not take the other tenants down; it is raised at the asker
            traceback.print_exc()
            say({"error": f"the sandbox failed at {line.strip()}: {type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
