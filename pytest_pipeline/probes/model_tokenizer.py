"""The tokenizer beside a model: there, readable, and with no token that the embedding does not have."""

import os

# What can be a vocabulary, in the order in which one is taken, and what reads how far its tokens go.
VOCABULARIES = {
    "tokenizer.json": "", "tokenizer.model": "in_model", "spiece.model": "in_model",
    "sentencepiece.bpe.model": "in_model", "spm.model": "in_model", "sentencepiece.model": "in_model",
    "spm_char.model": "in_model", "vocab.txt": "", "tekken.json": "in_tekken", "tokenizer.tiktoken": "in_ranks",
    "qwen.tiktoken": "in_ranks", "tiktoken.model": "in_ranks", "source.spm": "in_model",
}  # fmt: skip
NAMED_TOKENS = "vocab.json"
BYTES_ALONE = ("ByT5Tokenizer", "CanineTokenizer", "DiaTokenizer", "PerceiverTokenizer")  # need no vocabulary
NAMES_ALONE = (
    "FastSpeech2ConformerTokenizer", "Pop2PianoTokenizer", "VitsTokenizer", "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
)  # fmt: skip  # need vocab.json and no merges
NOT_TOKENS = ("preprocessor_config.json", "processor_config.json")  # of a model that reads images or sound
DOCUMENTS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", NAMED_TOKENS)
DIGITS = 12  # more than any token's number has
SPECIAL = ("bos_token_id", "eos_token_id", "pad_token_id")


def look(folder: str, names: object, parts: dict) -> dict:
    """Answer {"findings", "own": files, "ends": {file: largest token}, "added": the same, "settings", "names"}."""
    documents, found, ends, added = {}, [], {}, {}
    for name in DOCUMENTS:
        if name in names:
            documents[name], wrong = parts["imposters"].document(os.path.join(folder, name))
            found += wrong
    own = [name for name in VOCABULARIES if name in names]
    for name in own:
        ends[name], added[name], wrong = vocabulary(folder, name, name == own[0], parts)
        found += wrong
    if NAMED_TOKENS in names:
        ends.update({name: None for name in own if VOCABULARIES[name] == "in_model"})  # it numbers their pieces
    if NAMED_TOKENS in names and "merges.txt" in names:
        own.append(NAMED_TOKENS)
        ends[NAMED_TOKENS] = parts["model_vocabulary"].in_names(documents[NAMED_TOKENS])
        if ends[NAMED_TOKENS] is None and documents[NAMED_TOKENS] is not None:
            found.append(("malformed", NAMED_TOKENS, "it has no vocabulary", own[0] == NAMED_TOKENS))
        found += parts["imposters"].content(os.path.join(folder, "merges.txt"))[1]
    settings = documents.get("tokenizer_config.json") or {}
    added["tokenizer_config.json"] = largest_name(settings.get("added_tokens_decoder"))
    return {"findings": found, "own": own, "ends": ends, "added": added, "settings": settings, "names": names}


def nothing(names: object, error: object) -> dict:
    """Return the answer of a look that did not end."""
    wrong = "unreadable", ".", "the tokenizer: %s" % error, True
    return {"findings": [wrong], "own": ["tokenizer.json"], "ends": {}, "added": {}, "settings": {}, "names": names}


def vocabulary(folder: str, name: str, first: object, parts: dict) -> tuple:
    """Return the largest token of a vocabulary, the largest that it adds, and what is wrong with it.

    The `first` of a folder's is the one that is taken.
    """
    path, imposters, formats = os.path.join(folder, name), parts["imposters"], parts["model_vocabulary"]
    try:
        if name == "tokenizer.json":
            tokenizer, wrong = imposters.document(path, shorten=formats.without_merges)
            return (*(formats.in_tokenizer(tokenizer) if tokenizer is not None else (None, None)), wrong)
        raw, wrong = imposters.content(path, fatal=first or not name.endswith(".json"))
        read = VOCABULARIES[name]
        return getattr(formats, read)(raw) if read and raw is not None else None, None, wrong
    except formats.Odd as odd:
        return None, None, [(odd.args[0], name, odd.args[1], bool(first))]


def largest_name(tokens: object) -> object:
    """Return the largest of the tokens that an object of JSON has names for, None where it has none."""
    numbers = [int(one) for one in tokens if one.isdecimal() and len(one) < DIGITS] if isinstance(tokens, dict) else []
    return max(numbers, default=None)


def findings(looked: dict, rows: object, embeds: object, code: object) -> list:
    """Return what is wrong; `rows` is how many tokens the embedding has, None where that is not known."""
    settings, names = looked["settings"], looked["names"]
    found = looked["findings"] + beyond(looked, rows) + code.of_tokenizer(settings, names)
    by_itself = code.references(settings, code.OF_TOKENIZERS) or needs_none(names, settings, embeds)
    if not looked["own"] and not by_itself:
        why = "no tokenizer: neither tokenizer.json nor tokenizer.model nor vocab.json with merges.txt"
        found.append(("absent", "tokenizer.json", why, True))
    return found


def needs_none(names: object, settings: dict, embeds: object) -> bool:
    """Whether the model has no such vocabulary: one of bytes or sounds, or of pictures, and no tensor embeds tokens."""
    kind = settings.get("tokenizer_class")
    if kind in BYTES_ALONE or (kind in NAMES_ALONE and NAMED_TOKENS in names):
        return True
    return not embeds and any(name in names for name in NOT_TOKENS)


def beyond(looked: dict, rows: object) -> list:
    """Compare the largest token with the embedding: one beyond its end is a device-side assert, hours later."""
    if rows is None:
        return []
    for name, end in looked["ends"].items():
        if end is not None and end >= rows:
            why = "it has tokens up to %d, and the embedding ends at %d" % (end, rows - 1)
            return [("contradicts", name, why, name == looked["own"][0])]
    for name, end in looked["added"].items():
        if end is not None and end >= rows:
            why = "it adds tokens up to %d, and the embedding ends at %d: who uses them must enlarge it"
            return [("contradicts", name, why % (end, rows - 1), False)]
    return []


def special(document: dict, name: str, rows: object, padded: object) -> list:
    """Compare the special tokens of a config with the embedding; `padded`: the model's class refuses such padding."""
    if rows is None:
        return []
    said = {key: document.get(key) for key in SPECIAL}
    ids = [(key, one) for key in SPECIAL for one in (said[key] if isinstance(said[key], list) else [said[key]])]
    far = [(key, one) for key, one in ids if type(one) is int and one >= rows]
    if not far:
        return []
    why = "%s, and the embedding ends at %d" % (", ".join("%s is %d" % one for one in far[:3]), rows - 1)
    return [("contradicts", name, why, bool(padded) and any(key == "pad_token_id" for key, _ in far))]
