"""Folders of models that are odd and whole: model-files must raise no alarm in them."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Variant
from pytest_pipeline.sandbox.host_content import Content
from pytest_pipeline.sandbox.host_model import (
    CONFIG,
    INDEX,
    MODEL_FOLDER,
    SHARDS,
    ModelOf,
    as_json,
    safetensors,
    shapes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Edit = Callable[[ModelOf], None]


def _single(model: ModelOf) -> None:
    model.take(INDEX, *SHARDS)
    model.put("model.safetensors", safetensors(shapes()))


def _bin(model: ModelOf) -> None:
    model.take(INDEX, *SHARDS)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:  # as torch.save writes it: nothing is compressed
        archive.writestr("pytorch_model/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("pytorch_model/data/0", safetensors(shapes()))
        archive.writestr("pytorch_model/version", b"3\n")
    model.put("pytorch_model.bin", packed.getvalue())


def _hub_cache(model: ModelOf) -> None:
    """Lay the folder out as the hub's client does: links to blobs, and the path is a link to that snapshot."""
    hub, revision = "models/models--mistralai--Mistral-7B-v0.3", "caa1feb0e54d415e2df31207e5f4e273e33509b1"
    for number, name in enumerate([one for one in model.content if one.startswith(MODEL_FOLDER)]):
        model.content[f"{hub}/blobs/{number:040x}"] = model.content.pop(name)
        file = name.removeprefix(MODEL_FOLDER)
        model.content[f"{hub}/snapshots/{revision}/{file}"] = Content(link=f"../../blobs/{number:040x}")
    model.content[f"{hub}/refs/main"] = Content(data=revision.encode())
    model.content[MODEL_FOLDER.rstrip("/")] = Content(link=f"{hub.removeprefix('models/')}/snapshots/{revision}")


def _beside(model: ModelOf) -> None:
    model.put("consolidated.safetensors", b"")
    model.put("original/consolidated.00.pth", b"")
    model.put(".cache/huggingface/download/config.json.lock")
    model.put(".cache/huggingface/.gitignore", b"*")
    model.put("tokenizer.model.v3", b"\n\x0e")
    model.put("README.md", b"# Mistral\n")


def _tied(model: ModelOf) -> None:
    model.take(INDEX, *SHARDS)
    model.put("config.json", as_json({**CONFIG, "tie_word_embeddings": True, "head_dim": None}))
    model.put("model.safetensors", safetensors({n: s for n, s in shapes().items() if n != "lm_head.weight"}))


def _quantised(model: ModelOf) -> None:
    model.put("config.json", as_json({**CONFIG, "quantization_config": {"quant_method": "bitsandbytes"}}))


def _unknown(model: ModelOf) -> None:
    model.put("config.json", as_json({"architectures": ["PlumForCausalLM"], "model_type": "plum"}))


def _further(model: ModelOf) -> None:
    model.take(INDEX, *SHARDS)
    config = {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "num_nextn_predict_layers": 1}
    model.put("config.json", as_json({**CONFIG, **config}))
    model.put("model.safetensors", safetensors({**shapes(), "model.layers.2.eh_proj.weight": [32, 64]}))


def _codes(model: ModelOf) -> None:
    model.take(INDEX, *SHARDS)
    model.put("config.json", as_json({"architectures": ["PlumForSpeech"], "model_type": "plum"}))
    model.put("model.safetensors", safetensors({"codes.embed_tokens.weight": [100, 32], **shapes()}))


def _variant(name: str, summary: str, edit: Edit) -> Variant:
    return Variant(id=f"model-{name}", summary=summary, inject=lambda plan: edit(ModelOf(plan)))


MODEL_VARIANTS = (
    _variant("single-file", "a model in one file, without an index", _single),
    _variant("bin", "a model in torch's own format", _bin),
    _variant("hub-cache", "the path is a link into a cache of the hub's, all files links to blobs", _hub_cache),
    _variant("consolidated", "the weights lie there in another layout too, and the leftovers of a download", _beside),
    _variant("tied", "the embedding is the head too, and head_dim is null", _tied),
    _variant("quantised", "a model whose weights are quantised", _quantised),
    _variant("further-layer", "a layer behind the others, which predicts one more token", _further),
    _variant("codes", "a second, smaller embedding, of the codes of sounds", _codes),
    _variant("unknown", "an architecture that nobody knows yet", _unknown),
)
