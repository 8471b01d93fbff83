"""Everything that is configured, as one frozen value. Where it comes from is `settings.sources`."""

# No `from __future__ import annotations`: pydantic evaluates the annotations of fields.
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from pytest_pipeline.settings.data import Data
from pytest_pipeline.settings.tables import Aws, Host, Pipeline, Requirements, Rows, Step, Table, Waiver
from pytest_pipeline.settings.values import ContradictionError, Identity, Listed


class Settings(Table):
    """Everything that is configured, from all sources."""

    aws: Aws = Field(default_factory=Aws, description="The account, and the buckets.")
    host: Host = Field(default_factory=Host, description="The machine that trains.")
    requirements: Requirements = Field(default_factory=Requirements, description="What the pipeline needs of it.")
    data: Data = Field(default_factory=Data, description="The data: its sources, and what training reads.")
    pipeline: Pipeline = Field(default_factory=Pipeline, description="The pipeline itself.")
    rows: Rows = Field(default_factory=Rows, description="Standing statements about rows.")
    waivers: Listed[Waiver] = Field(default=(), description="Rows that are not looked at for a while.")
    world: Literal["target", "sandbox"] = Field(default="target", description="Follows `--sandbox`; not to be set.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self._check_rows()
        for path, disk in self.requirements.disk.items():
            if "tmpfs" in disk.kinds and self.world != "sandbox":
                raise ContradictionError(
                    "allows tmpfs, which stands for a volume in the sandbox only; remove it",
                    at=("requirements", "disk", path, "kinds"),
                )
        if len({*self.host.instance_ids}) > 1 and (self.host.address or self.host.connection == "local"):
            one = "one address" if self.host.address else "the local machine"
            raise ContradictionError(
                f"names several instances for {one}; leave the address to EC2, or name one instance",
                at=("host", "instance_ids"),
            )
        names = {context.name for context in self.host.contexts}
        for path, context in self.requirements.entry_points.items():
            if context not in names:
                raise ContradictionError(
                    f"names the context {context!r}, which host.contexts does not have; correct one of them",
                    at=("requirements", "entry_points", path),
                )
        self._check_producer()
        user: Identity = "host" if self.host.configured else "operator"
        for index, bucket in enumerate(self.aws.buckets):
            if "host" in bucket.from_ and self.host.kind == "none":
                raise ContradictionError(
                    "names the host, but host.kind is 'none'; correct one of them",
                    at=("aws", "buckets", index, "from"),
                )
        buckets = tuple(
            bucket if bucket.from_ else bucket.model_copy(update={"from_": (user,)}) for bucket in self.aws.buckets
        )
        object.__setattr__(self, "aws", self.aws.model_copy(update={"buckets": buckets}))
        return self

    def _check_rows(self) -> None:
        waived = [waiver.row for waiver in self.waivers]
        for index, row in enumerate(waived):
            if row in waived[:index]:
                raise ContradictionError(f"waives {row!r} for the second time; remove one", at=("waivers", index))
            if row in self.rows.not_applicable:
                raise ContradictionError(
                    f"waives {row!r}, which rows.not_applicable says has no object here; remove one",
                    at=("waivers", index),
                )

    def _check_producer(self) -> None:
        name, producer = self.data.produced_by, self.producer
        if name is None:
            return
        if producer is None:
            raise ContradictionError(
                f"names the step {name!r}, which pipeline.steps does not have; correct one of them",
                at=("data", "produced_by"),
            )
        if not producer.outputs:
            raise ContradictionError(
                f"names the step {name!r}, whose outputs nobody knows; add them to the step",
                at=("data", "produced_by"),
            )

    @property
    def producer(self) -> Step | None:
        """The step that makes the data, where `data.produced_by` names one."""
        return next((step for step in self.pipeline.steps if step.name == self.data.produced_by), None)

    @property
    def sha256(self) -> str:
        """The digest of all settings but the secrets: equal settings have the same in every process."""
        canonical = json.dumps(_builtins(self, reveal=False), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_wire(self) -> dict[str, Any]:
        """Return the settings as JSON builtins, secrets revealed: for the hand-over to workers and for nothing else."""
        wire: dict[str, Any] = _builtins(self, reveal=True)
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read what `to_wire` wrote."""
        return cls.model_validate(wire)


def _builtins(value: object, *, reveal: bool) -> Any:
    match value:
        case Table():
            fields = type(value).model_fields.items()
            return {
                field.serialization_alias or name: _builtins(getattr(value, name), reveal=reveal)
                for name, field in fields
            }
        case SecretStr():
            return value.get_secret_value() if reveal else None
        case Path():
            return str(value)
        case date():
            return value.isoformat()
        case str():
            return value
        case Mapping():
            return {key: _builtins(entry, reveal=reveal) for key, entry in value.items()}
        case Sequence():
            return [_builtins(entry, reveal=reveal) for entry in value]
    return value


def missing(settings: Settings, *paths: str) -> tuple[str, ...]:
    """Return those of the settings, given as dotted names such as `aws.buckets`, that are not configured.

    A row that needs one of them is blocked by the cause `settings`. Raises AttributeError where no such setting exists.
    """
    return tuple(path for path in paths if _is_absent(_setting(settings, path)))


def _setting(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, (str, Sequence, Mapping)) and not value)
