"""How a required package is judged: does it import, is it the right version, does what it requires fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from context_builders import context, distribution, imported

from matrix_tests.packages import judge_package
from pytest_pipeline import Blocked
from pytest_pipeline.outcome import Evidence, Reading

PEFT = distribution("peft", "0.16.0", "torch>=1.13", "transformers", 'black; extra == "dev"')
TORCH = distribution("torch", "2.5.1+cu121", 'nvidia-cublas-cu12==12.1.3.1; platform_machine == "aarch64"')
TRANSFORMERS = distribution("transformers", "4.53.1", "huggingface-hub<1.0,>=0.30", 'tomli; python_version < "3.11"')
HUB, TOMLI = distribution("huggingface-hub", "0.33.0"), distribution("tomli", "2.0")
ALL = (PEFT, TORCH, TRANSFORMERS, HUB, TOMLI)


def judged(
    package: str = "peft",
    seen: Reading[Any] | None = None,
    installed: tuple[Any, ...] = ALL,
    **changed: Any,
) -> Evidence:
    evidence = Evidence()
    readings = context(
        packages={package: seen or Reading.of(imported("peft", "0.16.0"))},
        **({"distributions": Reading.of(installed)} | changed),
    )
    judge_package(readings, package, "x86_64", evidence)
    return evidence


@pytest.mark.parametrize("package", ["peft", "PEFT", "peft>=0.16", "peft==0.16.*", "peft[dev]; python_version < '4'"])
def test_an_installed_package_whose_requirements_are_met_is_right(package: str) -> None:
    black = distribution("black", "24.1")

    assert judged(package, installed=(*ALL, black)).noted["version"] == "0.16.0"


def changed(distribution_name: str, **values: Any) -> tuple[Any, ...]:
    return tuple(replace(one, **values) if one.name == distribution_name else one for one in ALL)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "not there": (
        {"seen": Reading.missing("No module named 'peft'", by="dependencies")},
        "No module named 'peft'",
    ),
    "too old": ({"package": "peft>=0.17"}, "0.16.0 is installed, need >=0.17"),
    "older than its metadata": (
        {"package": "peft>=0.15", "seen": Reading.of(imported("peft", "0.5.0"))},
        "0.5.0 is installed, need >=0.15",
    ),
    "without a version": (
        {"package": "peft>=0.15", "seen": Reading.of(imported("peft")), "installed": ()},
        "it does not say its version, need >=0.15",
    ),
    "a version that is none": (
        {
            "package": "peft>=0.15",
            "installed": changed("peft", version="unknown"),
            "seen": Reading.of(imported("peft")),
        },
        "unknown is installed, need >=0.15",
    ),
    "a requirement that is not there": (
        {"installed": tuple(one for one in ALL if one is not HUB)},
        "transformers 4.53.1 needs huggingface-hub<1.0,>=0.30, which is not installed",
    ),
    "a requirement of a requirement": (
        {"installed": changed("huggingface-hub", version="0.16.4")},
        "transformers 4.53.1 needs huggingface-hub<1.0,>=0.30, and 0.16.4 is installed",
    ),
    "a requirement of the host's Python": (
        {"installed": tuple(one for one in ALL if one is not TOMLI)},
        "transformers 4.53.1 needs tomli, which is not installed",
    ),
    "an extra's requirement": ({"package": "peft[dev]"}, "peft 0.16.0 needs black, which is not installed"),
    "requirements that were not read": (
        {"installed": changed("transformers", requires_read=False)},
        "what transformers 4.53.1 needs was not read",
    ),
    "a NumPy that PyTorch was not built for": (
        {
            "package": "torch",
            "installed": (distribution("torch", "2.2.2"), distribution("numpy", "2.1.0")),
            "seen": Reading.of(imported("torch", "2.2.2+cu121")),
        },
        "torch 2.2.2 and numpy 2.1.0 do not go together: PyTorch before 2.3 is built for NumPy 1: "
        "tensors and arrays do not convert",
    ),
    "a library without its CUDA part": (
        {"seen": Reading.of(imported("peft", "0.16.0", "The library was compiled without GPU support."))},
        "it imports, and says: The library was compiled without GPU support.",
    ),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=[*WRONG])
def test_a_package_that_will_not_do_is_said(given: dict[str, Any], said: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(**given)
    assert str(failed.value) == said


def test_a_standing_conflict_elsewhere_is_no_alarm() -> None:
    jupyter = distribution("jupyter", "1.0", "nbconvert>=99")

    judged(installed=(*ALL, jupyter))


def test_requirements_that_lead_in_a_circle_come_to_an_end() -> None:
    judged(installed=(*changed("huggingface-hub", requires=("peft",)),))


def test_a_line_that_nobody_can_read_asks_for_nothing() -> None:
    judged(installed=changed("huggingface-hub", requires=("pytz (>dev)", "six; no_such_name == '1'")))


@pytest.mark.parametrize("root", ["python-version", "ssh-access"])
def test_what_could_not_be_read_is_blocked_by_its_root(root: str) -> None:
    with pytest.raises(Blocked) as blocked:
        judged(seen=Reading.missing("gone", by=root))
    assert blocked.value.by == root


def test_metadata_that_could_not_be_read_is_not_taken_for_peace() -> None:
    with pytest.raises(Blocked):
        judged(distributions=Reading.missing("gone", by="dependencies"))
