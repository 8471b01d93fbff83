"""How a required package is judged: does it import, is it the right version, does what it requires fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from context_builders import context, decoded, distribution, imported, interpreter, torch

from matrix_tests.packages import judge_package
from pytest_pipeline import Blocked
from pytest_pipeline.outcome import Evidence, NotApplicable, Reading

PEFT = distribution("peft", "0.16.0", "torch>=1.13", "transformers", 'black; extra == "dev"')
TORCH = distribution("torch", "2.5.1+cu121", 'nvidia-cublas-cu12==12.1.3.1; platform_machine == "aarch64"')
TRANSFORMERS = distribution("transformers", "4.53.1", "huggingface-hub<1.0,>=0.30", 'tomli; python_version < "3.11"')
HUB, TOMLI = distribution("huggingface-hub", "0.33.0"), distribution("tomli", "2.0")
ALL = (PEFT, TORCH, TRANSFORMERS, HUB, TOMLI)


def judged(
    package: str = "peft",
    seen: Reading[Any] | None = None,
    installed: tuple[Any, ...] = ALL,
    *,
    evidence: Evidence | None = None,
    **changed: Any,
) -> Evidence:
    evidence = evidence or Evidence()
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


def of_its_own(package: str, version: str, says: str) -> dict[str, Any]:
    """A package whose module lies where its metadata does."""
    name = package.partition(">")[0].partition("=")[0]
    own = distribution(name, version)
    module = replace(imported("module", says), file=f"{own.location}/module/__init__.py")
    return {"package": package, "installed": (own,), "seen": Reading.of(module)}


@pytest.mark.parametrize(
    ("package", "version", "says"),
    [
        ("opencv-python-headless==5.0.0.93", "5.0.0.93", "5.0.0"),
        ("psycopg2-binary>=2.9", "2.9.13", "2.9.13 (dt dec pq3 ext lo64)"),
        ("own>=1.0", "1.0", "unknown"),
    ],
)
def test_what_a_module_calls_itself_is_not_its_release(package: str, version: str, says: str) -> None:
    assert judged(**of_its_own(package, version, says)).noted["version"] == version


def test_a_module_from_elsewhere_that_says_no_version_is_judged_by_the_metadata() -> None:
    assert judged("peft>=0.16", Reading.of(imported("peft", "unknown"))).noted["version"] == "0.16.0"


NGC = "2.5.0a0+e000abc.nv24.10"


@pytest.mark.parametrize(("package", "needs"), [("torch>=2.5", ()), ("peft", ("torch>=2.5",))])
def test_nvidias_own_release_of_pytorch_is_one(package: str, needs: tuple[str, ...]) -> None:
    installed = (distribution("torch", NGC), distribution("peft", "0.16.0", *needs))

    judged(package, Reading.of(imported(package.partition(">")[0], NGC if "torch" in package else "")), installed)


ELSEWHERE = 'bitsandbytes>=0.43; platform_machine == "aarch64"'


def test_what_is_required_on_other_hosts_alone_has_no_object_here() -> None:
    with pytest.raises(NotApplicable, match='not required on this host: platform_machine == "aarch64"'):
        judged(ELSEWHERE, Reading.missing("No module named 'bitsandbytes'", by="dependencies"))


@pytest.mark.parametrize("marker", ['platform_machine == "x86_64"', "extra == 'x' or os_name == 'posix'"])
def test_what_is_required_on_this_host_is_looked_at(marker: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="No module"):
        judged(f"peft; {marker}", Reading.missing("No module named 'peft'", by="dependencies"))


SIGNS = (
    "The installed version of bitsandbytes was compiled without GPU support.",
    "CUDA Setup failed despite CUDA being available",
    "bitsandbytes library load error: Configured CUDA binary not found",
    "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was built for:",
    "/v/lib/flash_attn_2_cuda.so: undefined symbol: _ZN3c105ErrorC2E",
    "[transformers] Disabling PyTorch because PyTorch >= 2.6 is required but found 2.5.1+cu121",
    "PyTorch was not found. Models won't be available and only tokenizers can be used.",
)


@pytest.mark.parametrize("line", SIGNS)
def test_a_package_that_imports_and_says_that_it_does_not_work_is_wrong(line: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(seen=Reading.of(imported("peft", "0.16.0", "harmless", line)))
    assert str(failed.value) == f"it imports, and says: {line}"


LOAD_ERROR = SIGNS[2]


def judged_among(package: str, said: dict[str, str], **changed: Any) -> Evidence:
    """Judge one of several packages of a context; each is said to have been imported with a warning."""
    evidence = Evidence()
    packages = {one: Reading.of(imported("module", "", *filter(None, (line,)))) for one, line in said.items()}
    judge_package(context(packages=packages, **changed), package, "x86_64", evidence)
    return evidence


@pytest.mark.parametrize("said", [{"peft": LOAD_ERROR, "bitsandbytes": ""}, {"bitsandbytes": LOAD_ERROR, "peft": ""}])
def test_a_line_is_about_the_package_that_it_names_whoever_said_it(said: dict[str, str]) -> None:
    judged_among("peft", said)
    with pytest.raises(pytest.fail.Exception, match="library load error"):
        judged_among("bitsandbytes", said)


def test_a_second_import_of_a_broken_package_is_silent_and_no_better() -> None:
    said = {"bitsandbytes": LOAD_ERROR, "BitsAndBytes[test]": ""}
    for package in said:
        with pytest.raises(pytest.fail.Exception, match="library load error"):
            judged_among(package, said)


def test_what_pytorchs_import_said_of_a_package_counts_too() -> None:
    loud = Reading.of(torch(warnings=(LOAD_ERROR,)))

    judged_among("peft", {"peft": "", "bitsandbytes": ""}, torch=loud)
    with pytest.raises(pytest.fail.Exception, match="library load error"):
        judged_among("bitsandbytes", {"peft": "", "bitsandbytes": ""}, torch=loud)


def test_a_line_that_names_none_of_the_required_packages_is_about_who_said_it() -> None:
    with pytest.raises(pytest.fail.Exception, match="library load error"):
        judged_among("peft", {"peft": LOAD_ERROR})


def test_models_without_pytorch_are_pytorchs_to_say() -> None:
    with pytest.raises(Blocked) as blocked:
        judged_among("transformers", {"transformers": SIGNS[-1]}, torch=Reading.missing("gone", by="pytorch"))
    assert blocked.value.by == "pytorch"


def test_a_package_whose_name_of_import_is_not_known_was_not_looked_at() -> None:
    guessed = replace(imported("", "", ""), file="", guess="peft")
    with pytest.raises(Blocked, match="nothing says which module peft is imported by, and peft is none") as blocked:
        judged(seen=Reading.of(guessed))
    assert blocked.value.by == "settings"
    with pytest.raises(pytest.fail.Exception, match=r"0\.16\.0 is installed, need >=0\.17"):
        judged("peft>=0.17", Reading.of(guessed))


def test_a_package_that_has_nothing_to_import_is_right_and_says_so() -> None:
    assert judged(seen=Reading.of(replace(imported(""), file=""))).noted["file"] == "none: it installed no module"


GONE: Reading[Any] = Reading.missing("No module named 'peft'", by="dependencies")
SLOW: Reading[Any] = Reading.missing(
    "did not end within 4 s; run again, or raise host.import_timeout_s", by="dependencies"
)
PIP = "/usr/bin/python3 -m pip install "
REMEDIES: dict[str, tuple[dict[str, Any], str]] = {
    "not installed": ({"package": "peft>=0.1,<1", "seen": GONE, "installed": ()}, f"{PIP}'peft<1,>=0.1'"),
    "installed and broken": ({"seen": GONE}, f"{PIP}--force-reinstall --no-deps peft"),
    "not awaited": ({"seen": SLOW}, ""),
    "too old": ({"package": "peft>=0.17"}, f"{PIP}'peft>=0.17'"),
    "hidden by another": ({"package": "peft>=0.15", "seen": Reading.of(imported("peft", "0.5.0"))}, ""),
    "a requirement that is not met": ({"installed": (PEFT, TORCH)}, f"{PIP}peft"),
    "a pair": (
        {"package": "torch", "installed": (distribution("torch", "2.2.2"), distribution("numpy", "2.1.0"))},
        "",
    ),
    "a library that is not loaded": (
        {"seen": Reading.of(imported("peft", "0.16.0", LOAD_ERROR))},
        f"{PIP}--force-reinstall --no-deps peft",
    ),
    "models without this PyTorch": ({"seen": Reading.of(imported("peft", "0.16.0", SIGNS[-1]))}, ""),
}


@pytest.mark.parametrize(("given", "command"), REMEDIES.values(), ids=[*REMEDIES])
def test_the_command_to_paste_is_one_that_helps(given: dict[str, Any], command: str) -> None:
    evidence = Evidence()
    with pytest.raises(pytest.fail.Exception):
        judged(evidence=evidence, **given)
    assert evidence.command == (f"on the host: {command}" if command else "")


def test_the_command_is_the_contexts_own_pip() -> None:
    evidence = Evidence()
    odd = interpreter(executable="/home/me/my env/bin/python3")
    with pytest.raises(pytest.fail.Exception):
        judged(seen=GONE, installed=(), interpreter=Reading.of(odd), evidence=evidence)
    assert evidence.command == "on the host: '/home/me/my env/bin/python3' -m pip install peft"


def test_in_a_container_the_command_goes_through_what_leads_into_it() -> None:
    evidence = Evidence()
    gone = context(packages={"peft": GONE}, distributions=Reading.of(()))
    with pytest.raises(pytest.fail.Exception):
        judge_package(gone, "peft", "x86_64", evidence, ("docker", "exec", "trainer"))
    assert evidence.command.startswith("on the host: docker exec trainer ")


def test_a_package_that_is_right_has_nothing_to_paste() -> None:
    assert judged().command == ""


def test_a_token_in_a_requirement_is_never_said() -> None:
    evidence = Evidence()
    with pytest.raises(pytest.fail.Exception):
        judged("own @ git+https://user:ghp_T0KEN@github.com/acme/own.git", GONE, (), evidence=evidence)
    for said in (str(evidence.noted["package"]), evidence.command):
        assert "https://***@github.com/acme/own.git" in said
        assert "T0KEN" not in said


LONG = "torch<2.0; " + " or ".join(f'python_version == "3.{minor}"' for minor in range(60))


@pytest.mark.parametrize(
    ("requires", "read"), [([], True), ([LONG], True), ([LONG * 3], False), (None, False), (["x" * 4000], True)]
)
def test_requirements_are_read_as_a_whole_or_not(requires: list[str] | None, *, read: bool) -> None:
    told = {"name": "own", "version": "1", "location": "/l", "requires_python": "", "requires": requires}
    (own,) = decoded({"distributions": {"": {"value": [told]}}}).distributions.value

    assert own.requires_read is read
    assert 500 < len(LONG) < 4000
    assert not read or own.requires == tuple(requires or ())
