"""The interlock: what loads a host has it to itself. One gate a host, no live run, no stranger on its GPUs.

It is looked at anew each time, while the host's lock is held: what was seen when the gate began is no longer sure.
"""

from __future__ import annotations

import contextlib
import shlex
import time
from typing import TYPE_CHECKING

from pytest_pipeline.observers.co_tenants import in_words, strangers_on, used_gpus
from pytest_pipeline.observers.run_lock import run_lock
from pytest_pipeline.outcome import Blocked
from pytest_pipeline.remedy import on_host

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_pipeline.observers.host_readings import Company

_SHARED, _STALE = "co-tenants", "stale-processes"
_POLL_S = 0.05
_INSIST = "; --share-host to insist"


@contextlib.contextmanager
def turn(file: Path, *, patience_s: float) -> Generator[None]:
    """Wait until no other row of this run, in whatever process, has its host to itself. Raises Blocked."""
    end = time.monotonic() + patience_s
    while True:
        with run_lock(file) as ours:
            if ours:
                yield
                return
        if time.monotonic() > end:
            raise Blocked(f"other rows of this run have had the host to themselves for {patience_s:g} s", by=_SHARED)
        time.sleep(_POLL_S)  # flock tells nobody when it is free


def require_alone(company: Company, used: set[str] | None, *, share: bool) -> None:
    """Raise Blocked where another gate holds the host, and unless it may be shared where others work there.

    `used` are the ids of the GPUs that matter, None for all. Also raises Blocked where who is there cannot be told.
    Somebody who locks without being a gate may be shared with, too.
    """
    lock = company.lock.value
    if not lock.taken and (lock.holder or not lock.pid):
        whose = f"the gate of {lock.holder} (pid {lock.pid})" if lock.holder else "somebody who cannot be seen"
        look = on_host(f"ps -fp {lock.pid}" if lock.pid else "")
        raise Blocked(f"{whose} has the host to itself", by=_SHARED, remedy=look)
    if share:
        return
    if not lock.taken:
        held = f"pid {lock.pid}, which is no gate, holds a lock on {lock.folder}"
        raise Blocked(f"{held}{_INSIST}", by=_SHARED, remedy=on_host(f"fuser -v {shlex.quote(lock.folder)}"))
    runs = company.system.processes.value.runs
    if runs:
        pids = ",".join(str(one.pid) for one in runs)
        said = ", ".join(map(in_words, runs[:3]))
        raise Blocked(f"a run is alive on the host: {said}{_INSIST}", by=_STALE, remedy=on_host(f"ps -fp {pids}"))
    if company.gpu_presence.or_none is not None and not company.gpu_presence.value.any:
        return
    gpus = used_gpus(company.gpus.value.gpus, used)
    strangers = [stranger for gpu in gpus for stranger in strangers_on(gpu, company.system)]
    if strangers:
        pids = ",".join(str(one.process.pid) for one in strangers)
        raise Blocked(f"{'; '.join(map(str, strangers))}{_INSIST}", by=_SHARED, remedy=on_host(f"ps -fp {pids}"))
