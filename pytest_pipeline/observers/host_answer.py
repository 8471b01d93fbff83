"""From what a host printed to readings; pure, strict, and never an exception.

Every id that was asked for must come back. Whatever else the host said, a missing or senseless answer is a missing
reading with its owner: the connection's row where nothing came at all, `python-version` where Python did not answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.bucket_answer import bucket_access
from pytest_pipeline.observers.context_answer import contexts
from pytest_pipeline.observers.context_readings import nothing_of
from pytest_pipeline.observers.gpu_answer import gpu_presence, gpus
from pytest_pipeline.observers.host_readings import Company, HostIdentity, HostLock, HostReadings, InstanceDocument
from pytest_pipeline.observers.kernel_log_answer import kernel_log
from pytest_pipeline.observers.model_answer import model
from pytest_pipeline.observers.shell_answer import clock_of, parts_of, why_no_python, with_shell_facts
from pytest_pipeline.observers.system_answer import nothing_of_system, system
from pytest_pipeline.observers.untrusted import (
    Unreadable,
    document,
    flag,
    items,
    mapping,
    number,
    printable,
    reading,
    text,
    whole,
)
from pytest_pipeline.observers.volume_answer import volume
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.observers.host_request import HostRequest, SystemRequest
    from pytest_pipeline.observers.s3_attempt import BucketAccess

_DOCUMENT_LIMIT_BYTES = 4 * 1024 * 1024
_CONNECTION, _PYTHON, _SHARED = "ssh-access", "python-version", "co-tenants"
_NOT_FOUND = 127  # a shell's status for a command that it does not find


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a host printed in one round trip, and our clock when it was sent and came back (seconds since 1970)."""

    nonce: str
    stdout: bytes
    stderr: bytes = b""
    exit_status: int = 0
    sent_at: float = 0.0
    got_at: float = 0.0


def all_missing(request: HostRequest, reason: str, *, by: str, remedy: str = "") -> HostReadings:
    """Return readings of which none is known, for one reason."""

    def missing() -> Any:
        return Reading.missing(reason, by=by, remedy=remedy)

    return HostReadings(
        shell=missing(),
        python_version=missing(),
        identity=missing(),
        instance=missing(),
        clock_offset_s=missing(),
        volumes={volume.path: missing() for volume in request.volumes},
        s3_reads=missing(),
        contexts={
            context.name: nothing_of(missing(), context.packages, context.entry_points) for context in request.contexts
        },
        gpu_presence=missing(),
        gpus=missing(),
        kernel_log=missing(),
        model=missing(),
        system=nothing_of_system(missing(), request.system),
    )


def decode(printed: Printed, request: HostRequest) -> HostReadings:
    """Read what `facts_program` printed."""
    facts, gap = _facts(printed)
    if facts is None and gap.by == _PYTHON:
        return replace(_by_shell(printed, gap, request), shell=Reading.of(True))  # noqa: FBT003  # a value
    if facts is None:
        return all_missing(request, gap.reason, by=gap.by)
    version = _version(facts)
    if "value" not in facts and "error" not in facts:
        too_old = f"the host's Python is {version.or_none or 'unknown'}, and the facts need 3.7 or later"
        readings = all_missing(request, too_old, by=_PYTHON)
    else:
        readings = _readings(reading(facts, "the probe", by=_CONNECTION, read=_probes), request)
    return replace(
        readings,
        shell=Reading.of(True),  # noqa: FBT003  # a value
        python_version=version,
        clock_offset_s=_clock(facts, printed),
        took_s=max(0.0, printed.got_at - printed.sent_at),
    )


def _by_shell(printed: Printed, gap: Reading[None], request: HostRequest) -> HostReadings:
    """Return what the host's shell told, where no Python answered; the rest is missing by `python-version`."""
    parts = parts_of(printed.stdout, printed.nonce)
    if not parts:
        return all_missing(request, gap.reason, by=_PYTHON)
    version, why = why_no_python(parts, _last_line(printed.stderr))
    clock = clock_of(parts)
    return replace(
        with_shell_facts(all_missing(request, why, by=_PYTHON), parts, request.volumes),
        python_version=version,
        clock_offset_s=_clock(clock, printed) if clock else Reading.missing(why, by=_PYTHON),
        took_s=max(0.0, printed.got_at - printed.sent_at),
    )


def decode_company(printed: Printed, request: SystemRequest) -> Company:
    """Read what `company_program` printed."""
    probes = probes_in(printed)
    lock: Reading[HostLock] = probes.hand_on() if not probes.is_known else _host_lock(probes.value.get("interlock"))
    return Company(
        lock=lock,
        gpu_presence=gpu_presence(_part(probes, "gpus")),
        gpus=gpus(_part(probes, "gpus")),
        system=system(_part(probes, "system"), request, _part(probes, "gpus")),
    )


def _host_lock(answer: object) -> Reading[HostLock]:
    def read(value: object) -> HostLock:
        of = mapping(value, "the host's lock")
        return HostLock(
            taken=flag(of, "taken"), folder=text(of, "folder"), pid=whole(of, "pid"), holder=text(of, "holder")
        )

    return reading(answer, "the host's lock", by=_SHARED, read=read)


def decode_writes(printed: Printed, asked: tuple[tuple[str, str], ...]) -> Reading[tuple[BucketAccess, ...]]:
    """Read what `writes_program` printed."""
    return _s3(probes_in(printed), asked)


def probes_in(printed: Printed) -> Reading[dict[str, Any]]:
    """Return what the probes of a program answered, by their names."""
    facts, gap = _facts(printed)
    if facts is None:
        return gap.hand_on()
    if "value" not in facts and "error" not in facts:
        return Reading.missing("the host's Python is older than 3.7", by=_PYTHON)
    return reading(facts, "the probe", by=_CONNECTION, read=_probes)


def _facts(printed: Printed) -> tuple[dict[str, Any] | None, Reading[None]]:
    """Return the framed document, or why there is none."""
    nonce = re.escape(printed.nonce.encode("ascii"))
    framed = re.search(rb"@@pipeline-facts " + nonce + rb"@@(.*?)@@end " + nonce + rb"@@", printed.stdout, re.DOTALL)
    if framed:
        try:
            return document(framed[1], _DOCUMENT_LIMIT_BYTES), Reading.of(None)
        except Unreadable as error:
            return None, Reading.missing(f"the host's answer makes no sense: {error}", by=_CONNECTION)
    return None, _why_none(printed)


def _why_none(printed: Printed) -> Reading[None]:
    said = _last_line(printed.stderr) or _last_line(printed.stdout.split(b"@@pipeline-shell ")[0])
    ended = f"exit status {printed.exit_status}"
    if b"@@pipeline-shell " + printed.nonce.encode("ascii") not in printed.stdout:
        words = f": it said {said!r}" if said else ""
        return Reading.missing(
            f"logged in, but the host does not run commands for this user ({ended}){words}", by=_CONNECTION
        )
    if printed.exit_status == _NOT_FOUND:
        return Reading.missing(f"python3 was not found on the host: {said or ended}", by=_PYTHON)
    return Reading.missing(f"python3 on the host gave no answer ({ended}): {said or 'it said nothing'}", by=_PYTHON)


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return printable(lines[-1], 200) if lines else ""


def _version(facts: dict[str, Any]) -> Reading[str]:
    version = facts.get("python")
    if not isinstance(version, str) or not re.fullmatch(r"\d{1,3}(\.\d{1,5}){1,2}\S{0,20}", version):
        return Reading.missing("the host did not say which Python it has", by=_PYTHON)
    return Reading.of(printable(version))


def _clock(facts: dict[str, Any], printed: Printed) -> Reading[float]:
    """Return the least offset that explains what was seen: the host looked after we sent and before we heard."""
    try:
        latest = number(facts, "clock_start") - printed.sent_at
        earliest = number(facts, "clock_end") - printed.got_at
    except Unreadable as error:
        return Reading.missing(f"the host did not say what time it has: {error}", by=_CONNECTION)
    return Reading.of(earliest if earliest > 0 else min(latest, 0.0))


def _probes(value: object) -> dict[str, Any]:
    return mapping(value, "the probes' answers")


def _readings(probes: Reading[dict[str, Any]], request: HostRequest) -> HostReadings:
    if not probes.is_known:
        return all_missing(request, probes.reason, by=probes.by)
    host = reading(probes.value.get("host"), "the host's identity", by=_CONNECTION, read=_probes)
    instance = _instance(host, asked=request.metadata)
    ephemeral = instance.or_none.ephemeral if instance.or_none else ()
    volumes = reading(probes.value.get("volumes"), "the volumes", by=_CONNECTION, read=_probes)
    by_path: dict[str, Any] = {}
    for wanted in request.volumes:
        if not volumes.is_known:
            by_path[wanted.path] = Reading.missing(volumes.reason, by=volumes.by)
        elif wanted.path not in volumes.value:
            by_path[wanted.path] = _no_answer_for(wanted.path)
        else:
            by_path[wanted.path] = volume(volumes.value[wanted.path], wanted, ephemeral)
    if request.s3 is None:
        s3: Reading[tuple[BucketAccess, ...]] = Reading.missing("S3 was not asked for on the host", by="settings")
    else:
        s3 = _s3(probes, request.s3.asked_to_read)
    known = all_missing(request, "", by=_CONNECTION)
    return replace(
        known,
        identity=_identity(host),
        instance=instance,
        volumes=by_path,
        s3_reads=s3,
        contexts=contexts(_part(probes, "contexts"), request.contexts),
        gpu_presence=gpu_presence(_part(probes, "gpus")),
        gpus=gpus(_part(probes, "gpus")),
        kernel_log=kernel_log(_part(probes, "kernel_log")),
        model=model(_part(probes, "model"), request.model),
        system=system(_part(probes, "system"), request.system, _part(probes, "gpus")),
    )


def _part(probes: Reading[dict[str, Any]], name: str) -> Reading[Any]:
    """Return what the probe of this name answered, undecoded; its decoder names the owner of what is missing."""
    if not probes.is_known:
        return probes.hand_on()
    return reading(probes.value.get(name), f"the probe {name}", by=_CONNECTION, read=lambda value: value)


def _identity(host: Reading[dict[str, Any]]) -> Reading[HostIdentity]:
    if not host.is_known:
        return Reading.missing(host.reason, by=host.by)
    return reading(host.value.get("identity"), "the host's identity", by=_CONNECTION, read=_identity_of)


def _identity_of(value: object) -> HostIdentity:
    of = mapping(value, "identity")
    return HostIdentity(
        hostname=text(of, "hostname"),
        user=text(of, "user"),
        uid=whole(of, "uid"),
        kernel=text(of, "kernel"),
        arch=text(of, "arch"),
    )


def _instance(host: Reading[dict[str, Any]], *, asked: bool) -> Reading[InstanceDocument]:
    if not asked:
        return Reading.missing("the instance's own metadata was not asked for", by="instance-identity")
    if not host.is_known:
        return Reading.missing(host.reason, by=host.by)
    return reading(host.value.get("instance"), "the instance's metadata", by="instance-identity", read=_instance_of)


def _instance_of(value: object) -> InstanceDocument:
    of = mapping(value, "instance")
    return InstanceDocument(
        id=text(of, "id"),
        type=text(of, "type"),
        region=text(of, "region"),
        zone=text(of, "zone"),
        account=text(of, "account"),
        image=text(of, "image"),
        ephemeral=tuple(printable(name) for name in items(of.get("ephemeral"), "ephemeral")),
    )


def _s3(probes: Reading[dict[str, Any]], asked: tuple[tuple[str, str], ...]) -> Reading[tuple[BucketAccess, ...]]:
    if not probes.is_known:
        return Reading.missing(probes.reason, by=probes.by)
    access = reading(probes.value.get("s3"), "S3", by=_CONNECTION, read=bucket_access)
    if access.is_known:
        answered = {(one.bucket, one.prefix) for one in access.value}
        for bucket, prefix in asked:
            if (bucket, prefix) not in answered:
                return _no_answer_for(f"s3://{bucket}/{prefix}")
    return access


def _no_answer_for(what: str) -> Reading[Any]:
    return Reading.missing(f"the host did not answer for {what}", by=_CONNECTION)
