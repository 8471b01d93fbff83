"""What lies at the base model's path: the row model-files judges it by what its files say of each other."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from matrix_tests.volumes import not_the_volume
from pytest_pipeline.observers.model_readings import Defect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.host_readings import Volume
    from pytest_pipeline.observers.model_readings import Finding, ModelFolder
    from pytest_pipeline.settings import Disk, Model

_SAID_IN_FULL = 3
_ROOT = "/"


def judge_model(folder: ModelFolder, model: Model, evidence: Evidence) -> None:
    """Fail where no whole model lies at the path; warn of what somebody should look at."""
    fatal = [one for one in folder.findings if one.fatal]
    counts = Counter(one.defect for one in folder.findings)
    evidence(
        model=model.name,
        path=model.path,
        real_path=folder.real_path,
        weights=_weights(folder),
        shards=folder.shards,
        tensors=folder.tensors,
        size_gb=folder.weights_bytes // 10**8 / 10,
        architecture=folder.architecture,
        dtypes=", ".join(folder.dtypes),
        quantisation=folder.quantisation,
        compared_with_config=folder.compared_with_config,
        defects=", ".join(f"{count} {defect}" for defect, count in counts.items()),
        took_s=round(folder.took_s, 3),
    )
    why = "" if folder.exists else _why_absent(folder)
    if fatal:
        why = _in_words(fatal, folder)
    evidence(why=why)
    if why:
        pytest.fail(why, pytrace=False)
    for one in folder.findings:
        evidence.warn(f"{one.file}: {one.why}")
    if folder.left_out:
        evidence.warn(f"{folder.left_out} more like these")


def lost_volume(model: Model, disks: Mapping[str, Disk], volumes: Mapping[str, Reading[Volume]]) -> str:
    """Say why the volume that the model would lie on is not there, or nothing: an empty mount point has no model."""
    above = [path for path in disks if _below(model.path, path)]
    if not above:
        return ""
    nearest = max(above, key=len)
    volume = volumes[nearest].or_none
    return not_the_volume(volume, disks[nearest]) if volume else ""


def to_fetch(folder: ModelFolder, model: Model, *, user: str) -> str:
    """Return the command for the host that mends the folder, or nothing where nobody can know it."""
    fatal = [one for one in folder.findings if one.fatal]
    if folder.exists and not fatal:
        return ""
    denied = sorted({one.denied for one in fatal if one.denied})
    if denied:
        return _to_open(denied, folder.real_path, user)
    if folder.exists and all(one.defect is Defect.UNREADABLE for one in fatal):
        return ""  # a disk that does not answer takes no copy
    return _to_replace(folder, model)


def _to_open(denied: list[str], real_path: str, user: str) -> str:
    """Let a user read what refused, and leave it its owner's: others may have it too."""
    above = [path for path in denied if path != real_path and _below(real_path, path)]
    # The hub's cache has all its files in one folder; what else a link leads to is opened alone.
    places = {real_path if _below(path, real_path) else _blobs(path) for path in denied if path not in above}
    return " && ".join(
        [f"sudo setfacl -m u:{shlex.quote(user)}:x {one} || sudo chmod a+x {one}" for one in map(shlex.quote, above)]
        + [f"sudo chmod -R a+rX {shlex.quote(place)}" for place in sorted(places)]
    )


def _blobs(path: str) -> str:
    parent = PurePosixPath(path).parent
    return str(parent) if parent.name == "blobs" else path


def _to_replace(folder: ModelFolder, model: Model) -> str:
    """Remove what is in the way, and fetch the rest, but not into a download that is going on."""
    path = f"~/{shlex.quote(model.path[2:])}" if model.path.startswith("~/") else shlex.quote(model.path)
    fatal = [one for one in folder.findings if one.fatal]
    strays = [one for one in folder.findings if one.in_the_way and PurePosixPath(one.file).name == one.file]
    if any(one.defect is Defect.PARTIAL_DOWNLOAD and one not in strays for one in fatal):
        return ""
    removal = f"rm {' '.join(f'{path.rstrip(_ROOT)}/{shlex.quote(one.file)}' for one in strays)}" if strays else ""
    if model.source:
        # A file of the right size is fetched again only where its time must be the source's too.
        again = "--exact-timestamps " if folder.exists else ""
        fetch = f"aws s3 sync {again}{shlex.quote(model.source)} {path}"
        return f"{removal} && {fetch}" if removal else fetch
    # What is whole without them needs no source; what an unfinished download was of, does.
    without = {one.file for one in strays if one.defect is Defect.STALE}
    return removal if fatal and {one.file for one in fatal} <= without else ""


def _below(path: str, folder: str) -> bool:
    return PurePosixPath(folder) in (PurePosixPath(path), *PurePosixPath(path).parents)


def _weights(folder: ModelFolder) -> str:
    files = "1 file" if folder.shards == 1 else f"{folder.shards} shards"
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if folder.weights_bytes >= unit:
            return f"{files}, {folder.weights_bytes * 10 // unit / 10}{name}"
    return f"{files}, {folder.weights_bytes} bytes"


def _why_absent(folder: ModelFolder) -> str:
    leads = folder.real_path if folder.real_path.rstrip(_ROOT) != folder.path.rstrip(_ROOT) else ""
    linked = f"it leads to {leads}, which is not there; " if leads and not folder.path.startswith("~") else ""
    holds = ", ".join(folder.nearest_holds) or "nothing"
    return f"{linked}{folder.nearest} is there, and holds {holds}{_elsewhere(folder)}"


def _in_words(fatal: list[Finding], folder: ModelFolder) -> str:
    said = [one.why if one.file == "." else f"{one.file}: {one.why}" for one in fatal[:_SAID_IN_FULL]]
    more = len(fatal) - _SAID_IN_FULL + folder.left_out
    return "; ".join([*said, *([f"and {more} more like these"] if more > 0 else [])]) + _elsewhere(folder)


def _elsewhere(folder: ModelFolder) -> str:
    if not folder.elsewhere:
        return ""
    return f"; {'a model is' if len(folder.elsewhere) == 1 else 'models are'} at {', '.join(folder.elsewhere)}"
