"""The base model on the simulated host's volume: a tiny Mistral of random weights, whole and in two shards."""

from __future__ import annotations

import json
import random
import struct
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.host_content import Content

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.sandbox.plan import TenantPlan

MODEL_FOLDER = "models/mistral-7b-v0.3/"
"""Where it lies on the volume."""

INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
CONFIG: Mapping[str, Any] = {
    "architectures": ["MistralForCausalLM"],
    "model_type": "mistral",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_hidden_layers": 2,
    "vocab_size": 512,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}

Shapes = dict[str, list[int]]


def shapes() -> Shapes:
    """Return the tensors of the tiny model."""
    hidden, inner, rows = CONFIG["hidden_size"], CONFIG["intermediate_size"], CONFIG["vocab_size"]
    queries = CONFIG["num_attention_heads"] * CONFIG["head_dim"]
    keys = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]
    layer = {
        "input_layernorm.weight": [hidden],
        "mlp.down_proj.weight": [hidden, inner],
        "mlp.gate_proj.weight": [inner, hidden],
        "mlp.up_proj.weight": [inner, hidden],
        "post_attention_layernorm.weight": [hidden],
        "self_attn.k_proj.weight": [keys, hidden],
        "self_attn.o_proj.weight": [hidden, queries],
        "self_attn.q_proj.weight": [queries, hidden],
        "self_attn.v_proj.weight": [keys, hidden],
    }
    layers = {
        f"model.layers.{number}.{name}": shape
        for number in range(CONFIG["num_hidden_layers"])
        for name, shape in layer.items()
    }
    ends = {"lm_head.weight": [rows, hidden], "model.embed_tokens.weight": [rows, hidden]}
    return {**ends, **layers, "model.norm.weight": [hidden]}


def safetensors(tensors: Shapes, *, zeros: bool = False) -> bytes:
    """Return a file of these tensors in bf16, as the format has it: no gaps, the header padded to 8 bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in tensors.items():
        end = at + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = bytes(at) if zeros else random.Random(0).randbytes(at)  # noqa: S311  # weights, no secrets
    return struct.pack("<Q", len(text)) + text + data


def in_shards(tensors: Shapes) -> dict[str, Shapes]:
    """Return which tensors lie in which shard: the second layer and the last norm in the second one."""
    second = {name for name in tensors if ".layers.1." in name or name == "model.norm.weight"}
    return {
        SHARDS[0]: {name: shape for name, shape in tensors.items() if name not in second},
        SHARDS[1]: {name: shape for name, shape in tensors.items() if name in second},
    }


@cache
def tiny_mistral() -> Mapping[str, bytes]:
    """Return the files of the tiny model; made once a process."""
    shards = in_shards(shapes())
    places = {tensor: shard for shard, tensors in shards.items() for tensor in tensors}
    total = sum(2 * prod(shape) for shape in shapes().values())
    vocabulary = {f"t{number}": number for number in range(CONFIG["vocab_size"])}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "t0", "special": True}],
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    return {
        "config.json": as_json(CONFIG),
        "generation_config.json": as_json({"bos_token_id": 1, "eos_token_id": 2}),
        "tokenizer.json": as_json(tokenizer),
        "tokenizer_config.json": as_json({"tokenizer_class": "LlamaTokenizer", "bos_token": "t1"}),
        "special_tokens_map.json": as_json({"bos_token": "t1", "eos_token": "t2"}),
        INDEX: as_json({"metadata": {"total_size": total}, "weight_map": places}),
        **{shard: safetensors(tensors) for shard, tensors in shards.items()},
    }


def as_json(value: Mapping[str, Any]) -> bytes:
    """Return a document as such files have it."""
    return json.dumps(value, indent=2).encode()


def healthy_model() -> dict[str, Content]:
    """Return what is on the volume of a healthy host."""
    return {MODEL_FOLDER + name: Content(data=data) for name, data in tiny_mistral().items()}


class ModelOf:
    """The model of a tenant under construction, edited by the names of its files."""

    def __init__(self, plan: TenantPlan) -> None:
        self.plan = plan
        self.content = plan.host.mounts[0].content  # also where nothing can be mounted

    def __getitem__(self, name: str) -> Content:
        return self.content[MODEL_FOLDER + name]

    def put(self, name: str, data: bytes = b"", **more: Any) -> None:
        """Put a file in, instead of what is there."""
        self.content[MODEL_FOLDER + name] = Content(data=data, **more)

    def take(self, *names: str) -> None:
        """Take files away."""
        for name in names:
            del self.content[MODEL_FOLDER + name]

    def clear(self) -> None:
        """Take all away, the folder too."""
        for name in [one for one in self.content if one.startswith(MODEL_FOLDER)]:
            del self.content[name]
