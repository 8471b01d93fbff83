"""What a fault and a variant are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_pipeline.outcome import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

Kind = Literal["gross", "subtle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An injectable failure and the row that must catch it.

    `expect` is what the row becomes, and `words` stand in its diagnostic or warning. `also` are other rows that rightly
    see it. `inject` edits a tenant's plan and returns what counts how often the fault was felt, or None where nothing
    in the sandbox can tell: a file that only the client reads, a port where nobody listens.
    """

    id: str
    row: str
    kind: Kind
    words: str
    summary: str
    inject: Callable[[TenantPlan], Tally | None]
    expect: Status = Status.FAILED
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A world that is odd and healthy: no row may raise an alarm in it. `left_out` rows have no object there."""

    id: str
    summary: str
    inject: Callable[[TenantPlan], Tally | None]
    left_out: tuple[str, ...] = ()
