"""All that is looked at beyond the form of records, in one pass over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_pipeline.data import columns, draw, encoding_damage, secrets
from pytest_pipeline.data.columns import Columns
from pytest_pipeline.data.draw import Draw
from pytest_pipeline.data.encoding_damage import EncodingDamage
from pytest_pipeline.data.records import records_of
from pytest_pipeline.data.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.spans import Span
    from pytest_pipeline.data.spec import RecordSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen of records: of one span, of several, of all."""

    columns: Columns = field(default_factory=Columns)
    draw: Draw = field(default_factory=Draw)
    damage: EncodingDamage = field(default_factory=EncodingDamage)
    secrets: Secrets = field(default_factory=Secrets)


def examine(span: Span, spec: RecordSpec, opener: Opener | None = None) -> Examination:
    """Return what is seen of the records that start in a span, in memory that does not grow with it.

    Raises as `validate` does.
    """
    seen = Examination()
    for records in records_of(span, spec, opener):
        block = Examination(
            columns=columns.look(records),
            draw=draw.look(records, spec, seen.draw),
            damage=encoding_damage.look(records),
            secrets=secrets.look(records),
        )
        # The draw goes on from the one before it.
        seen = merge((replace(seen, draw=Draw()), block))
    return seen


def merge(parts: Iterable[Examination]) -> Examination:
    """Return what was seen in all parts, in whatever order; a span may be among them only once."""
    told = list(parts)
    return Examination(
        columns=columns.merge(part.columns for part in told),
        draw=draw.merge(part.draw for part in told),
        damage=encoding_damage.merge(part.damage for part in told),
        secrets=secrets.merge(part.secrets for part in told),
    )
