"""Faults of the base model's folder: the row model-files must catch them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.host_content import Content
from pytest_pipeline.sandbox.host_model import (
    CONFIG,
    MODEL_FOLDER,
    SHARDS,
    ModelOf,
    as_json,
    in_shards,
    safetensors,
    shapes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_pipeline.sandbox.fault import Kind
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

    Edit = Callable[[ModelOf], None]

ROW = "model-files"
_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4949453792\n"
)
_LOGIN = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head><body>Log in to continue</body></html>\n"


def _none(model: ModelOf) -> None:
    model.clear()
    model.content["models/llama-3-8b/config.json"] = Content(data=b"{}")


def _empty(model: ModelOf) -> None:
    model.clear()
    model.content[MODEL_FOLDER] = Content()


def _elsewhere(model: ModelOf) -> None:
    for name in [one for one in model.content if one.startswith(MODEL_FOLDER)]:
        inside = f"{MODEL_FOLDER}Mistral-7B-v0.3/{name.removeprefix(MODEL_FOLDER)}"
        model.content[inside] = model.content.pop(name)


def _truncated(model: ModelOf) -> None:
    model.put(SHARDS[1], model[SHARDS[1]].data[:-1])


def _gzip(model: ModelOf) -> None:
    model.put(SHARDS[0], gzip.compress(model[SHARDS[0]].data, mtime=0))


def _config(**other: Any) -> Edit:
    return lambda model: model.put("config.json", as_json({**CONFIG, **other}))


def _vocabulary(model: ModelOf) -> None:
    tokenizer = json.loads(model["tokenizer.json"].data)
    tokenizer["model"]["vocab"]["one too many"] = CONFIG["vocab_size"]
    model.put("tokenizer.json", as_json(tokenizer))


def _pieces(model: ModelOf) -> None:
    model.take("tokenizer.json")
    model.put("tokenizer.model", b"\n\x0e\n\x05<unk>")  # the piece has 14 bytes


def _code(model: ModelOf) -> None:
    named = {"AutoConfig": "configuration_plum.PlumConfig", "AutoModelForCausalLM": "modeling_plum.PlumForCausalLM"}
    model.put("config.json", as_json({"architectures": ["PlumForCausalLM"], "model_type": "plum", "auto_map": named}))


def _sparse(model: ModelOf) -> None:
    """Leave a file as a download does that reserves its room first and breaks off: header, size, and no weights."""
    whole = model[SHARDS[0]].data
    model.put(SHARDS[0], whole[:8192], size=len(whole))


def _zeros(model: ModelOf) -> None:
    model.put(SHARDS[0], safetensors(in_shards(shapes())[SHARDS[0]], zeros=True))


def _other_revision(model: ModelOf) -> None:
    """Let the second shard be one of a revision that was cut elsewhere: every file is whole, and the model is not."""
    tensors = in_shards(shapes())[SHARDS[1]]
    model.put(SHARDS[1], safetensors({name: tensors[name] for name in tensors if ".self_attn." not in name}))


def _stale(model: ModelOf) -> None:
    for number in (1, 2, 3):
        model.put(f"model-{number:05}-of-00003.safetensors", model[SHARDS[1]].data)


def _partial(model: ModelOf) -> None:
    model.put(f"{SHARDS[1]}.5eD03a1F", model[SHARDS[1]].data[:9000])
    model.take(SHARDS[1])


def _adapter(model: ModelOf) -> None:
    model.clear()
    model.put("adapter_config.json", as_json({"base_model_name_or_path": "mistralai/Mistral-7B-v0.3", "r": 64}))
    model.put("adapter_model.safetensors", safetensors({"base_model.model.q_proj.lora_A.weight": [4, 32]}))


def _unreadable(model: ModelOf) -> None:
    _ = model.plan.mounts  # a mode binds nobody where the host's user is this machine's root
    model.put(SHARDS[0], model[SHARDS[0]].data, mode=0)


def _without(*names: str) -> Edit:
    return lambda model: model.take(*names)


def _with(name: str, data: bytes) -> Edit:
    return lambda model: model.put(name, data)


# id -> (words, what it is, what makes it)
_GROSS: Mapping[str, tuple[str, str, Edit]] = {
    "model-none": ("Base model not found", "the folder is not there", _none),
    "model-empty-dir": ("the folder is empty", "the folder is there, and empty", _empty),
    "model-elsewhere": ("/Mistral-7B-v0.3", "the model lies one level further down", _elsewhere),
    "model-shard": ("is not there", "the index names a shard that is absent", _without(SHARDS[1])),
    "model-config-broken": ("config.json", "config.json breaks off", _with("config.json", as_json(CONFIG)[:40])),
    "model-tokenizer-missing": ("no tokenizer", "all is there but the tokenizer", _without("tokenizer.json")),
}
_SUBTLE: Mapping[str, tuple[str, str, Edit]] = {
    "model-partial": ("is not there", "`aws s3 sync` broke off: a shard still has its temporary name", _partial),
    "model-truncated": ("it ends after", "the last byte of a shard is missing", _truncated),
    "model-lfs": (
        "Git LFS pointer",
        "a clone without git-lfs: a pointer instead of a shard",
        _with(SHARDS[0], _POINTER),
    ),
    "model-html": ("web page", "a log-in page was saved as a shard", _with(SHARDS[1], _LOGIN)),
    "model-gzip": ("gzip-encoded", "a shard was saved as it was sent, gzip-encoded", _gzip),
    "model-sparse": ("never written", "a shard of the right size, and only its beginning was written", _sparse),
    "model-zeros": ("nothing but zeros", "a shard whose room was filled with zeros, and nothing else", _zeros),
    "model-vocab": ("embedding", "the tokenizer has a token that the embedding does not have", _vocabulary),
    "model-shape": ("and the config says", "the config of a sister model", _config(num_key_value_heads=4)),
    "model-layers": ("no file has", "a config with more layers than the shards", _config(num_hidden_layers=3)),
    "model-fewer-layers": ("left out", "a config with fewer layers than the shards", _config(num_hidden_layers=1)),
    "model-padding": ("pad_token_id", "the config pads with a token that is not there", _config(pad_token_id=512)),
    "model-pieces": ("it ends inside", "the tokenizer is sentencepiece's, and breaks off", _pieces),
    "model-code": ("names the code", "the model brings its own code, which was not fetched", _code),
    "model-revision": ("are not there", "a shard of another revision: whole, other tensors in it", _other_revision),
    "model-adapter": ("adapter", "the adapter of an earlier run lies at the base model's path", _adapter),
    "model-unreadable": ("Permission denied", "the training user may not read a shard", _unreadable),
}


def _fault(name: str, kind: Kind, made: tuple[str, str, Edit], expect: Status = Status.FAILED) -> Fault:
    words, summary, edit = made

    def inject(plan: TenantPlan) -> Tally:
        edit(ModelOf(plan))
        return plan.host.commands

    return Fault(id=name, row=ROW, kind=kind, words=words, summary=summary, inject=inject, expect=expect)


_STALE = ("another revision", "shards of another revision lie beside the right ones", _stale)

MODEL_FAULTS = (
    *(_fault(name, "gross", made) for name, made in _GROSS.items()),
    *(_fault(name, "subtle", made) for name, made in _SUBTLE.items()),
    _fault("model-stale", "subtle", _STALE, Status.WARNED),
)
"""From no model at all to a whole one with something beside it."""
