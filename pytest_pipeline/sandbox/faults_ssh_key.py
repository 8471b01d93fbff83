"""Faults of SSH keys, the operator's and the host's: the row ssh-access must catch them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import FileSpec
from pytest_pipeline.sandbox.tenant_files import known_hosts_text, new_private_key, new_public_key

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "ssh-access"
_KEY = "ssh/id_ed25519"
_KNOWN = "ssh/known_hosts"
_READABLE_BY_ALL = 0o644


def _wrong(plan: TenantPlan) -> Tally:
    plan.files[_KEY] = FileSpec(text=new_private_key())
    return plan.host.met


def _encrypted(plan: TenantPlan) -> None:
    plan.files[_KEY] = FileSpec(text=new_private_key("a passphrase"))


def _missing(plan: TenantPlan) -> None:
    del plan.files[_KEY]


def _public(plan: TenantPlan) -> None:
    plan.files[f"{_KEY}.pub"] = FileSpec(text=new_public_key() + "\n", mode=_READABLE_BY_ALL)
    plan.settings["host"]["key"] = str(plan.path(f"{_KEY}.pub"))


def _garbage(plan: TenantPlan) -> None:
    plan.files[_KEY] = FileSpec(text="-----BEGIN RSA PRIVATE KEY-----\nnot a key\n-----END RSA PRIVATE KEY-----\n")


def _mode(plan: TenantPlan) -> None:
    plan.files[_KEY] = replace(plan.files[_KEY], mode=_READABLE_BY_ALL)


def _host_key_changed(plan: TenantPlan) -> Tally:
    plan.files[_KNOWN] = FileSpec(text=known_hosts_text(plan, new_public_key()))
    return plan.host.met


def _host_key_unknown(plan: TenantPlan) -> Tally:
    plan.files[_KNOWN] = FileSpec(text="")
    return plan.host.met


SSH_KEY_FAULTS = (
    Fault(
        id="ssh-key",
        row=ROW,
        kind="gross",
        words="refused the login",
        summary="a key that the host does not know",
        inject=_wrong,
    ),
    Fault(
        id="ssh-key-enc",
        row=ROW,
        kind="subtle",
        words="passphrase",
        summary="an encrypted key, and nobody to type its passphrase",
        inject=_encrypted,
    ),
    Fault(
        id="ssh-key-missing",
        row=ROW,
        kind="gross",
        words="there is no private key",
        summary="the key file is not there",
        inject=_missing,
    ),
    Fault(
        id="ssh-key-pub",
        row=ROW,
        kind="subtle",
        words="public key",
        summary="the public key's file is given for the private one's",
        inject=_public,
    ),
    Fault(
        id="ssh-key-garbage",
        row=ROW,
        kind="gross",
        words="key",
        summary="the key file holds no key",
        inject=_garbage,
    ),
    Fault(
        id="ssh-key-mode",
        row=ROW,
        kind="subtle",
        words="readable by others",
        summary="others may read the key file: OpenSSH refuses it, paramiko does not",
        inject=_mode,
    ),
    Fault(
        id="ssh-hostkey",
        row=ROW,
        kind="gross",
        words="changed",
        summary="the host shows another key than the known one",
        inject=_host_key_changed,
    ),
    Fault(
        id="ssh-hostkey-unknown",
        row=ROW,
        kind="subtle",
        words="known_hosts",
        summary="the host's key is in no known_hosts: fabric would accept it silently",
        inject=_host_key_unknown,
    ),
)
"""The operator's key first, then the host's."""
