"""Phase 3: data pipeline validation, in the matrix's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matrix_tests.downloads import judge_download, promised, request_for
from matrix_tests.quick_runs import expect_sources, judge_quick_run, judge_volume_to_come
from matrix_tests.records import (
    datasets_in,
    judge_content,
    judge_findings,
    judge_form,
    judge_leak,
    judge_repeats,
    judge_volume,
    readable_in,
    speed_of,
    valid_in,
)
from matrix_tests.sources import judge_pdfs, judge_source
from pytest_pipeline import Blocked, failure_mode

if TYPE_CHECKING:
    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.data_view import PipelineData
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.settings import Settings


@failure_mode(
    "data-sources",
    phase=3,
    category="Data Sources",
    failure="Policy folders empty/missing",
    diagnostic="Source {folder} has 0 files",
    fix="Check S3 policy data",
    healthy="Policy sources accessible ({ok}/{all})",
)
def test_data_sources(
    pipeline_data: PipelineData, pipeline_source: str, pipeline_settings: Settings, evidence: Evidence
) -> None:
    """Count files in each S3 folder"""
    if not pipeline_source:
        raise Blocked("data.sources: the folders that data comes from", by="settings")
    source = next(one for one in pipeline_settings.data.sources if one.name == pipeline_source)
    evidence(folder=source.name)
    judge_source(source, pipeline_data.sources.value, evidence)


@failure_mode(
    "data-format",
    phase=3,
    category="Data Format",
    failure="Invalid JSONL structure",
    diagnostic="Invalid JSON in {file}: {error}",
    fix="Fix data format",
    healthy="Data valid format ({looked_at}, checked {speed})",
)
def test_data_format(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Parse sample files"""
    datasets = datasets_in(pipeline_data.records, pipeline_settings.data, evidence)
    evidence(speed=speed_of(datasets))
    judge_form(datasets, pipeline_settings.data, evidence)


@failure_mode(
    "data-content",
    phase=3,
    category="Data Content",
    failure="Missing required fields",
    diagnostic="Records missing '{field}' field: {count}",
    fix="Fix data processing",
    severity="major",
    healthy="{fields} field present in {share}% of records ({records})",
)
def test_data_content(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Schema validation"""
    data = pipeline_settings.data
    if not data.fields:
        raise Blocked("data.fields: what each record must have", by="settings")
    judge_content(readable_in(pipeline_data.records, data, evidence), data, evidence)


@failure_mode(
    "data-volume",
    phase=3,
    category="Data Volume",
    failure="Insufficient training data",
    diagnostic="Only {count} valid records, need {min}",
    fix="Add more data sources",
    severity="major",
    healthy="{count} valid distinct records",
)
def test_data_volume(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Count valid records"""
    data = pipeline_settings.data
    train = readable_in(pipeline_data.records, data, evidence)[0]
    if train.made_by:
        judge_volume_to_come(train, pipeline_data.quick_run(train.made_by).value, data, evidence)
    else:
        judge_volume(train, data, evidence)


@failure_mode(
    "download-speed",
    phase=3,
    category="Download Speed",
    failure="Network too slow for {size_gb}GB",
    diagnostic="Speed {mbps}Mbps, will take {hours}h",
    fix="Use larger instance",
    severity="major",
    healthy="{size_gb}GB will take {hours}h at {mbps}Mbps",
    effects=("scratch file on the host",),
    budget_s=40,
)
def test_download_speed(gpu_host: GpuHost, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Bandwidth test"""
    gpu_host.end_if_none(evidence)
    wanted = pipeline_settings.data.download
    if wanted is None:
        raise Blocked("data.download: size and hours", by="settings")
    request = request_for(pipeline_settings, wanted)
    with gpu_host.alone():
        seen = gpu_host.measure_download(request)
    judge_download(seen, promised(gpu_host, pipeline_settings), wanted, evidence)


@failure_mode(
    "operatives-limit",
    phase=3,
    category="Operatives Limit",
    failure="PDF processing will exceed limits",
    diagnostic="Found {count} PDFs, limit is {max}",
    fix="Adjust processing limits",
    severity="major",
    healthy="{count} PDFs, limit is {max} ({opened} opened)",
)
def test_operatives_limit(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Count PDF files"""
    wanted = pipeline_settings.data.pdfs
    if wanted is None:
        raise Blocked("data.pdfs: sources and limit", by="settings")
    judge_pdfs(pipeline_data.pdfs.value, wanted, evidence)


@failure_mode(
    "processing-speed",
    phase=3,
    category="Processing Speed",
    failure="The step that makes the data does not work",
    diagnostic="Quick run of {step} failed: {error}",
    fix="Fix the step",
    severity="major",
    healthy="Processing speed: {speed}",
)
def test_processing_speed(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Run the step on a little of the data, and count what it made"""
    step = pipeline_settings.data.produced_by
    if step is None:
        evidence.not_applicable("data.produced_by names no step")
    evidence(step=step)
    quick = pipeline_data.quick_run(step).value
    if quick.trouble:
        expect_sources(pipeline_settings.data, pipeline_data.sources.value)
    judge_quick_run(quick, evidence)


@failure_mode(
    "schema-consistency",
    phase=3,
    category="Schema Consistency",
    failure="Columns or types differ between files",
    diagnostic="Columns do not agree: {error}",
    fix="Give all files the same columns and types",
    severity="major",
    healthy="Columns and types agree in {files} files",
)
def test_schema_consistency(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Columns of each file, in the order that training reads them"""
    datasets = readable_in(pipeline_data.records, pipeline_settings.data, evidence)
    evidence(files=sum(len(one.files) for one in datasets))
    judge_findings(pipeline_data.records.columns.value, evidence)


@failure_mode(
    "duplicate-records",
    phase=3,
    category="Duplicate Records",
    failure="Records occur more than once",
    diagnostic="Records repeat: {error}",
    fix="Remove duplicates before training",
    severity="major",
    healthy="{distinct} distinct records of {records}",
)
def test_duplicate_records(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """sort | uniq -d, of what records say"""
    data = pipeline_settings.data
    datasets = valid_in(pipeline_data.records, data, evidence)
    judge_repeats(datasets, data.max_duplicate_share, evidence)


@failure_mode(
    "train-validation-leak",
    phase=3,
    category="Train-Validation Leak",
    failure="Validation records are in the training data",
    diagnostic="Validation leaks: {error}",
    fix="Split before records are copied",
    severity="major",
    healthy="None of {records} validation records is in the training data",
)
def test_train_validation_leak(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """comm -12 train validation, of what records say"""
    data = pipeline_settings.data
    if data.train and not data.validation:
        evidence.not_applicable("data.validation names no file")
    datasets = valid_in(pipeline_data.records, data, evidence)
    judge_leak(pipeline_data.records.overlap.value, datasets, evidence)


@failure_mode(
    "placeholder-text",
    phase=3,
    category="Placeholder Text",
    failure="Records say the same, and nothing",
    diagnostic="Text is a template: {error}",
    fix="Fix data processing",
    severity="major",
    healthy="Text varies from record to record",
)
def test_placeholder_text(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Texts without their names and numbers, counted"""
    datasets = valid_in(pipeline_data.records, pipeline_settings.data, evidence)
    judge_findings((found for one in datasets for found in one.findings["placeholder-text"]), evidence)


@failure_mode(
    "sequence-length",
    phase=3,
    category="Sequence Length",
    failure="Truncation cuts records",
    diagnostic="Records are cut: {error}",
    fix="Raise the sequence length, or split records",
    severity="major",
    healthy="Records fit into {tokens} tokens",
)
def test_sequence_length(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """Tokens of each record, against the sequence length"""
    data = pipeline_settings.data
    if data.sequence_length is None:
        raise Blocked("data.sequence_length", by="settings")
    evidence(tokens=f"{data.sequence_length:,}")
    datasets = valid_in(pipeline_data.records, data, evidence)
    judge_findings((found for one in datasets for found in one.findings["sequence-length"]), evidence)


@failure_mode(
    "encoding-damage",
    phase=3,
    category="Encoding Damage",
    failure="Text was decoded wrongly on its way",
    diagnostic="Text is damaged: {error}",
    fix="Read sources with their own encoding",
    severity="major",
    healthy="No sign of text that was decoded wrongly",
)
def test_encoding_damage(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """grep for U+FFFD and for UTF-8 that was read as Latin-1"""
    datasets = readable_in(pipeline_data.records, pipeline_settings.data, evidence)
    judge_findings((found for one in datasets for found in one.findings["encoding-damage"]), evidence)


@failure_mode(
    "secrets-in-data",
    phase=3,
    category="Secrets in Data",
    failure="Training text holds keys or tokens",
    diagnostic="Secrets in training text: {error}",
    fix="Remove them, and revoke them",
    severity="major",
    healthy="No keys or tokens in training text",
)
def test_secrets_in_data(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """grep for keys and tokens"""
    datasets = readable_in(pipeline_data.records, pipeline_settings.data, evidence)
    judge_findings((found for one in datasets for found in one.findings["secrets-in-data"]), evidence)


@failure_mode(
    "stale-dataset",
    phase=3,
    category="Stale Dataset",
    failure="The dataset is older than its sources",
    diagnostic="Dataset is stale: {error}",
    fix="Make the dataset again",
    severity="major",
    healthy="The dataset is newer than its sources",
)
def test_stale_dataset(pipeline_data: PipelineData, pipeline_settings: Settings, evidence: Evidence) -> None:
    """ls -l --time-style=full-iso, of dataset and sources"""
    data = pipeline_settings.data
    if not data.sources:
        raise Blocked("data.sources: the folders that data comes from", by="settings")
    readable_in(pipeline_data.records, data, evidence)
    judge_findings(pipeline_data.records.stale.value, evidence)
