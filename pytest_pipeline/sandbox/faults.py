"""All injectable faults, by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.faults_aws import AWS_FAULTS
from pytest_pipeline.sandbox.faults_ec2 import EC2_FAULTS
from pytest_pipeline.sandbox.faults_s3_read import S3_READ_FAULTS
from pytest_pipeline.sandbox.faults_s3_write import S3_WRITE_FAULTS
from pytest_pipeline.sandbox.faults_ssh import SSH_FAULTS
from pytest_pipeline.sandbox.faults_ssh_key import SSH_KEY_FAULTS
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
        *SSH_FAULTS,
        *SSH_KEY_FAULTS,
        *VOLUME_FAULTS,
    )
}
"""Every fault, in the order of the rows that own them."""
