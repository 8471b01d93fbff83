"""Who may do what in the sandbox's AWS: identities, and the statements of their policies.

moto evaluates policies too, but not as AWS does: HeadBucket and prefixes are not judged, and the words differ. So moto
checks that keys exist and that signatures are right, and what an identity may do is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_pipeline.sandbox.aws_call import Call


class Verdict(Enum):
    """What the policies of an identity say of a call."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"  # no statement allows it
    DENIED = "denied"  # a statement denies it in so many words


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement of a policy: `*` and `?` as in IAM. `prefixes` is the condition on `s3:prefix`, empty for none."""

    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    prefixes: tuple[str, ...] = ()
    tally: Tally = field(default_factory=Tally, compare=False)

    def covers(self, call: Call) -> bool:
        """Whether the statement speaks of this call."""
        return (
            _matches(call.action, self.actions)
            and _matches(call.resource, self.resources)
            and (not self.prefixes or _matches(call.prefix, self.prefixes))
        )


@dataclass(kw_only=True)
class Identity:
    """A user or an assumed role of one tenant, as its requests are judged."""

    arn: str
    account: str
    access_key: str
    secret_key: str
    session_token: str = ""
    allow: list[Statement] = field(default_factory=list)
    deny: list[Statement] = field(default_factory=list)
    withhold: list[Statement] = field(default_factory=list)
    expired: Tally | None = None
    clock_offset_s: float = 0.0
    skewed: Tally = field(default_factory=Tally)

    def judge(self, call: Call) -> Verdict:
        """Say whether the identity may do this, and count what a fault took away from it."""
        for statements, verdict in ((self.deny, Verdict.DENIED), (self.withhold, Verdict.NOT_ALLOWED)):
            for statement in statements:
                if statement.covers(call):
                    statement.tally.hit()
                    return verdict
        return Verdict.ALLOWED if any(s.covers(call) for s in self.allow) else Verdict.NOT_ALLOWED


def _matches(text: str, patterns: Iterable[str]) -> bool:
    # IAM knows no character classes, and fnmatch does.
    return any(fnmatchcase(text, pattern.replace("[", "[[]")) for pattern in patterns)
