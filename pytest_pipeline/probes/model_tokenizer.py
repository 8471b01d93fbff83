"""The tokenizer beside a model: there, readable, and with no token that the embedding does not have."""

import os

VOCABULARIES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "tekken.json",
    "tokenizer.tiktoken", "qwen.tiktoken", "tiktoken.model", "source.spm",
)  # fmt: skip
BYTES_ALONE = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")  # need no vocabulary
NOT_TOKENS = ("preprocessor_config.json", "processor_config.json")  # of a model that reads images or sound
DOCUMENTS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")


def findings(folder: str, names: object, rows: object, parts: dict) -> list:
    """Return what is wrong; `rows` is how many tokens the embedding has, None where that is not known."""
    read = parts["imposters"].document
    found, documents = [], {}
    for name in DOCUMENTS:
        if name in names:
            documents[name], wrong = read(os.path.join(folder, name))
            found += wrong
    own = [name for name in VOCABULARIES if name in names]
    if "vocab.json" in names and "merges.txt" in names:
        own.append("merges.txt")
    for name in own:
        if name == "tokenizer.json":
            tokenizer, wrong = read(os.path.join(folder, name))
            found += wrong
            found += beyond(tokenizer, rows) if tokenizer is not None else []
        elif name.endswith(".json"):
            found += read(os.path.join(folder, name), fatal=len(own) == 1)[1]
        else:
            found += opaque(os.path.join(folder, name), parts["imposters"])
    if not own and not needs_none(names, documents.get("tokenizer_config.json") or {}):
        why = "no tokenizer: neither tokenizer.json nor tokenizer.model nor vocab.json with merges.txt"
        found.append(("absent", "tokenizer.json", why, True))
    return found


def needs_none(names: object, settings: dict) -> bool:
    """Whether the model has no vocabulary: one of bytes, of pictures or sound, or one that brings its own code."""
    by_itself = settings.get("tokenizer_class") in BYTES_ALONE or "auto_map" in settings
    return by_itself or any(name in names for name in NOT_TOKENS)


def opaque(path: str, imposters: object) -> list:
    """Return what the first bytes of a vocabulary give away."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            other = imposters.imposter(file.read(imposters.FIRST_BYTES))
    except FileNotFoundError:
        return [("absent", name, "it is a link to what is not there", True)]
    except OSError as error:
        return [("unreadable", name, imposters.why_unreadable(path, error), True)]
    return [(other[0], name, other[1], True)] if other else []


def beyond(tokenizer: dict, rows: object) -> list:
    """Compare the largest token with the embedding: one beyond its end is a device-side assert, hours later."""
    model = tokenizer.get("model")
    if not isinstance(model, dict):
        return [("malformed", "tokenizer.json", "it has no model", True)]
    largest = largest_in(model.get("vocab"))
    if largest is None:
        return [("malformed", "tokenizer.json", "its model has no vocabulary", True)]
    added = [one.get("id") for one in tokenizer.get("added_tokens") or () if isinstance(one, dict)]
    largest_added = max((one for one in added if type(one) is int), default=-1)
    if rows is None or max(largest, largest_added) < rows:
        return []
    if largest >= rows:
        why = "it has tokens up to %d, and the embedding ends at %d" % (largest, rows - 1)
        return [("contradicts", "tokenizer.json", why, True)]
    why = "it adds tokens up to %d, and the embedding ends at %d: who uses them must enlarge it"
    return [("contradicts", "tokenizer.json", why % (largest_added, rows - 1), False)]


def largest_in(vocabulary: object) -> object:
    """Return the largest token of a vocabulary, None where it is none."""
    if isinstance(vocabulary, list):  # of pairs, the place being the token
        return len(vocabulary) - 1 if vocabulary else None
    if not isinstance(vocabulary, dict) or not vocabulary:
        return None
    try:
        largest = max(vocabulary.values())
    except TypeError:
        return None
    return largest if type(largest) is int else None
