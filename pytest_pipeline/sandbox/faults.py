"""All injectable faults, by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.faults_aws import AWS_FAULTS
from pytest_pipeline.sandbox.faults_deployment import DEPLOYMENT_FAULTS
from pytest_pipeline.sandbox.faults_download import DOWNLOAD_FAULTS
from pytest_pipeline.sandbox.faults_ec2 import EC2_FAULTS
from pytest_pipeline.sandbox.faults_gpu import GPU_FAULTS
from pytest_pipeline.sandbox.faults_instance import INSTANCE_FAULTS
from pytest_pipeline.sandbox.faults_model import MODEL_FAULTS
from pytest_pipeline.sandbox.faults_packages import PACKAGE_FAULTS
from pytest_pipeline.sandbox.faults_pins import PINS_FAULTS
from pytest_pipeline.sandbox.faults_python import PYTHON_FAULTS
from pytest_pipeline.sandbox.faults_quick_run import QUICK_RUN_FAULTS
from pytest_pipeline.sandbox.faults_records import RECORDS_FAULTS
from pytest_pipeline.sandbox.faults_s3_read import S3_READ_FAULTS
from pytest_pipeline.sandbox.faults_s3_write import S3_WRITE_FAULTS
from pytest_pipeline.sandbox.faults_sources import PDFS_FAULTS, SOURCES_FAULTS
from pytest_pipeline.sandbox.faults_ssh import SSH_FAULTS
from pytest_pipeline.sandbox.faults_ssh_key import SSH_KEY_FAULTS
from pytest_pipeline.sandbox.faults_surroundings import SURROUNDINGS_FAULTS
from pytest_pipeline.sandbox.faults_system import SYSTEM_FAULTS
from pytest_pipeline.sandbox.faults_torch import TORCH_FAULTS
from pytest_pipeline.sandbox.faults_volume import VOLUME_FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.sandbox.fault import Fault

FAULTS: Mapping[str, Fault] = {
    fault.id: fault
    for fault in (
        *AWS_FAULTS,
        *S3_READ_FAULTS,
        *S3_WRITE_FAULTS,
        *EC2_FAULTS,
        *INSTANCE_FAULTS,
        *SSH_FAULTS,
        *SSH_KEY_FAULTS,
        *VOLUME_FAULTS,
        *PYTHON_FAULTS,
        *TORCH_FAULTS,
        *PINS_FAULTS,
        *DEPLOYMENT_FAULTS,
        *GPU_FAULTS,
        *PACKAGE_FAULTS,
        *MODEL_FAULTS,
        *SURROUNDINGS_FAULTS,
        *SYSTEM_FAULTS,
        *SOURCES_FAULTS,
        *RECORDS_FAULTS,
        *DOWNLOAD_FAULTS,
        *PDFS_FAULTS,
        *QUICK_RUN_FAULTS,
    )
}
"""Every fault, in the order of the rows that own them."""
