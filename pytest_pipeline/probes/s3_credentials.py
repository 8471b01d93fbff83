"""The credentials that the host itself would use for S3, in the order of the AWS SDKs ("Standardized credentials").

They never leave the host: only the name of their source and the last four characters of the access key id are answered.
What this order knows and we cannot follow (a profile that assumes a role, single sign-on) is said, never passed over:
the SDK would not pass it over either.
"""

import configparser
import json
import os
import shlex
import signal
import subprocess
import urllib.request

CONTAINER = "http://169.254.170.2"
TIMEOUT_S = 5.0
UNFOLLOWED = ("role_arn", "sso_session", "sso_start_url", "sso_account_id", "web_identity_token_file", "login_session")


ABSENT, FAILED = "NoCredentialsError", "CredentialRetrievalError"  # as botocore calls them


class Unusable(Exception):  # noqa: N818  # what the credentials are
    """There are no credentials that the probe could use; says which source ended the search."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def find(profile: str, metadata: object, *, network: bool) -> dict:
    """Return {"key", "secret", "token", "source"}. `metadata` makes the metadata client. Raises Unusable."""
    environment = os.environ
    if not profile and environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        token = environment.get("AWS_SESSION_TOKEN", "")
        return found("environment", environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], token)
    named = profile or environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    if not named and environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        raise Unusable(FAILED, "the host uses AWS_WEB_IDENTITY_TOKEN_FILE, which this probe does not follow")
    from_files = in_files(named or "default")
    if from_files:
        return from_files
    if named:
        raise Unusable(
            "ProfileNotFound", "profile %s is in neither of the host's files, or holds no credentials" % named
        )
    if not network:
        raise Unusable(ABSENT, "no credentials in the host's environment or files")
    uri = environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if uri or relative:
        return from_container(uri or CONTAINER + relative)
    return from_instance(metadata)


def found(source: str, key: str, secret: str, token: str) -> dict:
    """Return credentials."""
    return {"source": source, "key": key.strip(), "secret": secret.strip(), "token": token.strip()}


def files() -> tuple:
    """Return the paths of the credentials file and the config file."""
    home = os.path.expanduser("~")
    shared = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(home, ".aws", "credentials")
    config = os.environ.get("AWS_CONFIG_FILE") or os.path.join(home, ".aws", "config")
    return shared, config


def in_files(profile: str) -> object:
    """Look through ~/.aws/credentials, then ~/.aws/config. Returns None where the profile is in neither."""
    shared, config = files()
    in_shared = section(shared, profile)
    in_config = section(config, "default" if profile == "default" else "profile " + profile)
    for name in UNFOLLOWED:
        if name in in_shared or name in in_config:
            raise Unusable(FAILED, "profile %s of the host uses %s, which this probe does not follow" % (profile, name))
    for keys, path in ((in_shared, shared), (in_config, config)):
        if "aws_access_key_id" in keys and "aws_secret_access_key" in keys:
            token = keys.get("aws_session_token", "")
            return found(path, keys["aws_access_key_id"], keys["aws_secret_access_key"], token)
        if "credential_process" in keys:
            return from_process(keys["credential_process"])
    return None


def section(path: str, name: str) -> dict:
    """Return the settings of one section of an AWS file, {} where it is not there."""
    parser = configparser.RawConfigParser()
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise Unusable(FAILED, "%s cannot be read: %s" % (path, str(error).splitlines()[0])) from error
    return dict(parser.items(name)) if parser.has_section(name) else {}


def from_process(command: str) -> dict:
    """Run a credential_process, as the SDK does."""
    answer = asked_of_process(command)
    return found(
        "credential_process", answer["AccessKeyId"], answer["SecretAccessKey"], answer.get("SessionToken") or ""
    )


def printed_by(command: list) -> bytes:
    """Return what a program prints. One that is late is ended, with all that it started. Raises as subprocess does."""
    with subprocess.Popen(  # noqa: S603  # the host's own setting names it
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            printed, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return printed


def asked_of_process(command: str) -> dict:
    """Return what a credential_process prints."""
    try:
        answer = json.loads(printed_by(shlex.split(command)).decode("utf-8"))
        return dict(answer, AccessKeyId=str(answer["AccessKeyId"]), SecretAccessKey=str(answer["SecretAccessKey"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise Unusable(FAILED, "credential_process failed: %s" % type(error).__name__) from error


def from_container(uri: str) -> dict:
    """Ask the container's credential endpoint."""
    headers = {}
    token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    try:
        if token_file:
            with open(token_file, encoding="utf-8") as file:
                token = file.read().strip()
        if token:
            headers["Authorization"] = token
        request = urllib.request.Request(uri, headers=headers)  # noqa: S310  # the opener knows http and https only
        with direct_opener().open(request, timeout=TIMEOUT_S) as answer:
            keys = json.loads(answer.read(65536).decode("utf-8"))
        return found("container", keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("Token") or "")
    except (OSError, ValueError, KeyError) as error:
        raise Unusable(FAILED, "the container's credential endpoint failed: %s" % error) from error


def direct_opener() -> object:
    """Return an opener that knows neither proxies nor files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def from_instance(metadata: object) -> dict:
    """Ask the instance metadata service for the instance's role."""
    try:
        service = metadata()
    except (OSError, RuntimeError) as error:
        raise Unusable(
            ABSENT, "no credentials in the host's environment or files, and no instance metadata: %s" % error
        ) from error
    try:
        folder = "meta-data/iam/security-credentials/"
        role = service.get(folder).split()[0]
        keys = json.loads(service.get(folder + role))
        return found("instance role " + role, keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"])
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise Unusable(
            ABSENT, "no credentials in the host's environment or files, and the instance has no role: %s" % error
        ) from error


def default_region() -> str:
    """Return the region that the host's SDK would use, or nothing."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return os.environ[name]
    profile = os.environ.get("AWS_PROFILE") or "default"
    try:
        return section(files()[1], "default" if profile == "default" else "profile " + profile).get("region", "")
    except Unusable:
        return ""
