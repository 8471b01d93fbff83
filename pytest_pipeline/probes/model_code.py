"""The Python that a model's folder brings for itself: what auto_map names, and whether it lies there."""

# Kinds that transformers has too, and whose folders bring their first code nevertheless: it is taken only where
# trust_remote_code is set.
ALSO_IN_TRANSFORMERS = (
    "dbrx", "deepseek_v2", "deepseek_v3", "falcon", "florence2", "jamba", "llama", "longcat_flash", "minimax_m2",
    "mistral", "mixtral", "mpt", "nemotron_h", "phi", "phi3", "phimoe", "qwen2", "stablelm",
)  # fmt: skip
OF_MODELS = ("AutoConfig", "AutoModel")
OF_TOKENIZERS = ("AutoTokenizer",)


def findings(config: dict, names: object) -> list:
    """Return that a model's code is absent: without it nothing knows the weights."""
    kind = config.get("model_type")
    own = ": transformers has code of its own for %s, and takes it unless trust_remote_code is set" % kind
    known = kind in ALSO_IN_TRANSFORMERS
    return lacking("config.json", absent(config, OF_MODELS, names), own if known else "", not known)


def of_tokenizer(settings: dict, names: object) -> list:
    """Return that a tokenizer's code is absent: where tokenizer.json is, there is another way."""
    return lacking("tokenizer_config.json", absent(settings, OF_TOKENIZERS, names), "", "tokenizer.json" not in names)


def lacking(by: str, files: list, but: str, fatal: object) -> list:
    """Return the finding for files that are named and not there; none where there are none."""
    why = "%s names the code in %s, and it is not there%s" % (by, ", ".join(files[:3]), but)
    return [("absent", files[0], why, fatal)] if files else []


def absent(settings: dict, kinds: tuple, names: object) -> list:
    """Return the files that auto_map names and the folder has not; what `--` parts is of another repository."""
    modules = {one.split(".")[0] + ".py" for one in references(settings, kinds) if "--" not in one}
    return sorted(modules - set(names))


def references(settings: dict, kinds: tuple) -> list:
    """Return the classes that auto_map names for these kinds; a tokenizer may have a slow one and a fast one."""
    named = settings.get("auto_map")
    if isinstance(named, list):  # as tokenizer_config.json had it at first
        named = {"AutoTokenizer": named}
    if not isinstance(named, dict):
        return []
    wanted = [named[kind] for kind in named if kind.startswith(kinds)]
    flat = [one for value in wanted for one in (value if isinstance(value, list) else [value])]
    return [one for one in flat if isinstance(one, str) and one]
