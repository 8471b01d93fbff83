"""Worlds that are odd and healthy: a row that raises an alarm in one of them is wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Variant
from pytest_pipeline.sandbox.faults_aws import sso_profile
from pytest_pipeline.sandbox.faults_deployment import DEPLOYMENT_VARIANTS
from pytest_pipeline.sandbox.faults_instance import INSTANCE_VARIANTS
from pytest_pipeline.sandbox.faults_pins import PINS_VARIANTS
from pytest_pipeline.sandbox.faults_quick_run import QUICK_RUN_VARIANTS
from pytest_pipeline.sandbox.faults_records import RECORDS_VARIANTS
from pytest_pipeline.sandbox.faults_surroundings import SURROUNDINGS_VARIANTS
from pytest_pipeline.sandbox.faults_system import SYSTEM_VARIANTS
from pytest_pipeline.sandbox.plan import CACHE_BUCKET, POLICY_BUCKET, REGION, VOLUME, FileSpec, MountPlan
from pytest_pipeline.sandbox.tenant_files import PROFILE, credentials_text, new_public_key
from pytest_pipeline.sandbox.variants_gpu import GPU_VARIANTS
from pytest_pipeline.sandbox.variants_model import MODEL_VARIANTS
from pytest_pipeline.sandbox.variants_python import PYTHON_VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.sandbox.plan import TenantPlan

_DATA = "/mnt/data"
_MODEL = f"{VOLUME}/models/mistral-7b-v0.3"
_MODEL_BYTES = 30_000_000
_MARKERS, _CHUNKS = 1_100, 400
_TOKEN = "sandbox-token-"  # noqa: S105  # opens nothing but a tenant
_KNOWN = "ssh/known_hosts"
_ALIAS = "trainer"


def _noisy(plan: TenantPlan) -> None:
    plan.host.motd = '*** System restart required ***\n{"not": "an answer"}\n'
    plan.files["home/.bashrc"] = FileSpec(text='echo "Welcome back, $USER"\necho "last login: today" >&2\n', mode=0o644)


def _two_volumes(plan: TenantPlan) -> None:
    plan.mounts.append(MountPlan(path=_DATA))
    plan.settings["requirements"]["disk"][_DATA] = {"free_gb": 0.3, "kinds": ["tmpfs"], "survives_reboot": True}


def _alias_known(plan: TenantPlan) -> None:
    """Let the host's key be known under an alias alone."""
    public = plan.files[_KNOWN].text.splitlines()[0].partition(" ")[2]
    plan.files[_KNOWN] = FileSpec(text=f"{_ALIAS} {public}\n")


def _alias(plan: TenantPlan) -> None:
    _alias_known(plan)
    plan.settings["host"]["host_key_alias"] = _ALIAS


def _alias_in_ssh_config(plan: TenantPlan) -> None:
    _alias_known(plan)
    plan.files["ssh/config"] = FileSpec(text=f"Host {plan.instance.address}\n    HostKeyAlias {_ALIAS}\n")


def _slow_door(plan: TenantPlan) -> None:
    plan.host.banner_delay_s = 1.0


def _versioned(plan: TenantPlan) -> None:
    plan.buckets[CACHE_BUCKET].versioned = True


def _paginated(plan: TenantPlan) -> None:
    markers = {f"econ-theory/{n:04}/": b"" for n in range(_MARKERS)}
    chunks = {f"econ-theory/chunk_{n:04}.jsonl": b'{"text": "x"}\n' for n in range(_CHUNKS)}
    plan.buckets[POLICY_BUCKET].objects |= {**markers, **chunks}


def _requester_pays(plan: TenantPlan) -> None:
    plan.bucket_settings(POLICY_BUCKET)["request_payer"] = True


def _sso(plan: TenantPlan) -> None:
    _become_role(plan, "AWSReservedSSO_deployer_0a1b2c3d4e5f6071")
    token = _TOKEN + plan.id
    plan.sso[token] = plan.operator
    sso_profile(plan, token=token, expires=_tomorrow())


def _cached_role(plan: TenantPlan) -> None:
    user = plan.operator
    _become_role(plan, "deployer")
    role = f"arn:aws:iam::{plan.account}:role/deployer"
    serial = f"arn:aws:iam::{plan.account}:mfa/someone"
    plan.files["aws/config"] = FileSpec(
        text=f"[profile {PROFILE}]\nregion = {REGION}\n"
        f"role_arn = {role}\nmfa_serial = {serial}\nsource_profile = base\n"
    )
    plan.files["aws/credentials"] = FileSpec(text=credentials_text("base", user))
    # The AWS CLI names the file after what it asked for.
    asked = json.dumps({"RoleArn": role, "SerialNumber": serial}, sort_keys=True)
    name = hashlib.sha1(asked.encode(), usedforsecurity=False).hexdigest()
    session = {
        "AccessKeyId": plan.operator.access_key,
        "SecretAccessKey": plan.operator.secret_key,
        "SessionToken": plan.operator.session_token,
        "Expiration": _tomorrow(),
    }
    plan.files[f"aws/cli/cache/{name}.json"] = FileSpec(text=json.dumps({"Credentials": session}))


def _become_role(plan: TenantPlan, role: str) -> None:
    """Let the operator act as a session of this role, with all that the user might."""
    allowed = plan.operator.allow
    plan.operator = plan.role_session(role, "someone")
    plan.operator.allow = allowed


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _volume_symlink(plan: TenantPlan) -> None:
    plan.volume.path = "/mnt/nvme1"
    plan.host.folders.clear()
    plan.host.links[VOLUME] = "/mnt/nvme1"


def _reused_model(plan: TenantPlan) -> None:
    _ = plan.volume
    plan.host.files[f"{_MODEL}/original/consolidated.00.pth"] = _MODEL_BYTES  # as the hub has it beside the shards
    need = plan.settings["requirements"]["disk"][VOLUME]
    need |= {"free_gb": 0.52, "reuse": [_MODEL]}  # less is free: what is there already makes up for it


def _hashed_known_hosts(plan: TenantPlan) -> None:
    ours = plan.files[_KNOWN].text.splitlines()
    lines = ["# kept by hand", ""]
    lines += [f"{_hashed(f'host{n}.example')} {new_public_key()}" for n in range(50)]
    lines += [" ".join([_hashed(line.split()[0]), *line.split()[1:3]]) for line in ours]
    plan.files[_KNOWN] = FileSpec(text="\n".join([*lines, ""]))


def _hashed(host: str) -> str:
    """Hash a host's name as HashKnownHosts does (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT")."""
    salt = hashlib.sha1(host.encode(), usedforsecurity=False).digest()
    digest = hmac.new(salt, host.encode(), "sha1").digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _openssh(plan: TenantPlan) -> None:
    plan.settings["host"]["connection"] = "openssh"


VARIANTS: Mapping[str, Variant] = {
    variant.id: variant
    for variant in (
        Variant(id="noisy-host", summary="a banner and a .bashrc that write to standard output", inject=_noisy),
        Variant(id="two-volumes", summary="two volumes, both declared", inject=_two_volumes),
        Variant(id="hostkey-alias", summary="a host key known under host.host_key_alias", inject=_alias),
        Variant(
            id="hostkey-alias-config", summary="a host key known under ssh_config's alias", inject=_alias_in_ssh_config
        ),
        Variant(id="slow-first-connection", summary="an SSH banner that takes a second", inject=_slow_door),
        Variant(id="versioned-bucket", summary="an output bucket that keeps all versions", inject=_versioned),
        Variant(id="paginated-prefixes", summary="a first page of nothing but folder markers", inject=_paginated),
        Variant(id="requester-pays", summary="the readers pay, and the settings say so", inject=_requester_pays),
        Variant(id="sso-profile", summary="an SSO profile with a valid cached token", inject=_sso),
        Variant(id="cached-role", summary="an MFA profile with a live session in the CLI's cache", inject=_cached_role),
        Variant(
            id="volume-symlink", summary="the path is a link to where the volume is mounted", inject=_volume_symlink
        ),
        Variant(id="reused-model", summary="little room, and the model already there", inject=_reused_model),
        Variant(id="many-keys-known-hosts", summary="a long known_hosts with hashed names", inject=_hashed_known_hosts),
        Variant(id="openssh", summary="the user's own ssh as the connection", inject=_openssh),
        *INSTANCE_VARIANTS,
        *PINS_VARIANTS,
        *DEPLOYMENT_VARIANTS,
        *PYTHON_VARIANTS,
        *GPU_VARIANTS,
        *MODEL_VARIANTS,
        *SURROUNDINGS_VARIANTS,
        *SYSTEM_VARIANTS,
        *RECORDS_VARIANTS,
        *QUICK_RUN_VARIANTS,
    )
}
"""Every variant, by id."""
