"""The weights of a model's folder: which files a loader would take, and whether they are whole together.

Files are taken in the order in which transformers looks for them. What lies beside them in another layout
(consolidated.safetensors, original/, weights of other frameworks) is nobody's concern.
"""

import os
import re
import time
import zipfile

FORMS = (
    ("model.safetensors", ""),
    ("model.safetensors.index.json", ".safetensors"),
    ("pytorch_model.bin", ""),
    ("pytorch_model.bin.index.json", ".bin"),
)
SHARD = re.compile(r"^(?:model|pytorch_model)-\d{5}-of-\d{5}\.(?:safetensors|bin)$")
SHARDS_LIMIT = 2000
AT_ONCE = 16  # disks answer side by side; a lazily loaded one takes long for each first read
PICKLE = b"\x80\x02"  # how torch wrote files before 1.6


def weights(folder: str, names: object, parts: dict, deadline_s: float) -> dict:
    """Answer {"form", "shards", "tensors": {name: (dtype, shape)}, "names", "bytes", "findings"}; form "" for none.

    `names` are those of the tensors, by the headers or else by the index.
    """
    form, ending = next(((name, ending) for name, ending in FORMS if name in names), ("", ""))
    found = {"form": form, "shards": 0, "tensors": {}, "names": set(), "bytes": 0, "findings": []}
    if not form:
        return found
    index, files = {}, [form]
    if ending:
        index, files, found["findings"] = read_index(folder, form, parts["imposters"])
        if not files:
            return found
        strays = sorted(one for one in names if SHARD.match(one) and one.endswith(ending) and one not in files)
        if strays:
            why = "shards of another revision are here, which %s does not name, %d of them" % (form, len(strays))
            found["findings"].append(("stale", strays[0], why, False))
    found["shards"] = len(files)
    looked = look(folder, files, parts, deadline_s)
    if form + ".index.json" in names:
        found["findings"].append(beside_shards(form, looked[form]))
    in_file = {}
    for name in files:
        answer = looked[name]
        found["findings"] += answer["findings"]
        found["bytes"] += answer["data_bytes"]
        found["tensors"].update(answer["tensors"])
        in_file[name] = answer["tensors"] if answer["named"] else None
    found["names"] = set(found["tensors"]).union(index.get("weight_map", ()))
    if index:
        found["findings"] += against(index, form, in_file, found["tensors"])
        found["findings"] += total(index, form, found["bytes"], looked)
    return found


def beside_shards(form: str, looked: dict) -> tuple:
    """Say that one file lies beside shards; where it is broken, it is in their way, and no fetch takes it away."""
    why = "it lies beside %s.index.json: transformers loads it, and none of the shards" % form
    broken = any(one[3] for one in looked["findings"])
    return "stale", form, why, False, {"in_the_way": broken}


def read_index(folder: str, form: str, imposters: object) -> tuple:
    """Return the index, the files that it names in their order, and what is wrong with it."""
    index, findings = imposters.document(os.path.join(folder, form))
    if index is None:
        return {}, [], findings
    places = index.get("weight_map")
    if not isinstance(places, dict) or not places:
        return {}, [], [("malformed", form, "it has no weight_map", True)]
    files = {one if isinstance(one, str) else "" for one in places.values()}
    if len(files) > SHARDS_LIMIT or not all(is_inside(one) for one in files):
        return {}, [], [("malformed", form, "its weight_map names files that cannot be of this folder", True)]
    return index, sorted(files), []


def is_inside(name: str) -> bool:
    """Whether a file's name, as the index has it, leads to no other folder."""
    return bool(name) and not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def look(folder: str, files: list, parts: dict, deadline_s: float) -> dict:
    """Look at files side by side; each answers {"findings", "tensors", "data_bytes", "named", "known"}."""
    frame, end, looked = parts["frame"], time.monotonic() + deadline_s, {}
    for first in range(0, len(files), AT_ONCE):
        jobs = {name: lambda name=name: one_file(folder, name, parts) for name in files[first : first + AT_ONCE]}
        answers = frame.side_by_side(jobs, max(0.1, round(end - time.monotonic(), 1)))
        for name, answer in answers.items():
            looked[name] = answer.get("value") or nothing(("unreadable", name, answer["error"], True))
    return looked


def one_file(folder: str, name: str, parts: dict) -> dict:
    """Look at one file of weights."""
    path = os.path.join(folder, name)
    try:
        if name.endswith(".safetensors"):
            answer = parts["safetensors"].whole(path, parts)
            known = not any(one[3] for one in answer["findings"])
            # Below a folder, the name that the index has for it tells more than the file's own.
            findings = [(defect, name, *more) for defect, _, *more in answer["findings"]]
            answer.update(named=bool(answer["tensors"]) or known, known=known, findings=findings)
            return answer
        return archive(path, name, parts)
    except FileNotFoundError:
        return nothing(("absent", name, why_absent(path), True))
    except OSError as error:
        return nothing(parts["imposters"].unreadable(path, name, error))


def nothing(finding: tuple) -> dict:
    """Return the answer for a file of which nothing but this is known."""
    return {"findings": [finding], "tensors": {}, "data_bytes": 0, "named": False, "known": False}


def why_absent(path: str) -> str:
    """Say what is in an absent file's place."""
    if os.path.islink(path):
        return "it is a link to %s, which is not there" % os.readlink(path)
    return "it is not there"


def archive(path: str, name: str, parts: dict) -> dict:
    """Look at a file of torch's: a zip, whose directory stands at its end. What is in it takes unpickling to know."""
    imposters = parts["imposters"]
    answer = {"findings": [], "tensors": {}, "data_bytes": 0, "named": False, "known": True}
    with open(path, "rb") as file:
        first = file.read(imposters.FIRST_BYTES)
        size = os.fstat(file.fileno()).st_size
        if first.startswith(PICKLE):
            answer["data_bytes"] = size
            why = "it is in torch's format before 1.6, which does not show whether it is whole"
            answer["findings"].append(("malformed", name, why, False))
            return answer
        if not first.startswith(b"PK\x03\x04"):
            other = imposters.imposter(first)
            if other is None and imposters.is_text(first):
                other = "malformed", "it is a text, and no weights: %s" % imposters.shown(first)
            other = other or ("malformed", "it is no file of torch's")
            return nothing((other[0], name, other[1], True))
        try:
            entries = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            why = "it has %d bytes, and not the directory that stands at a zip's end" % size
            return nothing(("truncated", name, why, True))
        data = [one for one in entries if "/data/" in one.filename]
        spans = sorted(
            (one.header_offset, one.header_offset + one.compress_size, one.filename, "float") for one in data
        )
        lost = parts["safetensors"].unwritten(file.fileno(), size, spans)
    answer["data_bytes"] = sum(one.file_size for one in data)
    answer["findings"] = [("sparse", name, why, fatal) for why, fatal in lost]
    if not any(one.filename.endswith("/data.pkl") for one in entries):
        return nothing(("malformed", name, "it is a zip without data.pkl, and so none of torch's", True))
    if any(one.header_offset + one.compress_size > size for one in entries):
        return nothing(("truncated", name, "its directory names more than its %d bytes" % size, True))
    return answer


def against(index: dict, form: str, in_file: dict, tensors: dict) -> list:
    """Compare the index with what the headers name; a tensor that is nowhere is filled with random numbers."""
    nowhere, elsewhere = {}, []
    for tensor, file in index["weight_map"].items():
        if in_file[file] is None or tensor in in_file[file]:
            continue  # a file that cannot be read is found wanting already
        if tensor in tensors:
            elsewhere.append(tensor)
        else:
            nowhere.setdefault(file, []).append(tensor)
    found = []
    for file, names in sorted(nowhere.items()):
        why = "tensors that %s places in it are not there, %d of them: %s" % (form, len(names), names[0][:100])
        found.append(("contradicts", file, why, True))
    if elsewhere:
        why = "tensors are in other files than it says, %d of them: %s" % (len(elsewhere), elsewhere[0][:100])
        found.append(("contradicts", form, why, False))
    unnamed = [tensor for tensor in tensors if tensor not in index["weight_map"]]
    if unnamed:
        why = "tensors of the shards are not in it, %d of them: %s" % (len(unnamed), unnamed[0][:100])
        found.append(("contradicts", form, why, False))
    return found


def total(index: dict, form: str, data_bytes: int, looked: dict) -> list:
    """Compare the index's own sum with that of the headers; loaders do not read it, so a wrong one is only odd."""
    metadata = index.get("metadata")
    said = metadata.get("total_size") if isinstance(metadata, dict) else None
    exact = all(answer["known"] and answer["named"] for answer in looked.values())
    if not exact or not isinstance(said, (int, float)) or said == data_bytes:
        return []
    why = "its total_size is %d, and the shards hold %d: of another revision?" % (said, data_bytes)
    return [("contradicts", form, why, False)]
