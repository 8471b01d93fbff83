"""Each fault is met by a plain client, in the words of the real thing, and the sandbox says that it was felt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.exceptions
import paramiko
import pytest

from pytest_pipeline.sandbox.faults import FAULTS
from pytest_pipeline.settings import Settings
from sandbox.meets_data import DATA_MEETS
from sandbox.meets_download import DOWNLOAD_MEETS
from sandbox.meets_gpu import GPU_MEETS
from sandbox.meets_instance import INSTANCE_MEETS
from sandbox.meets_model import MODEL_MEETS
from sandbox.meets_python import PYTHON_MEETS
from sandbox.meets_quick_run import QUICK_RUN_MEETS
from sandbox.meets_repository import REPOSITORY_MEETS
from sandbox.meets_system import SYSTEM_MEETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import OpenWorld, World

READ, WRITE = "policy-database", "asoba-llm-cache"
TROUBLE = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    paramiko.SSHException,
    OSError,
    EOFError,
    ValueError,
    KeyError,  # botocore's own, of a web page in STS's place
)


def identity(w: World) -> object:
    return w.client("sts").get_caller_identity().get("Account")


def host_lists(w: World, prefix: str = "econ-theory/") -> object:
    return w.host_client("s3").list_objects_v2(Bucket=READ, Prefix=prefix).get("KeyCount")


def host_lists_second(w: World) -> object:
    return host_lists(w), host_lists(w, "operatives/")


def retries(w: World) -> object:
    return w.host_client("s3").list_objects_v2(Bucket=READ)["ResponseMetadata"]["RetryAttempts"]


def host_gets(w: World, key: str = "econ-theory/chunk_0.jsonl") -> object:
    return w.host_client("s3").get_object(Bucket=READ, Key=key)["Body"].read()


def host_gets_second(w: World) -> object:
    return host_gets(w), host_gets(w, "operatives/report_0.jsonl")


def puts_and_gets(s3: object, key: str = "datasets/mistral-verbosity/probe") -> object:
    s3.put_object(Bucket=WRITE, Key=key, Body=b"abc")  # type: ignore[attr-defined]  # boto3 makes methods as it runs
    return s3.get_object(Bucket=WRITE, Key=key)["Body"].read()  # type: ignore[attr-defined]  # likewise


def operator_writes(w: World) -> object:
    return puts_and_gets(w.client("s3"))


def host_writes(w: World) -> object:
    return puts_and_gets(w.host_client("s3"))


def host_writes_everywhere(w: World) -> object:
    s3 = w.host_client("s3")
    return [puts_and_gets(s3, f"{prefix}probe") for prefix in ("models/mistral-verbosity/", "training-runs/")]


def host_deletes(w: World) -> object:
    return w.host_client("s3").delete_object(Bucket=WRITE, Key="training-runs/x")


def host_uploads_in_parts(w: World) -> object:
    s3 = w.host_client("s3")
    return puts_and_gets(s3), s3.create_multipart_upload(Bucket=WRITE, Key="training-runs/x")


def reservation(w: World) -> dict[str, object]:
    found = w.client("ec2").describe_instances(InstanceIds=w.host["instance_ids"])
    instance: dict[str, object] = found["Reservations"][0]["Instances"][0]
    return instance


def state(w: World) -> object:
    return reservation(w)["State"]


def address(w: World) -> object:
    return w.host["address"], reservation(w).get("PublicIpAddress"), w.run("true")


def instance_type(w: World) -> object:
    return reservation(w)["InstanceType"]


def attached(w: World) -> object:
    return len(reservation(w)["BlockDeviceMappings"]), w.run("findmnt /mnt/training")  # type: ignore[arg-type]  # a list


def rules(w: World) -> object:
    return w.client("ec2").describe_security_groups()["SecurityGroups"][-1]["IpPermissions"]


def connects(w: World) -> object:
    return w.ssh()


def connects_twice(w: World) -> object:
    try:
        w.ssh()
    except (paramiko.SSHException, EOFError, OSError) as error:
        return f"{error!r}, then {w.ssh()}"
    return "no trouble"


def key_mode(w: World) -> object:
    return oct(Path(w.host["key"]).stat().st_mode), w.run("true")


QUOTACTL = b"""
import ctypes
entry = (ctypes.c_uint64 * 9)()
libc = ctypes.CDLL(None, use_errno=True)
print(libc.quotactl(0x800007 << 8, b"/dev/mapper/training", 1000, ctypes.byref(entry)), entry[0], entry[2])
"""


def runs(command: str) -> Callable[[World], object]:
    return lambda w: w.run(command)


MOUNTED = runs("findmnt -no FSTYPE --mountpoint /mnt/training; df -P /mnt/training > /dev/null && echo df exits 0")
WRITES = runs("touch /mnt/training/probe")

NO_SERVER = "Error reading SSH protocol banner|No existing session|EOFError|reset"  # paramiko's words vary

MEETS: dict[str, tuple[Callable[[World], object], str]] = {
    "aws-none": (identity, "Unable to locate credentials"),
    "aws-unknown": (identity, "InvalidClientTokenId"),
    "aws-secret": (identity, "SignatureDoesNotMatch"),
    "aws-expired": (identity, "ExpiredToken.*security token included in the request is expired"),
    "aws-skew": (identity, r"Signature expired: \d+T\d+Z is now earlier than"),
    "aws-partial": (identity, "Partial credentials found"),
    "aws-profile": (identity, r"profile \(production\) could not be found"),
    "aws-unreachable": (identity, "Could not connect to the endpoint"),
    "aws-hang": (identity, "Read timeout"),
    "aws-throttled": (identity, "Throttling"),
    "aws-portal": (identity, "Unable to parse response|KeyError"),
    "aws-account": (identity, "'2100"),
    "aws-sso-expired": (identity, "Token has expired|SSO session|expired or is otherwise invalid"),
    "aws-mfa": (lambda w: w.session().full_config["profiles"]["sandbox"], "mfa_serial"),
    "aws-process-hang": (lambda w: w.session().full_config["profiles"]["sandbox"], "credential_process"),
    "s3-list-deny": (
        host_lists,
        'not authorized to perform: s3:ListBucket on resource: "arn:aws:s3:::policy-database"',
    ),
    "s3-get-deny": (lambda w: (host_lists(w), host_gets(w)), "AccessDenied.*s3:GetObject.*no identity-based policy"),
    "s3-get-explicit-deny": (host_gets, "s3:GetObject.*with an explicit deny in an identity-based policy"),
    "s3-second-prefix-deny": (host_gets_second, "s3:GetObject.*policy-database/operatives/"),
    "s3-second-prefix-list-deny": (host_lists_second, "s3:ListBucket"),
    "s3-no-bucket": (host_lists, "NoSuchBucket"),
    "s3-slow-transient": (retries, "^2$"),
    "s3-slow-forever": (retries, "SlowDown"),
    "s3-hang": (host_lists, "Read timeout"),
    "s3-rst": (host_lists, "Connection was closed|Connection reset"),
    "s3-region": (lambda w: w.client("s3").get_bucket_location(Bucket=READ)["LocationConstraint"], "eu-west-1"),
    "s3-kms-deny": (host_gets, "kms:Decrypt on resource"),
    "s3-requester-pays": (host_lists, "requester pays"),
    "s3-host-deny": (lambda w: (w.client("s3").list_objects_v2(Bucket=READ), host_lists(w)), "assumed-role"),
    "s3-host-no-credentials": (host_lists, "Unable to locate credentials"),
    "s3-host-expired": (host_lists, "ExpiredToken.*provided token has expired"),
    "s3-empty-200": (host_lists, "^None$"),
    "s3-archived": (host_gets, "InvalidObjectState"),
    "s3-put-deny": (operator_writes, "s3:PutObject"),
    "s3-write-host-deny": (lambda w: (operator_writes(w), host_writes(w)), "assumed-role.*s3:PutObject"),
    "s3-write-operator-deny": (lambda w: (host_writes(w), operator_writes(w)), "user/deployer.*s3:PutObject"),
    "s3-write-last-prefix-deny": (host_writes_everywhere, "s3:PutObject.*training-runs/"),
    "s3-del-deny": (host_deletes, "s3:DeleteObject"),
    "s3-mpu-deny": (host_uploads_in_parts, "AccessDenied.*CreateMultipartUpload"),
    "s3-write-kms-deny": (host_writes, "kms:GenerateDataKey"),
    "s3-corrupt": (host_writes, "b'`cb'"),
    "s3-write-lies": (host_writes, "NoSuchKey"),
    "s3-write-rst": (host_writes, "Connection was closed|Connection reset"),
    "s3-write-no-bucket": (host_writes, "NoSuchBucket"),
    "ec2-missing": (state, "InvalidInstanceID.NotFound"),
    "ec2-malformed": (state, 'InvalidInstanceID.Malformed.*Invalid id: "i-mistral-training"'),
    "ec2-region": (state, "InvalidInstanceID.NotFound"),
    "ec2-wrong-account": (state, "InvalidInstanceID.NotFound"),
    "ec2-deny": (state, "UnauthorizedOperation.*user/deployer is not authorized to perform: ec2:DescribeInstances"),
    "ec2-stopped": (state, "'stopped'"),
    "ec2-stopping": (state, "'stopping'"),
    "ec2-pending": (state, "'pending'"),
    "ec2-shutting": (state, "'shutting-down'"),
    "ec2-terminated": (state, "'terminated'"),
    "instance-address": (address, r"'127.0.0.2', '127.0.0.1', \(0"),
    "instance-moved": (address, r"'127.0.0.2', '127.0.0.1', \(0"),
    "instance-type": (instance_type, "g4dn.xlarge"),
    "ssh-refused": (connects, "Unable to connect|refused"),
    "ssh-blackhole": (connects, "timed out"),
    "ssh-silent": (connects, NO_SERVER),
    "ssh-notssh": (connects, NO_SERVER),
    "ssh-rst": (connects, NO_SERVER),
    "ssh-no-rule": (lambda w: (rules(w), connects(w)), "timed out"),
    "ssh-maxstartups": (connects_twice, f"({NO_SERVER}).*, then <paramiko"),
    "ssh-cut": (runs("head -c 100 /dev/zero | tr '\\0' x; sleep 60"), r"\(-1, 'x{10}'"),
    "ssh-slow": (runs("true"), "timed out|TimeoutError"),
    "ssh-user": (connects, "Authentication failed"),
    "ssh-login-as": (runs("true"), 'Please login as the user "ubuntu"'),
    "ssh-shell-nologin": (runs("true"), r"\(1, 'This account is currently not available"),
    "ssh-key": (connects, "Authentication failed"),
    "ssh-key-enc": (connects, "PasswordRequiredException"),
    "ssh-key-missing": (connects, "No such file"),
    "ssh-key-pub": (connects, "not a valid|key"),
    "ssh-key-garbage": (connects, "key|PEM"),
    "ssh-key-mode": (key_mode, r"0o100644.*\(0"),
    "ssh-hostkey": (connects, "BadHostKeyException"),
    "ssh-hostkey-unknown": (connects, "not found in known_hosts"),
    "ebs-unmounted": (MOUNTED, r"\(0, 'df exits 0"),
    "ebs-plain-folder": (MOUNTED, r"\(0, 'df exits 0"),
    "ebs-missing": (runs("ls /mnt/training"), r"\(2, .*No such file"),
    "ebs-dangling": (runs("ls -d /mnt/training; ls /mnt/training/"), r"\(2, '/mnt/training.*No such file"),
    "ebs-wrong-kind": (MOUNTED, "tmpfs"),
    "ebs-ro": (WRITES, "Read-only file system"),
    "ebs-not-writable": (WRITES, "Permission denied"),
    "ebs-detached": (attached, r"^\(1, \(0"),
    "ebs-not-in-fstab": (runs("findmnt --fstab /mnt/training"), r"^\(1"),
    "ebs-fstab-elsewhere": (runs("findmnt --fstab /mnt/training"), r"^\(1"),
    "disk-low": (runs("head -c 200M /dev/zero > /mnt/training/probe"), "No space left"),
    "disk-inodes": (runs("df -P /mnt/training; touch /mnt/training/a /mnt/training/b"), "No space left"),
    "disk-tmp-low": (runs("head -c 2M /dev/zero > ~/.cache/probe"), "No space left"),
    "disk-quota": (lambda w: (w.run("quota -w"), w.run("python3 -I -", QUOTACTL)), r"10240\*.*'0 10240 10485760"),
    **DOWNLOAD_MEETS,
    **GPU_MEETS,
    **INSTANCE_MEETS,
    **MODEL_MEETS,
    **PYTHON_MEETS,
    **REPOSITORY_MEETS,
    **SYSTEM_MEETS,
    **DATA_MEETS,
    **QUICK_RUN_MEETS,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plain_client_meets_it(open_world: OpenWorld, fault: str) -> None:
    world = open_world(fault)
    Settings.from_wire(dict(world.settings))
    probe, expected = MEETS[fault]
    try:
        met = repr(probe(world))
    except TROUBLE as error:
        met = f"{type(error).__name__}: {error}"

    assert re.search(expected, met, re.DOTALL), met
    felt = world.felt(fault)
    assert felt is None or felt >= 1


def test_every_fault_is_met() -> None:
    assert set(MEETS) == set(FAULTS)
