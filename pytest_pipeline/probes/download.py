"""How fast real objects come down to this host, and how fast the volume takes what comes.

Objects are read by ranges, as the AWS CLI reads them, through addresses that are signed for it; these appear in nothing
that is answered. The one file that is written has no name, so that it ends with this process, however that ends.
Sources: RFC 9110 (14, range requests), open(2) (O_DIRECT, O_TMPFILE).
"""

import base64
import errno
import fcntl
import http.client
import itertools
import mmap
import os
import re
import ssl
import stat
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PART_BYTES = 8 * 1024 * 1024  # the AWS CLI's own
LEAST_BYTES = PART_BYTES
CHUNK_BYTES = 32768
BLOCK_BYTES = 4 * 1024 * 1024
TRIES = 3  # in a row without a whole range: what a connection may need before it is given up
PAUSE_S = 0.2
GRACE_S = 0.5  # beyond the end of a run for its connections to notice
WHOLE = 200
PARTIAL = 206
REFUSED = 4  # hundred and something


def read(request: dict, parts: dict) -> dict:
    """Answer {"objects", "trials", "final", "batches", "timeout_s", "write", "deadline_s"} with {"runs", "write"}.

    `objects` are [{"url", "bytes", "headers"}], `trials` [{"connections", "seconds", "dropped_s"}], `final` is of the
    last two of these, and `write` {"folder", "most_bytes", "share", "seconds", "batches"}. The write waits for the
    runs: neither disturbs the other.
    """
    attempt = parts["frame"].attempt
    runs = attempt(lambda: download(request, parts["s3_request"]))
    if not any(run["read_bytes"] for run in runs.get("value", ())):
        return {"runs": runs, "write": {"error": "not tried: nothing could be downloaded"}}
    return {"runs": runs, "write": attempt(lambda: write(request["write"], parts["volumes"]))}


# --- downloading


def download(request: dict, s3_request: object) -> list:
    """Return what came of each trial and, over as many connections as were fastest, of the final run.

    It ends with the first run that brings nothing. Raises OSError where there is too little to download.
    """
    total = sum(one["bytes"] for one in request["objects"])
    if total < LEAST_BYTES:
        raise OSError(
            "%d bytes are too small to measure a speed with: at least %d are needed, in one object or several"
            % (total, LEAST_BYTES)
        )
    if any(re.search("[^!-~]", one["url"]) for one in request["objects"]):
        raise OSError("an address has characters that no address has")  # an error of http.client would repeat it
    end = time.monotonic() + request["deadline_s"]
    bundle = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE")  # botocore's order
    context = ssl.create_default_context(cafile=bundle or None)
    ranges = Ranges(request["objects"])

    def work(clock: Clock) -> Worker:
        return Worker(clock, ranges, context, s3_request)

    found = []
    for plan in [*request["trials"], request["final"]]:
        if time.monotonic() + plan["seconds"] + GRACE_S > end:
            break
        connections = plan.get("connections") or fastest(found)
        found.append(run(connections, plan, request, work))
        if not found[-1]["read_bytes"]:
            break
    return found


def fastest(runs: list) -> int:
    """Return the number of connections that brought most in its time, of equal ones the fewest."""
    return min(runs, key=lambda run: (-sum(run["batch_bytes"]) / run["batch_s"], run["connections"]))["connections"]


class Ranges:
    """Hands out ranges, object after object and round again: no byte comes twice before all came once."""

    def __init__(self, objects: list) -> None:
        self._lock = threading.Lock()
        self._each = ranges_of(objects)

    def next(self) -> tuple:
        """Return an object, and the first and the last byte to get of it."""
        with self._lock:
            return next(self._each)


def ranges_of(objects: list) -> object:
    """Yield the ranges of all objects, without an end."""
    for one in itertools.cycle(objects):
        for first in range(0, one["bytes"], PART_BYTES):
            yield one, first, min(first + PART_BYTES, one["bytes"]) - 1


def run(connections: int, plan: dict, request: dict, work: object) -> dict:
    """Download over several connections for a while. Return the bytes of each batch, and what failed how often."""
    clock = Clock(plan["seconds"], plan["dropped_s"], request["batches"], request["timeout_s"])
    workers = [work(clock) for _ in range(connections)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, clock.end + GRACE_S - time.monotonic()))
    failures = {}
    for answer in [answer for worker in workers for answer in list(worker.failures)]:
        kind = (answer.status, answer.code)
        first = {"status": answer.status, "code": answer.code, "message": answer.message, "count": 0}
        failures.setdefault(kind, first)["count"] += 1
    return {
        "connections": connections,
        "batch_s": clock.batch_s,
        "batch_bytes": [sum(of_batch) for of_batch in zip(*(worker.batch_bytes for worker in workers))],
        "read_bytes": sum(worker.read_bytes for worker in workers),
        "failures": list(failures.values()),
    }


class Clock:
    """When a run ends, and in which of its batches it is; what comes before the first, in slow start, is dropped."""

    def __init__(self, seconds: float, dropped_s: float, batches: int, timeout_s: float) -> None:
        now = time.monotonic()
        self.first = now + dropped_s
        self.end = now + seconds
        self.batches = batches
        self.batch_s = (seconds - dropped_s) / batches
        self.timeout_s = timeout_s

    def batch(self) -> int:
        """Return the number of the batch, negative before the first and too large after the last."""
        return int((time.monotonic() - self.first) // self.batch_s)

    def patience_s(self) -> float:
        """Return how long to wait for the network: never beyond the end."""
        return min(self.timeout_s, max(0.01, self.end - time.monotonic()))

    def over(self) -> bool:
        """Whether the run has ended."""
        return time.monotonic() >= self.end


class Refusal(Exception):  # noqa: N818  # what it is
    """What was answered is no part of an object."""

    def __init__(self, answer: object) -> None:
        Exception.__init__(self, answer.code)
        self.answer = answer


class Worker(threading.Thread):
    """One connection, kept open: gets range after range until the run ends. Where it dies, it opens another one."""

    def __init__(self, clock: Clock, ranges: Ranges, context: object, s3_request: object) -> None:
        threading.Thread.__init__(self)
        self.daemon = True
        self.batch_bytes = [0] * clock.batches
        self.read_bytes = 0
        self.failures = []
        self.tries = TRIES
        self._clock = clock
        self._ranges = ranges
        self._context = context
        self._s3_request = s3_request
        self._connection = None
        self._place = ("", "")
        self._pause = threading.Event()

    def run(self) -> None:
        """Get ranges."""
        while self.tries > 0 and not self._clock.over():
            one, first, last = self._ranges.next()
            place = urllib.parse.urlsplit(one["url"])
            try:
                self._get(place, one["headers"], first, last)
                self.tries = TRIES
            except Refusal as refusal:
                self._failed(refusal.answer)
            except Exception as error:
                # A wait that the end of the run cut short is nobody's failure.
                if not (self._clock.over() and self.read_bytes):
                    self._failed(self._s3_request.no_answer(error, place.netloc.rpartition("@")[2]))
        self._close()

    def _failed(self, answer: object) -> None:
        self.failures.append(answer)
        self._close()
        self.tries = 0 if answer.status // 100 == REFUSED or answer.code == "NoRanges" else self.tries - 1
        if self.tries > 0:
            self._pause.wait(min(PAUSE_S * 2 ** (TRIES - 1 - self.tries), self._clock.patience_s()))

    def _get(self, place: object, headers: dict, first: int, last: int) -> None:
        connection, target, more = self._opened(place)
        more.update(headers, Range="bytes=%d-%d" % (first, last))
        connection.request("GET", target, headers=more)
        answer = connection.getresponse()
        if answer.status != PARTIAL:
            raise Refusal(self._refused(answer))
        buffer = memoryview(bytearray(CHUNK_BYTES))
        left = last + 1 - first
        while left and not self._clock.over():
            size = answer.readinto(buffer[: min(left, CHUNK_BYTES)])
            if not size:
                raise http.client.HTTPException("%d bytes of a range were missing" % left)
            left -= size
            self._count(size)

    def _count(self, size: int) -> None:
        self.read_bytes += size
        batch = self._clock.batch()
        if 0 <= batch < len(self.batch_bytes):
            self.batch_bytes[batch] += size

    def _refused(self, answer: object) -> object:
        if answer.status == WHOLE:
            words = "the whole object is sent, whatever range is asked for"
            return self._s3_request.Answer(answer.status, {}, b"", "NoRanges", words)
        return self._s3_request.answer_of(answer.status, answer.headers, answer.read(65536))

    def _opened(self, place: object) -> tuple:
        """Return the connection to a place, what to ask it for, and with which headers."""
        via = proxy_for(place)
        target = urllib.parse.urlunsplit(("", "", place.path or "/", place.query, ""))
        headers = {}
        if via is not None and place.scheme == "http":
            target = urllib.parse.urlunsplit(("http", place.netloc, place.path, place.query, ""))
            headers = credentials_for(via)
        if self._place != place[:2]:
            self._close()
        if self._connection is None:
            self._connection = connection_to(place, via, self._clock.patience_s(), self._context)
            self._place = place[:2]
            try:
                self._connection.connect()
            except OSError as error:
                raise urllib.error.URLError(error) from error  # which tells a timeout here from a later one
        if self._connection.sock is not None:  # else it is opened again with the request
            self._connection.sock.settimeout(self._clock.patience_s())
        return self._connection, target, headers

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def proxy_for(place: object) -> object:
    """Return the proxy that the host's environment names for a place, split; None where there is none."""
    proxy = urllib.request.getproxies().get(place.scheme)
    if not proxy or urllib.request.proxy_bypass(place.netloc):
        return None
    return urllib.parse.urlsplit(proxy if "://" in proxy else "http://" + proxy)


def credentials_for(via: object) -> dict:
    """Return the header that a proxy wants where its address has a user (RFC 7617)."""
    if via.username is None:
        return {}
    pair = urllib.parse.unquote(via.username) + ":" + urllib.parse.unquote(via.password or "")
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")}


def connection_to(place: object, via: object, timeout_s: float, context: object) -> object:
    """Return a connection, not opened yet. Raises OSError for what is no http address."""
    to = via or place
    if place.scheme == "http":
        return http.client.HTTPConnection(to.hostname, to.port or 80, timeout=timeout_s)
    if place.scheme != "https":
        raise OSError("this is no http address")
    port = to.port or (80 if via else 443)
    connection = http.client.HTTPSConnection(to.hostname, port, timeout=timeout_s, context=context)
    if via:
        connection.set_tunnel(place.hostname, place.port or 443, headers=credentials_for(via))
    return connection


# --- writing


def write(plan: dict, volumes: object) -> dict:
    """Write for a while where the pipeline will, as far as space allows; past the page cache where that is possible."""
    folder = os.path.realpath(os.path.join(os.path.expanduser("~"), os.path.expanduser(plan["folder"])))
    while volumes.status_of(folder) is None or not stat.S_ISDIR(volumes.status_of(folder).st_mode):
        folder = os.path.dirname(folder)
    free_bytes = volumes.space(folder)["available_bytes"]
    blocks = min(plan["most_bytes"], int(free_bytes * plan["share"])) // BLOCK_BYTES
    if blocks < plan["batches"]:
        raise OSError("%d free bytes are too few to measure how fast %s can be written" % (free_bytes, folder))
    block = mmap.mmap(-1, BLOCK_BYTES)  # aligned, as O_DIRECT wants it
    block.write(os.urandom(BLOCK_BYTES))  # what a volume cannot pack
    opened = nameless(folder)
    try:
        direct, ends = True, fill(opened, block, blocks, plan["seconds"], direct=True)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which says that this file system has no O_DIRECT
            raise
        direct, ends = False, fill(opened, block, blocks, plan["seconds"], direct=False)
    finally:
        os.close(opened)
    return {"folder": folder, "direct": direct, "batches": batches_of(ends, plan["batches"])}


def nameless(folder: str) -> int:
    """Open a new file without a name. Where the file system cannot have one, it loses its name at once."""
    try:
        return os.open(folder, os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE, 0o600)
    except OSError:
        name = os.path.join(folder, ".pipeline-gate-%d-%s" % (os.getpid(), os.urandom(6).hex()))
        opened = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o600)
        os.unlink(name)
        return opened


def fill(opened: int, block: object, blocks: int, seconds: float, *, direct: bool) -> list:
    """Write blocks until the time is over, two at least. Return when it began, and when each was on the volume."""
    # Not while opening: where that fails for O_DIRECT, the file is there all the same.
    fcntl.fcntl(opened, fcntl.F_SETFL, os.O_DIRECT if direct else 0)
    ends = [time.monotonic()]
    end = ends[0] + seconds
    for number in range(blocks):
        size = os.pwrite(opened, block, number * BLOCK_BYTES)
        if size != BLOCK_BYTES:
            raise OSError(errno.EIO, "only %d of %d bytes were written" % (size, BLOCK_BYTES))
        if not direct:
            os.fdatasync(opened)
        ends.append(time.monotonic())
        if ends[-1] > end and number:
            break
    return ends


def batches_of(ends: list, most: int) -> list:
    """Return batches of equally many blocks, and how long each took. What is over at the beginning is dropped."""
    count = min(most, len(ends) - 1)
    size = (len(ends) - 1) // count
    marks = ends[len(ends) - 1 - count * size :: size]
    return [{"bytes": size * BLOCK_BYTES, "seconds": late - early} for early, late in zip(marks, marks[1:])]
