"""One signed request to S3 (AWS: "Authenticating Requests: Using the Authorization Header", Signature Version 4)."""

import hashlib
import hmac
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

BODY_METHODS = ("PUT", "POST")
RETRIED_STATUSES = (429, 500, 502, 503, 504)
RETRIED_CODES = ("RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling")
SUCCESS = 2  # hundred and something
BODY_LIMIT = 8 * 1024 * 1024


class Answer:
    """What came back. `status` is 0 when nothing did; `code` and `message` are S3's, or name what went wrong."""

    def __init__(self, status: int, headers: dict, body: bytes, code: str, message: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.code = code
        self.message = message
        self.retries = 0
        self.region = headers.get("x-amz-bucket-region", "")

    @property
    def ok(self) -> bool:
        """Whether S3 did what it was asked."""
        return self.status // 100 == SUCCESS and not self.code


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature is for one address: a redirection is an answer, not a way."""

    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""


class Client:
    """Signs and sends. The credentials stay in here."""

    def __init__(self, credentials: dict, options: dict) -> None:
        self._credentials = credentials
        self._options = options
        self._deadline = time.monotonic() + options["deadline_s"]
        self._opener = urllib.request.build_opener(NoRedirect())

    def send(self, method: str, bucket: str, region: str, *, key: str = "", **more: object) -> Answer:
        """Send a request, and again where S3 or the network says that it is worth it."""
        retries = 0
        while True:
            answer = self._once(method, bucket, region, key, **more)
            answer.retries = retries
            again = answer.status in RETRIED_STATUSES or answer.status == 0 or answer.code in RETRIED_CODES
            pause_s = 0.2 * 2**retries
            late = time.monotonic() + pause_s + self._options["timeout_s"] > self._deadline
            if not again or retries + 1 >= self._options["attempts"] or late:
                return answer
            time.sleep(pause_s)
            retries += 1

    def _once(
        self, method: str, bucket: str, region: str, key: str, *, query: object = None, headers: object = None,
        body: bytes = b"",
    ) -> Answer:  # fmt: skip
        """Send a request once."""
        base = self._options["endpoint_url"] or endpoint(region)
        path = urllib.parse.quote("/" + bucket + ("/" + key if key else ""), safe="/~-._")
        parts = urllib.parse.urlsplit(base)
        path = parts.path.rstrip("/") + path
        asked = sorted((quoted(name), quoted(value)) for name, value in (query or {}).items())
        search = "&".join("%s=%s" % pair for pair in asked)
        signed = sign(
            method, parts.netloc, path, search, region=region, headers=headers or {}, body=body,
            credentials=self._credentials,
        )  # fmt: skip
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, search, ""))
        if parts.scheme not in ("http", "https"):
            return Answer(0, {}, b"", "InvalidEndpoint", "%s is no http address" % base)
        request = urllib.request.Request(url, data=body if method in BODY_METHODS else None, headers=signed)  # noqa: S310  # looked at
        request.method = method
        try:
            with self._opener.open(request, timeout=self._options["timeout_s"]) as got:
                return answer_of(got.status, got.headers, got.read(BODY_LIMIT))
        except urllib.error.HTTPError as error:
            with error:
                return answer_of(error.code, error.headers, error.read(65536))
        except Exception as error:
            return no_answer(error, parts.netloc)


def quoted(text: object) -> str:
    """Encode as Signature Version 4 wants it: everything but the unreserved characters of RFC 3986."""
    return urllib.parse.quote(str(text), safe="~-._")


def endpoint(region: str) -> str:
    """Return the address of S3 in a region."""
    return "https://s3.%s.amazonaws.com%s" % (region, ".cn" if region.startswith("cn-") else "")


def sign(
    method: str, host: str, path: str, search: str, *, region: str, headers: dict, body: bytes, credentials: dict
) -> dict:
    """Return the headers of a signed request."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    digest = hashlib.sha256(body).hexdigest()
    signed = {name.lower(): value for name, value in headers.items()}
    if method in BODY_METHODS:
        signed["content-type"] = "application/octet-stream"  # urllib would add one of its own, unsigned
    signed.update({"host": host, "x-amz-date": now, "x-amz-content-sha256": digest})
    if credentials["token"]:
        signed["x-amz-security-token"] = credentials["token"]
    names = ";".join(sorted(signed))
    lines = "".join("%s:%s\n" % (name, " ".join(signed[name].split())) for name in sorted(signed))
    canonical = "%s\n%s\n%s\n%s\n%s\n%s" % (method, path, search, lines, names, digest)
    scope = "%s/%s/s3/aws4_request" % (now[:8], region)
    to_sign = "AWS4-HMAC-SHA256\n%s\n%s\n%s" % (now, scope, hashlib.sha256(canonical.encode()).hexdigest())
    secret = ("AWS4" + credentials["secret"]).encode()
    for part in (now[:8], region, "s3", "aws4_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
    signed["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
        credentials["key"], scope, names, signature,
    )  # fmt: skip
    return signed


def answer_of(status: int, headers: object, body: bytes) -> Answer:
    """Read an answer of S3. A copy or a completion may say 200 and mean an error; so may a proxy."""
    named = {name.lower(): value for name, value in headers.items()}
    text = body[:65536].decode("utf-8", "replace")
    if status // 100 == SUCCESS and "<Error>" not in text[:512]:
        return Answer(status, named, body, "", "")
    code = re.search(r"<Code>([^<]*)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    region = re.search(r"<Region>([^<]*)</Region>", text)
    if region and "x-amz-bucket-region" not in named:
        named["x-amz-bucket-region"] = region.group(1)
    standard = http.client.responses.get(status, "")
    return Answer(
        status, named, body, code.group(1) if code else str(status), message.group(1) if message else standard
    )


def no_answer(error: Exception, place: str) -> Answer:
    """Name what happened on the way as botocore names it, so that both sides' attempts read alike."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.timeout):
        connecting = isinstance(error, urllib.error.URLError)
        code = "ConnectTimeoutError" if connecting else "ReadTimeoutError"
        return Answer(0, {}, b"", code, "%s did not answer in time" % place)
    if isinstance(reason, ssl.SSLError):
        return Answer(0, {}, b"", "SSLError", "%s: %s" % (place, reason))
    if isinstance(reason, (ConnectionResetError, BrokenPipeError, http.client.HTTPException)):
        what = str(reason) or type(reason).__name__
        return Answer(0, {}, b"", "ConnectionClosedError", "%s closed the connection: %s" % (place, what))
    return Answer(0, {}, b"", "EndpointConnectionError", "%s cannot be reached: %s" % (place, reason))
