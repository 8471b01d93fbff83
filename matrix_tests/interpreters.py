"""Which Python, and which PyTorch: the rows python-version, pytorch and same-interpreter judge each context's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_pipeline import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.context_readings import ContextReadings, Interpreter, Torch
    from pytest_pipeline.settings import Context, Requirements

_PUBLISHED = {
    "2.0": ("117", "118"),
    "2.1": ("118", "121"),
    "2.2": ("118", "121"),
    "2.3": ("118", "121"),
    "2.4": ("118", "121", "124"),
    "2.5": ("118", "121", "124"),
    "2.6": ("118", "124", "126"),
    "2.7": ("118", "126", "128"),
    "2.8": ("126", "128", "129"),
    "2.9": ("126", "128", "130"),
}
"""The CUDA versions that releases of PyTorch were built for (download.pytorch.org/whl), as far as is known here."""

_CHOOSING = re.compile(r"(PYTHON)?PATH|PYTHON(HOME|NOUSERSITE|USERBASE|SAFEPATH)|VIRTUAL_ENV|(CONDA|PYENV)_\w+")
"""Variables that decide which interpreter is found, or where it imports from."""

_NVIDIA_CONTAINER = re.compile(r"\bnv\d")  # 2.5.0a0+e000abc.nv24.8: a release in all but its name


def spoken(specifier: str) -> str:
    """Return a specifier as people say it: `>=3.10` is 3.10+."""
    only_lower = re.fullmatch(r"\s*>=\s*([0-9][^,\s]*)\s*", specifier)
    return f"{only_lower[1]}+" if only_lower else specifier


def wanted_torch(required: Requirements) -> str:
    """Return the build to install, as pip names it: the lowest that is allowed. In words where none such is known."""
    torch, cuda = required.torch or "", required.torch_cuda or ""
    release, built = _lowest(torch), _lowest(cuda).replace(".", "")
    if release and not cuda:
        return release
    if built and built in _PUBLISHED.get(".".join(release.split(".")[:2]), ()):
        return f"{release}+cu{built}"
    return ", built for CUDA ".join(_or_later(one) for one in (torch, cuda) if one)


def _lowest(specifier: str) -> str:
    allowed = [one.version for one in SpecifierSet(specifier) if one.operator in (">=", "==", "~=")]
    return allowed[0].removesuffix(".*") if len(allowed) == 1 else ""


def _or_later(specifier: str) -> str:
    return f"{said.removesuffix('+')} or later" if (said := spoken(specifier)).endswith("+") else specifier


def judge_python(context: ContextReadings, required: str, evidence: Evidence) -> None:
    """Fail where the interpreter that the pipeline will run is another version than required, or is not there."""
    evidence(version="unknown", required=spoken(required))
    seen = context.interpreter
    if seen.by == "python-version":
        pytest.fail(seen.reason, pytrace=False)
    interpreter = seen.value
    evidence(version=interpreter.version, executable=interpreter.executable)
    if not SpecifierSet(required).contains(Version(interpreter.version).base_version):
        pytest.fail(f"it is {interpreter.executable}", pytrace=False)


def judge_torch(context: ContextReadings, required: Requirements, evidence: Evidence) -> None:
    """Fail where PyTorch does not import, or is another release, or built for another CUDA, than required."""
    evidence(version=_torch_metadata(context) or "(none)", required=wanted_torch(required))
    seen = context.torch
    if seen.by == "pytorch":
        pytest.fail(seen.reason, pytrace=False)
    torch = seen.value
    evidence(version=torch.version, cuda=torch.cuda or "none", file=torch.file)
    if wrong := wrong_release(torch.version, required.torch) or wrong_build(torch, required):
        pytest.fail(wrong, pytrace=False)
    version = Version(torch.version)
    if version.is_prerelease and not _NVIDIA_CONTAINER.search(torch.version):
        evidence.warn(f"{torch.version} is no release")


def wrong_release(version: str, required: str | None) -> str:
    """Say why a release of PyTorch will not do. What was built into it (`+cu121`) and NVIDIA's own labels count not."""
    if required is None:
        return ""
    try:
        release = Version(version).base_version
    except InvalidVersion:
        return f"{version!r} is no version; need {required}"
    return "" if SpecifierSet(required).contains(release) else f"its release is {release}, need {required}"


def release_of(version: str) -> str:
    """Return a version as it is to be compared: NVIDIA's containers label releases as pre-releases of themselves."""
    return Version(version).base_version if _NVIDIA_CONTAINER.search(version) else version


def wrong_build(torch: Torch, required: Requirements) -> str:
    """Say why what PyTorch was built for will not do."""
    if not torch.cuda and needs_gpu(required):
        return f"it is built for {'ROCm ' + torch.hip if torch.hip else 'the CPU alone'}, and the training needs CUDA"
    if torch.cuda and required.torch_cuda and not SpecifierSet(required.torch_cuda).contains(torch.cuda):
        return f"it is built for CUDA {torch.cuda}, need {required.torch_cuda}"
    return ""


def needs_gpu(required: Requirements) -> bool:
    """Whether anything that is required is about a GPU."""
    return required.torch_cuda is not None or required.gpu_memory_gb is not None or required.gpus is not None


def _torch_metadata(context: ContextReadings) -> str:
    for one in context.distributions.or_none or ():
        if one.name.lower() == "torch":
            return one.version
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A context, and what it finds."""

    context: Context
    interpreter: Interpreter
    files: Mapping[str, str]  # package -> where it was imported from
    own_pip: bool = False  # whether pip is installed in the environment that the interpreter is of

    @property
    def asks(self) -> tuple[object, ...]:
        """What the pipeline does to get its interpreter there; equal askings are meant to find the same.

        Of its variables those count that can make a difference: `CUDA_VISIBLE_DEVICES` chooses no interpreter.
        """
        context = self.context
        choosing = {
            name: value
            for name, value in context.environment.items()
            if _CHOOSING.fullmatch(name) or name in context.setup
        }
        return context.setup, tuple(context.wrap), context.python, choosing

    @property
    def active(self) -> tuple[str, ...]:
        """The environments that are active there."""
        variables = self.interpreter.environment
        return tuple(variables[name] for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if variables.get(name))

    @property
    def named(self) -> bool:
        """Whether the pipeline names its interpreter by a path, and so leaves nothing to what is active."""
        return "/" in self.context.python


def places_in(contexts: tuple[Context, ...], readings: Mapping[str, ContextReadings]) -> list[Place]:
    """Return what each context finds. Raises Blocked where one could not be asked."""
    return [
        Place(
            context=context,
            interpreter=readings[context.name].interpreter.value,
            files=_files_of(readings[context.name]),
            own_pip=_has_own_pip(readings[context.name]),
        )
        for context in contexts
    ]


def _files_of(context: ContextReadings) -> dict[str, str]:
    files = {name: seen.known.file for name, seen in context.packages.items() if seen.known is not None}
    return files | ({"torch": context.torch.known.file} if context.torch.known is not None else {})


def _has_own_pip(context: ContextReadings) -> bool:
    prefix = context.interpreter.value.prefix
    return any(
        one.name == "pip" and one.location.startswith(f"{prefix}/") for one in context.distributions.or_none or ()
    )


def judge_same(places: list[Place], evidence: Evidence) -> None:
    """Fail where contexts that ask for an interpreter in the same way get different ones, or different packages."""
    if not places:
        raise Blocked("host.contexts", by="settings")
    evidence(interpreters="; ".join(f"{one.context.name}: {one.interpreter.executable}" for one in places))
    for index, place in enumerate(places):
        for other in places[:index]:
            if place.asks == other.asks and (why := _apart(other, place)):
                pytest.fail(why, pytrace=False)
    for place in places:
        if why := _activated_in_vain(place):
            pytest.fail(why, pytrace=False)
        pip = place.interpreter.pip
        meant = place.active and place.own_pip and not place.named  # `pip install` is meant to install for it
        if meant and pip and pip not in (place.interpreter.executable, place.interpreter.real):
            evidence.warn(
                f"pip of context {place.context.name} installs for {pip}, and the pipeline runs "
                f"{place.interpreter.executable}; use `python -m pip`"
            )


def _activated_in_vain(place: Place) -> str:
    """Say that a context activates an environment and runs another interpreter, or nothing.

    A shell passes over an environment whose `python3` is a dangling link, and runs the next one on the PATH.
    """
    interpreter = place.interpreter
    inside = any(
        interpreter.prefix == folder or interpreter.executable.startswith(f"{folder}/bin/") for folder in place.active
    )
    if not place.context.setup or place.named or not place.active or inside:
        return ""
    return f"{place.context.name} activates {' and '.join(place.active)}, and runs {interpreter.executable}"


def _apart(one: Place, other: Place) -> str:
    """Say how two contexts that should be alike are not, or nothing."""
    names = f"{one.context.name} ({one.context.shell})", f"{other.context.name} ({other.context.shell})"
    first, second = one.interpreter, other.interpreter
    if (first.real, first.prefix) != (second.real, second.prefix):
        return (
            f"{names[0]} runs {first.executable} ({first.version}), {names[1]} {second.executable} ({second.version})"
        )
    for package in one.files.keys() & other.files.keys():
        if one.files[package] != other.files[package]:
            return f"{names[0]} takes {package} from {one.files[package]}, {names[1]} from {other.files[package]}"
    return ""
