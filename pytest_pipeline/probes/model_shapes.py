"""What a model's config.json says, and which layers, and tensors of which shapes, follow from it.

Layers follow for every model whose tensors are named as those of decoders are. Shapes follow for dense models of the
Mistral and Llama kind alone; others are not guessed.
"""

import re

DENSE = ("MistralForCausalLM", "LlamaForCausalLM")
SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
MAY_BE_ABSENT = ("head_dim", "num_key_value_heads")
LAYERS_LIMIT = 10000
LAYER = re.compile(r"^(?:model\.)?layers\.(\d{1,9})\.")  # a model that was saved without its head has no prefix
# Layers behind the others that predict further tokens (DeepSeek, GLM, MiniMax): the model is whole without them.
FURTHER_LAYERS = ("num_nextn_predict_layers", "num_mtp_modules", "num_mtp_layers")
EMBEDDINGS = (
    "embed_tokens.weight", "embed_text_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight",
    "shared.weight",
)  # fmt: skip


def architecture(config: dict) -> str:
    """Return the name of the class that loads the model, else of its kind, "" where the config has neither."""
    classes = config.get("architectures")
    if isinstance(classes, list) and classes and isinstance(classes[0], str):
        return classes[0]
    kind = config.get("model_type")
    return kind if isinstance(kind, str) else ""


def quantisation(config: dict) -> str:
    """Return the method by which the weights are quantised, "" where they are not."""
    said = config.get("quantization_config")
    return str(said.get("quant_method") or "unnamed") if isinstance(said, dict) else ""


def embeds(names: object) -> bool:
    """Whether one of the tensors embeds tokens."""
    return any(name.endswith(EMBEDDINGS) for name in names)


def embedding_rows(tensors: dict, config: dict) -> object:
    """Return how many token ids the embedding has, by its tensor or else by the config; None where neither says.

    Of several the largest counts: others are those of codes of sound or of pictures.
    """
    matrices = [shape for name, (_, shape) in tensors.items() if name.endswith(EMBEDDINGS) and len(shape) == 2]  # noqa: PLR2004  # tokens and dimensions
    said = config.get("vocab_size")
    return max((rows for rows, _ in matrices), default=said if is_size(said) else None)


def is_size(value: object) -> bool:
    """Whether a value of the config can be a size."""
    return type(value) is int and 0 < value < 2**40


def layers(config: dict, names: object) -> list:
    """Compare how many layers the config has with how many the tensors have.

    Loaders leave out what is too much, without a word, and fill with random numbers what is too little.
    """
    said = config.get("num_hidden_layers")
    numbers = {int(found.group(1)) for found in map(LAYER.match, names) if found}
    halves = is_size(config.get("num_layers")) and config["num_layers"] != said  # as LongCat-Flash counts them
    if not numbers or not is_size(said) or halves:
        return []
    there = max(numbers) + 1
    further = max(config[name] if is_size(config.get(name)) else 0 for name in FURTHER_LAYERS)
    if said <= there <= said + further:
        return []
    so = "no file has the others" if there < said else "the others would be left out"
    why = "num_hidden_layers is %d, and the tensors are of %d layers: %s" % (said, there, so)
    return [("contradicts", "config.json", why, True)]


def sizes(config: dict) -> list:
    """Return which sizes of a dense model are none: nothing can be built of a text; defaults stand for absent ones."""
    if architecture(config) not in DENSE:
        return []
    said = [name for name in SIZES if name in config] + [one for one in MAY_BE_ABSENT if config.get(one) is not None]
    wrong = ["%s is %.40r" % (name, config[name]) for name in said if not is_size(config[name])]
    if wrong:
        return [("malformed", "config.json", "%s, and that is no size" % ", ".join(wrong), True)]
    absent = [name for name in SIZES if name not in config]
    if not absent:
        return []
    why = "it has no %s: defaults are taken, and the shapes of the tensors were not compared" % ", ".join(absent)
    return [("malformed", "config.json", why, False)]


def contradictions(config: dict, tensors: dict, fatal_file: str) -> object:
    """Return what in the tensors contradicts the config; None where it does not say which tensors there must be."""
    if architecture(config) not in DENSE or quantisation(config) or not tensors:
        return None
    if not all(is_size(config.get(name)) for name in SIZES) or config["num_hidden_layers"] > LAYERS_LIMIT:
        return None
    missing, other = [], []
    # A model that was saved without its head has names without this prefix.
    prefix = "" if "embed_tokens.weight" in tensors else "model."
    for name, shape in expected(config, prefix).items():
        if name not in tensors:
            missing.append(name)
        elif tensors[name][1] != shape:
            other.append("%s is %s, and the config says %s" % (name, tensors[name][1], shape))
    found = []
    if missing:
        why = "config.json needs tensors that no file has, %d of them: %s" % (len(missing), ", ".join(missing[:3]))
        found.append(("contradicts", fatal_file, why, True))
    if other:
        more = "; %d more like this" % (len(other) - 1) if len(other) > 1 else ""
        found.append(("contradicts", "config.json", other[0] + more, True))
    return found


def expected(config: dict, prefix: str) -> dict:
    """Return the tensors of a dense model, and their shapes."""
    hidden, inner, rows = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads = config["num_attention_heads"]
    width = config["head_dim"] if is_size(config.get("head_dim")) else hidden // heads
    shared = config["num_key_value_heads"] if is_size(config.get("num_key_value_heads")) else heads
    shapes = {prefix + "embed_tokens.weight": [rows, hidden], prefix + "norm.weight": [hidden]}
    if not config.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = [rows, hidden]
    layer = {
        "self_attn.q_proj.weight": [heads * width, hidden],
        "self_attn.k_proj.weight": [shared * width, hidden],
        "self_attn.v_proj.weight": [shared * width, hidden],
        "self_attn.o_proj.weight": [hidden, heads * width],
        "mlp.gate_proj.weight": [inner, hidden],
        "mlp.up_proj.weight": [inner, hidden],
        "mlp.down_proj.weight": [hidden, inner],
        "input_layernorm.weight": [hidden],
        "post_attention_layernorm.weight": [hidden],
    }
    for number in range(config["num_hidden_layers"]):
        shapes.update({"%slayers.%d.%s" % (prefix, number, name): layer[name] for name in layer})
    return shapes
