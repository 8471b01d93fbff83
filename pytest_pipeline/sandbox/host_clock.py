"""The clock of a simulated host, which is this machine's: what `chronyc` says of it, and one that is off."""

from __future__ import annotations

from pytest_pipeline.sandbox.python_plan import PackagePlan, at_start

_TRACKING = """#!/bin/sh
[ "$*" = "-n tracking" ] || exit 1
cat << 'END'
Reference ID    : A9FEA97B ({server})
Stratum         : {stratum}
System time     : 0.000001245 seconds fast of NTP time
Last offset     : +0.000000912 seconds
Root delay      : 0.000318812 seconds
Root dispersion : 0.000218744 seconds
Update interval : 16.1 seconds
Leap status     : {leap}
END
"""
_AHEAD = """
import time
_time, _gmtime = time.time, time.gmtime
time.time = lambda: _time() + {offset_s}
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
"""


def chronyc(*, synchronised: bool = True) -> str:
    """Return a program that answers as chrony's own does on an instance that asks Amazon's time service."""
    if synchronised:
        return _TRACKING.format(server="169.254.169.123", stratum=4, leap="Normal")
    return _TRACKING.format(server="", stratum=0, leap="Not synchronised")


def clock_package(offset_s: float) -> PackagePlan:
    """Return what makes an interpreter see a clock that is ahead by so much: a real one is root's to set, for all."""
    source = _AHEAD.format(offset_s=offset_s)
    return at_start("simulated_clock", source)
