"""What is asked of a host in one round trip, and the program that is sent there to find it out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from json import dumps
from typing import Any

_PACKAGE = "pytest_pipeline"
_MODEL_PARTS = (
    "imposters", "safetensors", "model_code", "model_place", "model_shapes", "model_tokenizer", "model_vocabulary",
    "model_weights",
)  # fmt: skip
_CONTEXT_PARTS = (
    "frame", "interpreter", "distributions", "imports", "context", "entry_points", "deployed", "script_syntax",
)  # fmt: skip
_ANOTHER_ENDS_S = 5.0  # a holder that was let go may need on a busy host
_SHARE = 0.9  # of its own deadline a probe may use, so that its answer comes before the frame's


def _gate_key(prefix: str) -> str:
    return f"{prefix}{'' if prefix.endswith('/') or not prefix else '/'}.pipeline-gate/write-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRequest:
    """A path that the pipeline writes, as the settings name it (`~` is the host's), and what there is to reuse."""

    path: str
    reuse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRequest:
    """A bucket as the host uses it: prefixes it reads and writes, and what its policy demands of a request.

    `actions` are further ones that the pipeline needs; with "s3:DeleteObject" the test object is deleted again.
    """

    name: str
    region: str = ""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    probe_key: str = ""
    request_payer: bool = False
    kms_key: str = ""

    @property
    def written_key(self) -> str:
        """The one key that writing is tried with, overwritten each time."""
        return self.probe_key or (_gate_key(self.write[0]) if self.write else "")

    @property
    def written_prefixes(self) -> tuple[str, ...]:
        """The prefixes to prove, and that of the key where it lies under none of them."""
        if not self.write or any(self.written_key.startswith(prefix) for prefix in self.write):
            return self.write
        return (*self.write, self.written_key.rpartition("/")[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Request:
    """The buckets to try with the host's own credentials.

    `network_credentials` allows it to ask the container's endpoint and the instance metadata service for them.
    """

    buckets: tuple[BucketRequest, ...]
    endpoint_url: str = ""
    region: str = ""
    profile: str = ""
    network_credentials: bool = True
    metadata_address: str = ""
    timeout_s: float = 5.0
    attempts: int = 3

    @property
    def asked_to_read(self) -> tuple[tuple[str, str], ...]:
        """Each bucket and prefix that an answer of reading must come for."""
        return tuple((bucket.name, prefix) for bucket in self.buckets for prefix in bucket.read)

    @property
    def asked_to_write(self) -> tuple[tuple[str, str], ...]:
        """Each bucket and prefix that an answer of writing must come for."""
        return tuple((bucket.name, prefix) for bucket in self.buckets for prefix in bucket.written_prefixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRequest:
    """A shell of the pipeline, and what is to be tried in it. `packages` are requirements as pip takes them."""

    name: str
    shell: str = "non-login"
    setup: str = ""
    python: str = "python3"
    wrap: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = ()
    precision: str = "fp32"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRequest:
    """What is to be known of the machine: names to resolve, components (name to pattern), lock files.

    `credentials` asks how long those last that the host would use for AWS; `network_credentials` as in `S3Request`.
    `metadata` asks the instance metadata service for notices, such as that of a spot interruption. `units` asks which
    limits systemd gives a unit.
    """

    names: tuple[str, ...] = ()
    components: dict[str, str] = field(default_factory=dict)
    locks: tuple[str, ...] = ()
    credentials: bool = False
    network_credentials: bool = False
    metadata: bool = False
    units: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRequest:
    """All that one round trip is to bring.

    `imports_s` is how long the imports of a context may take, beyond the deadline of everything else. `metadata` asks
    the instance metadata service which instance it is; never in the sandbox, where a machine of ours would answer.
    `write_test` writes, syncs, reads back and removes 1 MiB at each path.
    """

    volumes: tuple[VolumeRequest, ...] = ()
    s3: S3Request | None = None
    contexts: tuple[ContextRequest, ...] = ()
    imports_s: float = 90.0
    model: str = ""
    system: SystemRequest = field(default_factory=SystemRequest)
    write_test: bool = True
    metadata: bool = False
    metadata_address: str = ""


def facts_program(request: HostRequest, nonce: str, deadline_s: float) -> bytes:
    """Return the program that reads facts, without effects beyond the write test's file."""
    own_s = deadline_s * _SHARE
    probes: dict[str, Any] = {
        "host": {"metadata": request.metadata, "metadata_address": request.metadata_address},
        "volumes": {
            "volumes": [asdict(volume) for volume in request.volumes],
            "write_test": request.write_test,
            "deadline_s": own_s,
        },
    }
    probes["gpus"] = {"deadline_s": own_s, "nonce": nonce}
    probes["kernel_log"] = {"deadline_s": own_s}
    probes["system"] = {
        **asdict(request.system),
        "metadata_address": request.metadata_address,
        "nonce": nonce,
        "deadline_s": own_s,
    }
    parts = ["metadata", "quotas", "disks", "reboot", "host", "volumes", "program", "gpus", "kernel_log"]
    parts += ["processes", "locks", "s3_credentials", "lifetime", "system"]
    if request.contexts:
        probes["contexts"] = {
            "contexts": [asdict(context) for context in request.contexts],
            "nonce": nonce,
            "imports_s": request.imports_s,
            "sources": _sources(_CONTEXT_PARTS),  # as text: they run in each context's own interpreter
            "deadline_s": own_s,
        }
        parts += ["contexts"]
    if request.model:
        probes["model"] = {"path": request.model, "deadline_s": own_s}
        parts += [*_MODEL_PARTS, "model"]
    if request.s3 is not None:
        probes["s3"] = _s3(request.s3, nonce, own_s, effects=False)
        parts += ["s3_credentials", "s3_request", "s3"]
    # A context's imports may take minutes on a cold host; nothing else is waited for so long.
    return program_of(probes, parts, nonce, deadline_s, {"contexts": request.imports_s + own_s})


def writes_program(request: S3Request, nonce: str, deadline_s: float) -> bytes:
    """Return the program that tries to write to S3."""
    probes = {"s3": _s3(request, nonce, deadline_s * _SHARE, effects=True)}
    return program_of(probes, ["metadata", "s3_credentials", "s3_request", "s3"], nonce, deadline_s)


def company_program(request: SystemRequest, nonce: str, deadline_s: float, *, hold_s: float) -> bytes:
    """Return the program that takes the host's lock, looks who else is there, and holds it while its input is open."""
    own_s = deadline_s * _SHARE
    probes = {
        "interlock": {"wait_s": _ANOTHER_ENDS_S},
        "gpus": {"deadline_s": own_s, "nonce": nonce},
        "system": {**asdict(request), "metadata_address": "", "nonce": nonce, "deadline_s": own_s},
    }
    parts = ["program", "gpus", "processes", "locks", "system", "interlock"]
    return program_of(probes, parts, nonce, deadline_s, hold_s=hold_s)


def _s3(request: S3Request, nonce: str, deadline_s: float, *, effects: bool) -> dict[str, Any]:
    asked = asdict(request)
    asked["buckets"] = [_bucket(bucket) for bucket in request.buckets]
    return {**asked, "effects": effects, "nonce": nonce, "deadline_s": deadline_s}


def _bucket(bucket: BucketRequest) -> dict[str, Any]:
    home = next((prefix for prefix in bucket.written_prefixes if bucket.written_key.startswith(prefix)), "")
    writes = [
        {"prefix": prefix, "key": bucket.written_key if prefix == home else _gate_key(prefix), "whole": prefix == home}
        for prefix in bucket.written_prefixes
    ]
    deletes = not {"s3:DeleteObject", "s3:*", "*"}.isdisjoint(bucket.actions)
    return {
        "name": bucket.name,
        "region": bucket.region,
        "reads": [{"prefix": prefix} for prefix in bucket.read],
        "writes": writes,
        "deletes": deletes,
        "request_payer": bucket.request_payer,
        "kms_key": bucket.kms_key,
    }


def program_of(
    probes: dict[str, Any],
    parts: list[str],
    nonce: str,
    deadline_s: float,
    deadlines: dict[str, float] | None = None,
    *,
    hold_s: float = 0.0,
) -> bytes:
    """Return the program that runs probes, each with what it is asked; `parts` are theirs and what they need."""
    sources = _sources(parts)
    request = dumps({"probes": probes, "deadline_s": deadline_s, "deadlines": deadlines or {}})
    frame = _sources(["frame"])["frame"]
    # ASCII throughout: the far side's locale is one of the things that may be wrong.
    return f"{frame}\n\nmain({nonce!a}, {request!a}, {dumps(sources)!a}, {hold_s!r})\n".encode("ascii")


def _sources(parts: Iterable[str]) -> dict[str, str]:
    folder = files(_PACKAGE) / "probes"
    return {name: (folder / f"{name}.py").read_text(encoding="utf-8") for name in parts}
