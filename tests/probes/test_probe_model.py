"""A folder as a model's, laid out for real: what a loader would take of it, and what is wrong with that."""

from __future__ import annotations

import base64
import errno
import json
import os
import shutil
import struct
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

from pytest_pipeline.observers.host_request import _MODEL_PARTS
from pytest_pipeline.observers.model_answer import model as decoded
from pytest_pipeline.outcome import Reading, Status
from pytest_pipeline.sandbox.faults_model import MODEL_FAULTS
from pytest_pipeline.sandbox.host_content import lay_out
from pytest_pipeline.sandbox.host_model import (
    CONFIG,
    INDEX,
    MODEL_FOLDER,
    SHARDS,
    as_json,
    healthy_model,
    safetensors,
    shapes,
    tiny_mistral,
)
from pytest_pipeline.sandbox.variants_model import MODEL_VARIANTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.observers.model_readings import ModelFolder
    from pytest_pipeline.sandbox.fault import Fault, Variant
    from pytest_pipeline.sandbox.host_model import Shapes


def parts() -> dict[str, Any]:
    """What is sent for a model, and no more."""
    return {name: part(name) for name in ("frame", *_MODEL_PARTS, "model")}


def look(path: Path | str, sources: dict[str, Any] | None = None) -> ModelFolder:
    answer = part("model").read({"path": str(path), "deadline_s": 20.0}, sources or parts())
    assert json.loads(json.dumps(answer)) == answer
    return decoded(Reading.of(answer), str(path)).value


def told(folder: ModelFolder) -> list[tuple[str, str, str, bool]]:
    return [(str(one.defect), one.file, one.why, one.fatal) for one in folder.findings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(healthy_model(), tmp_path)
    return tmp_path / MODEL_FOLDER


def change(folder: Path, name: str, **other: Any) -> None:
    document = json.loads((folder / name).read_bytes())
    (folder / name).write_bytes(as_json({**document, **other}))


def test_a_whole_model(folder: Path) -> None:
    seen = look(folder)

    assert told(seen) == []
    assert seen.exists
    assert (seen.architecture, seen.shards, seen.tensors, seen.dtypes) == ("MistralForCausalLM", 2, 21, ("BF16",))
    assert seen.weights_bytes == 2 * sum(rows * (columns or [1])[0] for rows, *columns in shapes().values())
    assert seen.compared_with_config
    assert seen.files == len(tiny_mistral())


def test_a_path_below_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))

    assert told(look("~/mistral-7b-v0.3/")) == []
    assert look("mistral-7b-v0.3").exists


def laid_out_with(one: Fault | Variant, tmp_path: Path) -> ModelFolder:
    """Look at the folder of a host with a fault or an oddity, without the host."""
    mount = SimpleNamespace(content=healthy_model())
    one.inject(SimpleNamespace(host=SimpleNamespace(mounts=[mount], commands=None), mounts=[mount]))  # type: ignore[arg-type]  # all that it edits
    lay_out(mount.content, tmp_path)
    return look(tmp_path / MODEL_FOLDER)


@pytest.mark.parametrize("fault", MODEL_FAULTS, ids=lambda fault: fault.id)
def test_each_fault_is_one_finding_that_says_so(fault: Fault, tmp_path: Path) -> None:
    if fault.id == "model-unreadable" and not os.geteuid():
        pytest.skip("root may read everything")
    seen = laid_out_with(fault, tmp_path)
    fatal = [one for one in seen.findings if one.fatal]

    if fault.id == "model-none":
        assert not seen.exists
    else:
        assert len(fatal) == (fault.expect is Status.FAILED), "one cause, one finding"
        assert fault.words in f"{seen.findings[0].file} {seen.findings[0].why} {seen.elsewhere}"


@pytest.mark.parametrize("variant", MODEL_VARIANTS, ids=lambda variant: variant.id)
def test_odd_folders_that_are_whole(variant: Variant, tmp_path: Path) -> None:
    seen = laid_out_with(variant, tmp_path)

    assert told(seen) == []
    assert seen.shards
    assert seen.weights_bytes


def test_nothing_there(folder: Path) -> None:
    seen = look(folder.parent / "mistral_7B_v03")

    assert not seen.exists
    assert seen.nearest == str(folder.parent)
    assert seen.nearest_holds == (folder.name,)
    assert seen.elsewhere == (str(folder).rstrip("/"),)


def test_models_of_a_like_name_come_first_and_few_are_told(folder: Path) -> None:
    for name in ("a", "b", "c", "d", "mistralai/Mistral-7B-v0.3"):
        shutil.copytree(folder, folder.parent / name)
    shutil.rmtree(folder)
    seen = look(folder)

    assert len(seen.elsewhere) == 3
    assert seen.elsewhere[0].endswith("/mistralai/Mistral-7B-v0.3")
    assert seen.nearest_holds == ("a", "b", "c", "d", "mistralai")


def test_a_link_that_leads_nowhere(folder: Path) -> None:
    (folder.parent / "base").symlink_to("/mnt/gone/model")
    seen = look(folder.parent / "base")

    assert not seen.exists
    assert seen.real_path == "/mnt/gone/model"
    assert seen.nearest == str(folder.parent)


def test_the_root_is_never_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", pytest.fail)

    assert look("/nothing-is-here/models/m").elsewhere == ()


def test_the_path_is_a_file(folder: Path) -> None:
    (only,) = told(look(folder / SHARDS[0]))

    assert only == ("malformed", SHARDS[0], "it is a file, and the settings need its folder", True)


def test_a_folder_that_this_user_may_not_look_into(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    (only,) = look(folder).findings

    assert (only.defect, only.file, only.fatal) == ("unreadable", ".", True)
    assert only.why.startswith("Permission denied for ")
    assert only.why.endswith("mode 0755")
    assert only.denied == str(folder).rstrip("/")


def refused(path: Path, hidden: Path) -> tuple[Any, ...]:
    """What is said of a path that is refused, by a disk that shows nothing below a folder."""
    probe = part("imposters")
    probe.visible = lambda place: hidden not in Path(place).parents
    found: tuple[Any, ...] = probe.unreadable(str(path), "f", PermissionError(errno.EACCES, "Permission denied"))
    return found


def test_the_folder_that_refused_is_told(folder: Path) -> None:
    *_, why, fatal, remedy = refused(folder / "config.json", folder.parent)

    assert f": {folder.parent} is " in why
    assert fatal
    assert remedy == {"denied": str(folder.parent)}


def test_what_refused_is_where_a_link_leads(folder: Path) -> None:
    (folder.parent / "blob").write_bytes(b"")
    (folder / "link").symlink_to("../blob")
    *_, why, _, remedy = refused(folder / "link", Path("/nowhere"))

    assert ": it is " in why
    assert remedy == {"denied": str(folder.parent / "blob")}


def test_a_disk_that_does_not_answer_is_not_taken_for_a_whole_model(folder: Path) -> None:
    (folder / SHARDS[1]).unlink()
    os.mkfifo(folder / SHARDS[1])  # to open it takes as long as to open a file of a dead network mount
    answer = part("model").read({"path": str(folder), "deadline_s": 0.5}, parts())
    os.close(os.open(folder / SHARDS[1], os.O_WRONLY | os.O_NONBLOCK))  # whoever hangs there goes on

    assert told(decoded(Reading.of(answer), str(folder)).value) == [
        ("unreadable", SHARDS[1], "no answer within 0.4 s", True)
    ]


def test_a_tokenizer_that_does_not_answer_does_not_hide_the_rest(folder: Path) -> None:
    (folder / SHARDS[1]).unlink()
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    answer = part("model").read({"path": str(folder), "deadline_s": 0.5}, parts())
    os.close(os.open(folder / "tokenizer.json", os.O_WRONLY | os.O_NONBLOCK))

    assert told(decoded(Reading.of(answer), str(folder)).value) == [
        ("absent", SHARDS[1], "it is not there", True),
        ("unreadable", ".", "the tokenizer: no answer within 0.4 s", True),
    ]


def test_an_index_that_does_not_answer_is_no_reading(folder: Path) -> None:
    (folder / INDEX).unlink()
    os.mkfifo(folder / INDEX)
    answer = part("model").read({"path": str(folder), "deadline_s": 0.5}, parts())
    os.close(os.open(folder / INDEX, os.O_WRONLY | os.O_NONBLOCK))
    reading = decoded(Reading.of(answer), "/m")

    assert (reading.by, reading.reason) == ("model-files", "the model at /m: no answer within 0.44 s")


@pytest.mark.parametrize("slow", ["listdir", "scandir"])
def test_nothing_there_is_told_although_what_is_near_takes_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    look_in, ended = getattr(os, slow), threading.Event()

    def wait(path: str) -> object:
        if not Path(path).exists():
            return look_in(path)
        ended.wait(5.0)
        return look_in(path)

    monkeypatch.setattr(os, slow, wait)
    answer = part("model").read({"path": str(folder.parent / "modls"), "deadline_s": 1.0}, parts())
    ended.set()
    seen = decoded(Reading.of(answer), "/m").value

    assert not seen.exists
    assert seen.nearest == str(folder.parent)
    late = slow == "listdir"
    assert seen.nearest_holds == (("(no answer within 0.2 s)",) if late else (folder.name,))
    assert bool(seen.elsewhere) == late


def test_the_tokenizer_is_looked_at_beside_the_weights(folder: Path) -> None:
    sources, both_there = parts(), threading.Barrier(2, timeout=5.0)
    for name, function in (("model_weights", "weights"), ("model_tokenizer", "look")):
        first = getattr(sources[name], function)
        meet = lambda *of, first=first: (both_there.wait(), first(*of))[1]  # noqa: E731  # twice the same
        setattr(sources[name], function, meet)

    assert told(look(folder, sources)) == []


def test_merges_are_not_parsed() -> None:
    """They are most of a tokenizer's bytes, and made it slow."""
    raw = with_merges()
    short = part("model_vocabulary").without_merges(raw)
    whole, read = json.loads(raw), json.loads(short)

    assert len(short) < len(raw) - 4000
    assert read["model"].pop("merges") == []
    assert whole["model"].pop("merges")
    assert read == whole


def test_hostile_pieces_end() -> None:
    probe = part("model_vocabulary")
    for raw in (b"\n\0" * 2**22, b"\n" + b"\xff" * 20, b"\n\x80" + b"\x80" * 20, b"\n\xff\xff\xff\xff\x7f", b"\n"):
        with pytest.raises(probe.Odd):
            probe.in_model(raw)


def test_a_config_that_does_not_answer_is_no_reading(folder: Path) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    answer = part("model").read({"path": str(folder), "deadline_s": 0.5}, parts())
    os.close(os.open(folder / "config.json", os.O_WRONLY | os.O_NONBLOCK))
    reading = decoded(Reading.of(answer), "/m")

    assert (reading.by, reading.reason) == ("model-files", "the model at /m: no answer within 0.5 s")


def spoil(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def alter(name: str, **other: Any) -> Callable[[Path], object]:
    return lambda folder: change(folder, name, **other)


def without(*names: str) -> Callable[[Path], object]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def places(**other: str) -> Callable[[Path], object]:
    """Let the index place tensors elsewhere; `__` stands for a dot."""

    def edit(folder: Path) -> None:
        index = json.loads((folder / INDEX).read_bytes())
        index["weight_map"] |= {name.replace("__", "."): file for name, file in other.items()}
        (folder / INDEX).write_bytes(as_json(index))

    return edit


def single(folder: Path) -> None:
    without(INDEX, *SHARDS)(folder)
    (folder / "model.safetensors").write_bytes(safetensors(shapes()))


def both(*edits: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [edit(folder) for edit in edits]


def link(folder: Path) -> None:
    (folder / SHARDS[0]).unlink()
    (folder / SHARDS[0]).symlink_to("../../blobs/4d7a")


def with_merges() -> bytes:
    """The tokenizer as it is written: its merges are its end, and most of it."""
    tokenizer = json.loads(tiny_mistral()["tokenizer.json"])
    tokenizer["model"]["vocab"] |= {"merges": 3, '"merges": [': 4, "]}}": 5}
    tokenizer["model"]["merges"] = [f"t{number} t{number + 1}" for number in range(500)]
    return as_json(tokenizer)


def alone(name: str, data: bytes) -> Callable[[Path], object]:
    """Let one file be the tokenizer."""
    return both(without("tokenizer.json"), spoil(name, data))


def named(**other: Any) -> Callable[[Path], object]:
    """Let the config be one whose shapes are not known."""
    return alter("config.json", architectures=["PlumForCausalLM"], model_type="plum", **other)


def weights(tensors: Shapes) -> Callable[[Path], object]:
    return both(single, spoil("model.safetensors", safetensors(tensors)))


def piece(text: bytes) -> bytes:
    inside = b"\n" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", -1.0)
    return b"\n" + bytes([len(inside)]) + inside


def pieces(count: int) -> bytes:
    """A sentencepiece model: its pieces, how it was trained, how texts are normalised."""
    long = piece(b"x" * 100).replace(b"\n" + bytes([107]), b"\n\xeb\x00", 1)  # a length may have two bytes
    return long + b"".join(piece(b"t%d" % number) for number in range(1, count)) + b"\x12\x02\x18\x02\x1a\x02\n\0"


def ranks(count: int) -> bytes:
    return b"".join(base64.b64encode(b"t%d" % number) + b" %d\n" % number for number in range(count))


def tekken(size: int) -> bytes:
    vocabulary = [{"rank": number, "token_bytes": "AA==", "token_str": None} for number in range(600)]
    return json.dumps({"config": {"default_vocab_size": size}, "vocab": vocabulary, "special_tokens": []}).encode()


def bin_shards(folder: Path) -> None:
    """Let the weights be torch's own, in one shard with its index."""
    without(INDEX, *SHARDS)(folder)
    with zipfile.ZipFile(folder / "pytorch_model-00001-of-00001.bin", "w") as archive:
        archive.writestr("archive/data.pkl", b"x")
        archive.writestr("archive/data/0", os.urandom(20_000))
    index = {"weight_map": dict.fromkeys(shapes(), "pytorch_model-00001-of-00001.bin")}
    (folder / "pytorch_model.bin.index.json").write_bytes(as_json(index))


FURTHER = {"model.layers.2.eh_proj.weight": [32, 64]}  # one that predicts the token after the next
WITHOUT_HEAD = {name.removeprefix("model."): shape for name, shape in shapes().items() if name != "lm_head.weight"}
PICTURES = {"vision.patch_embeddings.weight": [512, 32]}
CODE = {"AutoConfig": "configuration_plum.PlumConfig", "AutoModelForCausalLM": "modeling_plum.PlumForCausalLM"}
TOO_MANY_SHARDS = {f"t{number}": f"f{number}" for number in range(2001)}
HTML = b"<html><body>Log in</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 587404\n"
WRONG: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "no config": (without("config.json"), "absent", "config.json", "which model the weights are of"),
    "config is a web page": (spoil("config.json", HTML), "HTML page", "config.json", "web page"),
    "config is a list": (spoil("config.json", b"[]"), "malformed", "config.json", "no object"),
    "config names nothing": (spoil("config.json", b"{}"), "malformed", "config.json", "neither architectures nor"),
    "no weights": (without(INDEX, *SHARDS), "absent", "model.safetensors", "no weights"),
    "weights of another layout": (
        both(without(INDEX, *SHARDS), spoil("consolidated.safetensors", safetensors({"w": [2]}))),
        "absent",
        "model.safetensors",
        "under names that transformers does not look for: consolidated.safetensors",
    ),
    "shards without an index": (without(INDEX), "absent", INDEX, "not the index that names them"),
    "an index without a map": (spoil(INDEX, b'{"metadata": {}}'), "malformed", INDEX, "no weight_map"),
    "an index that is cut": (spoil(INDEX, b'{"weight_map": {"a'), "truncated", INDEX, "no JSON"),
    "an index that leads out": (places(a="../secret"), "malformed", INDEX, "cannot be of this folder"),
    "an index that leads to the root": (places(a="/etc/passwd"), "malformed", INDEX, "cannot be of this folder"),
    "an index without end": (
        spoil(INDEX, as_json({"weight_map": TOO_MANY_SHARDS})),
        "malformed",
        INDEX,
        "cannot be of this folder",
    ),
    "a link that leads nowhere": (link, "absent", SHARDS[0], "it is a link to ../../blobs/4d7a, which is not there"),
    "a shard that is a folder": (
        both(without(SHARDS[0]), lambda folder: (folder / SHARDS[0]).mkdir()),
        "unreadable",
        SHARDS[0],
        "Is a directory",
    ),
    "a tensor that is nowhere": (
        places(model__new__weight=SHARDS[1]),
        "contradicts",
        SHARDS[1],
        "1 of them: model.new.weight",
    ),
    "an unfinished download of aria2": (
        spoil(f"{SHARDS[0]}.aria2", b""),
        "partial download",
        f"{SHARDS[0]}.aria2",
        "a download seems to be going on",
    ),
    "another hidden size": (alter("config.json", hidden_size=64), "contradicts", "config.json", "[512, 32]"),
    "another size of a head": (alter("config.json", head_dim=16), "contradicts", "config.json", "and the config says"),
    "another vocabulary": (
        alter("config.json", vocab_size=513),
        "contradicts",
        "config.json",
        "embed_tokens.weight is [512, 32], and the config says [513, 32]; 1 more like this",
    ),
    "a head that is not tied": (
        both(single, lambda folder: (folder / "model.safetensors").write_bytes(safetensors(
            {name: shape for name, shape in shapes().items() if name != "lm_head.weight"}
        ))),
        "contradicts",
        "model.safetensors",
        "1 of them: lm_head.weight",
    ),
    "a tokenizer that is a pointer": (spoil("tokenizer.json", POINTER), "LFS pointer", "tokenizer.json", "587.4kB"),
    "a tokenizer.model that is one": (spoil("tokenizer.model", POINTER), "LFS pointer", "tokenizer.model", "587.4kB"),
    "a tokenizer without a model": (spoil("tokenizer.json", b"{}"), "malformed", "tokenizer.json", "no model"),
    "a tokenizer without a vocabulary": (
        alter("tokenizer.json", model={"vocab": {"a": "1"}}),
        "malformed",
        "tokenizer.json",
        "no vocabulary",
    ),
    "a vocabulary that is too long": (
        alter("tokenizer.json", model={"vocab": [["t", 0.0]] * 513}),
        "contradicts",
        "tokenizer.json",
        "tokens up to 512, and the embedding ends at 511",
    ),
    "a broken tokenizer_config": (spoil("tokenizer_config.json", b"{,}"), "malformed", "tokenizer_config.json", "JSON"),
    "added tokens that are none": (
        alter("tokenizer.json", added_tokens=5),
        "malformed",
        "tokenizer.json",
        "its added_tokens are none",
    ),
    "an added token without a number": (
        alter("tokenizer.json", added_tokens=[{"content": "<pad>"}]),
        "malformed",
        "tokenizer.json",
        "its added_tokens are none",
    ),
    "a tokenizer that is cut in its merges": (
        spoil("tokenizer.json", with_merges()[:-20]),
        "truncated",
        "tokenizer.json",
        "no JSON",
    ),
    "zeros in the merges": (
        spoil("tokenizer.json", with_merges().replace(b'"t1 t2"', bytes(7))),
        "malformed",
        "tokenizer.json",
        "no JSON",
    ),
    "a mistake before the merges": (
        spoil("tokenizer.json", with_merges().replace(b'"type"', b',"type"')),
        "malformed",
        "tokenizer.json",
        "no JSON",
    ),
    "fewer layers than the weights": (
        alter("config.json", num_hidden_layers=1),
        "contradicts",
        "config.json",
        "num_hidden_layers is 1, and the tensors are of 2 layers: the others would be left out",
    ),
    "more layers than the weights of another decoder": (
        named(num_hidden_layers=9),
        "contradicts",
        "config.json",
        "num_hidden_layers is 9, and the tensors are of 2 layers: no file has the others",
    ),
    "fewer layers than the weights of another decoder": (
        named(num_hidden_layers=1),
        "contradicts",
        "config.json",
        "the others would be left out",
    ),
    "fewer layers than quantised weights": (
        alter("config.json", num_hidden_layers=1, quantization_config={"quant_method": "gptq"}),
        "contradicts",
        "config.json",
        "the others would be left out",
    ),
    "fewer layers than the weights without a head": (
        both(weights(WITHOUT_HEAD), named(num_hidden_layers=1)),
        "contradicts",
        "config.json",
        "the others would be left out",
    ),
    "more layers than torch's own index has": (
        both(bin_shards, alter("config.json", num_hidden_layers=32)),
        "contradicts",
        "config.json",
        "num_hidden_layers is 32, and the tensors are of 2 layers: no file has the others",
    ),
    "more further layers than the config has": (
        both(
            weights({**shapes(), **FURTHER, "model.layers.3.eh_proj.weight": [32, 64]}),
            named(num_nextn_predict_layers=1),
        ),
        "contradicts",
        "config.json",
        "the tensors are of 4 layers",
    ),
    "sizes that are none": (
        alter("config.json", num_hidden_layers="2", head_dim=8.0),
        "malformed",
        "config.json",
        "num_hidden_layers is '2', head_dim is 8.0, and that is no size",
    ),
    "a size that is null": (alter("config.json", hidden_size=None), "malformed", "config.json", "hidden_size is None"),
    "code that is not there": (
        named(auto_map=CODE),
        "absent",
        "configuration_plum.py",
        "config.json names the code in configuration_plum.py, modeling_plum.py, and it is not there",
    ),
    "the code of a tokenizer that is not there": (
        both(
            without("tokenizer.json"),
            alter("tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_plum.PlumTokenizer", None]}),
        ),
        "absent",
        "tokenization_plum.py",
        "tokenizer_config.json names the code",
    ),
    "a model of pictures and words without a tokenizer": (
        both(without("tokenizer.json"), spoil("preprocessor_config.json", b"{}")),
        "absent",
        "tokenizer.json",
        "no tokenizer",
    ),
    "a model of pictures and words without its merges": (
        both(alone("vocab.json", b'{"a": 1}'), spoil("preprocessor_config.json", b"{}")),
        "absent",
        "tokenizer.json",
        "no tokenizer",
    ),
    "names of tokens that are too many": (
        both(
            alone("vocab.json", as_json({f"t{number}": number for number in range(513)})),
            spoil("merges.txt", b"#version: 0.2\n"),
        ),
        "contradicts",
        "vocab.json",
        "tokens up to 512, and the embedding ends at 511",
    ),
    "names of no tokens": (
        both(alone("vocab.json", b"{}"), spoil("merges.txt", b"#version: 0.2\n")),
        "malformed",
        "vocab.json",
        "no vocabulary",
    ),
    "a tekken.json of nothing": (alone("tekken.json", b"{}"), "malformed", "tekken.json", "no vocabulary"),
    "a tekken.json that is too long": (
        alone("tekken.json", tekken(513)),
        "contradicts",
        "tekken.json",
        "tokens up to 512, and the embedding ends at 511",
    ),
    "a tekken.json that is cut": (
        alone("tekken.json", tekken(512).partition(b"}, {")[0] + b"}"),
        "truncated",
        "tekken.json",
        "no JSON",
    ),
    "sentencepiece that is cut": (
        alone("tokenizer.model", pieces(512)[:-20]),
        "truncated",
        "tokenizer.model",
        "it ends inside its piece or field 512",
    ),
    "sentencepiece that is cut between pieces": (
        alone("tokenizer.model", piece(b"<unk>")),
        "truncated",
        "tokenizer.model",
        "it ends after its pieces",
    ),
    "sentencepiece of zeros": (alone("tokenizer.model", bytes(9000)), "malformed", "tokenizer.model", "no vocabulary"),
    "sentencepiece with zeros in it": (
        alone("tokenizer.model", pieces(300) + bytes(9000)),
        "malformed",
        "tokenizer.model",
        "nothing known stands at byte",
    ),
    "sentencepiece that is too long": (
        alone("tokenizer.model", pieces(513)),
        "contradicts",
        "tokenizer.model",
        "tokens up to 512, and the embedding ends at 511",
    ),
    "an error that was saved as a tokenizer": (
        alone("tokenizer.model", b"Entry not found"),
        "malformed",
        "tokenizer.model",
        "no vocabulary: it begins with b'Entry not found'",
    ),
    "tiktoken that is too long": (
        alone("tiktoken.model", ranks(513)),
        "contradicts",
        "tiktoken.model",
        "tokens up to 512",
    ),
    "tiktoken that is cut": (alone("tiktoken.model", ranks(512)[:-5]), "truncated", "tiktoken.model", "inside a line"),
    "padding beyond the embedding": (
        alter("config.json", pad_token_id=512, eos_token_id=[2, 600]),
        "contradicts",
        "config.json",
        "eos_token_id is 600, pad_token_id is 512, and the embedding ends at 511",
    ),
    "a GGUF file alone": (
        both(without(*tiny_mistral()), spoil("mistral.Q4_K_M.gguf", b"GGUF")),
        "absent",
        "config.json",
        "GGUF",
    ),
    "the layout of others": (
        both(without(*tiny_mistral()), spoil("params.json", b"{}")),
        "absent",
        "config.json",
        "mistral-inference",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "defect", "file", "words"), WRONG.values(), ids=WRONG.keys())
def test_one_thing_that_is_wrong_is_one_finding(
    folder: Path, edit: Callable[[Path], object], defect: str, file: str, words: str
) -> None:
    edit(folder)
    (only,) = [one for one in told(look(folder)) if one[3]]

    assert only[:2] == (defect, file)
    assert words in only[2]


ODD: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a single file beside the shards": (
        spoil("model.safetensors", safetensors(shapes())),
        "model.safetensors",
        "transformers loads it, and none of the shards",
    ),
    "tensors in other files than the index says": (
        places(model__norm__weight=SHARDS[0]),
        INDEX,
        "1 of them: model.norm.weight",
    ),
    "another sum": (alter(INDEX, metadata={"total_size": 7}), INDEX, "its total_size is 7, and the shards hold 102720"),
    "a broken generation_config": (spoil("generation_config.json", b"{"), "generation_config.json", "no JSON"),
    "added tokens": (
        alter("tokenizer.json", added_tokens=[{"id": 512, "content": "<pad>"}]),
        "tokenizer.json",
        "it adds tokens up to 512, and the embedding ends at 511: who uses them must enlarge it",
    ),
    "tokens that tokenizer_config.json adds": (
        alter("tokenizer_config.json", added_tokens_decoder={"512": {"content": "<pad>"}, "x": {}}),
        "tokenizer_config.json",
        "it adds tokens up to 512",
    ),
    "the end of texts beyond the embedding": (
        alter("config.json", eos_token_id=512),
        "config.json",
        "eos_token_id is 512, and the embedding ends at 511",
    ),
    "the same of generation": (
        alter("generation_config.json", eos_token_id=[2, 99999]),
        "generation_config.json",
        "eos_token_id is 99999",
    ),
    "padding of a class that may not mind": (
        named(pad_token_id=512),
        "config.json",
        "pad_token_id is 512, and the embedding ends at 511",
    ),
    "a size that is absent": (
        spoil("config.json", as_json({n: CONFIG[n] for n in CONFIG if n != "hidden_size"})),
        "config.json",
        "it has no hidden_size: defaults are taken, and the shapes of the tensors were not compared",
    ),
    "absent code of a kind that transformers knows": (
        alter("config.json", architectures=["Phi3ForCausalLM"], model_type="phi3", auto_map=CODE),
        "configuration_plum.py",
        "transformers has code of its own for phi3",
    ),
    "another tokenizer's pieces": (
        spoil("tokenizer.model", pieces(600)),
        "tokenizer.model",
        "it has tokens up to 599, and the embedding ends at 511",
    ),
    "an adapter beside the weights": (
        spoil("adapter_config.json", b"{}"),
        "adapter_config.json",
        "an adapter lies beside the weights",
    ),
    "the leftover of a download": (spoil("model.safetensors.part", b""), "model.safetensors.part", "a download"),
    "the leftover of rsync": (spoil(".model.safetensors.aB3xYz", b""), ".model.safetensors.aB3xYz", "a download"),
}


@pytest.mark.parametrize(("edit", "file", "words"), ODD.values(), ids=ODD.keys())
def test_what_somebody_should_look_at_is_told_and_not_fatal(
    folder: Path, edit: Callable[[Path], object], file: str, words: str
) -> None:
    edit(folder)
    (only,) = told(look(folder))

    assert only[1] == file
    assert words in only[2]
    assert not only[3]


FINE: dict[str, Callable[[Path], object]] = {
    "checksums and copies": both(
        spoil("model.safetensors.sha256", b""), spoil("config.json.backup", b""), spoil("config.json.lock", b"")
    ),
    "a vocabulary with merges": both(
        without("tokenizer.json"), spoil("vocab.json", b'{"a": 1}'), spoil("merges.txt", b"#version: 0.2\n")
    ),
    "a tokenizer of sentencepiece": alone("tokenizer.model", pieces(512)),
    "a tokenizer of tiktoken": alone("tokenizer.model", ranks(512)),
    "a tokenizer of Mistral's own": alone("tekken.json", tekken(512)),
    "a tokenizer with merges": spoil("tokenizer.json", with_merges()),
    "pieces that vocab.json numbers": both(alone("source.spm", pieces(600)), spoil("vocab.json", b'{"a": 1}')),
    "a tokenizer that brings its code": both(
        without("tokenizer.json"),
        spoil("tokenization_plum.py", b""),
        alter("tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_plum.PlumTokenizer", None]}),
    ),
    "a model of speech with names of tokens": both(
        without("tokenizer.json"),
        alter("tokenizer_config.json", tokenizer_class="VitsTokenizer"),
        spoil("vocab.json", b'{"a": 1}'),
    ),
    "code that is there": both(
        named(auto_map=CODE), spoil("configuration_plum.py", b""), spoil("modeling_plum.py", b"")
    ),
    "code of another repository": named(auto_map={"AutoModel": "plum/plum-7b--modeling_plum.PlumModel"}),
    "a layer that predicts further tokens": both(
        weights({**shapes(), **FURTHER}), named(num_nextn_predict_layers=1)
    ),
    "layers of two halves": named(num_layers=2, num_hidden_layers=4),
    "padding of another age": alter("config.json", pad_token_id=-1, bos_token_id=None),
    "embeddings of codes beside that of tokens": both(
        weights({"depth.embed_tokens.weight": [100, 32], **shapes(), "unit.embed_tokens.weight": [100, 32]}), named()
    ),
    "a tokenizer of bytes": both(
        without("tokenizer.json"), spoil("tokenizer_config.json", b'{"tokenizer_class": "ByT5Tokenizer"}')
    ),
    "a model of pictures": both(
        weights(PICTURES),
        named(),
        without("tokenizer.json", "tokenizer_config.json"),
        spoil("preprocessor_config.json", b"{}"),
    ),
    "torch's weights beside the shards": spoil("pytorch_model.bin", b"what nobody loads"),
    "a model_type alone": spoil("config.json", as_json({"model_type": "mistral"})),
    "lost+found": lambda folder: (folder / "lost+found").mkdir(),
    "no generation_config": without("generation_config.json"),
    "a byte order mark": spoil("config.json", b"\xef\xbb\xbf" + as_json(CONFIG)),
    "weights without a sum": alter(INDEX, metadata={}),
}  # fmt: skip


@pytest.mark.parametrize("edit", FINE.values(), ids=FINE.keys())
def test_what_is_fine_is_not_told(folder: Path, edit: Callable[[Path], object]) -> None:
    edit(folder)

    assert told(look(folder)) == []


def test_each_head_has_its_own_key_where_the_config_does_not_say(folder: Path) -> None:
    single(folder)
    config = {**CONFIG, "num_key_value_heads": None}
    (folder / "config.json").write_bytes(as_json(config))
    (only,) = told(look(folder))

    assert "k_proj.weight is [16, 32], and the config says [32, 32]" in only[2]


def test_torchs_own_files(folder: Path, tmp_path: Path) -> None:
    (variant,) = [one for one in MODEL_VARIANTS if one.id == "model-bin"]
    laid_out_with(variant, tmp_path / "bin")
    whole = (tmp_path / "bin" / MODEL_FOLDER / "pytorch_model.bin").read_bytes()
    without(INDEX, *SHARDS)(folder)
    seen = {}
    for name, data in {
        "whole": whole,
        "cut": whole[:-1000],
        "old": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
        "pointer": POINTER,
        "text": b"Entry not found",
        "other": b"\x00\x01\x02",
    }.items():
        (folder / "pytorch_model.bin").write_bytes(data)
        seen[name] = [(one.defect.value, one.fatal) for one in look(folder).findings]

    assert seen == {
        "whole": [],
        "cut": [("truncated", True)],
        "old": [("malformed", False)],
        "pointer": [("LFS pointer", True)],
        "text": [("malformed", True)],
        "other": [("malformed", True)],
    }


def test_a_download_into_the_hubs_cache_that_broke_off(tmp_path: Path) -> None:
    (variant,) = [one for one in MODEL_VARIANTS if one.id == "model-hub-cache"]
    laid_out_with(variant, tmp_path)
    snapshot = (tmp_path / MODEL_FOLDER).resolve()
    (snapshot / SHARDS[1]).unlink()
    blob = snapshot.parent.parent / "blobs" / "9f2c.incomplete"
    blob.write_bytes(b"")
    os.utime(blob, (time.time() - 7200, time.time() - 7200))

    assert told(look(tmp_path / MODEL_FOLDER)) == [
        ("absent", SHARDS[1], "it is not there", True),
        ("partial download", "../../blobs/9f2c.incomplete", "a download that was broken off 2 h ago", False),
    ]


def test_the_hubs_folder_itself_is_not_the_models(tmp_path: Path) -> None:
    (variant,) = [one for one in MODEL_VARIANTS if one.id == "model-hub-cache"]
    laid_out_with(variant, tmp_path)
    hub = tmp_path / "models" / "models--mistralai--Mistral-7B-v0.3"
    (place,) = look(hub).elsewhere

    assert place == str((tmp_path / MODEL_FOLDER).resolve())


def in_the_way(folder: ModelFolder) -> list[str]:
    return [one.file for one in folder.findings if one.in_the_way]


def test_a_broken_file_beside_the_shards_is_in_their_way(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(safetensors(shapes()))
    whole = look(folder)
    os.truncate(folder / "model.safetensors", 9000)

    assert in_the_way(whole) == []
    assert in_the_way(look(folder)) == ["model.safetensors"]


def test_what_aria2_left_is_in_the_way_once_nobody_writes_it_any_more(folder: Path) -> None:
    (folder / f"{SHARDS[0]}.aria2").write_bytes(b"")
    going_on = look(folder)
    os.utime(folder / f"{SHARDS[0]}.aria2", (time.time() - 7200, time.time() - 7200))

    assert in_the_way(going_on) == []
    assert in_the_way(look(folder)) == [f"{SHARDS[0]}.aria2"]


def test_findings_are_few_and_the_fatal_ones_first(folder: Path) -> None:
    names = [f"model-{number:05}-of-00050.safetensors" for number in range(1, 51)]
    (folder / INDEX).write_bytes(as_json({"weight_map": {f"t{name}": name for name in names}}))
    seen = look(folder)

    assert [one.fatal for one in seen.findings] == [True] * 12
    assert seen.left_out == 50 + 1 - 12  # with the two shards that this index does not name


def test_hostile_names_are_cut(folder: Path) -> None:
    long = "t" * 10_000
    (folder / SHARDS[0]).write_bytes(safetensors({long: [2], "\x1b[2J": [3]}))
    answer = part("model").read({"path": str(folder), "deadline_s": 20.0}, parts())

    assert len(json.dumps(answer)) < 5000


def test_the_time_grows_with_the_shards_and_not_with_the_bytes(folder: Path) -> None:
    sources = parts()
    opened: list[str] = []
    whole = sources["safetensors"].whole

    def counted(path: str, own: object) -> object:
        opened.append(path)
        return whole(path, own)

    sources["safetensors"].whole = counted
    look(folder, sources)

    assert sorted(opened) == sorted(str(folder / shard) for shard in SHARDS)
