"""What a model's config.json says, and which tensors of which shapes follow from it.

Shapes follow for dense models of the Mistral and Llama kind alone; others are not guessed.
"""

DENSE = ("MistralForCausalLM", "LlamaForCausalLM")
SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
LAYERS_LIMIT = 10000
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "tok_embeddings.weight")


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


def embedding_rows(tensors: dict, config: dict) -> object:
    """Return how many token ids the embedding has, by its tensor or else by the config; None where neither says."""
    for name, (_, shape) in tensors.items():
        if name.endswith(EMBEDDINGS) and len(shape) == 2:  # noqa: PLR2004  # tokens and dimensions
            return shape[0]
    said = config.get("vocab_size")
    return said if is_size(said) else None


def is_size(value: object) -> bool:
    """Whether a value of the config can be a size."""
    return type(value) is int and 0 < value < 2**40


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
