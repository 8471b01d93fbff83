"""Rules that make the sandbox's AWS behave badly, for the calls of one tenant only."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.aws_answer import Answer, denied, error
from pytest_pipeline.sandbox.aws_link import Link
from pytest_pipeline.sandbox.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.aws_call import Call
    from pytest_pipeline.sandbox.aws_identity import Identity

    Forward = Callable[[], Answer]
    Effect = Callable[[Call, Identity, Forward], Answer]


class NoAnswer(Exception):  # noqa: N818  # it is what happens to a client, not an error of ours
    """The client of this call gets no answer until it gives up."""


class Cut(Exception):  # noqa: N818  # likewise
    """The connection of this call is reset."""


@dataclass(slots=True, kw_only=True)
class Rule:
    """What happens to calls of these actions on these resources, the first `times` of them (None: always).

    `identities` are access keys, empty for everybody of the tenant. Each call it takes is counted in `tally`.
    """

    actions: tuple[str, ...]
    effect: Effect
    resources: tuple[str, ...] = ("*",)
    methods: tuple[str, ...] = ()
    parameter: str = ""
    identities: tuple[str, ...] = ()
    times: int | None = None
    tally: Tally = field(default_factory=Tally)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, call: Call) -> bool:
        """Whether this call is the rule's; if so it is counted."""
        if not (
            any(fnmatchcase(call.action, action) for action in self.actions)
            and any(fnmatchcase(call.resource, resource) for resource in self.resources)
            and (not self.methods or call.method in self.methods)
            and (not self.parameter or self.parameter in call.parameters)
            and (not self.identities or call.access_key in self.identities)
        ):
            return False
        with self._lock:
            if self.times is not None:
                if self.times == 0:
                    return False
                self.times -= 1
        self.tally.hit()
        return True


def watched(_call: Call, _identity: Identity, forward: Forward) -> Answer:
    """Change nothing: the fault lies in the world, and the rule only counts who looked at it."""
    return forward()


def never(_call: Call, _identity: Identity, _forward: Forward) -> Answer:
    """Never answer."""
    raise NoAnswer


def cut(_call: Call, _identity: Identity, _forward: Forward) -> Answer:
    """Reset the connection."""
    raise Cut


def fails(status: int, code: str, message: str, **more: str) -> Effect:
    """Answer with this error."""

    def effect(call: Call, _identity: Identity, _forward: Forward) -> Answer:
        return error(call, status, code, message, **more)

    return effect


def lacks(action: str, resource: str) -> Effect:
    """Refuse for want of another permission than the one called for, such as `kms:Decrypt`."""

    def effect(call: Call, identity: Identity, _forward: Forward) -> Answer:
        return denied(call, identity.arn, action=action, resource=resource)

    return effect


def says(status: int, body: bytes, content_type: str) -> Effect:
    """Answer with this text, whoever asks: a proxy, a captive portal."""

    def effect(_call: Call, _identity: Identity, _forward: Forward) -> Answer:
        return Answer(status=status, headers=(("Content-Type", content_type),), body=body)

    return effect


def paced(bytes_s: float) -> Effect:
    """Send so many bytes a second over each connection, however many there are."""

    def effect(_call: Call, _identity: Identity, forward: Forward) -> Answer:
        return replace(forward(), link=Link(bytes_s))

    return effect


def ignores_ranges(_call: Call, _identity: Identity, forward: Forward) -> Answer:
    """Answer as if the whole object were sent, whatever range is asked for."""
    return replace(forward(), status=200)


def pretends(_call: Call, _identity: Identity, _forward: Forward) -> Answer:
    """Answer a PUT as if it were done, and do nothing."""
    return Answer(status=200, headers=(("ETag", '"d41d8cd98f00b204e9800998ecf8427e"'), ("Content-Length", "0")))


def spoils(_call: Call, _identity: Identity, forward: Forward) -> Answer:
    """Hand out other bytes than were stored, as many of them, and no checksum that would tell."""
    answer = forward().without_headers("x-amz-checksum")
    return Answer(status=answer.status, headers=answer.headers, body=bytes(byte ^ 1 for byte in answer.body))


def rewrites(old: bytes, new: bytes) -> Effect:
    """Replace these bytes in what is answered."""

    def effect(_call: Call, _identity: Identity, forward: Forward) -> Answer:
        answer = forward()
        return Answer(status=answer.status, headers=answer.headers, body=answer.body.replace(old, new))

    return effect


def unless_requester_pays(call: Call, _identity: Identity, forward: Forward) -> Answer:
    """Refuse who does not offer to pay."""
    if call.headers.get("x-amz-request-payer") == "requester":
        return forward()
    return error(call, 403, "AccessDenied", "Bucket is requester pays bucket but no requester pays header found.")
