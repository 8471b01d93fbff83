"""The settings: what may be configured, where it comes from, and what of it is never shown.

`load` reads them; `Settings` is what they come to.
"""

from pytest_pipeline.settings.data import Data, Download, Pdfs, Source
from pytest_pipeline.settings.model import Settings, missing
from pytest_pipeline.settings.redaction import redactor
from pytest_pipeline.settings.sources import load
from pytest_pipeline.settings.tables import (
    Aws,
    Bucket,
    Component,
    Context,
    Disk,
    Host,
    Model,
    Output,
    Pipeline,
    Requirements,
    Rows,
    Step,
    Waiver,
)
from pytest_pipeline.settings.values import SettingsError

__all__ = [
    "Aws",
    "Bucket",
    "Component",
    "Context",
    "Data",
    "Disk",
    "Download",
    "Host",
    "Model",
    "Output",
    "Pdfs",
    "Pipeline",
    "Requirements",
    "Rows",
    "Settings",
    "SettingsError",
    "Source",
    "Step",
    "Waiver",
    "load",
    "missing",
    "redactor",
]
