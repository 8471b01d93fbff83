"""Phase 1: infrastructure and prerequisites, in the matrix's order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from matrix_tests.host_state import SUSPICIOUS_FROM_S, judge_clock, judge_credentials, judge_names
from matrix_tests.instances import judge_checks, judge_stay, running_or_blocked, threats_to
from matrix_tests.storage import judge_access, read_access, write_access
from matrix_tests.volumes import free_for, in_words, judge_mount, needed_bytes, not_the_volume
from pytest_pipeline import Blocked, Reading, failure_mode
from pytest_pipeline.observers.instance_facts import Absence

if TYPE_CHECKING:
    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.aws_view import PipelineAws
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.observers.instance_facts import AttachedVolume
    from pytest_pipeline.observers.instance_readings import AddressMatch, InstanceReadings
    from pytest_pipeline.settings import Requirements, Settings


def instance_or_end(settings: Settings, aws: PipelineAws, instance: str, evidence: Evidence) -> InstanceReadings:
    """What EC2 says of the instance; ends the row where there is none to ask about."""
    if settings.host.kind != "ec2":
        evidence.not_applicable(f"host.kind is {settings.host.kind!r}")
    if not instance:
        raise Blocked("host.instance_ids (or --instance-id)", by="settings")
    readings: InstanceReadings = aws.facts.instances[instance]
    return readings


def why_absent(absence: Absence) -> str:
    """Why an instance is not where it was looked for, as far as EC2 says."""
    if absence.malformed:
        return f"it is no instance id ('i-' and 8 or 17 hex digits): {absence.said}"
    if absence.found_in:
        return f"it is in {absence.found_in}, not in {absence.region}"
    elsewhere = f"; nor is it in {', '.join(absence.asked_in)}" if absence.asked_in else ""
    return f"{absence.said}{elsewhere}{f'; {absence.note}' if absence.note else ''}"


def attached_volumes(aws: PipelineAws, instance: str) -> Reading[tuple[AttachedVolume, ...]]:
    """What EC2 says is attached; a reading, since a host need be no instance and EC2 need not be readable."""
    if not instance:
        return Reading.missing("the host is no EC2 instance", by="settings")
    seen = aws.readings.instances
    return seen.value[instance].volumes if seen.is_known else seen.hand_on()


@failure_mode(
    "aws-credentials",
    phase=1,
    category="AWS Credentials",
    failure="Invalid/expired credentials",
    diagnostic="AWS credentials invalid: {error}",
    fix="Check ~/.aws/credentials",
    healthy="AWS credentials valid: {arn}",
)
def test_aws_credentials(pipeline_aws: PipelineAws, evidence: Evidence) -> None:
    """aws sts get-caller-identity"""
    identity = pipeline_aws.facts.identity
    evidence(account=identity.account, arn=identity.arn, source=identity.source)
    offset_s = identity.clock_offset_s
    if offset_s is not None and abs(offset_s) > 60:  # AWS refuses from 300 s on
        evidence.warn(f"this machine's clock is off by {offset_s:.0f} s; AWS refuses signatures from 300 s on")


@failure_mode(
    "s3-read",
    phase=1,
    category="S3 Access",
    failure="No read access to {bucket}",
    diagnostic="Cannot read policy data: {permissions}",
    fix="Fix S3 bucket policy",
    healthy="S3 sources readable: {looked_at}",
)
def test_s3_read(pipeline_settings: Settings, pipeline_aws: PipelineAws, gpu_host: GpuHost, evidence: Evidence) -> None:
    """aws s3 ls s3://policy-database/"""
    accesses = read_access(pipeline_settings, pipeline_aws, gpu_host)
    judge_access(accesses, {"s3:ListBucket", "s3:GetObject"}, pipeline_settings, evidence)


@failure_mode(
    "s3-write",
    phase=1,
    category="S3 Access",
    failure="No write access to {bucket}",
    diagnostic="Cannot write outputs: {permissions}",
    fix="Fix S3 bucket policy",
    healthy="S3 outputs writable: {looked_at}",
    effects=("s3 object",),
)
def test_s3_write(
    pipeline_settings: Settings, pipeline_aws: PipelineAws, gpu_host: GpuHost, evidence: Evidence
) -> None:
    """aws s3 cp test.txt s3://asoba-llm-cache/test/"""
    accesses = write_access(pipeline_settings, pipeline_aws, gpu_host)
    judge_access(accesses, {"s3:PutObject"}, pipeline_settings, evidence)


@failure_mode(
    "ec2-exists",
    phase=1,
    category="EC2 Instance",
    failure="Instance doesn't exist",
    diagnostic="Instance {id} not found",
    fix="Launch instance or fix ID",
    healthy="Instance {id} exists in {region}",
)
def test_ec2_exists(
    pipeline_settings: Settings, pipeline_aws: PipelineAws, pipeline_instance: str, evidence: Evidence
) -> None:
    """aws ec2 describe-instances --instance-ids {id}"""
    lookup = instance_or_end(pipeline_settings, pipeline_aws, pipeline_instance, evidence).lookup.value
    evidence(id=lookup.id, region=lookup.region)
    if isinstance(lookup, Absence):
        if lookup.found_in:
            evidence.remedy(f"pytest -m phase1 --instance-id {lookup.id} --pipeline-set aws.region={lookup.found_in}")
        pytest.fail(why_absent(lookup), pytrace=False)


@failure_mode(
    "ec2-running",
    phase=1,
    category="EC2 Instance",
    failure="Instance not running",
    diagnostic="Instance {id} in state {state}",
    fix="Start instance",
    healthy="Instance {id} running",
)
def test_ec2_running(
    pipeline_settings: Settings, pipeline_aws: PipelineAws, pipeline_instance: str, evidence: Evidence
) -> None:
    """Instance state check"""
    readings = instance_or_end(pipeline_settings, pipeline_aws, pipeline_instance, evidence)
    instance = readings.instance.value
    evidence(id=instance.id, state=instance.state)
    if instance.state == "stopped":
        evidence.remedy(f"aws ec2 start-instances --region {instance.region} --instance-ids {instance.id}")
    assert instance.state == "running", instance.state_reason


@failure_mode(
    "ssh-access",
    phase=1,
    category="SSH Access",
    failure="Cannot connect to instance",
    diagnostic="SSH failed: {error}",
    fix="Fix key permissions/IP",
    healthy="{way} established to {user}@{address}",
)
def test_ssh_access(gpu_host: GpuHost, pipeline_settings: Settings, evidence: Evidence) -> None:
    """ssh -i {key} ubuntu@{ip} exit"""
    gpu_host.end_if_none(evidence)
    session = gpu_host.session.value
    host = pipeline_settings.host
    way = "Local shell" if host.connection == "local" else "SSH connection"
    evidence(way=way, address=session.address, user=session.user, host_key=session.host_key_fingerprint)
    meant = host.user if "user" in host.model_fields_set else session.user
    assert session.user == meant, f"commands run as {session.user}, not as {meant}"
    assert gpu_host.facts.shell  # logged in, and commands are really run
    if session.accepted_host_key:
        evidence.warn(f"its host key was not known and was accepted: {session.host_key_fingerprint}")
    if session.retries:
        evidence.warn("the first connection was dropped before a word was said (MaxStartups?); the second one held")


@failure_mode(
    "ebs-volume",
    phase=1,
    category="EBS Volume",
    failure="{path} not mounted",
    diagnostic="Training volume not available",
    fix="Mount EBS volume",
    healthy="{volume} mounted at {path}",
)
def test_ebs_volume(
    gpu_host: GpuHost,
    pipeline_aws: PipelineAws,
    pipeline_instance: str,
    pipeline_requirements: Requirements,
    evidence: Evidence,
) -> None:
    """df -h /mnt/training"""
    gpu_host.end_if_none(evidence)
    mounts = {path: disk for path, disk in pipeline_requirements.disk.items() if disk.kinds}
    if not mounts:
        raise Blocked("requirements.disk.<path>.kinds: where a volume must be mounted", by="settings")
    for path, disk in mounts.items():
        volume = gpu_host.facts.volumes[path]
        evidence(path=path, volume=in_words(volume.kind), mount=volume.mount.point, source=volume.mount.source)
        judge_mount(volume, disk, attached_volumes(pipeline_aws, pipeline_instance), evidence)


@failure_mode(
    "disk-space",
    phase=1,
    category="Disk Space",
    failure="Insufficient space for training",
    diagnostic="Only {free_gb}GB free, need {required_gb}GB",
    fix="Resize EBS or cleanup",
    healthy="Enough disk space: {free}",
)
def test_disk_space(gpu_host: GpuHost, pipeline_requirements: Requirements, evidence: Evidence) -> None:
    """df -h /mnt/training"""
    gpu_host.end_if_none(evidence)
    if not pipeline_requirements.disk:
        raise Blocked("requirements.disk", by="settings")
    seen: list[str] = []
    volumes = {path: gpu_host.facts.volumes[path] for path in pipeline_requirements.disk}
    for path, disk in pipeline_requirements.disk.items():
        volume = volumes[path]
        if other := not_the_volume(volume, disk):
            raise Blocked(other, by="ebs-volume")  # what is free elsewhere says nothing of the volume
        sharing = [one for one in volumes if one != path and volumes[one].mount.point == volume.mount.point]
        others_bytes = sum(needed_bytes(volumes[one], pipeline_requirements.disk[one]) for one in sharing)
        free = free_for(volume, disk, others_bytes=others_bytes)
        if not volume.exists:
            evidence.warn(f"{path} does not exist: what is free was read at {volume.judged_path}")
        if not volume.quota.is_known:
            evidence.warn(f"whether a quota limits {path} could not be read: {volume.quota.reason}")
        seen.append(f"{free.gb}GB free at {path}, {free.required_gb}GB needed")
        evidence(path=path, free_gb=free.gb, required_gb=free.required_gb, free="; ".join(seen))
        assert free.enough, free.why


@failure_mode(
    "instance-identity",
    phase=1,
    category="Instance Identity",
    failure="ID, address, region and type do not belong together",
    diagnostic="Instance {id} is not what the settings say",
    fix="Fix the instance ID, address or region",
    severity="major",
    healthy="Instance {id} is {type} at {address}",
)
def test_instance_identity(
    pipeline_settings: Settings,
    pipeline_aws: PipelineAws,
    gpu_host: GpuHost,
    pipeline_instance: str,
    evidence: Evidence,
) -> None:
    """The given id, address, region and type belong together."""
    readings = instance_or_end(pipeline_settings, pipeline_aws, pipeline_instance, evidence)
    instance, host = readings.instance.value, pipeline_settings.host
    evidence(id=instance.id, type=instance.type, address=instance.public_ip or instance.private_ip)
    if host.instance_type is not None:
        assert instance.type == host.instance_type, f"it is a {instance.type}, not a {host.instance_type}"
    given: Reading[AddressMatch] | None = pipeline_aws.facts.instances.address
    if given is not None and given.value.comparable:
        owner = given.value.owner.or_none
        whose = f"which belongs to {owner}" if owner else "which is not its own: stopping and starting changes it"
        assert given.value.instance == instance.id, f"it is at {instance.public_ip}, not at {host.address}, {whose}"
    says = gpu_host.readings.instance.or_none  # what the host is told by the instance metadata service, if asked
    assert says is None or says.id == instance.id, f"the host that answers says that it is {says.id}"


@failure_mode(
    "instance-status",
    phase=1,
    category="Instance Status",
    failure="EC2's status checks do not pass",
    diagnostic="Instance {id} has not passed its status checks: {checks}",
    fix="Stop and start the instance, or replace it",
    severity="major",
    healthy="Status checks of instance {id}: {checks}",
)
def test_instance_status(
    pipeline_settings: Settings, pipeline_aws: PipelineAws, pipeline_instance: str, evidence: Evidence
) -> None:
    """aws ec2 describe-instance-status --instance-ids {id}"""
    readings = instance_or_end(pipeline_settings, pipeline_aws, pipeline_instance, evidence)
    instance = readings.instance.value
    evidence(id=instance.id)
    running_or_blocked(instance)
    judge_checks(readings, evidence)


@failure_mode(
    "instance-stays-up",
    phase=1,
    category="Instance Stays Up",
    failure="The instance goes away during the run",
    diagnostic="Instance {id} may not stay up: {error}",
    fix="Reschedule the event, disable the alarm, or use on-demand",
    severity="major",
    healthy="Instance {id} ({life_cycle}): no event is planned, and no alarm stops it",
)
def test_instance_stays_up(
    pipeline_settings: Settings,
    pipeline_aws: PipelineAws,
    gpu_host: GpuHost,
    pipeline_instance: str,
    evidence: Evidence,
) -> None:
    """Scheduled events, CloudWatch alarms, spot notices and scheduler tags"""
    readings = instance_or_end(pipeline_settings, pipeline_aws, pipeline_instance, evidence)
    instance = readings.instance.value
    evidence(id=instance.id, life_cycle=instance.life_cycle or "on demand")
    running_or_blocked(instance)
    hours = pipeline_settings.requirements.run_hours
    ends = datetime.now(UTC) + timedelta(hours=hours) if hours is not None else None
    judge_stay(readings, threats_to(readings, gpu_host.readings.system.notices, ends=ends), evidence)


@failure_mode(
    "host-clock",
    phase=1,
    category="Host Clock",
    failure="The host's clock is wrong",
    diagnostic="Host clock is off by {offset_s}s",
    fix="Enable time synchronisation on the host",
    severity="major",
    healthy="Host clock is off by {offset_s}s (synchronised: {synchronized})",
)
def test_host_clock(
    gpu_host: GpuHost, pipeline_aws: PipelineAws, pipeline_settings: Settings, evidence: Evidence
) -> None:
    """The host's clock against ours, across the round trip; chronyc tracking"""
    gpu_host.end_if_none(evidence)
    offset_s, identity = gpu_host.facts.clock_offset_s, pipeline_aws.readings.identity
    if pipeline_settings.host.connection == "local" or abs(offset_s) > SUSPICIOUS_FROM_S:
        identity.value  # noqa: B018 - raises: without AWS's clock nobody knows whose is wrong
    ours_s = identity.value.clock_offset_s if identity.is_known else None
    judge_clock(
        offset_s,
        ours_s or 0.0,
        gpu_host.readings.system.clock_sync,
        evidence,
        uses_aws=any("host" in bucket.from_ for bucket in pipeline_settings.aws.buckets),
    )


@failure_mode(
    "credential-lifetime",
    phase=1,
    category="Credential Lifetime",
    failure="Credentials end during the run",
    diagnostic="Host credentials end in {hours}h, the run takes {required_hours}h",
    fix="Use the instance role, or fresh credentials",
    severity="major",
    healthy="Host credentials {lasts} ({source})",
)
def test_credential_lifetime(
    gpu_host: GpuHost, pipeline_aws: PipelineAws, pipeline_settings: Settings, evidence: Evidence
) -> None:
    """Where the host's credentials come from, and when they end; the operator's are for launching alone"""
    gpu_host.end_if_none(evidence)
    if not any("host" in bucket.from_ for bucket in pipeline_settings.aws.buckets):
        evidence.not_applicable("no bucket of aws.buckets is used from the host")
    operator = pipeline_aws.readings.identity.or_none
    if operator and operator.expires_in_s is not None:
        evidence(operator_hours=round(operator.expires_in_s / 3600, 1))
    judge_credentials(gpu_host.readings.system.credentials.value, pipeline_settings.requirements.run_hours, evidence)


@failure_mode(
    "name-resolution",
    phase=1,
    category="Name Resolution",
    failure="The host cannot resolve a name that it needs",
    diagnostic="Host cannot resolve {name}",
    fix="Fix DNS on the host",
    severity="major",
    healthy="Host resolves {names}",
)
def test_name_resolution(gpu_host: GpuHost, evidence: Evidence) -> None:
    """getent ahosts {name}"""
    gpu_host.end_if_none(evidence)
    names = gpu_host.readings.system.names
    if not names:
        raise Blocked("requirements.names: host names that the pipeline needs", by="settings")
    judge_names(names, evidence)
