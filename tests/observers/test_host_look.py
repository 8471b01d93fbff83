"""What one look at a host asks for, as the settings have it."""

from __future__ import annotations

import pytest

from pytest_pipeline.observers.host_look import names_of, request_of
from pytest_pipeline.settings import Settings


def settings(region: str, **host: object) -> Settings:
    bucket = {"name": "b", "region": region, "from": ["host"], "read": ["p/"]}
    given = {"aws": {"buckets": [bucket]}, "host": {"address": "10.0.0.9", "user": "ubuntu", **host}}
    return Settings.model_validate(given)


@pytest.mark.parametrize(
    ("region", "name"),
    [
        ("us-east-1", "s3.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "s3.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_the_name_that_the_host_must_resolve_is_that_of_its_partition(region: str, name: str) -> None:
    assert names_of(settings(region)) == (name,)


def test_what_systemd_gives_a_unit_is_asked_where_there_is_one() -> None:
    assert not request_of(settings("us-east-1")).system.units
    assert request_of(settings("us-east-1", contexts=[{"name": "unit", "shell": "systemd"}])).system.units
