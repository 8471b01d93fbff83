"""Phase 2: environment and dependencies, in the matrix's order. A row has one case for each context of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matrix_tests.company import judge_gpus, judge_memory, judge_runs
from matrix_tests.cuda import judge_cuda, judge_room, rooms_in
from matrix_tests.deployment import judge_entry_points
from matrix_tests.gpu_health import judge_health
from matrix_tests.interpreters import judge_python, judge_same, judge_torch, needs_gpu, places_in
from matrix_tests.limits import judge_limits, judge_shared_memory, judge_unit
from matrix_tests.model_files import judge_model, lost_volume, to_fetch
from matrix_tests.packages import judge_package
from matrix_tests.version_pins import judge_pins
from pytest_pipeline import Blocked, failure_mode, on_host
from pytest_pipeline.observers.co_tenants import used_ids

if TYPE_CHECKING:
    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.settings import Context, Requirements, Settings


def context_settings(settings: Settings, name: str) -> Context:
    """What the settings say of a context."""
    return next(context for context in settings.host.used_contexts if context.name == name)


@failure_mode(
    "python-version",
    phase=2,
    category="Python Environment",
    failure="Wrong Python version",
    diagnostic="Python {version}, need {required}",
    fix="Install correct Python",
    healthy="Python {version}",
)
def test_python_version(
    gpu_host: GpuHost, pipeline_context: str, pipeline_requirements: Requirements, evidence: Evidence
) -> None:
    """python3 --version"""
    gpu_host.end_if_none(evidence)
    if pipeline_requirements.python is None:
        raise Blocked("requirements.python", by="settings")
    judge_python(gpu_host.context(pipeline_context), pipeline_requirements.python, evidence)


@failure_mode(
    "pytorch",
    phase=2,
    category="PyTorch",
    failure="Missing/wrong PyTorch",
    diagnostic="PyTorch {version} invalid",
    fix="Install PyTorch {required}",
    healthy="PyTorch {version}",
)
def test_pytorch(
    gpu_host: GpuHost, pipeline_context: str, pipeline_requirements: Requirements, evidence: Evidence
) -> None:
    """python3 -c "import torch; print(torch.__version__)" """
    gpu_host.end_if_none(evidence)
    if pipeline_requirements.torch is None:
        raise Blocked("requirements.torch", by="settings")
    judge_torch(gpu_host.context(pipeline_context), pipeline_requirements, evidence)


@failure_mode(
    "cuda",
    phase=2,
    category="CUDA",
    failure="CUDA not available",
    diagnostic="CUDA not available on instance",
    fix="Fix CUDA installation",
    healthy="CUDA available ({gpus})",
)
def test_cuda(
    gpu_host: GpuHost, pipeline_context: str, pipeline_requirements: Requirements, evidence: Evidence
) -> None:
    """python3 -c "import torch; print(torch.cuda.is_available())" """
    gpu_host.end_if_none(evidence)
    judge_cuda(gpu_host.context(pipeline_context), gpu_host.readings.gpus, pipeline_requirements, evidence)


@failure_mode(
    "gpu-memory",
    phase=2,
    category="GPU Memory",
    failure="Insufficient GPU memory",
    diagnostic="GPU has {gpu_gb}GB, need {required_gb}GB",
    fix="Use larger instance type",
    healthy="GPU has {gpu_gb}GB, {free_gb}GB free",
)
def test_gpu_memory(
    gpu_host: GpuHost, pipeline_context: str, pipeline_requirements: Requirements, evidence: Evidence
) -> None:
    """nvidia-smi"""
    gpu_host.end_if_none(evidence)
    if pipeline_requirements.gpu_memory_gb is None:
        raise Blocked("requirements.gpu_memory_gb", by="settings")
    rooms = rooms_in(gpu_host.context(pipeline_context), gpu_host.readings.gpus, pipeline_requirements)
    judge_room(rooms, pipeline_requirements.gpu_memory_gb, evidence)


@failure_mode(
    "dependencies",
    phase=2,
    category="Dependencies",
    failure="Missing required packages",
    diagnostic="Missing package: {package}",
    fix="pip install {package}",
    healthy="All dependencies installed",
)
def test_dependencies(
    gpu_host: GpuHost,
    pipeline_context: str,
    pipeline_package: str,
    pipeline_settings: Settings,
    evidence: Evidence,
) -> None:
    """Import tests for each package"""
    gpu_host.end_if_none(evidence)
    if not pipeline_package:
        raise Blocked("requirements.packages", by="settings")
    context = gpu_host.context(pipeline_context)
    wrap = context_settings(pipeline_settings, pipeline_context).wrap
    judge_package(context, pipeline_package, gpu_host.facts.identity.arch, evidence, wrap)


@failure_mode(
    "model-files",
    phase=2,
    category="Model Files",
    failure="{model} model not available",
    diagnostic="Base model not found at {path}",
    fix="Download model to EBS",
    healthy="{model} model at {path}: {weights}",
)
def test_model_files(
    gpu_host: GpuHost, pipeline_settings: Settings, pipeline_requirements: Requirements, evidence: Evidence
) -> None:
    """ls /mnt/training/models/mistral-7b-v0.3/"""
    gpu_host.end_if_none(evidence)
    model = pipeline_requirements.model
    if model is None:
        raise Blocked("requirements.model", by="settings")
    evidence(model=model.name, path=model.path)
    folder = gpu_host.facts.model
    lost = "" if folder.exists else lost_volume(model, pipeline_requirements.disk, gpu_host.readings.volumes)
    if lost:
        raise Blocked(lost, by="ebs-volume")
    session = gpu_host.session.or_none
    evidence.remedy(on_host(to_fetch(folder, model, user=session.user if session else pipeline_settings.host.user)))
    judge_model(folder, model, evidence)


@failure_mode(
    "same-interpreter",
    phase=2,
    category="Same Interpreter",
    failure="What was checked is not what will run",
    diagnostic="Not one interpreter: {error}",
    fix="Use the same interpreter everywhere",
    healthy="What was checked is what will run: {interpreters}",
)
def test_same_interpreter(gpu_host: GpuHost, pipeline_settings: Settings, evidence: Evidence) -> None:
    """which python3, in every shell that the pipeline uses"""
    gpu_host.end_if_none(evidence)
    judge_same(places_in(pipeline_settings.host.used_contexts, gpu_host.readings.contexts), evidence)


@failure_mode(
    "version-pins",
    phase=2,
    category="Version Pins",
    failure="Pins contradict each other or the host",
    diagnostic="Pins contradict: {error}",
    fix="Make the pins agree",
    severity="major",
    healthy="{count} pins agree ({files})",
)
def test_version_pins(gpu_host: GpuHost, pipeline_requirements: Requirements, evidence: Evidence) -> None:
    """pip install --dry-run -r requirements.txt, read instead of run"""
    gpu_host.end_if_none(evidence)
    if not pipeline_requirements.pins:
        raise Blocked("requirements.pins: requirement files and setup scripts", by="settings")
    contexts = gpu_host.readings.contexts
    judge_pins(pipeline_requirements.pins, pipeline_requirements, contexts, gpu_host.facts.identity.arch, evidence)


@failure_mode(
    "deployed-imports",
    phase=2,
    category="Deployed Imports",
    failure="A deployed entry point cannot import what it needs",
    diagnostic="{entry_point} does not import: {error}",
    fix="Deploy what is missing",
    severity="major",
    healthy="What was deployed imports what it needs: {entry_points}",
)
def test_deployed_imports(gpu_host: GpuHost, pipeline_requirements: Requirements, evidence: Evidence) -> None:
    """The imports of each deployed script, followed and not executed"""
    gpu_host.end_if_none(evidence)
    if not pipeline_requirements.entry_points:
        raise Blocked("requirements.entry_points: deployed scripts, and the context of each", by="settings")
    contexts = {path: gpu_host.context(name) for path, name in pipeline_requirements.entry_points.items()}
    judge_entry_points(contexts, pipeline_requirements, evidence)


@failure_mode(
    "gpu-health",
    phase=2,
    category="GPU Health",
    failure="A GPU shows signs of broken hardware",
    diagnostic="GPU {gpu} is not healthy: {error}",
    fix="Reset the GPU, or replace the instance",
    severity="major",
    healthy="GPUs show no sign of broken hardware: {gpus}",
)
def test_gpu_health(gpu_host: GpuHost, pipeline_requirements: Requirements, evidence: Evidence) -> None:
    """nvidia-smi -q -x, and the kernel's log"""
    gpu_host.end_if_none(evidence)
    seen = gpu_host.readings
    judge_health(seen.gpus, seen.kernel_log, seen.gpu_presence, pipeline_requirements, evidence)


@failure_mode(
    "co-tenants",
    phase=2,
    category="Co-Tenants",
    failure="Somebody else works on the host",
    diagnostic="Host is shared: {error}",
    fix="Stop the others, or use another host",
    severity="major",
    healthy="{alone}; {ram_gb}GB of main memory available",
)
def test_co_tenants(gpu_host: GpuHost, pipeline_requirements: Requirements, evidence: Evidence) -> None:
    """nvidia-smi --query-compute-apps=pid,used_memory,name; free"""
    gpu_host.end_if_none(evidence)
    system, contexts = gpu_host.readings.system, gpu_host.readings.contexts
    judge_memory(system, contexts, pipeline_requirements.ram_gb, evidence)
    presence = gpu_host.readings.gpu_presence.or_none
    if presence is not None and not presence.any and not needs_gpu(pipeline_requirements):
        evidence(alone="There is no GPU, and none is required")
        return
    judge_gpus(gpu_host.facts.gpus.gpus, used_ids(contexts, pipeline_requirements.gpus), system, evidence)


@failure_mode(
    "shared-memory",
    phase=2,
    category="Shared Memory",
    failure="/dev/shm is too small for data loaders",
    diagnostic="/dev/shm has {shm_gb}GB, need {required_gb}GB",
    fix="Enlarge /dev/shm",
    severity="major",
    healthy="/dev/shm has {shm_gb}GB",
)
def test_shared_memory(
    gpu_host: GpuHost, pipeline_context: str, pipeline_settings: Settings, evidence: Evidence
) -> None:
    """df /dev/shm"""
    gpu_host.end_if_none(evidence)
    judge_shared_memory(
        gpu_host.context(pipeline_context).shared_memory.value,
        context_settings(pipeline_settings, pipeline_context),
        pipeline_settings.requirements.shm_gb,
        evidence,
    )


@failure_mode(
    "limits",
    phase=2,
    category="Limits",
    failure="The user's limits are too low for training",
    diagnostic="Limit of {limit} is {value}, need {required}",
    fix="Raise the limit",
    severity="major",
    healthy="Limits suffice ({open_files} open files)",
)
def test_limits(gpu_host: GpuHost, pipeline_context: str, pipeline_settings: Settings, evidence: Evidence) -> None:
    """ulimit -a"""
    gpu_host.end_if_none(evidence)
    context, required = context_settings(pipeline_settings, pipeline_context), pipeline_settings.requirements
    limits = gpu_host.context(pipeline_context).limits.value
    if context.shell == "systemd":
        judge_unit(gpu_host.readings.system.unit_limits, context, required, evidence)
    else:
        judge_limits(limits, context, required, evidence)


@failure_mode(
    "stale-processes",
    phase=2,
    category="Stale Processes",
    failure="An earlier run is still there",
    diagnostic="Left by an earlier run: {error}",
    fix="Stop it",
    severity="major",
    healthy="No earlier run among {processes} processes",
)
def test_stale_processes(gpu_host: GpuHost, evidence: Evidence) -> None:
    """ps -ef | grep train; cat /proc/locks"""
    gpu_host.end_if_none(evidence)
    system = gpu_host.readings.system
    judge_runs(system.processes.value, system.locks, evidence)
