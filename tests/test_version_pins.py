"""How pins are judged: against each other, against the settings, against what is installed on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from context_builders import context, distribution, interpreter

from matrix_tests.version_pins import judge_pins
from pytest_pipeline import Blocked
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Requirements

if TYPE_CHECKING:
    from pathlib import Path

HOST = (distribution("torch", "2.5.1+cu121"), distribution("transformers", "4.46.3"))


def judged(
    folder: Path, *texts: str, installed: Any = HOST, prefix: str = "/usr", kind: str = "txt", **required: Any
) -> Evidence:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"{number}.{kind}")
        files[-1].write_text(text, encoding="utf-8")
    evidence = Evidence()
    known = installed if isinstance(installed, Reading) else Reading.of(installed)
    train = context(distributions=known, interpreter=Reading.of(interpreter(prefix=prefix)))
    judge_pins(files, Requirements(**required), {"train": train}, "x86_64", evidence)
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
    "a file of which nothing was read": (
        ["peft==1", "torch = 2.4", "peft==2"],
        {},
        "nothing could be read in 1.txt: 1.txt:1: torch = 2.4",
    ),
    "an empty file": (["peft==1", "# later\n"], {}, "nothing could be read in 1.txt"),
}


@pytest.mark.parametrize(("texts", "given", "said"), WRONG.values(), ids=[*WRONG])
def test_a_contradiction_names_both_places(tmp_path: Path, texts: list[str], given: dict[str, Any], said: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(tmp_path, *texts, **given)
    assert str(failed.value) == said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"gone\.txt cannot be read: No such file or directory"):
        judged(tmp_path, "-r gone.txt")


def test_a_file_that_cannot_be_read_is_named_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(tmp_path, "-r proxy:/user:S3CRET@packages.example/more.txt")
    assert str(failed.value) == (
        f"{tmp_path}/proxy:/***@packages.example/more.txt cannot be read: No such file or directory"
    )


def test_what_may_pin_and_was_not_understood_is_a_warning(tmp_path: Path) -> None:
    evidence = judged(tmp_path, "-c https://packages.example/c.txt\ntransformers==4.46.3\n-r ${X}/y.txt\n./vendored\n")

    assert evidence.warnings == ["not judged: 0.txt:1: -c https://packages.example/c.txt (and 1 more)"]
    assert str(evidence.noted["not_judged"]).count(";") == 2


def test_what_names_no_version_is_no_warning(tmp_path: Path) -> None:
    assert judged(tmp_path, "transformers==4.46.3\n./vendored\n").warnings == []


def test_a_pin_that_two_files_lead_to_is_counted_once(tmp_path: Path) -> None:
    evidence = judged(tmp_path, "-r 1.txt\npeft==1\n", "transformers==4.46.3\n")

    assert evidence.noted["count"] == 2


def test_a_list_that_pins_nothing_beside_one_that_does_is_no_alarm(tmp_path: Path) -> None:
    judged(tmp_path, "transformers\n", "transformers==4.46.3\n")


ENVIRONMENTS = "/opt/train/bin/pip install torch==2.5.1\n/opt/vllm/bin/pip install torch==2.4.0\n"


@pytest.mark.parametrize(
    ("prefix", "version", "wrong"),
    [
        ("/opt/train", "2.5.1", ""),
        ("/opt/train", "2.4.0", "0.sh:1 pins ==2.5.1"),
        ("/opt/vllm", "2.4.0", ""),
        ("/opt/vllm", "2.5.1", "0.sh:2 pins ==2.4.0"),
        ("/usr", "2.4.0", ""),
        ("/usr", "2.3.0", "0.sh:1 pins ==2.5.1"),
    ],
)
def test_a_context_has_what_is_pinned_for_its_environment(
    tmp_path: Path, prefix: str, version: str, wrong: str
) -> None:
    installed = (distribution("torch", version),)
    if not wrong:
        judged(tmp_path, ENVIRONMENTS, installed=installed, prefix=prefix, kind="sh")
        return
    with pytest.raises(pytest.fail.Exception, match=wrong):
        judged(tmp_path, ENVIRONMENTS, installed=installed, prefix=prefix, kind="sh")


@pytest.mark.parametrize("place", ["conda run -n train pip", "~/train/bin/pip", "$HOME/train/bin/pip", "train/bin/pip"])
def test_an_environment_is_known_by_the_end_of_its_folder(tmp_path: Path, place: str) -> None:
    texts = f"{place} install torch==2.4.0\npip install torch==2.5.1\n"
    judged(tmp_path, texts, installed=(distribution("torch", "2.4.0"),), prefix="/home/u/train", kind="sh")
    with pytest.raises(pytest.fail.Exception, match=r"0\.sh:1 pins ==2\.4\.0"):
        judged(tmp_path, texts, installed=(distribution("torch", "2.5.1"),), prefix="/home/u/train", kind="sh")


def test_one_environment_of_a_script_is_what_the_settings_require(tmp_path: Path) -> None:
    judged(tmp_path, ENVIRONMENTS, installed=(), torch=">=2.5", kind="sh")
    with pytest.raises(pytest.fail.Exception, match="the settings require"):
        judged(tmp_path, ENVIRONMENTS, installed=(), torch=">=2.6", kind="sh")


def test_a_host_that_could_not_be_read_is_not_taken_for_agreeing(tmp_path: Path) -> None:
    with pytest.raises(Blocked):
        judged(tmp_path, "peft==1", installed=Reading.missing("nobody knows", by="python-version"))
