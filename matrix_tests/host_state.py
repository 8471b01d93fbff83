"""The host's clock, credentials and names: what a run needs of its surroundings, for as long as it takes."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Blocked, on_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.system_readings import ClockSync, HostCredentials, ResolvedName

_REFUSED_FROM_S = 300.0  # AWS: "request signatures expire after five minutes"; S3 alone allows fifteen
SUSPICIOUS_FROM_S = 60.0  # a heartbeat that is judged by its age lies by as much
_COARSE_S = 5.0  # our own offset is read from a header of whole seconds, the answer's way included
_SLOW_NAME_S = 1.0  # a name server that does not answer costs five seconds before the next is asked
_HOUR_S = 3600
_KEEP_CLOCK = "sudo timedatectl set-ntp true"


def judge_clock(
    offset_s: float, ours_s: float, sync: Reading[ClockSync], evidence: Evidence, *, uses_aws: bool
) -> None:
    """Fail where AWS refuses what the host signs; warn where its clock is less wrong, or nobody keeps it.

    `offset_s` is by how much the host is ahead of this machine at least, and `ours_s` this machine of AWS: where that
    is known, the host answers for its own part alone.
    """
    off_s = offset_s + (ours_s if abs(ours_s) > _COARSE_S else 0.0)
    known = sync.or_none
    kept = "not known" if known is None or known.synchronized is None else "yes" if known.synchronized else "no"
    evidence(offset_s=round(abs(off_s)), synchronized=kept, by=known.source if known else sync.reason)
    behind = "behind" if off_s < 0 else "ahead"
    if abs(off_s) >= _REFUSED_FROM_S:
        evidence.remedy(on_host("sudo chronyc makestep" if known and known.source == "chronyc" else _KEEP_CLOCK))
        if uses_aws:
            evidence.severity("critical")
        pytest.fail(f"it is {behind}; AWS refuses signatures from 300 s on", pytrace=False)
    if abs(off_s) > SUSPICIOUS_FROM_S:
        evidence.warn(f"the host's clock is {behind} by {abs(off_s):.0f} s; AWS refuses signatures from 300 s on")
    if kept == "no":
        evidence.warn(f"nobody keeps the host's clock ({known.source if known else ''}): {_KEEP_CLOCK}")


def judge_credentials(credentials: HostCredentials, run_hours: float | None, evidence: Evidence) -> None:
    """Fail where the host's credentials end before a run of so many hours does; warn where that cannot be told.

    Keys of a session that somebody pasted have an end, and mostly nowhere is it written; AWS gives none out that lasts
    longer than 36 hours.
    """
    source = credentials.source
    evidence(source=source, required_hours=run_hours)
    if credentials.lasting:
        evidence(lasts="have no end, or are renewed by themselves")
        return
    if run_hours is None:
        raise Blocked(f"requirements.run_hours (the host's credentials have an end: {source})", by="settings")
    if credentials.expires_in_s is None:
        most = _hours(credentials.at_most_s or 0.0)
        evidence(hours=f"at most {most}", lasts=f"end in {most}h at most")
        if most < run_hours:
            pytest.fail(f"they are those of a session, and nobody renews them: {source}", pytrace=False)
        evidence.warn(
            f"the host's credentials ({source}) are those of a session whose end is not written down: "
            f"{most} h at most, and mostly 1 to 12; use the instance role"
        )
        return
    hours = _hours(credentials.expires_in_s)
    evidence(hours=hours, lasts=f"end in {hours}h")
    if credentials.expires_in_s >= run_hours * _HOUR_S:
        return
    if not credentials.renewed:
        pytest.fail(f"nobody renews them: {source}", pytrace=False)
    evidence.warn(
        f"the host's credentials ({source}) end in {hours} h, and then others are fetched: "
        "whether that goes well while nobody is there cannot be told"
    )


def _hours(seconds: float) -> float:
    return max(0.0, seconds) * 10 // _HOUR_S / 10


def judge_names(names: Mapping[str, Reading[ResolvedName]], evidence: Evidence) -> None:
    """Fail where a name has no address, or none that leads anywhere; warn of one that leads back or takes long."""
    lost: dict[str, str] = {}
    for name, reading in names.items():
        if reading.by == "name-resolution":
            lost[name] = reading.reason
            continue
        found = reading.value
        if all(_parsed(one).is_unspecified for one in found.addresses):
            lost[name] = f"{name}: it is {', '.join(found.addresses)}, which is no address: something blocks it"
        elif not _is_local(name) and all(_parsed(one).is_loopback for one in found.addresses):
            evidence.warn(f"{name} is {', '.join(found.addresses)}, the host itself (/etc/hosts?)")
        if found.took_s > _SLOW_NAME_S:
            evidence.warn(f"{name} took {found.took_s:.1f} s: the first name server does not answer")
    evidence(names=", ".join(names), count=len(names))
    if lost:
        evidence(name=", ".join(lost))
        evidence.remedy(on_host(f"getent ahosts {next(iter(lost))}; cat /etc/resolv.conf"))
        only = next(iter(lost))
        why = lost[only].removeprefix(f"{only}: ") if len(lost) == 1 else "; ".join(lost.values())
        pytest.fail(why, pytrace=False)


def _is_local(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address; a host that answers with something else has named none."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return ipaddress.IPv4Address(0)
