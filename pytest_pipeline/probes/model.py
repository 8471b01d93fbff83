"""The base model's folder: whether a whole model lies in it. No weights are read, however large it is."""

import os
import re
import time

FINDINGS_LIMIT = 12
PARTIAL = re.compile(r"^(.*)\.(?:incomplete|part|partial|tmp|aria2|crdownload|download|filepart)$")
PARTIAL_OF_AWS = re.compile(r"^(.*\.(?:safetensors|bin))\.[0-9A-Fa-f]{8}$")  # by `aws s3 sync`
PARTIAL_OF_RSYNC = re.compile(r"^\.(.*\.(?:safetensors|bin))\.[A-Za-z0-9]{6}$")
RECENT_S = 120
HINTS_S = 2.0
IGNORED = ("lost+found", ".cache", ".locks", ".git", ".gitattributes")


def read(request: dict, parts: dict) -> dict:
    """Answer {"path", "deadline_s"}."""
    deadline_s = request["deadline_s"]
    jobs = {"folder": lambda: folder(request["path"], parts, deadline_s * 0.8)}
    return parts["frame"].side_by_side(jobs, deadline_s)


def folder(asked: str, parts: dict, deadline_s: float) -> dict:
    """Look at the folder of a model."""
    started = time.monotonic()
    path = parts["model_place"].expanded(asked)
    answer = {
        "real": os.path.realpath(path), "exists": True, "nearest": "", "nearest_holds": [], "elsewhere": [],
        "architecture": "", "quantisation": "", "compared_with_config": False, "shards": 0, "tensors": 0,
        "weights_bytes": 0, "dtypes": [], "files": 0,
    }  # fmt: skip
    try:
        names = entries(path)
    except FileNotFoundError:
        answer.update(absent(path, parts, deadline_s))
        findings = []
    except NotADirectoryError:
        findings = [("malformed", os.path.basename(path), "it is a file, and the settings need its folder", True)]
    except OSError as error:
        findings = [parts["imposters"].unreadable(path, ".", error)]
    else:
        answer["files"] = len(names)
        findings = contents(path, names, answer, parts, deadline_s)
    findings = sorted(findings, key=lambda one: not one[3])  # what is fatal first, else as it was found
    answer["left_out"] = max(0, len(findings) - FINDINGS_LIMIT)
    answer["findings"] = [as_answered(*finding) for finding in findings[:FINDINGS_LIMIT]]
    answer["took_s"] = time.monotonic() - started
    return answer


def entries(path: str) -> set:
    """Return the names in a folder, links that lead nowhere included."""
    return {name for name in os.listdir(path) if name not in IGNORED}


def as_answered(defect: str, file: str, why: str, fatal: object, *remedy: dict) -> dict:
    """Return a finding as it is answered."""
    answer = {"defect": defect, "file": file[:200], "why": why[:400], "fatal": fatal, "denied": "", "in_the_way": False}
    answer.update(*remedy)
    return answer


def absent(path: str, parts: dict, deadline_s: float) -> dict:
    """Answer for a path where nothing is, or a link that leads nowhere."""
    place = parts["model_place"]
    nearest = place.nearest(path)
    holds, elsewhere = hints([lambda: place.holds(nearest), lambda: place.elsewhere(path)], parts, deadline_s)
    return {
        "exists": False,
        "nearest": nearest,
        "nearest_holds": holds.get("value", ["(%s)" % holds.get("error")]),
        "elsewhere": elsewhere.get("value", []),
    }


def hints(looks: list, parts: dict, deadline_s: float) -> list:
    """Attempt what makes an answer better, in a time of its own: without it the answer comes nevertheless."""
    answers = parts["frame"].side_by_side(dict(enumerate(looks)), min(HINTS_S, deadline_s / 4))
    return [answers[number] for number in range(len(looks))]


def contents(path: str, names: set, answer: dict, parts: dict, deadline_s: float) -> list:
    """Look at what is in the folder, fill the answer in, and return what is wrong."""
    found, tokenizer = weights_and_tokenizer(path, names, parts, deadline_s)
    partial = unfinished(path, names)
    if not found["form"] and ("config.json" not in names or "adapter_config.json" in names):
        (elsewhere,) = hints([lambda: parts["model_place"].elsewhere(path)], parts, deadline_s)
        answer["elsewhere"] = elsewhere.get("value", [])
        return [no_model(path, names, parts), *partial]
    shapes = parts["model_shapes"]
    config, findings = {}, []
    if "config.json" in names:
        read_config, findings = parts["imposters"].document(os.path.join(path, "config.json"))
        config = read_config or {}
    else:
        findings = [("absent", "config.json", "it is not there: nothing says which model the weights are of", True)]
    answer["architecture"] = shapes.architecture(config)
    answer["quantisation"] = shapes.quantisation(config)
    if not findings and not answer["architecture"]:
        why = "it has neither architectures nor model_type: nothing knows how to load the weights"
        findings.append(("malformed", "config.json", why, True))
    findings += found["findings"] if found["form"] else [no_weights(names)]
    answer.update(amounts(found))
    if not is_fatal(findings):  # else the same cause would be found a second time
        findings += shapes.sizes(config) + shapes.layers(config, found["names"])
    if not is_fatal(findings):
        contradictions = shapes.contradictions(config, found["tensors"], found["form"])
        answer["compared_with_config"] = contradictions is not None
        findings += contradictions or []
    findings += parts["model_code"].findings(config, names)
    configs = {"config.json": config}
    if "generation_config.json" in names:  # without it the defaults of the model are taken
        place = os.path.join(path, "generation_config.json")
        generation, wrong = parts["imposters"].document(place, fatal=False)
        configs["generation_config.json"] = generation or {}
        findings += wrong
    findings += of_tokens(configs, found, tokenizer, parts)
    if "adapter_config.json" in names:
        why = "an adapter lies beside the weights: transformers with peft loads it, and the base that it names"
        findings.append(("contradicts", "adapter_config.json", why, False))
    return told_once(findings, partial)


def weights_and_tokenizer(path: str, names: set, parts: dict, deadline_s: float) -> tuple:
    """Look at both side by side, for the disk answers both at once. Raises OSError where it does not."""
    jobs = {
        "weights": lambda: parts["model_weights"].weights(path, names, parts, deadline_s),
        "tokenizer": lambda: parts["model_tokenizer"].look(path, names, parts),
    }
    # The weights end by themselves then, and tell which of them answered.
    looked = parts["frame"].side_by_side(jobs, deadline_s, {"weights": deadline_s * 1.1})
    if "error" in looked["weights"]:
        raise OSError(looked["weights"]["error"])
    nothing = parts["model_tokenizer"].nothing(names, looked["tokenizer"].get("error"))
    return looked["weights"]["value"], looked["tokenizer"].get("value", nothing)


def amounts(found: dict) -> dict:
    """Return how much there is of the weights."""
    kinds = {}
    for dtype, _ in found["tensors"].values():
        kinds[dtype] = kinds.get(dtype, 0) + 1
    return {
        "shards": found["shards"],
        "tensors": len(found["tensors"]),
        "weights_bytes": found["bytes"],
        "dtypes": sorted(kinds, key=lambda dtype: -kinds[dtype])[:8],
    }


def is_fatal(findings: list) -> bool:
    """Whether one of the findings is."""
    return any(one[3] for one in findings)


def of_tokens(configs: dict, found: dict, looked: dict, parts: dict) -> list:
    """Compare the tokenizer, and the special tokens of the configs, with the embedding."""
    tokenizer, shapes, config = parts["model_tokenizer"], parts["model_shapes"], configs["config.json"]
    rows = shapes.embedding_rows(found["tensors"], config)
    findings = tokenizer.findings(looked, rows, shapes.embeds(found["names"]), parts["model_code"])
    # Their classes pass it on to torch, which refuses padding beyond the embedding.
    padded = shapes.architecture(config) in shapes.DENSE
    for name, document in configs.items():
        findings += tokenizer.special(document, name, rows, padded and name == "config.json")
    return findings


def told_once(findings: list, partial: list) -> list:
    """Return all findings, what came of an absent file with its absence: that is one cause."""
    told = []
    for defect, file, why, fatal, *remedy in findings:
        came = [one for one in partial if defect == "absent" and one[1].lstrip(".").startswith(file)]
        more = "; %s: %s" % (came[0][1], came[0][2]) if came else ""
        partial = [one for one in partial if one not in came]
        told.append((defect, file, why + more, fatal, *remedy))
    return told + partial


def no_model(path: str, names: set, parts: dict) -> tuple:
    """Say what a folder is that holds no model."""
    if not names:
        return "empty", ".", "the folder is empty", True
    if "adapter_config.json" in names:
        adapter, _ = parts["imposters"].document(os.path.join(path, "adapter_config.json"))
        base = str((adapter or {}).get("base_model_name_or_path") or "a model that it does not name")
        return "absent", "config.json", "an adapter of %s lies here, and no base model" % base[:100], True
    if "params.json" in names:
        why = "the layout of mistral-inference or of Llama's own code lies here (params.json), not that of transformers"
        return "absent", "config.json", why, True
    if any(name.endswith(".gguf") for name in names):
        return "absent", "config.json", "a GGUF file lies here, for llama.cpp and not for training", True
    holds = ", ".join(parts["model_place"].holds(path))
    return "absent", "config.json", "neither config.json nor weights are here, but %s" % holds, True


def no_weights(names: set) -> tuple:
    """Say what lies in a folder that has a config, and no weights under a name that is looked for."""
    shards = sorted(name for name in names if re.match(r"^(model|pytorch_model)-\d{5}-of-\d{5}\.", name))
    if shards:
        ending = shards[0].rpartition(".")[2]
        index = "model.safetensors.index.json" if ending == "safetensors" else "pytorch_model.bin.index.json"
        return "absent", index, "shards are here (%s), and not the index that names them" % shards[0], True
    others = sorted(
        name for name in names if name.endswith((".safetensors", ".bin", ".h5", ".msgpack", ".gguf", ".pth"))
    )
    beside = "; under names that transformers does not look for: %s" % ", ".join(others[:3]) if others else ""
    return "absent", "model.safetensors", "the folder holds no weights%s" % beside, True


def unfinished(path: str, names: set) -> list:
    """Return the downloads that were broken off or are going on: beside the files, or in a cache of the hub's."""
    found = []
    for name in sorted(names):
        partial = PARTIAL.match(name) or PARTIAL_OF_AWS.match(name) or PARTIAL_OF_RSYNC.match(name)
        if partial:
            # aria2 removes its file when the one beside it is whole; no other fetch does.
            fatal = name.endswith(".aria2") and partial.group(1) in names
            written_s = ago_s(os.path.join(path, name))
            in_the_way = fatal and written_s is not None and written_s >= RECENT_S
            found.append(("partial download", name, age(written_s), fatal, {"in_the_way": in_the_way}))
    kept = [os.path.join(path, ".cache", "huggingface", "download")]
    if os.path.basename(os.path.dirname(os.path.realpath(path))) == "snapshots":
        kept.append(os.path.join(os.path.realpath(path), "..", "..", "blobs"))
    for place in kept:
        try:
            inside = sorted(name for name in os.listdir(place) if name.endswith(".incomplete"))
        except OSError:
            continue  # nothing was downloaded that way
        for name in inside:
            shown = os.path.relpath(os.path.join(place, name), os.path.realpath(path))
            found.append(("partial download", shown, age(ago_s(os.path.join(place, name))), False))
    return found


def ago_s(path: str) -> object:
    """Return how long ago a file was last written, None where nobody can say."""
    try:
        return max(0.0, time.time() - os.stat(path).st_mtime)
    except OSError:
        return None


def age(written_s: object) -> str:
    """Say when an unfinished file was last written."""
    if written_s is None:
        return "a download that was broken off"
    if written_s < RECENT_S:
        return "written %d s ago: a download seems to be going on" % written_s
    return "a download that was broken off %.0f h ago" % (written_s / 3600)
