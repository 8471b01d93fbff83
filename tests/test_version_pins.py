"""How pins are judged: against each other, against the settings, against what is installed on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from context_builders import context, distribution

from matrix_tests.version_pins import judge_pins
from pytest_pipeline import Blocked
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Requirements

if TYPE_CHECKING:
    from pathlib import Path

HOST = (distribution("torch", "2.5.1+cu121"), distribution("transformers", "4.46.3"))


def judged(folder: Path, *texts: str, installed: Any = HOST, **required: Any) -> Evidence:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.txt")
        files[-1].write_text(text, encoding="utf-8")
    evidence = Evidence()
    known = installed if isinstance(installed, Reading) else Reading.of(installed)
    judge_pins(files, Requirements(**required), {"train": context(distributions=known)}, "x86_64", evidence)
    return evidence


def test_pins_that_agree_are_right(tmp_path: Path) -> None:
    evidence = judged(tmp_path, "transformers==4.46.3\npeft==0.13.2\n", "transformers>=4.40\nunpinned\n")

    assert (evidence.noted["count"], evidence.noted["files"]) == (3, "0.txt, 1.txt")


@pytest.mark.parametrize(
    ("installed", "pin"),
    [
        ("2.5.1+cu121", "torch==2.5.1"),
        ("2.5.1", "torch==2.5.1+cu124"),  # PyPI's own build carries no label
        ("2.5.0a0+e000abc.nv24.8", "torch>=2.5"),
        ("2.5.1+cu121", "torch==2.5.1+cu118; sys_platform == 'darwin'"),
        ("2.5.1+cu121", "not-installed==1"),
        ("2.1.0", "torch==2.5.1"),  # the settings exclude it: that is pytorch's to say
    ],
)
def test_a_pin_that_allows_what_is_installed_is_no_alarm(tmp_path: Path, installed: str, pin: str) -> None:
    judged(tmp_path, pin, installed=(distribution("torch", installed),), torch=">=2.5.0a0")


WRONG: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "two files": (
        ["peft==0.13.2", "peft==0.16.0"],
        {},
        "peft: 0.txt:1 pins ==0.13.2, 1.txt:1 pins ==0.16.0",
    ),
    "the host": (
        ["transformers==4.45.0"],
        {},
        "transformers: 0.txt:1 pins ==4.45.0, 4.46.3 is installed in context train",
    ),
    "another build on the host": (
        ["torch==2.5.1+cu118"],
        {},
        "torch: 0.txt:1 pins ==2.5.1+cu118, 2.5.1+cu121 is installed in context train",
    ),
    "the settings' PyTorch": (
        ["torch>=2.4,<2.5"],
        {"torch": ">=2.5.1", "installed": ()},
        "torch: 0.txt:1 pins <2.5,>=2.4, the settings require >=2.5.1",
    ),
    "the settings' packages": (
        ["datasets<3"],
        {"packages": ["datasets>=3.1"]},
        "datasets: 0.txt:1 pins <3, the settings require >=3.1",
    ),
    "several": (
        ["peft==1\ndatasets==1", "peft==2\ndatasets==2"],
        {},
        "peft: 0.txt:1 pins ==1, 1.txt:1 pins ==2 (and 1 more)",
    ),
    "nothing pinned": (["peft"], {}, "no version is pinned in 0.txt"),
}


@pytest.mark.parametrize(("texts", "given", "said"), WRONG.values(), ids=[*WRONG])
def test_a_contradiction_names_both_places(tmp_path: Path, texts: list[str], given: dict[str, Any], said: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(tmp_path, *texts, **given)
    assert str(failed.value) == said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"gone\.txt cannot be read: No such file or directory"):
        judged(tmp_path, "-r gone.txt")


def test_a_host_that_could_not_be_read_is_not_taken_for_agreeing(tmp_path: Path) -> None:
    with pytest.raises(Blocked):
        judged(tmp_path, "peft==1", installed=Reading.missing("nobody knows", by="python-version"))
