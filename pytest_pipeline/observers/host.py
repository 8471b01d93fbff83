"""Looking at the host: one round trip for all facts, a second one only for what leaves a trace (writing to S3)."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, Opened, OutputTooLong
from pytest_pipeline.observers.host_answer import Printed, all_missing, decode, decode_company, decode_writes
from pytest_pipeline.observers.host_request import company_program, facts_program, writes_program
from pytest_pipeline.observers.launch import ask, ask_python, command, hold
from pytest_pipeline.outcome import Blocked, Reading

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_pipeline.connections.connection import Connection
    from pytest_pipeline.observers.host_readings import Company, HostReadings
    from pytest_pipeline.observers.host_request import HostRequest, S3Request, SystemRequest
    from pytest_pipeline.observers.s3_attempt import BucketAccess

_OWNER = "ssh-access"
_HELD_S = 3600.0  # a gate whose machine was switched off is not noticed earlier
_ON_THE_WAY_S = 1.0  # of a deadline is kept for the way there and back


def look_at_host(way: Opened | Connection, request: HostRequest, timeout_s: float) -> HostReadings:
    """Read all facts of a host in one round trip. Never raises: what could not be read is a missing reading.

    It takes longer than `timeout_s` only for the imports of contexts, by `request.imports_s` at most.
    """
    nonce = secrets.token_hex(8)
    program = ask(facts_program(request, nonce, _share_of(timeout_s)), request, nonce, timeout_s)
    printed = run_program(way, program, nonce, timeout_s + (request.imports_s if request.contexts else 0.0))
    if isinstance(printed, Reading):
        return all_missing(request, printed.reason, by=printed.by, remedy=printed.remedy)
    return decode(printed, request)


def write_from_host(
    way: Opened | Connection, request: S3Request, timeout_s: float
) -> Reading[tuple[BucketAccess, ...]]:
    """Write to S3 from the host, with its own credentials, as far as the request says. Never raises.

    Effects: one object at each bucket's probe key, overwritten each time and deleted where the pipeline deletes; and at
    each prefix an upload in parts that is given up at once.
    """
    nonce = secrets.token_hex(8)
    program = ask_python(writes_program(request, nonce, _share_of(timeout_s)), nonce, timeout_s)
    printed = run_program(way, program, nonce, timeout_s)
    if isinstance(printed, Reading):
        return printed.hand_on()
    return decode_writes(printed, request.asked_to_write)


@contextlib.contextmanager
def locked_host(connection: Connection, request: SystemRequest, timeout_s: float, *, name: str) -> Generator[Company]:
    """Hold the one lock of a host, as `name`; yield whether it was to be had, and who else is there.

    It ends with the block, with the gate and with the connection, whichever is first; after an hour at the latest.
    Raises ConnectionFailed, CommandTimedOut, OutputTooLong; and Blocked, where it was lost before the block's end.
    """
    nonce = secrets.token_hex(8)
    program = company_program(request, nonce, _share_of(timeout_s), hold_s=_HELD_S)
    held = connection.hold(
        command(nonce),
        stdin=hold(program, nonce, timeout_s, name=f"pipeline-gate of {name}"),
        until=f"@@end {nonce}@@".encode("ascii"),
        timeout_s=timeout_s,
    )
    if isinstance(held, Finished):
        ended = Printed(nonce=nonce, stdout=held.stdout, stderr=held.stderr, exit_status=held.exit_status)
        yield decode_company(ended, request)
        return
    with contextlib.closing(held):
        yield decode_company(Printed(nonce=nonce, stdout=held.stdout), request)
        if not held.alive:
            raise Blocked("the lock on the host was lost meanwhile: others may have been there", by="co-tenants")


def run_program(way: Opened | Connection, program: bytes, nonce: str, timeout_s: float) -> Printed | Reading[None]:
    """Send a program to the host. Returns what came back, or why nothing did."""
    connection = way.connection if isinstance(way, Opened) else way
    sent_at = time.time()
    try:
        finished = connection.run(command(nonce), stdin=program, timeout_s=timeout_s)
    except CommandTimedOut as error:
        # A process that hangs in the kernel (a dead network mount) keeps the command open after it has answered; and
        # what a shell read before one of its programs hung is an answer too.
        if not any(f"@@{mark} {nonce}".encode("ascii") in error.stdout for mark in ("end", "pipeline-part")):
            return Reading.missing(f"the host did not answer the probe within {timeout_s:g} s", by=_OWNER)
        return Printed(nonce=nonce, stdout=error.stdout, stderr=error.stderr, sent_at=sent_at, got_at=time.time())
    except ConnectionFailed as error:
        return Reading.missing(error.message, by=_OWNER, remedy=error.remedy)
    except OutputTooLong as error:
        return Reading.missing(f"the host's answer has no end: {error}", by=_OWNER)
    return Printed(
        nonce=nonce,
        stdout=finished.stdout,
        stderr=finished.stderr,
        exit_status=finished.exit_status,
        sent_at=sent_at,
        got_at=time.time(),
    )


def _share_of(timeout_s: float) -> float:
    return max(timeout_s / 2, timeout_s - _ON_THE_WAY_S)
