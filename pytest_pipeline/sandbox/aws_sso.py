"""IAM Identity Center's answer to GetRoleCredentials: what an SSO profile asks for, with the token it has cached."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.aws_answer import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.sandbox.aws_call import Call
    from pytest_pipeline.sandbox.aws_identity import Identity

TOKEN_HEADER = "x-amz-sso-bearer-token"  # noqa: S105  # the name of a header
_VALID_S = 3600


def answer(call: Call, roles: Mapping[str, Identity]) -> Answer:
    """Hand out the credentials of the role that this token stands for; 401 for any other token."""
    role = roles.get(call.headers.get(TOKEN_HEADER, ""))
    if role is None:
        body: dict[str, object] = {"message": "Session token not found or invalid"}
        headers = (("Content-Type", "application/json"), ("x-amzn-ErrorType", "UnauthorizedException"))
        return Answer(status=401, headers=headers, body=json.dumps(body).encode())
    body = {
        "roleCredentials": {
            "accessKeyId": role.access_key,
            "secretAccessKey": role.secret_key,
            "sessionToken": role.session_token,
            "expiration": int((time.time() + _VALID_S) * 1000),
        }
    }
    return Answer(status=200, headers=(("Content-Type", "application/json"),), body=json.dumps(body).encode())
