"""What lies in a tenant's account, put into moto's backends in-process: 5,000 objects take 0.2 s, over HTTP 52 s.

moto keeps one namespace of bucket names for all accounts, as AWS does. Tenants must be able to own buckets of the same
names, as each stands for the user's one account; so a bucket made here is taken out of that namespace again. moto then
finds it in the account of whoever asks, and in no other.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest import mock

from pytest_pipeline.sandbox.aws_identity import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_pipeline.sandbox.plan import BucketPlan, InstancePlan

_ANYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
"""moto checks keys and signatures; what an identity may do is decided in `aws_identity`."""

_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_DEFAULT_REGIONS = frozenset(
    f"{area}-{number}"
    for area, count in (
        ("ap-northeast", 3),
        ("ap-south", 1),
        ("ap-southeast", 2),
        ("ca-central", 1),
        ("eu-central", 1),
        ("eu-north", 1),
        ("eu-west", 3),
        ("sa-east", 1),
        ("us-east", 2),
        ("us-west", 2),
    )
    for number in range(1, count + 1)
)
"""Those that need no opting in ("Enable or disable AWS Regions in your account", AWS Account Management)."""
_AMI = "ami-0f0e0d0c0b0a09080"
_one_at_a_time = threading.Lock()  # moto's backends are made on first use, and know no locks


def seed_user(account: str, name: str) -> Identity:
    """Make an IAM user with one access key."""
    from moto.iam.models import iam_backends  # noqa: PLC0415  # slow to import, and not needed before the first tenant

    with _one_at_a_time:
        iam = iam_backends[account]["aws"]
        user = iam.create_user("us-east-1", name)
        iam.put_user_policy(name, "all", _ANYTHING)
        key = iam.create_access_key(name)
    return Identity(arn=user.arn, account=account, access_key=key.access_key_id, secret_key=key.secret_access_key)


def seed_role_session(account: str, role: str, session: str) -> Identity:
    """Make a role and assume it, as an instance profile or a single sign-on does."""
    from moto.iam.models import iam_backends  # noqa: PLC0415  # as above
    from moto.sts.models import sts_backends  # noqa: PLC0415  # as above

    with _one_at_a_time:
        iam = iam_backends[account]["aws"]
        made = iam.create_role(
            role_name=role,
            assume_role_policy_document=_ANYTHING,
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        iam.put_role_policy(role, "all", _ANYTHING)
        assumed = sts_backends[account]["aws"].assume_role(
            region_name="us-east-1",
            role_session_name=session,
            role_arn=made.arn,
            policy="",
            duration=3600,
            external_id="",
        )
    return Identity(
        arn=assumed.arn,
        account=account,
        access_key=assumed.access_key_id,
        secret_key=assumed.secret_access_key,
        session_token=assumed.session_token,
    )


def seed_bucket(account: str, plan: BucketPlan) -> None:
    """Make a bucket and its objects."""
    from moto.s3.models import s3_backends  # noqa: PLC0415  # as above

    with _one_at_a_time:
        s3 = s3_backends[account]["aws"]
        s3.create_bucket(plan.name, plan.region)
        s3_backends.bucket_accounts.pop(plan.name, None)
        if plan.versioned:
            s3.put_bucket_versioning(plan.name, "Enabled")
        for key, body in plan.objects.items():
            tier = plan.tiers.get(key, "STANDARD")
            made = s3.put_object(plan.name, key, body, storage=tier, disable_notification=True)
            made.last_modified -= timedelta(hours=plan.ages_hours.get(key, 0))


def limit_regions() -> None:
    """Let accounts see the regions they have by default: moto lists every region there is, China's included."""
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend  # noqa: PLC0415  # as above

    kept = [region for region in RegionsAndZonesBackend.regions if region.name in _DEFAULT_REGIONS]
    RegionsAndZonesBackend.regions[:] = kept


def seed_instances(account: str, plans: Sequence[InstancePlan]) -> None:
    """Make the EC2 instances, each with its security group and volumes."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415  # takes seconds to import

    with _one_at_a_time:
        ec2_backends.pop(account, None)  # what an attempt that broke may have left
        for plan in plans:
            if plan.exists:
                _seed_instance(ec2_backends["999999999999" if plan.elsewhere else account][plan.region], plan)


def seed_alarms(account: str, plans: Sequence[InstancePlan]) -> None:
    """Make the alarms of CloudWatch on the instances."""
    if not any(plan.alarms for plan in plans):
        return
    from moto.cloudwatch.models import cloudwatch_backends  # noqa: PLC0415  # as above

    with _one_at_a_time:
        for plan in plans:
            for alarm in plan.alarms:
                action = f"arn:aws:automate:{plan.region}:ec2:{alarm.action}"
                if alarm.old_spelling:
                    verb = f"AWS_EC2.InstanceId.{alarm.action.title()}"
                    action = f"arn:aws:swf:{plan.region}:{account}:action/actions/{verb}/1.0"
                cloudwatch_backends[account][plan.region].put_metric_alarm(
                    name=alarm.name,
                    namespace=alarm.namespace,
                    metric_name=alarm.metric,
                    comparison_operator=alarm.operator,
                    evaluation_periods=3,
                    period=300,
                    threshold=alarm.threshold,
                    statistic="Average",
                    description="",
                    dimensions=[{"Name": "InstanceId", "Value": alarm.of or plan.id}],
                    alarm_actions=[action],
                    actions_enabled=alarm.enabled,
                )


def forget(account: str) -> None:
    """Drop everything of an account that is no more."""
    with _one_at_a_time:
        for service in ("iam", "sts", "s3", "ec2", "cloudwatch"):
            # What was never imported, or is just being imported, holds nothing of the account.
            backends = getattr(sys.modules.get(f"moto.{service}.models"), f"{service}_backends", None)
            if backends is not None:
                backends.pop(account, None)


def _seed_instance(ec2: object, plan: InstancePlan) -> None:
    from moto.ec2.models import instances  # noqa: PLC0415  # as above
    from moto.ec2.models.instances import InstanceState  # noqa: PLC0415  # as above

    group = ec2.create_security_group(f"sg-{plan.id}", "The training host")  # type: ignore[attr-defined]  # moto's
    for port in plan.open_ports:
        ec2.authorize_security_group_ingress(  # type: ignore[attr-defined]  # moto's
            group.id, "tcp", str(port), str(port), [{"CidrIp": "0.0.0.0/0"}]
        )
    with mock.patch.object(instances, "random_instance_id", return_value=plan.id):  # settings name it before it is made
        reservation = ec2.run_instances(  # type: ignore[attr-defined]  # moto's
            _AMI,
            1,
            None,
            [],
            security_group_ids=[group.id],
            instance_type=plan.type,
            is_instance_type_default=False,
            region_name=plan.region,
            associate_public_ip=True,
            tags={"instance": {"Name": plan.name, **plan.tags}},
            lifecycle=plan.life_cycle,
        )
    instance = reservation.instances[0]
    if plan.data_volume_gib:
        volume = ec2.create_volume(plan.data_volume_gib, instance.availability_zone)  # type: ignore[attr-defined]  # moto's
        ec2.attach_volume(volume.id, instance.id, "/dev/sdf")  # type: ignore[attr-defined]  # moto's
    # moto invents public addresses that belong to somebody: whoever follows one must stay on this machine.
    running = plan.state in ("running", "pending")
    for nic in instance.nics.values():
        nic.public_ip = plan.address if running else None
    if plan.state == "terminated":
        instance.terminate()
    instance._state = InstanceState(plan.state, _STATE_CODES[plan.state])  # noqa: SLF001  # moto has no way to stay in a passing state
