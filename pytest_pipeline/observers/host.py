"""Looking at the host: one round trip for all facts, a second one only for what leaves a trace (writing to S3)."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Opened, OutputTooLong
from pytest_pipeline.observers.host_answer import Printed, all_missing, decode, decode_writes
from pytest_pipeline.observers.host_request import facts_program, writes_program
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.connections.connection import Connection
    from pytest_pipeline.observers.host_readings import HostReadings
    from pytest_pipeline.observers.host_request import HostRequest, S3Request
    from pytest_pipeline.observers.s3_attempt import BucketAccess

_OWNER = "ssh-access"
_ON_THE_WAY_S = 1.0  # of a deadline is kept for the way there and back


def look_at_host(way: Opened | Connection, request: HostRequest, timeout_s: float) -> HostReadings:
    """Read all facts of a host in one round trip. Never raises: what could not be read is a missing reading."""
    nonce = secrets.token_hex(8)
    program = facts_program(request, nonce, _share_of(timeout_s))
    printed = _run(way, program, nonce, timeout_s)
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
    program = writes_program(request, nonce, _share_of(timeout_s))
    printed = _run(way, program, nonce, timeout_s)
    if isinstance(printed, Reading):
        return printed.hand_on()
    return decode_writes(printed, request.asked_to_write)


def _run(way: Opened | Connection, program: bytes, nonce: str, timeout_s: float) -> Printed | Reading[None]:
    """Send a program to the host's Python. Returns what came back, or why nothing did."""
    connection = way.connection if isinstance(way, Opened) else way
    # The shell speaks first: its silence is another cause than that of Python. -I keeps the user's own modules and
    # environment out: a json.py in the home folder is none of ours.
    command = f"printf '\\n@@%s@@\\n' 'pipeline-shell {nonce}'; exec python3 -I -"
    sent_at = time.time()
    try:
        finished = connection.run(command, stdin=program, timeout_s=timeout_s)
    except CommandTimedOut as error:
        # A process that hangs in the kernel (a dead network mount) keeps the command open after it has answered.
        if f"@@end {nonce}@@".encode("ascii") not in error.stdout:
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
