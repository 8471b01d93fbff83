"""The settings: what may be configured, where it comes from, and what of it is never shown.

`load` reads them; `Settings` is what they come to.
"""

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
    Pipeline,
    Requirements,
    Rows,
    Waiver,
)
from pytest_pipeline.settings.values import SettingsError

__all__ = [
    "Aws",
    "Bucket",
    "Component",
    "Context",
    "Disk",
    "Host",
    "Model",
    "Pipeline",
    "Requirements",
    "Rows",
    "Settings",
    "SettingsError",
    "Waiver",
    "load",
    "missing",
    "redactor",
]
