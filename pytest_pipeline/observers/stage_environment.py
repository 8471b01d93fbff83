"""The variables that a stage of the user's pipeline is given: the way to our world, and none to the operator's."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUN = "PIPELINE_GATE_RUN"
"""Holds the id of the gate's run in every process that the pipeline makes."""

STAGE = "PIPELINE_GATE_STAGE"
"""Holds what tells one stage from all others of the same run."""

# Whoever has these can act as the operator, or is sent elsewhere than our world.
_FOREIGN = re.compile(
    r"AWS_.*|PIPELINE_GATE_.*|PYTEST_.*|.*_PROXY"
    r"|SSH_AUTH_SOCK|SSH_AGENT_PID|KUBECONFIG|DOCKER_HOST|DOCKER_CONFIG|NETRC"
    r"|(.*_)?(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|WEBHOOK|DSN)(_.*)?|.*(API|ACCESS|PRIVATE|SECRET)_?KEY(_.*)?",
    re.IGNORECASE,
)
_LOOPBACK = "localhost,127.0.0.1,::1,127.0.0.0/8"  # some clients know no networks, and need each address


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """The AWS of our world, and credentials that are valid there only."""

    endpoint_url: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


def stage_environment(
    operators: Mapping[str, str],
    *,
    access: AwsAccess,
    run_id: str,
    stage_token: str,
    temporary: Path,
    refusing_proxy: str,
    own: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of a stage.

    Of the operator's variables those are left out that AWS reads, that name a proxy or an agent, and whose names say
    that they hold a secret. `own` are the variables that the settings give, and come last. What does not go to this
    machine is sent to `refusing_proxy`; a program that ignores proxies still has no credentials that are valid there.
    """
    kept = {name: value for name, value in operators.items() if not _FOREIGN.fullmatch(name)}
    aws = {
        "AWS_ENDPOINT_URL": access.endpoint_url,
        "AWS_ACCESS_KEY_ID": access.access_key,
        "AWS_SECRET_ACCESS_KEY": access.secret_key,
        "AWS_REGION": access.region,
        "AWS_DEFAULT_REGION": access.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,  # the operator's profiles
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if access.session_token:
        aws["AWS_SESSION_TOKEN"] = access.session_token
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), refusing_proxy)
    proxies["NO_PROXY"] = _LOOPBACK
    return {
        **kept,
        **aws,
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
        "TMPDIR": str(temporary),
        "PYTHONUNBUFFERED": "1",  # what is killed has said what it was at
        **own,
        RUN: run_id,
        STAGE: stage_token,
    }
