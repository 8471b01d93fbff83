"""From what was found in the model's folder to readings; pure and strict."""

from __future__ import annotations

from typing import Any

from pytest_pipeline.observers.model_readings import Defect, Finding, ModelFolder
from pytest_pipeline.observers.untrusted import (
    Unreadable,
    flag,
    items,
    mapping,
    number,
    printable,
    reading,
    text,
    whole,
)
from pytest_pipeline.outcome import Reading

_ROW = "model-files"


def model(answer: Reading[Any], path: str) -> Reading[ModelFolder]:
    """Return what is known of the folder at `path`; where none is required, `settings` owns that nothing is."""
    if not path:
        return Reading.missing("requirements.model", by="settings")
    if not answer.is_known:
        return answer.hand_on()
    folder = answer.value.get("folder") if isinstance(answer.value, dict) else None
    return reading(folder, f"the model at {path}", by=_ROW, read=lambda value: _folder(value, path))


def _folder(value: object, path: str) -> ModelFolder:
    of = mapping(value, "the folder")
    folder = ModelFolder(
        path=path,
        real_path=text(of, "real"),
        exists=flag(of, "exists"),
        nearest=text(of, "nearest"),
        nearest_holds=_texts(of, "nearest_holds"),
        elsewhere=_texts(of, "elsewhere"),
        architecture=text(of, "architecture"),
        quantisation=text(of, "quantisation"),
        compared_with_config=flag(of, "compared_with_config"),
        shards=whole(of, "shards"),
        tensors=whole(of, "tensors"),
        weights_bytes=whole(of, "weights_bytes"),
        dtypes=_texts(of, "dtypes"),
        findings=tuple(_finding(mapping(one, "a finding")) for one in items(of.get("findings"), "findings")),
        left_out=whole(of, "left_out"),
        files=whole(of, "files"),
        took_s=number(of, "took_s"),
    )
    if folder.exists and not any(one.fatal for one in folder.findings) and not folder.shards:
        raise Unreadable("it names no file of weights, and finds nothing wrong")
    return folder


def _finding(of: dict[str, Any]) -> Finding:
    defect = text(of, "defect")
    if defect not in set(Defect):
        raise Unreadable(f"{defect!r} is no defect that is known")
    return Finding(
        defect=Defect(defect),
        file=text(of, "file"),
        why=text(of, "why"),
        fatal=flag(of, "fatal"),
        denied=text(of, "denied"),
        in_the_way=flag(of, "in_the_way"),
    )


def _texts(of: dict[str, Any], name: str) -> tuple[str, ...]:
    texts = items(of.get(name), name)
    if not all(isinstance(one, str) for one in texts):
        raise Unreadable(f"{name} holds something else than texts")
    return tuple(printable(one) for one in texts)
