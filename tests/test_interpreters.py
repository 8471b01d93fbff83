"""How each context's interpreter and PyTorch are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from context_builders import context, decoded, distribution, imported, interpreter, torch

from matrix_tests.interpreters import judge_python, judge_same, judge_torch, places_in, spoken, wanted_torch
from pytest_pipeline import Blocked
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Context, Requirements

NEEDS = Requirements(python=">=3.10", torch=">=2.5.1,<2.6", torch_cuda=">=12.1")


def gap(by: str, reason: str = "nobody knows") -> Reading[Any]:
    return Reading.missing(reason, by=by)


@pytest.mark.parametrize(
    ("specifier", "said"), [(">=3.10", "3.10+"), (">=3.10,<3.13", ">=3.10,<3.13"), ("==3.11.*", "==3.11.*")]
)
def test_a_lower_bound_is_said_as_people_say_it(specifier: str, said: str) -> None:
    assert spoken(specifier) == said


@pytest.mark.parametrize(
    ("release", "cuda", "build"),
    [
        (">=2.5.1,<2.6", ">=12.1", "2.5.1+cu121"),
        ("==2.7.1", "==12.6", "2.7.1+cu126"),
        (">=2.5", None, "2.5"),
        ("<2.6", None, "<2.6"),
        ("==2.4.*", ">=12.4", "2.4+cu124"),
        (">=2.6", ">=12.1", "2.6 or later, built for CUDA 12.1 or later"),  # nobody built 2.6 for CUDA 12.1
        (">=2.6,<2.7", ">=12.1", ">=2.6,<2.7, built for CUDA 12.1 or later"),
        (">=2.13", ">=13.0", "2.13 or later, built for CUDA 13.0 or later"),
        (">=2.5", "<13", "2.5 or later, built for CUDA <13"),
    ],
)
def test_the_build_to_install_is_the_lowest_that_was_made_or_said_in_words(
    release: str, cuda: str | None, build: str
) -> None:
    assert wanted_torch(Requirements(torch=release, torch_cuda=cuda)) == build


@pytest.mark.parametrize("version", ["3.10.0", "3.10.12", "3.11.2", "3.13.0rc1", "3.14.0"])
def test_a_python_in_the_range_is_right(version: str) -> None:
    evidence = Evidence()

    judge_python(context(interpreter=Reading.of(interpreter(version=version))), ">=3.10", evidence)

    assert evidence.noted["version"] == version


@pytest.mark.parametrize("version", ["3.9.19", "3.8.10", "2.7.18", "3.1.0"])
def test_an_older_python_is_wrong(version: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="it is /usr/bin/python3"):
        judge_python(context(interpreter=Reading.of(interpreter(version=version))), ">=3.10", Evidence())


def test_a_python_that_is_not_there_is_wrong_and_says_what_was_found() -> None:
    evidence = Evidence()

    with pytest.raises(pytest.fail.Exception, match="python3 not found"):
        judge_python(context(interpreter=gap("python-version", "python3 not found")), ">=3.10", evidence)
    assert evidence.noted == {"version": "unknown", "required": "3.10+"}


def test_a_python_that_could_not_be_looked_at_is_blocked_by_the_root() -> None:
    with pytest.raises(Blocked) as blocked:
        judge_python(context(interpreter=gap("ssh-access")), ">=3.10", Evidence())
    assert blocked.value.by == "ssh-access"


RIGHT = {
    "as pip builds it": (torch(), NEEDS),
    "a later patch": (torch(version="2.5.2+cu124", cuda="12.4"), NEEDS),
    "conda's unlabelled build": (torch(version="2.5.1", cuda="12.4"), NEEDS),
    "NVIDIA's container": (
        torch(version="2.5.0a0+e000abc.nv24.8", cuda="12.6"),
        Requirements(torch=">=2.5", torch_cuda=">=12.1"),
    ),
    "the CPU alone, and nothing needs a GPU": (torch(version="2.5.1+cpu", cuda=""), Requirements(torch=">=2.5")),
}


@pytest.mark.parametrize(("seen", "required"), RIGHT.values(), ids=[*RIGHT])
def test_a_build_that_will_do_is_no_alarm(seen: Any, required: Requirements) -> None:
    evidence = Evidence()

    judge_torch(context(torch=Reading.of(seen)), required, evidence)

    assert (evidence.warnings, evidence.noted["version"]) == ([], seen.version)


WRONG = {
    "too old": (torch(version="2.1.0+cu121"), "its release is 2.1.0, need >=2.5.1,<2.6"),
    "too new": (torch(version="2.6.0+cu124", cuda="12.4"), "its release is 2.6.0, need >=2.5.1,<2.6"),
    "the CPU alone": (
        torch(version="2.5.1+cpu", cuda=""),
        "it is built for the CPU alone, and the training needs CUDA",
    ),
    "ROCm": (torch(version="2.5.1+rocm6.2", cuda="", hip="6.2"), "built for ROCm 6.2, and the training needs CUDA"),
    "an older CUDA": (torch(version="2.5.1+cu118", cuda="11.8"), "it is built for CUDA 11.8, need >=12.1"),
    "a mislabelled build": (torch(version="2.5.1+cu121", cuda="11.8"), "it is built for CUDA 11.8, need >=12.1"),
    "no version": (torch(version="main"), "'main' is no version; need >=2.5.1,<2.6"),
}


@pytest.mark.parametrize(("seen", "said"), WRONG.values(), ids=[*WRONG])
def test_a_build_that_will_not_do_is_named(seen: Any, said: str) -> None:
    evidence = Evidence()

    with pytest.raises(pytest.fail.Exception) as failed:
        judge_torch(context(torch=Reading.of(seen)), NEEDS, evidence)
    assert said in str(failed.value)
    assert evidence.noted["required"] == "2.5.1+cu121"


def test_a_nightly_build_is_looked_at_by_somebody() -> None:
    evidence = Evidence()

    judge_torch(context(torch=Reading.of(torch(version="2.5.2.dev20241101+cu124", cuda="12.4"))), NEEDS, evidence)

    assert evidence.warnings == ["2.5.2.dev20241101+cu124 is no release"]


def test_a_pytorch_that_does_not_import_is_wrong_by_its_installed_version() -> None:
    evidence = Evidence()

    with pytest.raises(pytest.fail.Exception, match="libcudart"):
        judge_torch(context(torch=gap("pytorch", "import torch: OSError: libcudart.so.12")), NEEDS, evidence)
    assert evidence.noted["version"] == "2.5.1+cu121"


def test_no_pytorch_at_all_has_no_version() -> None:
    evidence = Evidence()

    with pytest.raises(pytest.fail.Exception):
        judge_torch(context(torch=gap("pytorch"), distributions=Reading.of(())), NEEDS, evidence)
    assert evidence.noted["version"] == "(none)"


LOGIN = Context(name="data-prep", shell="login")
PLAIN = Context(name="train", shell="non-login")
ACTIVATING = Context(name="train", shell="non-login", setup="source /opt/venv/bin/activate")
IN_IT = {"executable": "/opt/venv/bin/python3", "prefix": "/opt/venv", "pip": ""}


def places(first: Any, second: Any, *contexts: Context) -> Any:
    return places_in(contexts or (LOGIN, PLAIN), {"data-prep": first, "train": second})


def test_one_interpreter_in_every_shell_is_right() -> None:
    evidence = Evidence()

    judge_same(places(context(), context()), evidence)

    assert evidence.warnings == []
    assert evidence.noted["interpreters"] == "data-prep: /usr/bin/python3; train: /usr/bin/python3"


def test_two_names_of_one_interpreter_are_one() -> None:
    other = interpreter(executable="/bin/python3")

    judge_same(places(context(), context(interpreter=Reading.of(other))), Evidence())


def test_another_interpreter_in_another_shell_is_wrong() -> None:
    conda = interpreter(version="3.12.1", executable="/opt/conda/bin/python3", real="/opt/conda/bin/python3.12")

    with pytest.raises(pytest.fail.Exception) as failed:
        judge_same(places(context(), context(interpreter=Reading.of(conda))), Evidence())
    assert str(failed.value) == (
        "data-prep (login) runs /usr/bin/python3 (3.10.12), train (non-login) /opt/conda/bin/python3 (3.12.1)"
    )


def test_one_interpreter_with_packages_from_elsewhere_is_wrong() -> None:
    here, there = imported("peft"), replace(imported("peft"), file="/home/ubuntu/old/peft/__init__.py")

    with pytest.raises(pytest.fail.Exception, match=r"takes peft from /t/peft/__init__\.py"):
        judge_same(
            places(context(packages={"peft": Reading.of(here)}), context(packages={"peft": Reading.of(there)})),
            Evidence(),
        )


def test_contexts_that_ask_for_different_ones_may_have_them() -> None:
    conda = interpreter(executable="/opt/conda/bin/python3", real="/opt/conda/bin/python3.12", pip="")
    activated = Context(name="train", shell="non-login", setup="conda activate train")

    judge_same(places(context(), context(interpreter=Reading.of(conda)), LOGIN, activated), Evidence())


def with_other_pip(**changed: Any) -> Any:
    """A context of an active environment, where `pip` is another interpreter's."""
    pip = replace(distribution("pip", "24.0"), location="/opt/venv/lib/python3.10/site-packages")
    variables: dict[str, str] = {"VIRTUAL_ENV": "/opt/venv"}
    seen = interpreter(**{**IN_IT, "environment": variables, "pip": "/usr/bin/python3", **changed})
    return context(interpreter=Reading.of(seen), distributions=Reading.of((pip,)))


def warnings_of(train: Any, settings: Context) -> list[str]:
    evidence = Evidence()
    judge_same(places(context(), train, LOGIN, settings), evidence)
    return evidence.warnings


def test_a_pip_of_another_interpreter_than_the_active_one_is_looked_at_by_somebody() -> None:
    assert warnings_of(with_other_pip(), ACTIVATING) == [
        "pip of context train installs for /usr/bin/python3, and the pipeline runs /opt/venv/bin/python3; "
        "use `python -m pip`"
    ]


def test_where_no_environment_is_active_pip_may_be_anybodys() -> None:
    assert warnings_of(with_other_pip(environment={}), ACTIVATING) == []


def test_an_environment_without_a_pip_leaves_that_of_the_system() -> None:
    uv = replace(with_other_pip(), distributions=Reading.of((distribution("pip", "22.0"),)))

    assert warnings_of(uv, ACTIVATING) == []


def test_an_interpreter_that_is_named_by_its_path_has_no_pip_on_the_path() -> None:
    assert warnings_of(with_other_pip(), ACTIVATING.model_copy(update={"python": "/opt/venv/bin/python3"})) == []


CONDA = context(interpreter=Reading.of(interpreter(executable="/opt/b/bin/python3", real="/opt/b/bin/python3.11")))


@pytest.mark.parametrize("name", ["PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "ENV_DIR"])
def test_contexts_whose_variables_ask_for_different_ones_may_have_them(name: str) -> None:
    setup = "source $ENV_DIR/bin/activate"
    first, second = (
        Context(name=one.name, shell="login", setup=setup, environment={name: one.name}) for one in (LOGIN, PLAIN)
    )

    judge_same(places(context(), CONDA, first, second), Evidence())


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "HF_HOME", "PYTHONUNBUFFERED"])
def test_variables_that_choose_no_interpreter_are_no_reason_for_another(name: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="/opt/b/bin/python3"):
        judge_same(places(context(), CONDA, LOGIN, PLAIN.model_copy(update={"environment": {name: "0"}})), Evidence())


@pytest.mark.parametrize("hung", [[], {}, ["torch"], "nobody", 3, None])
def test_a_step_that_nobody_knows_of_owns_nothing(hung: object) -> None:
    seen = decoded({"torch": {"": {"error": "gone", "hung": hung}}}).torch

    assert (seen.by, seen.reason) == ("pytorch", "import of torch: gone")


def test_a_step_that_used_up_the_time_owns_what_was_not_tried() -> None:
    answers = {"torch": {"": {"error": "slow"}}, "package": {"peft": {"error": "not tried", "hung": "torch"}}}

    assert decoded(answers, "peft").packages["peft"].by == "pytorch"


def test_a_version_in_other_digits_is_none() -> None:
    assert "is no version of Python" in decoded({}, version="٣.١٢").interpreter.reason


def test_a_context_that_could_not_be_asked_blocks() -> None:
    with pytest.raises(Blocked) as blocked:
        places(context(), context(interpreter=gap("python-version")))
    assert blocked.value.by == "python-version"


def test_one_interpreter_with_another_pytorch_is_wrong() -> None:
    elsewhere = context(torch=Reading.of(torch(file="/home/ubuntu/old/torch/__init__.py")))

    with pytest.raises(pytest.fail.Exception, match=r"takes torch from /t/torch/__init__\.py"):
        judge_same(places(context(), elsewhere), Evidence())


def activated(**changed: Any) -> Any:
    return context(interpreter=Reading.of(interpreter(environment={"VIRTUAL_ENV": "/opt/venv"}, **changed)))


def test_an_environment_that_is_activated_and_not_run_is_wrong() -> None:
    """Its python3 is a dangling link, which the shell passes over without a word."""
    with pytest.raises(pytest.fail.Exception, match="train activates /opt/venv, and runs /usr/bin/python3"):
        judge_same(places(context(), activated(), LOGIN, ACTIVATING), Evidence())


@pytest.mark.parametrize("where", [IN_IT, IN_IT | {"prefix": "/data/venv"}, IN_IT | {"executable": "/x/python3"}])
def test_an_environment_that_is_activated_and_run_is_right(where: dict[str, str]) -> None:
    judge_same(places(context(), activated(**where), LOGIN, ACTIVATING), Evidence())


def test_a_conda_base_beneath_an_environment_is_right() -> None:
    beneath = interpreter(environment={"CONDA_PREFIX": "/opt/conda", "VIRTUAL_ENV": "/opt/venv"}, **IN_IT)

    judge_same(places(context(), context(interpreter=Reading.of(beneath)), LOGIN, ACTIVATING), Evidence())


def test_an_interpreter_that_is_named_by_its_path_need_not_be_the_activated_one() -> None:
    named = ACTIVATING.model_copy(update={"python": "/usr/bin/python3"})

    judge_same(places(context(), activated(), LOGIN, named), Evidence())
