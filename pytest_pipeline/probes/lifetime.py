"""How long the AWS credentials last that the host itself would use, by the order of the AWS SDKs.

Nothing of them is answered but the name of their source and when they end. What is `lasting` has no end, or is renewed
by itself for as long as the host is what it is (a role of the instance, of the container, of a web identity). What is
`renewed` is fetched anew at its end, for as long as something behind it lasts that cannot be seen from here (a
credential_process, a session of single sign-on).
"""

import datetime as dt
import hashlib
import json
import os
import re
import time

# No session that AWS gives out lasts longer (AWS STS: GetSessionToken, GetFederationToken).
LONGEST_SESSION_S = 36 * 3600
# How tools write the end of a session into a profile: saml2aws, aws-mfa and others. AWS's own has no word for it.
ENDS = ("x_security_token_expires", "aws_session_expiration", "aws_expiration", "expiration")
LONGEST_MFA_ROLE_S = 12 * 3600
ROLES_FOLDER = "meta-data/iam/security-credentials/"
RENEWED_SOURCES = ("Ec2InstanceMetadata", "EcsContainer")


def look(request: dict, parts: dict) -> dict:
    """Answer {"network_credentials": bool, "metadata_address": str}, with {"none": why} where there are none."""
    try:
        return of_host(request, parts)
    except parts["s3_credentials"].Unusable as error:
        return {"none": str(error)}


def of_host(request: dict, parts: dict) -> dict:
    """Go through the sources in the SDKs' order. Raises s3_credentials.Unusable."""
    keys, environment = parts["s3_credentials"], os.environ
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        # `aws configure export-credentials --format env` writes the end too.
        ends = environment.get("AWS_CREDENTIAL_EXPIRATION", "")
        return pasted("the environment", environment.get("AWS_SESSION_TOKEN", ""), ends, age_s=0.0)
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    if not named and environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return lasting("web identity")
    of_files = of_profile(named or "default", keys, ())
    if of_files is not None:
        return of_files
    if named:
        raise keys.Unusable("ProfileNotFound", "profile %s of the host holds no credentials" % named)
    if not request["network_credentials"]:
        raise keys.Unusable(keys.ABSENT, "no credentials in the host's environment or files")
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        if environment.get(name):
            return lasting("container role")
    try:
        role = parts["metadata"].Metadata(request["metadata_address"]).get(ROLES_FOLDER).split()[0]
    except (OSError, RuntimeError, IndexError) as error:
        why = "no credentials in the host's files, and no instance role: %s" % error
        raise keys.Unusable(keys.ABSENT, why) from error
    return lasting("instance role " + role)


def of_profile(profile: str, keys: object, seen: tuple) -> object:
    """Return what a profile of ~/.aws comes to, its source profiles followed; None where it is not there."""
    files = keys.files()
    titles = (profile, "default" if profile == "default" else "profile " + profile)
    sections = [keys.section(path, title) for path, title in zip(files, titles)]
    merged = dict(sections[1], **sections[0])
    if "role_arn" in merged and profile not in seen:
        return of_role(profile, merged, keys, seen)
    if "sso_session" in merged or "sso_start_url" in merged:
        return of_single_sign_on(merged, keys, files[1])
    for section, path in zip(sections, files):
        if "aws_access_key_id" in section and "aws_secret_access_key" in section:
            ends = next((section[name] for name in ENDS if section.get(name)), "")
            age_s = max(0.0, time.time() - os.stat(os.path.expanduser(path)).st_mtime)
            return pasted(at_home(path), section.get("aws_session_token", ""), ends, age_s=age_s)
        if "credential_process" in section:
            answer = keys.asked_of_process(section["credential_process"])
            if not answer.get("Expiration"):  # the SDKs take such for keys without an end
                return pasted("credential_process", answer.get("SessionToken") or "", "", age_s=0.0)
            return ending("credential_process", left_s(answer["Expiration"]), renewed=True)
    if "login_session" in merged:
        raise keys.Unusable(keys.FAILED, "profile %s uses login_session, which this probe does not follow" % profile)
    return None


def of_role(profile: str, merged: dict, keys: object, seen: tuple) -> dict:
    """Return how long a role can be assumed again: as long as what it is assumed with, and never without a prompt."""
    source = "role of profile " + profile
    if "mfa_serial" in merged:
        return ending(source + ", with MFA", None, renewed=False, at_most_s=LONGEST_MFA_ROLE_S)
    if "web_identity_token_file" in merged or merged.get("credential_source") in RENEWED_SOURCES:
        return lasting(source)
    # A profile may be its own source: its role is then assumed with its keys.
    behind = of_profile(merged.get("source_profile", ""), keys, (*seen, profile))
    if behind is None:
        raise keys.Unusable(keys.FAILED, "what the %s is assumed with cannot be followed" % source)
    return dict(behind, source="%s, by %s" % (source, behind["source"]))


def of_single_sign_on(merged: dict, keys: object, config: str) -> dict:
    """Return when the cached token of single sign-on ends (its file is named after the session, or the start URL)."""
    session = merged.get("sso_session", "")
    name = hashlib.sha1((session or merged["sso_start_url"]).encode("utf-8")).hexdigest()  # noqa: S324  # a file's name
    path = os.path.join(os.path.expanduser("~"), ".aws", "sso", "cache", name + ".json")
    try:
        with open(path, encoding="utf-8") as file:
            token = json.load(file)
        return ending("single sign-on", left_s(token["expiresAt"]), renewed=bool(session and token.get("refreshToken")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise keys.Unusable(keys.FAILED, "no token of single sign-on (%s): %s" % (config, error)) from error


def pasted(source: str, token: str, ends: str, *, age_s: float) -> dict:
    """Return what keys come to that somebody put there: they last, unless they are those of a session."""
    if not token:
        return lasting(source)
    if ends:
        return ending(source, left_s(ends), renewed=False)
    return ending(source, None, renewed=False, at_most_s=max(0.0, LONGEST_SESSION_S - age_s))


def at_home(path: str) -> str:
    """Return a path as people write it."""
    home = os.path.expanduser("~").rstrip("/") + "/"
    return "~/" + path[len(home) :] if path.startswith(home) else path


def lasting(source: str) -> dict:
    """Return credentials without an end."""
    return {"source": source, "lasting": True, "renewed": False, "ends_in_s": None, "at_most_s": None}


def ending(source: str, ends_in_s: object, *, renewed: bool, at_most_s: object = None) -> dict:
    """Return credentials with an end, known or not."""
    return {
        "source": source, "lasting": False, "renewed": renewed, "ends_in_s": ends_in_s, "at_most_s": at_most_s,
    }  # fmt: skip


def left_s(text: str) -> float:
    """Return how long until a time of ISO 8601, in its variants. Raises ValueError."""
    plain = re.sub(r"\.\d+", "", text.strip())
    plain = re.sub(r"(Z|UTC)$", "+00:00", plain)
    end = dt.datetime.fromisoformat(plain)
    if end.tzinfo is None:
        end = end.replace(tzinfo=dt.timezone.utc)
    return end.timestamp() - time.time()
