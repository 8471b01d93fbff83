"""The 36 rows of the failure matrix, and the rows shipped beside them.

The sentences are the matrix's to the letter; what settings own (names of buckets, versions, sizes) is a placeholder.
A shipped test repeats its entry so that it reads beside the matrix, and a test holds the two equal: this way a row
whose file was lost, skipped or not collected is still known to be missing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_pipeline.matrix import Area, FailureMode, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


class Origin(StrEnum):
    """Where a row comes from; only rows of the matrix carry points."""

    MATRIX = "matrix"  # one of the 36
    EXTENDED = "extended"  # shipped beside them
    OWN = "own"  # a user's


def _critical(area: Area, row: str, category: str, failure: str, diagnostic: str, fix: str) -> FailureMode:
    return FailureMode(
        id=row, phase=area.phase, area=area, category=category, failure=failure, diagnostic=diagnostic, fix=fix
    )


def _major(area: Area, row: str, category: str, failure: str, diagnostic: str, fix: str) -> FailureMode:
    return FailureMode(
        id=row,
        phase=area.phase,
        area=area,
        category=category,
        failure=failure,
        diagnostic=diagnostic,
        fix=fix,
        severity=Severity.MAJOR,
    )


# fmt: off
# One row of the matrix a line, so that it can be compared by eye.
_MATRIX = (
    _critical(Area.INFRASTRUCTURE, "aws-credentials", "AWS Credentials", "Invalid/expired credentials", "AWS credentials invalid: {error}", "Check ~/.aws/credentials"),
    _critical(Area.INFRASTRUCTURE, "s3-read", "S3 Access", "No read access to {bucket}", "Cannot read policy data: {permissions}", "Fix S3 bucket policy"),
    _critical(Area.INFRASTRUCTURE, "s3-write", "S3 Access", "No write access to {bucket}", "Cannot write outputs: {permissions}", "Fix S3 bucket policy"),
    _critical(Area.INFRASTRUCTURE, "ec2-exists", "EC2 Instance", "Instance doesn't exist", "Instance {id} not found", "Launch instance or fix ID"),
    _critical(Area.INFRASTRUCTURE, "ec2-running", "EC2 Instance", "Instance not running", "Instance {id} in state {state}", "Start instance"),
    _critical(Area.INFRASTRUCTURE, "ssh-access", "SSH Access", "Cannot connect to instance", "SSH failed: {error}", "Fix key permissions/IP"),
    _critical(Area.INFRASTRUCTURE, "ebs-volume", "EBS Volume", "{path} not mounted", "Training volume not available", "Mount EBS volume"),
    _critical(Area.INFRASTRUCTURE, "disk-space", "Disk Space", "Insufficient space for training", "Only {free_gb}GB free, need {required_gb}GB", "Resize EBS or cleanup"),

    _critical(Area.ENVIRONMENT, "python-version", "Python Environment", "Wrong Python version", "Python {version}, need {required}", "Install correct Python"),
    _critical(Area.ENVIRONMENT, "pytorch", "PyTorch", "Missing/wrong PyTorch", "PyTorch {version} invalid", "Install PyTorch {required}"),
    _critical(Area.ENVIRONMENT, "cuda", "CUDA", "CUDA not available", "CUDA not available on instance", "Fix CUDA installation"),
    _critical(Area.ENVIRONMENT, "gpu-memory", "GPU Memory", "Insufficient GPU memory", "GPU has {gpu_gb}GB, need {required_gb}GB", "Use larger instance type"),
    _critical(Area.ENVIRONMENT, "dependencies", "Dependencies", "Missing required packages", "Missing package: {package}", "pip install {package}"),
    _critical(Area.ENVIRONMENT, "model-files", "Model Files", "{model} model not available", "Base model not found at {path}", "Download model to EBS"),

    _critical(Area.DATA, "data-sources", "Data Sources", "Policy folders empty/missing", "Source {folder} has 0 files", "Check S3 policy data"),
    _critical(Area.DATA, "data-format", "Data Format", "Invalid JSONL structure", "Invalid JSON in {file}: {error}", "Fix data format"),
    _major(Area.DATA, "data-content", "Data Content", "Missing required fields", "Records missing '{field}' field: {count}", "Fix data processing"),
    _major(Area.DATA, "data-volume", "Data Volume", "Insufficient training data", "Only {count} valid records, need {min}", "Add more data sources"),
    _major(Area.DATA, "download-speed", "Download Speed", "Network too slow for {size_gb}GB", "Speed {mbps}Mbps, will take {hours}h", "Use larger instance"),
    _major(Area.DATA, "operatives-limit", "Operatives Limit", "PDF processing will exceed limits", "Found {count} PDFs, limit is {max}", "Adjust processing limits"),

    _critical(Area.TRAINING, "dataset-loading", "Dataset Loading", "Cannot load train/val datasets", "Dataset load failed: {error}", "Fix dataset format"),
    _critical(Area.TRAINING, "model-loading", "Model Loading", "Cannot load base model", "Model load failed: {error}", "Fix model files"),
    _critical(Area.TRAINING, "memory-requirements", "Memory Requirements", "Training exceeds available memory", "Need {required_gb}GB RAM, have {available_gb}GB", "Use larger instance"),
    _critical(Area.TRAINING, "batch-size", "Batch Size", "Batch size too large for GPU", "Batch size {size} causes OOM", "Reduce batch size"),
    _major(Area.TRAINING, "learning-rate", "Learning Rate", "Learning rate will cause divergence", "LR {lr} may cause instability", "Adjust hyperparameters"),
    _critical(Area.TRAINING, "checkpoint-saving", "Checkpoint Saving", "Cannot save checkpoints", "Checkpoint save failed: {error}", "Fix permissions/space"),

    _critical(Area.MONITORING, "slack-webhook", "Slack Webhook", "Webhook URL invalid/expired", "Slack webhook failed: {error}", "Update webhook URL"),
    _critical(Area.MONITORING, "s3-monitoring", "S3 Monitoring", "Cannot write monitoring data", "Monitoring S3 write failed: {error}", "Fix S3 permissions"),
    _critical(Area.MONITORING, "heartbeat", "Heartbeat System", "Heartbeat manager crashes", "Heartbeat failed: {error}", "Fix heartbeat code"),
    _critical(Area.MONITORING, "error-detection", "Error Detection", "Monitoring doesn't detect failures", "Failed to detect {failure_type}", "Fix monitoring logic"),
    _major(Area.MONITORING, "alert-content", "Alert Content", "Alerts missing critical info", "Alert missing {required_field}", "Fix alert template"),

    _critical(Area.ERROR_HANDLING, "orchestration", "Pipeline Orchestration", "Scripts fail to execute in sequence", "Failed at step {step}: {error}", "Fix script dependencies"),
    _major(Area.ERROR_HANDLING, "state-persistence", "State Persistence", "Pipeline cannot resume after interruption", "Resume failed: {error}", "Fix state management"),
    _critical(Area.ERROR_HANDLING, "error-propagation", "Error Propagation", "Failures in one component don't stop others", "Error not propagated from {component}", "Fix error handling"),
    _major(Area.CLEANUP, "cleanup", "Cleanup", "Failed runs leave resources running", "Resources not cleaned: {resources}", "Fix cleanup scripts"),
    _major(Area.CLEANUP, "documentation", "Documentation", "Instructions don't match reality", "Step {step} in docs is wrong: {error}", "Update documentation"),
)

_EXTENDED = (
    _major(Area.INFRASTRUCTURE, "instance-identity", "Instance Identity", "ID, address, region and type do not belong together", "Instance {id} is not what the settings say", "Fix the instance ID, address or region"),
    _major(Area.INFRASTRUCTURE, "instance-status", "Instance Status", "EC2's status checks do not pass", "Instance {id} has not passed its status checks: {checks}", "Stop and start the instance, or replace it"),
    _major(Area.INFRASTRUCTURE, "instance-stays-up", "Instance Stays Up", "The instance goes away during the run", "Instance {id} may not stay up: {error}", "Reschedule the event, disable the alarm, or use on-demand"),
    _major(Area.INFRASTRUCTURE, "host-clock", "Host Clock", "The host's clock is wrong", "Host clock is off by {offset_s}s", "Enable time synchronisation on the host"),
    _major(Area.INFRASTRUCTURE, "credential-lifetime", "Credential Lifetime", "Credentials end during the run", "Host credentials end in {hours}h, the run takes {required_hours}h", "Use the instance role, or fresh credentials"),
    _major(Area.INFRASTRUCTURE, "name-resolution", "Name Resolution", "The host cannot resolve a name that it needs", "Host cannot resolve {name}", "Fix DNS on the host"),

    _critical(Area.ENVIRONMENT, "same-interpreter", "Same Interpreter", "What was checked is not what will run", "Not one interpreter: {error}", "Use the same interpreter everywhere"),
    _major(Area.ENVIRONMENT, "version-pins", "Version Pins", "Pins contradict each other or the host", "Pins contradict: {error}", "Make the pins agree"),
    _major(Area.ENVIRONMENT, "deployed-imports", "Deployed Imports", "A deployed entry point cannot import what it needs", "{entry_point} does not import: {error}", "Deploy what is missing"),
    _major(Area.ENVIRONMENT, "gpu-health", "GPU Health", "A GPU shows signs of broken hardware", "GPU {gpu} is not healthy: {error}", "Reset the GPU, or replace the instance"),
    _major(Area.ENVIRONMENT, "co-tenants", "Co-Tenants", "Somebody else works on the host", "Host is shared: {error}", "Stop the others, or use another host"),
    _major(Area.ENVIRONMENT, "shared-memory", "Shared Memory", "/dev/shm is too small for data loaders", "/dev/shm has {shm_gb}GB, need {required_gb}GB", "Enlarge /dev/shm"),
    _major(Area.ENVIRONMENT, "limits", "Limits", "The user's limits are too low for training", "Limit of {limit} is {value}, need {required}", "Raise the limit"),
    _major(Area.ENVIRONMENT, "stale-processes", "Stale Processes", "An earlier run is still there", "Left by an earlier run: {error}", "Stop it"),

    _major(Area.DATA, "processing-speed", "Processing Speed", "The step that makes the data does not work", "Quick run of {step} failed: {error}", "Fix the step"),
    _major(Area.DATA, "schema-consistency", "Schema Consistency", "Columns or types differ between files", "Columns do not agree: {error}", "Give all files the same columns and types"),
    _major(Area.DATA, "duplicate-records", "Duplicate Records", "Records occur more than once", "Records repeat: {error}", "Remove duplicates before training"),
    _major(Area.DATA, "train-validation-leak", "Train-Validation Leak", "Validation records are in the training data", "Validation leaks: {error}", "Split before records are copied"),
    _major(Area.DATA, "placeholder-text", "Placeholder Text", "Records say the same, and nothing", "Text is a template: {error}", "Fix data processing"),
    _major(Area.DATA, "sequence-length", "Sequence Length", "Truncation cuts records", "Records are cut: {error}", "Raise the sequence length, or split records"),
    _major(Area.DATA, "encoding-damage", "Encoding Damage", "Text was decoded wrongly on its way", "Text is damaged: {error}", "Read sources with their own encoding"),
    _major(Area.DATA, "secrets-in-data", "Secrets in Data", "Training text holds keys or tokens", "Secrets in training text: {error}", "Remove them, and revoke them"),
    _major(Area.DATA, "stale-dataset", "Stale Dataset", "The dataset is older than its sources", "Dataset is stale: {error}", "Make the dataset again"),
)
# fmt: on

MATRIX: Mapping[str, FailureMode] = {row.id: row for row in _MATRIX}
"""The 36 rows, in the matrix's order."""

EXTENDED: Mapping[str, FailureMode] = {row.id: row for row in _EXTENDED}
"""The rows shipped beside the 36."""

CATALOGUE: Mapping[str, FailureMode] = {**MATRIX, **EXTENDED}
"""Every shipped row."""


def origin_of(row: str) -> Origin:
    """Return where the row with this id comes from."""
    if row in MATRIX:
        return Origin.MATRIX
    return Origin.EXTENDED if row in EXTENDED else Origin.OWN
