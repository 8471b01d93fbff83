"""The kinds of trouble with AWS, and which error code or exception is which.

Codes are those of the API references of STS, EC2 and S3 ("Common Errors", "Error codes for the Amazon EC2 API", "Amazon
S3 error responses"); classes are botocore's and ours. What is in no table is `unknown`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(StrEnum):
    """What went wrong, by what somebody has to do about it."""

    ABSENT = "absent"  # no credentials anywhere
    PARTIAL = "partial"  # half of a key pair
    PROFILE_MISSING = "profile-missing"
    CONFIG_BROKEN = "config-broken"  # AWS's own files cannot be read or contradict themselves
    INVALID = "invalid"  # a key nobody knows
    WRONG_SECRET = "wrong-secret"  # noqa: S105  # a kind, no secret
    EXPIRED = "expired"
    SSO_EXPIRED = "sso-expired"
    MFA_NEEDED = "mfa-needed"
    CLOCK_SKEWED = "clock-skewed"
    PROCESS_HUNG = "process-hung"  # a credential_process without end
    SOURCE_FAILED = "source-failed"  # a source of credentials that said why it gives none
    DENIED = "denied"
    MISSING = "missing"
    WRONG_REGION = "wrong-region"
    NO_REGION = "no-region"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    THROTTLED = "throttled"
    SERVICE_FAILED = "service-failed"  # AWS answered that it is out of order
    WRONG_ANSWER = "wrong-answer"  # an answer without what it must have, such as an empty 200
    UNKNOWN = "unknown"

    @property
    def is_credentials(self) -> bool:
        """Whether it is a matter of the credentials, and so belongs to the row `aws-credentials`."""
        return self in _CREDENTIALS


_CREDENTIALS = frozenset(
    {
        Kind.ABSENT,
        Kind.PARTIAL,
        Kind.PROFILE_MISSING,
        Kind.CONFIG_BROKEN,
        Kind.INVALID,
        Kind.WRONG_SECRET,
        Kind.EXPIRED,
        Kind.SSO_EXPIRED,
        Kind.MFA_NEEDED,
        Kind.CLOCK_SKEWED,
        Kind.PROCESS_HUNG,
        Kind.SOURCE_FAILED,
    }
)

_CODES: Mapping[Kind, str] = {
    Kind.INVALID: (
        "InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException AuthFailure InvalidToken "
        "MissingAuthenticationToken MissingAuthenticationTokenException NotSignedUp InvalidSecurity"
    ),
    Kind.WRONG_SECRET: "SignatureDoesNotMatch InvalidSignatureException",
    Kind.EXPIRED: "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
    Kind.CLOCK_SKEWED: "RequestTimeTooSkewed RequestInTheFuture",
    Kind.DENIED: "AccessDenied AccessDeniedException UnauthorizedOperation AllAccessDisabled Forbidden 403",
    Kind.MISSING: (
        "NoSuchBucket NoSuchKey NoSuchUpload NotFound 404 InvalidInstanceID.NotFound InvalidInstanceID.Malformed "
        "KMS.NotFoundException"
    ),
    Kind.WRONG_REGION: (
        "PermanentRedirect TemporaryRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException 301 307"
    ),
    Kind.THROTTLED: (
        "SlowDown Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
        "RequestLimitExceeded TooManyRequestsException BandwidthLimitExceeded ServiceUnavailable Unavailable 429 503"
    ),
    Kind.SERVICE_FAILED: "InternalError InternalFailure InternalServerError ServiceException 500 502 504",
    Kind.WRONG_ANSWER: "WrongAnswer ResponseParserError",
}
_CLASSES: Mapping[Kind, str] = {
    Kind.ABSENT: "NoCredentialsError NoAuthTokenError ConfigNotFound",
    Kind.PARTIAL: "PartialCredentialsError",
    Kind.PROFILE_MISSING: "ProfileNotFound",
    Kind.CONFIG_BROKEN: "ConfigParseError InvalidConfigError InfiniteLoopConfigError PermissionError IsADirectoryError",
    # By name, for older botocore has no LoginError; and in full, for an attempt has kept the name alone.
    Kind.SSO_EXPIRED: (
        "SSOError SSOTokenLoadError UnauthorizedSSOTokenError TokenRetrievalError LoginError LoginRefreshRequired "
        "LoginTokenLoadError LoginInsufficientPermissions LoginAuthorizationCodeError"
    ),
    Kind.MFA_NEEDED: "MfaNeededError RefreshWithMFAUnsupportedError",
    Kind.PROCESS_HUNG: "ProcessHungError",
    Kind.SOURCE_FAILED: "CredentialRetrievalError MetadataRetrievalError",
    Kind.NO_REGION: "NoRegionError InvalidRegionError UnknownRegionError",
    Kind.TIMED_OUT: "ReadTimeoutError TimeoutError",
    Kind.UNREACHABLE: (
        "ConnectionError HTTPClientError EndpointConnectionError ConnectTimeoutError ConnectionClosedError SSLError "
        "ProxyConnectionError ResponseStreamingError IncompleteReadError"
    ),
}
_KINDS = {name: kind for table in (_CODES, _CLASSES) for kind, names in table.items() for name in names.split()}
_CLOCK = re.compile(r"signature (expired|not yet current)", re.IGNORECASE)
_SERVER_ERROR = 500


def kind_of_answer(code: str, message: str = "", status: int = 0) -> Kind:
    """Return the kind of an error code of AWS, or of the name of an exception that took its place."""
    if _CLOCK.search(message):
        return Kind.CLOCK_SKEWED
    known = _KINDS.get(code)
    if known is not None:
        return known
    if not code and str(status) in _KINDS:
        return _KINDS[str(status)]
    return Kind.SERVICE_FAILED if status >= _SERVER_ERROR else Kind.UNKNOWN


def kind_of_error(error: BaseException) -> Kind:
    """Return the kind of an exception that is no answer of AWS, by its most special known class."""
    return next((_KINDS[known.__name__] for known in type(error).__mro__ if known.__name__ in _KINDS), Kind.UNKNOWN)
