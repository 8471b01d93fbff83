"""One tenant: what it is when healthy, and how a plan becomes a running world of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncssh

from pytest_pipeline.sandbox.aws_identity import Statement
from pytest_pipeline.sandbox.data_content import (
    FOLDERS,
    SOURCE_PREFIX,
    TRAIN_KEY,
    VALIDATION_KEY,
    dataset_objects,
    policy_objects,
    source_objects,
)
from pytest_pipeline.sandbox.host import Host
from pytest_pipeline.sandbox.host_clock import chronyc
from pytest_pipeline.sandbox.host_content import lay_out
from pytest_pipeline.sandbox.host_deployment import PREPARE, TRAIN, deployed_files
from pytest_pipeline.sandbox.host_door import bind
from pytest_pipeline.sandbox.host_model import MODEL_FOLDER
from pytest_pipeline.sandbox.pipeline_step import PIPELINE, STEP, prepare_step
from pytest_pipeline.sandbox.plan import (
    CACHE_BUCKET,
    LOCK,
    POLICY_BUCKET,
    REGION,
    VOLUME,
    BucketPlan,
    FileSpec,
    HostPlan,
    InstancePlan,
    TenantPlan,
)
from pytest_pipeline.sandbox.repository import pins_files
from pytest_pipeline.sandbox.tenant_files import PROFILE, credentials_text, known_hosts_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_pipeline.sandbox.aws import AwsServer
    from pytest_pipeline.sandbox.aws_identity import Identity
    from pytest_pipeline.sandbox.tally import Tally

    Inject = Callable[[TenantPlan], Tally | None]

_IMPATIENT_S = 10.0  # who waits less for AWS must not be the one who pays for moto's import of EC2
_PATIENCE_S = 10.0
_LINES = b'{"text": "A rule of the sandbox."}\n' * 3


@dataclass(kw_only=True)
class Tenant:
    """A running tenant. `end` undoes all of it, in the opposite order."""

    plan: TenantPlan
    felt: dict[str, Tally | None]
    host: Host
    end: contextlib.ExitStack

    def to_wire(self) -> dict[str, Any]:
        """Return what whoever asked for the tenant must know."""
        return {"tenant": self.plan.id, "settings": self.plan.settings, "simulated": self.plan.simulated}


def open_tenant(
    number: int,
    *,
    folder: Path,
    aws: AwsServer,
    loop: asyncio.AbstractEventLoop,
    variant: Inject | None,
    faults: dict[str, Inject],
    namespaces: bool,
) -> Tenant:
    """Build a tenant: the healthy plan, edited by a variant and by these faults (id to what each does), made real.

    Raises UnavailableError for a fault that this machine cannot have; nothing is left of the tenant then.
    """
    with contextlib.ExitStack() as end:
        folder.mkdir()
        end.callback(shutil.rmtree, folder, ignore_errors=True)
        first = end.enter_context(bind("127.0.0.1"))
        host_key, client_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        plan = _healthy(number, folder=folder, aws=aws, port=first.getsockname()[1], client_key=client_key)
        if not namespaces:
            _do_without_volume(plan)
        end.callback(aws.forget, plan.account)
        public = host_key.export_public_key("openssh").decode().strip()
        plan.files["ssh/known_hosts"] = FileSpec(text=known_hosts_text(plan, public))
        if variant:
            variant(plan)
        felt = {name: inject(plan) for name, inject in faults.items()}
        for taken in plan.keep:
            end.enter_context(taken)
        sockets = [first]
        for address in plan.host.addresses[1:]:
            sockets.append(end.enter_context(bind(address, plan.host.port)))  # noqa: PERF401  # each is closed if the next fails
        if plan.settings["aws"]["read_timeout_s"] < _IMPATIENT_S:
            aws.wait_for_ec2()
        _write_files(plan)
        if not namespaces:
            lay_out(plan.host.mounts[0].content, plan.path("training"))
        for path in plan.pipes:
            end.callback(os.close, _hold(path))
        end.callback(aws.close, aws.open(plan))
        host = Host(plan.host, folder=folder, home=folder / "home", sockets=sockets, namespaces=namespaces)
        end.callback(lambda: asyncio.run_coroutine_threadsafe(host.close(), loop).result(_PATIENCE_S))
        opened = asyncio.run_coroutine_threadsafe(host.open(host_key=host_key, authorized=client_key), loop)
        opened.result(_PATIENCE_S)
        return Tenant(plan=plan, felt=felt, host=host, end=end.pop_all())


def _healthy(number: int, *, folder: Path, aws: AwsServer, port: int, client_key: asyncssh.SSHKey) -> TenantPlan:
    account = f"{210_000_000_000 + number}"
    # The port of a real host is 22; ours is any free one, and a rule must open it just so.
    instance = InstancePlan(id=f"i-0a{number:015x}", open_ports=(22, port))
    operator = aws.user(account, "deployer")
    host_identity = aws.role_session(account, "mistral-training", instance.id)
    buckets = (
        BucketPlan(
            name=POLICY_BUCKET,
            objects={
                **policy_objects(),
                **{f"operatives/report_{n}.jsonl": _LINES for n in range(3)},
            },
        ),
        BucketPlan(name=CACHE_BUCKET, objects=dataset_objects() | source_objects()),
    )
    _allow(operator, *buckets, further=("ec2:Describe*", "cloudwatch:DescribeAlarms", "sts:*"))
    _allow(host_identity, *buckets)
    plan = TenantPlan(
        id=f"t{number}",
        folder=folder,
        account=account,
        aws_url=aws.url,
        operator=operator,
        host_identity=host_identity,
        settings={},
        role_session=partial(aws.role_session, account),
        host=HostPlan(port=port, programs={"chronyc": chronyc()}),
        buckets={bucket.name: bucket for bucket in buckets},
        instances=[instance],
        files={
            "aws/credentials": FileSpec(text=credentials_text(PROFILE, operator)),
            "aws/config": FileSpec(text=f"[profile {PROFILE}]\nregion = {REGION}\n"),
            "ssh/id_ed25519": FileSpec(text=client_key.export_private_key("openssh").decode()),
            "ssh/config": FileSpec(text=""),  # the user's own may send us through a jump host
            "home/.aws/credentials": FileSpec(text=credentials_text("default", host_identity)),
            "home/.aws/config": FileSpec(text=f"[default]\nregion = {REGION}\n"),
            **pins_files(),
            **deployed_files(),
            "home/.bashrc": FileSpec(text="# nothing of interest\n", mode=0o644),
        },
    )
    plan.settings = _settings(plan)
    return plan


def _do_without_volume(plan: TenantPlan) -> None:
    """Put a plain folder, and call it so, where no file system can be mounted: what needs one is not judged."""
    plan.simulated.append("volume")
    plain = plan.path("training")
    plain.mkdir()
    disk = plan.settings["requirements"]["disk"]
    del disk[VOLUME]
    disk[str(plain)] = {"free_gb": 0.05}
    plan.settings["requirements"]["model"]["path"] = f"{plain}/{MODEL_FOLDER}"


def _settings(plan: TenantPlan) -> dict[str, Any]:
    """Return the settings under which the tenant is looked at, in the shape that `Settings` reads."""
    return {
        "world": "sandbox",
        "aws": {
            "account": plan.account,
            "region": REGION,
            "profile": PROFILE,
            "endpoint_url": plan.aws_url,
            "credentials_file": str(plan.path("aws/credentials")),
            "config_file": str(plan.path("aws/config")),
            "connect_timeout_s": 3.0,
            "read_timeout_s": 20.0,
            "attempts": 3,
            "buckets": [
                {"name": POLICY_BUCKET, "from": ["host"], "read": ["econ-theory/", "operatives/"]},
                {
                    "name": CACHE_BUCKET,
                    "from": ["operator", "host"],
                    "write": ["datasets/mistral-verbosity/", "models/mistral-verbosity/", "training-runs/"],
                    "actions": ["s3:DeleteObject"],
                },
            ],
        },
        "host": {
            "kind": "ec2",
            "connection": "fabric",
            "instance_ids": [plan.instance.id],
            "user": plan.host.user,
            "port": plan.host.port,
            "key": str(plan.path("ssh/id_ed25519")),
            "known_hosts": str(plan.path("ssh/known_hosts")),
            "ssh_config": str(plan.path("ssh/config")),
            "instance_type": plan.instance.type,
            "connect_timeout_s": 5.0,
            "command_timeout_s": 30.0,
            "import_timeout_s": 8.0,
            "contexts": [{"name": "train", "shell": "non-login"}],
        },
        "data": {
            "sources": [
                {
                    "name": folder,
                    "uri": f"s3://{POLICY_BUCKET}/{folder}/",
                    "filters": ["-*", "+*.jsonl", "+*.pdf"] if folder == "operatives" else ["-*", "+*.jsonl"],
                }
                for folder in FOLDERS
            ],
            "train": [f"s3://{CACHE_BUCKET}/{TRAIN_KEY}"],
            "validation": [f"s3://{CACHE_BUCKET}/{VALIDATION_KEY}"],
            "fields": {"text": "text"},
            "min_records": 500,
            "sequence_length": 512,
            "produced_by": STEP,
            "pdfs": {"sources": ["operatives"], "limit": 20},
            "download": {"size_gb": 1.0, "max_hours": 10.0, "measure_s": 2.0},
        },
        "pipeline": {
            "components": [{"name": "train", "match": r"train_mistral_simple\.py .*--run-id {run_id}"}],
            "locks": [LOCK],
            "workdir": str(PIPELINE),
            "steps": [prepare_step()],
        },
        "requirements": {
            "run_hours": 2,
            "ram_gb": 0.2,
            "shm_gb": 0.05,
            "names": ["localhost"],
            "python": ">=3.10",
            "torch": ">=2.5.1,<2.6",
            "torch_cuda": ">=12.1",
            "precision": "bf16",
            "gpu_memory_gb": 24,
            "packages": ["transformers", "peft", "datasets", "accelerate"],
            "entry_points": {TRAIN: "train", PREPARE: "train"},
            "pins": [str(plan.path(name)) for name in pins_files()],
            "model": {
                "name": "Mistral",
                "path": f"{VOLUME}/{MODEL_FOLDER}",
                "source": f"s3://{CACHE_BUCKET}/{SOURCE_PREFIX}",
            },
            "disk": {
                VOLUME: {"free_gb": 0.3, "kinds": ["tmpfs"], "survives_reboot": True},
                "~": {"free_gb": 0.1},
            },
        },
    }


def _allow(identity: Identity, *buckets: BucketPlan, further: tuple[str, ...] = ()) -> None:
    arns = tuple(f"arn:aws:s3:::{bucket.name}" for bucket in buckets)
    objects = tuple(f"{arn}/*" for arn in arns)
    identity.allow += [
        Statement(actions=("s3:ListBucket*", "s3:GetBucket*"), resources=arns),
        Statement(actions=("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:Abort*"), resources=objects),
        Statement(actions=("s3:ListAllMyBuckets", *further)),
    ]


def _write_files(plan: TenantPlan) -> None:
    for name, spec in plan.files.items():
        path = plan.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(spec.text)
        path.chmod(spec.mode)


def _hold(path: Path) -> int:
    """Make a named pipe that gives no data and no end while this process lives: so long hangs who reads it."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)
