"""A folder as a model's, laid out for real: what a loader would take of it, and what is wrong with that."""

from __future__ import annotations

import json
import os
import shutil
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part, parts

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
    from pathlib import Path

    from pytest_pipeline.observers.model_readings import ModelFolder
    from pytest_pipeline.sandbox.fault import Fault, Variant


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


def test_a_disk_that_does_not_answer_is_not_taken_for_a_whole_model(folder: Path) -> None:
    (folder / SHARDS[1]).unlink()
    os.mkfifo(folder / SHARDS[1])  # to open it takes as long as to open a file of a dead network mount
    answer = part("model").read({"path": str(folder), "deadline_s": 0.5}, parts())
    os.close(os.open(folder / SHARDS[1], os.O_WRONLY | os.O_NONBLOCK))  # whoever hangs there goes on

    assert told(decoded(Reading.of(answer), str(folder)).value) == [
        ("unreadable", SHARDS[1], "no answer within 0.4 s", True)
    ]


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
    "a tokenizer of sentencepiece": both(without("tokenizer.json"), spoil("tokenizer.model", b"\n\x0e\n\x05<unk>")),
    "a tokenizer of bytes": both(
        without("tokenizer.json"), spoil("tokenizer_config.json", b'{"tokenizer_class": "ByT5Tokenizer"}')
    ),
    "a model of pictures": both(
        without("tokenizer.json", "tokenizer_config.json"), spoil("preprocessor_config.json", b"{}")
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
