"""The tables of the settings that are about data: where it comes from, and what training is given."""

# No `from __future__ import annotations`: pydantic evaluates the annotations of fields.
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_pipeline.settings.tables import Table
from pytest_pipeline.settings.values import ContradictionError, DataFilter, DataUri, HostPath, Listed, LocalPath, Text


class Source(Table):
    """A folder that the pipeline takes its data from."""

    name: Text = Field(description="What reports call it.")
    uri: DataUri = Field(description="An `s3://` prefix, or a folder on this machine.")
    filters: Listed[DataFilter] = Field(
        default=(), description="Ordered patterns of what is taken (`+*.jsonl`) and left (`-processed/*`)."
    )
    filters_meaning: Literal["aws-cli", "gitignore", "exclude-wins"] = Field(
        default="aws-cli",
        description="How the pipeline's own tool reads them; `aws-cli`: all is taken at first, the last match wins.",
    )
    optional: bool = Field(default=False, description="Whether it may be empty.")


class Pdfs(Table):
    """How many PDF files the pipeline can process."""

    sources: Listed[Text] = Field(min_length=1, description="The names of the sources that they lie in.")
    limit: int = Field(ge=0, description="The most it can process.")
    archives: bool = Field(default=True, description="Whether those inside zip and tar archives count.")


class Download(Table):
    """What is downloaded to the host before training."""

    size_gb: float = Field(gt=0, description="10^9 bytes in all.")
    max_hours: float = Field(gt=0, description="How long that may take.")
    to: HostPath | None = Field(
        default=None,
        description="The folder on the host that it is written to; left out: the first of `requirements.disk`.",
    )
    measure_s: float = Field(
        default=17.0, gt=0, le=120, description="How long reading is measured; at 10Gbps 17 s read some 20 GB of S3."
    )


class Data(Table):
    """The data of the pipeline: its sources, and the records that training reads."""

    sources: Listed[Source] = Field(default=(), description="The folders that data comes from.")
    train: Listed[DataUri] = Field(
        default=(), description="What training reads, in its order: JSON lines files, or folders of them."
    )
    validation: Listed[DataUri] = Field(default=(), description="What it is validated on, likewise.")
    fields: Mapping[Text, Literal["text", "string", "number", "boolean", "list", "object", "messages", "any"]] = Field(
        default_factory=dict,
        description="Fields that each record must have, and what each holds: `text` is a string that is not blank, "
        "`messages` a list of objects with `role` and `content`.",
    )
    max_invalid_records: int = Field(default=0, ge=0, description="How many records may be invalid.")
    max_duplicate_share: float = Field(
        default=0.05, ge=0, le=1, description="The share of records that may repeat an earlier one, warned of."
    )
    min_records: int | None = Field(default=None, ge=1, description="The fewest valid distinct records of `train`.")
    max_record_mb: float = Field(default=8.0, gt=0, description="10^6 bytes that one record may have.")
    sequence_length: int | None = Field(default=None, ge=1, description="Tokens after which training cuts a record.")
    tokenizer: LocalPath | None = Field(
        default=None, description="The model's `tokenizer.json`; left out: tokens are estimated from bytes."
    )
    try_loading: bool = Field(
        default=False,
        description="Whether `datasets`, installed here, is tried on the head of each file.",
    )
    produced_by: Text | None = Field(
        default=None,
        description="The step of `pipeline.steps` that makes `train` and `validation`. Its quick run tells how fast it "
        "is, and makes what is not there before the first run.",
    )
    pdfs: Pdfs | None = Field(default=None, description="The limit on PDF files.")
    download: Download | None = Field(default=None, description="What is downloaded to the host.")
    sample_records: int | None = Field(
        default=None, ge=1, description="About how many records are looked at; left out: all. Option: `--sample-size`."
    )
    max_download_gb: float = Field(
        default=5.0, gt=0, description="10^9 bytes that may leave S3 for this machine; of more, a sample is looked at."
    )
    budget_s: float = Field(
        default=480.0, gt=0, description="How long looking at records may take; what is left then is sampled."
    )
    executor: Text | None = Field(
        default=None,
        description="`dask://host:port`: the Dask cluster that reads. Option: `--data-executor`.",
    )
    workers: int | None = Field(default=None, ge=1, description="Processes that read; left out: one a core, 4 at most.")

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [source.name for source in self.sources]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ContradictionError(f"has the name {name!r} for the second time; rename it", at=("sources", index))
        for index, name in enumerate(self.pdfs.sources if self.pdfs else ()):
            if name not in names:
                raise ContradictionError(
                    f"names the source {name!r}, which data.sources does not have; correct one of them",
                    at=("pdfs", "sources", index),
                )
        return self
