"""The tables of the settings: closed, typed, frozen.

Each field's description is its line in docs/configuration.md. Units stand in names; `_gb` is 10^9 bytes, `_s` seconds.
Lists and tables are typed read-only: settings are read once and never change.
"""

# No `from __future__ import annotations`: pydantic evaluates the annotations of fields.
import re
from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pytest_pipeline.settings.values import (
    AccountId,
    Argument,
    BucketName,
    Command,
    ContradictionError,
    Day,
    HostPath,
    Identity,
    Listed,
    LocalPath,
    PackageRequirement,
    Prefix,
    RowId,
    S3Uri,
    Seconds,
    Specifier,
    Text,
    Url,
    VariableName,
    VolumeKind,
)


class Table(BaseModel):
    """A closed table: an unknown key is an error, and so is a value of another type."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Bucket(Table):
    """A bucket of the pipeline: who uses which part of it, and how."""

    name: BucketName = Field(description="Its name alone, without `s3://`.")
    region: Text | None = Field(default=None, description="Its region, where that is not `aws.region`.")
    from_: Listed[Identity] = Field(
        default=(),
        min_length=1,
        validation_alias="from",
        serialization_alias="from",
        description="Whose credentials must be able to: `operator` (who runs the gate), `host`, or both. "
        "Left out: the host where one is configured, else the operator.",
    )
    read: Listed[Prefix] = Field(default=(), description='Prefixes the pipeline reads; `""` is the whole bucket.')
    write: Listed[Prefix] = Field(default=(), description='Prefixes the pipeline writes; `""` is the whole bucket.')
    actions: Listed[Text] = Field(
        default=(), description="Further IAM actions the pipeline needs here; `s3:DeleteObject` if it deletes."
    )
    probe_key: Text | None = Field(
        default=None,
        description="The one key that the write test overwrites. "
        "Left out: `.pipeline-gate/write-test` under the first write prefix.",
    )
    request_payer: bool = Field(default=False, description="Whether the requester pays.")
    kms_key: Text | None = Field(default=None, description="The KMS key (id, alias or ARN) that objects are under.")

    @model_validator(mode="after")
    def _settle(self) -> Self:
        if not (self.read or self.write or self.actions):
            raise ContradictionError(
                'says nothing to look at; give read, write or actions (read = [""] is the whole bucket)', at=()
            )
        if self.probe_key is None and self.write:
            # With '/' it lies under what policies allow for `runs` (runs/*) and for `models/mistral-` alike.
            first = self.write[0]
            folder = first if first.endswith("/") or not first else f"{first}/"
            object.__setattr__(self, "probe_key", f"{folder}.pipeline-gate/write-test")
        return self


class Aws(Table):
    """The account that the pipeline lives in, and how patient to be with it."""

    account: AccountId | None = Field(default=None, description="The account that credentials must belong to.")
    region: Text | None = Field(default=None, description="The region of the instances, and of buckets that name none.")
    profile: Text | None = Field(default=None, description="The operator's profile in the AWS configuration files.")
    endpoint_url: Url | None = Field(default=None, description="One endpoint for all services, instead of AWS's own.")
    credentials_file: LocalPath | None = Field(
        default=None,
        description="A credentials file. With it or `config_file`, these files alone are the source of credentials: "
        "environment, container and instance metadata are not asked.",
    )
    config_file: LocalPath | None = Field(default=None, description="An AWS config file; see `credentials_file`.")
    connect_timeout_s: Seconds = Field(default=3.0, description="How long connecting to AWS may take.")
    read_timeout_s: Seconds = Field(default=5.0, description="How long AWS may be silent.")
    attempts: int = Field(default=3, ge=1, description="How often a request is tried in all.")
    buckets: Listed[Bucket] = Field(default=(), description="The buckets of the pipeline.")


class Context(Table):
    """A shell that the pipeline really uses on the host; the interpreter is read in each."""

    name: Text = Field(description="What reports call it.")
    shell: Literal["login", "non-login", "systemd"] = Field(
        default="login", description="What starts it, which decides the start-up files that it reads."
    )
    setup: str = Field(default="", description="What runs first in it, such as `source /opt/pytorch/bin/activate`.")
    python: Text = Field(
        default="python3", description="The interpreter that the pipeline calls in it: a name on its PATH, or a path."
    )
    wrap: Listed[str] = Field(
        default=(), description="The argv in front of each command, such as `docker run --rm --gpus all IMAGE`."
    )
    environment: Mapping[VariableName, str] = Field(default_factory=dict, description="Variables that are set in it.")


class Host(Table):
    """The machine that trains, and how to reach it."""

    kind: Literal["ec2", "other", "none"] = Field(
        default="ec2", description="What it is. Rows about EC2, or about any host, are not applicable elsewhere."
    )
    connection: Literal["fabric", "openssh", "local"] = Field(
        default="fabric",
        description="`fabric`; `openssh`: your own ssh with all it can do; `local`: the gate runs on the host.",
    )
    instance_ids: Listed[Text] = Field(default=(), description="EC2 instance ids. Option: `--instance-id`.")
    address: Text | None = Field(
        default=None, description="Address, or name in ssh_config; left out: EC2 is asked. Option: `--instance-ip`."
    )
    user: Text = Field(default="ubuntu", description="Who trains there.")
    port: int = Field(default=22, ge=1, le=65535, description="The port of its SSH server.")
    key: LocalPath | None = Field(
        default=None, description="The private key file; left out: agent and ssh_config decide. Option: `--ssh-key`."
    )
    known_hosts: LocalPath | None = Field(
        default=None, description="Left out: `~/.ssh/known_hosts` and the system's file."
    )
    ssh_config: LocalPath | None = Field(default=None, description="Left out: `~/.ssh/config`.")
    host_key_alias: Text | None = Field(
        default=None, description="The name that its host key is known under, if that is not its address."
    )
    accept_new_host_key: bool = Field(
        default=False, description="Whether an unknown host key is accepted. A changed one never is."
    )
    connect_timeout_s: Seconds = Field(default=5.0, description="How long connecting may take.")
    command_timeout_s: Seconds = Field(default=30.0, description="How long a command on the host may take.")
    import_timeout_s: Seconds = Field(
        default=90.0,
        description="How long the imports of a context may take together; a cold host reads gigabytes for the first.",
    )
    share: bool = Field(
        default=False,
        description="Whether rows that load the host may run although somebody else works on it. Option: "
        "`--share-host`.",
    )
    secrets: Listed[VariableName] = Field(
        default=(),
        description="Names of environment variables whose values are secret: passed on, never shown. "
        "A value shorter than 4 characters cannot be kept out of output.",
    )
    instance_type: Text | None = Field(default=None, description="The instance type that it must be.")
    contexts: Listed[Context] = Field(default=(), description="The shells that the pipeline uses.")

    @property
    def configured(self) -> bool:
        """Whether there is a host to look at."""
        return self.kind != "none" and bool(self.instance_ids or self.address or self.connection == "local")

    @property
    def used_contexts(self) -> tuple[Context, ...]:
        """The shells that the pipeline uses; where none is configured, that of a plain `ssh HOST COMMAND`."""
        return tuple(self.contexts) or (Context(name="default", shell="non-login"),)  # noqa: S604  # a kind of shell

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.instance_ids and self.kind != "ec2":
            raise ContradictionError(
                f"names EC2 instances, but host.kind is {self.kind!r}; correct one of them", at=("instance_ids",)
            )
        names = [context.name for context in self.contexts]
        for index, context in enumerate(self.contexts):
            if context.name in names[:index]:
                raise ContradictionError(
                    f"is the second context named {context.name!r}; rename one", at=("contexts", index)
                )
            for name in context.environment:
                if name in self.secrets:
                    raise ContradictionError(
                        "writes down a value that host.secrets calls secret; remove it: the environment has it",
                        at=("contexts", index, "environment", name),
                    )
        return self


class Disk(Table):
    """What a path on the host must offer before a fresh run."""

    free_gb: float = Field(ge=0, description="10^9 bytes that must be free before a fresh run, nothing there yet.")
    inodes: int = Field(default=1000, ge=0, description="Files that it must be possible to create.")
    kinds: Listed[VolumeKind] = Field(
        default=(),
        description="What may be mounted there; `tmpfs` in the sandbox only. Left out: no mount of its own is needed.",
    )
    survives_reboot: bool = Field(default=False, description="Whether the mount must come back after a reboot.")
    reuse: Listed[HostPath] = Field(
        default=(), description="Paths below it whose present size counts as already there: a downloaded model."
    )


class Model(Table):
    """The base model that is fine-tuned."""

    name: Text = Field(description="What reports call it.")
    path: HostPath = Field(description="Where it lies on the host.")
    source: Text | None = Field(
        default=None,
        description="The `s3://` URI that it is fetched from; for the fix, and to measure a download with.",
    )


class Requirements(Table):
    """What the pipeline needs of its host."""

    disk: Mapping[HostPath, Disk] = Field(default_factory=dict, description="Per path that the pipeline writes to.")
    python: Specifier | None = Field(default=None, description="Versions of Python that will do.")
    torch: Specifier | None = Field(default=None, description="Releases of PyTorch that will do, without `+cu121`.")
    torch_cuda: Specifier | None = Field(default=None, description="CUDA versions that PyTorch may be built for.")
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        default="fp32", description="What the training computes in; the GPU's trial multiplication uses it."
    )
    gpu_memory_gb: float | None = Field(default=None, gt=0, description="10^9 bytes that each used GPU must have.")
    gpus: int | None = Field(
        default=None, ge=1, description="How many of the GPUs that a context sees are used; left out: all."
    )
    ram_gb: float | None = Field(default=None, gt=0, description="10^9 bytes of main memory that must be available.")
    shm_gb: float = Field(default=1.0, ge=0, description="10^9 bytes that `/dev/shm` must have: data loaders use it.")
    open_files: int = Field(default=1024, ge=1, description="Files that a process must be able to open (`ulimit -n`).")
    processes: int = Field(default=2048, ge=1, description="Processes the user must be able to have (`ulimit -u`).")
    run_hours: float | None = Field(
        default=None, gt=0, description="How long a whole run is planned to take; credentials must outlive it."
    )
    names: Listed[Text] = Field(
        default=(), description="Host names that the host must be able to resolve, beside those of AWS."
    )
    packages: Listed[PackageRequirement] = Field(
        default=(), description="Packages that must be installed, as pip takes them."
    )
    model: Model | None = Field(default=None, description="The base model that must be there.")
    pins: Listed[LocalPath] = Field(
        default=(), description="Requirement files and setup scripts, on this machine, whose pins must agree."
    )
    entry_points: Mapping[HostPath, Text] = Field(
        default_factory=dict, description="Deployed scripts that the pipeline starts, and the context of each."
    )

    @model_validator(mode="after")
    def _reuse_lies_below(self) -> Self:
        for path, disk in self.disk.items():
            for index, reuse in enumerate(disk.reuse):
                if not reuse.startswith(path.rstrip("/") + "/"):
                    raise ContradictionError(
                        f"is {reuse!r}, which does not lie below {path!r}; correct the path",
                        at=("disk", path, "reuse", index),
                    )
        return self


class Component(Table):
    """A long-lived process of the pipeline, wherever it was born."""

    name: Text = Field(description="What reports call it.")
    where: Literal["host", "local"] = Field(default="host", description="Where it runs.")
    match: Text = Field(
        description="A regular expression that its command line matches; `{run_id}` stands for any run's."
    )

    @field_validator("match")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text.replace("{run_id}", "x"))
        except re.error as error:
            raise ValueError(f"must be a regular expression ({error})") from None
        return text


class Output(Table):
    """What a step makes."""

    uri: S3Uri = Field(description="The object, or with `/` at its end the folder of objects.")
    min_records: int = Field(
        default=1, ge=0, description="The fewest valid records a quick run makes of it; 0: it is no JSON lines."
    )


class Step(Table):
    """A step of the pipeline: a program that ends when its work is done."""

    name: Text = Field(description="What reports call it.")
    command: Command = Field(
        description="A command line for bash, or a list of a program and its arguments. `{run_id}`, `{step}`, "
        "`{workdir}` and `{region}` stand for what they say; `{bucket}` and `{prefix}` are those of the first output."
    )
    quick: Listed[Argument] = Field(
        default=(), description="Further arguments of a quick run, such as `--limit 100`; what it makes is judged."
    )
    timeout_s: Seconds = Field(default=300.0, description="How long a quick run may take.")
    settle_s: float = Field(default=1.0, ge=0, description="How long what it has started may outlive it.")
    grace_s: float = Field(default=5.0, ge=0, description="How long its processes have to end when they are told to.")
    environment: Mapping[VariableName, Argument] = Field(
        default_factory=dict, description="Variables that it is given."
    )
    outputs: Listed[Output] = Field(default=(), description="What it makes in S3.")
    speed: Text = Field(
        default=r"Processed (?P<records>[\d,]+) records in (?P<seconds>[\d.]+) s",
        description="A regular expression with groups `records` and `seconds`, for the line of its output that says "
        "how fast it was; the last such line counts.",
    )

    @field_validator("speed")
    @classmethod
    def _has_both_groups(cls, text: str) -> str:
        try:
            groups = re.compile(text).groupindex
        except re.error as error:
            raise ValueError(f"must be a regular expression ({error})") from None
        if not {"records", "seconds"} <= groups.keys():
            raise ValueError("must have the groups (?P<records>...) and (?P<seconds>...)")
        return text

    def makes(self, uri: str) -> bool:
        """Whether this is one of its outputs, or lies in one."""
        return any(
            uri == output.uri or (output.uri.endswith("/") and uri.startswith(output.uri)) for output in self.outputs
        )


class Pipeline(Table):
    """The pipeline itself."""

    components: Listed[Component] = Field(default=(), description="Its long-lived processes.")
    locks: Listed[HostPath] = Field(default=(), description="Files on the host that a running pipeline locks or makes.")
    workdir: LocalPath | None = Field(
        default=None, description="The folder on this machine that steps run in; a quick run runs in a copy of it."
    )
    exclude: Listed[Text] = Field(
        default=(), description="Patterns of what is left out of that copy, beside histories and secrets: `*.bin`."
    )
    steps: Listed[Step] = Field(default=(), description="Its steps, in their order.")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [step.name for step in self.steps]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ContradictionError(f"is the second step named {name!r}; rename one", at=("steps", index))
        return self


class Rows(Table):
    """Standing statements about rows of the matrix."""

    severity: Mapping[RowId, Literal["critical", "major"]] = Field(
        default_factory=dict, description="What a row that is not right does to the verdict, by row id."
    )
    not_applicable: Mapping[RowId, Text] = Field(
        default_factory=dict, description="Rows that have no object in this pipeline: row id to reason."
    )


class Waiver(Table):
    """A named person's decision not to look at a row for a while."""

    row: RowId = Field(description="The row's id.")
    owner: Text = Field(description="Who decided.")
    reason: Text = Field(description="Why.")
    expires: Day = Field(description="The last day (UTC) on which it holds.")

    def expired(self, today: date) -> bool:
        """Whether it no longer holds on this day (UTC)."""
        return today > self.expires
