"""What a plain client meets in the base model's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.meets_python import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

FOLDER = "cd /mnt/training/models/mistral-7b-v0.3"
LISTED = runs(f"{FOLDER} && ls -A")
LOADS = runs(f"{FOLDER} && python3 -c 'import json; json.load(open(\"config.json\"))'")


def begins(shard: int) -> Callable[[World], object]:
    """The first bytes of a shard, as a shell shows them."""
    return runs(f"{FOLDER} && head -c 40 model-0000{shard}-of-00002.safetensors | od -An -c")


def sizes(w: World) -> object:
    return w.run(f"{FOLDER} && stat -c '%n %s %b' *.safetensors")


def read(name: str) -> Callable[[World], object]:
    return runs(f"{FOLDER} && cat {name}")


MODEL_MEETS: dict[str, Meet] = {
    "model-none": (LISTED, "No such file"),
    "model-empty-dir": (LISTED, r"\(0, ''"),
    "model-elsewhere": (LISTED, r"\(0, 'Mistral-7B-v0.3\\n'"),
    "model-shard": (LISTED, r"model-00001-of-00002\.safetensors(?!.*model-00002-of)"),
    "model-config-broken": (LOADS, "JSONDecodeError"),
    "model-tokenizer-missing": (LISTED, r"config\.json(?!.*tokenizer\.json)"),
    "model-partial": (LISTED, r"model-00002-of-00002\.safetensors\.5eD03a1F"),
    "model-truncated": (sizes, r"model-00002-of-00002\.safetensors \d+"),
    "model-lfs": (begins(1), r"v   e   r   s   i   o   n"),
    "model-html": (begins(2), r"D   O   C   T   Y   P   E"),
    "model-gzip": (begins(1), r"037 213"),
    "model-sparse": (sizes, r"model-00001-of-00002\.safetensors \d+"),
    "model-zeros": (
        runs(f"{FOLDER} && tail -c 4096 model-00001-of-00002.safetensors | tr -d '\\0' | wc -c"),
        r"'0\\n'",
    ),
    "model-vocab": (read("tokenizer.json"), "one too many"),
    "model-shape": (read("config.json"), r'"num_key_value_heads": ?4'),
    "model-layers": (read("config.json"), r'"num_hidden_layers": ?3'),
    "model-fewer-layers": (read("config.json"), r'"num_hidden_layers": ?1'),
    "model-padding": (read("config.json"), r'"pad_token_id": ?512'),
    "model-pieces": (runs(f"{FOLDER} && wc -c < tokenizer.model"), r"'9\\n'"),
    "model-code": (runs(f"{FOLDER} && ls *.py"), "No such file"),
    "model-revision": (runs(f"{FOLDER} && grep -c self_attn model-00002-of-00002.safetensors"), r"\(1, '0"),
    "model-adapter": (LISTED, r"adapter_config\.json(?!.*\bconfig\.json)"),
    "model-unreadable": (begins(1), "Permission denied"),
    "model-stale": (LISTED, r"model-00001-of-00003\.safetensors"),
}
