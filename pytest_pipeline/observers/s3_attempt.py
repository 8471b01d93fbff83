"""What one call to S3 came to, whoever made it: the operator from here, or the host with its own credentials."""

from dataclasses import dataclass

# S3 says AccessDenied; a denied HEAD has no body, and some gateways send the bare status or its name instead.
_DENIALS = frozenset({"AccessDenied", "AllAccessDisabled", "AccessDeniedException", "Forbidden", "403", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Attempt:
    """One action on one resource, and the answer.

    `action` and `resource` are what a policy would have to allow (`s3:GetObject`, an ARN). `status` is that of HTTP, 0
    when no answer came. `code` is S3's error code, or the name of what went wrong on the way (`ReadTimeoutError`).
    `retries` counts the tries after the first. `region` is the bucket's own, where S3 named it.
    """

    action: str
    resource: str
    ok: bool
    status: int
    code: str
    message: str
    retries: int = 0
    region: str = ""

    @property
    def denied(self) -> bool:
        """Whether the identity was known and the action refused to it.

        An invalid, expired or skewed signature also has status 403, and is no denial.
        """
        return not self.ok and self.status == 403 and self.code in _DENIALS  # noqa: PLR2004  # the status says itself


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketAccess:
    """What an identity could do at one prefix of one bucket, in the order it was tried. No attempt is no knowledge.

    `left` are the keys (and uploads in parts) that the test could not or did not remove, and `credentials` says where
    the host has its credentials from, with the last four characters of the access key id; nothing more leaves it. Both
    are empty for the operator, whose effects are in the journal.
    """

    bucket: str
    identity: str  # "operator" or "host"
    prefix: str
    attempts: tuple[S3Attempt, ...]
    left: tuple[str, ...] = ()
    credentials: str = ""

    @property
    def failed(self) -> tuple[S3Attempt, ...]:
        """What did not work."""
        return tuple(attempt for attempt in self.attempts if not attempt.ok)
