"""What mends a model's folder: the command that is proposed for what was found, and that it does."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from matrix_tests.model_files import judge_model, to_fetch
from pytest_pipeline.observers.model_readings import Defect, Finding, ModelFolder
from pytest_pipeline.outcome import Evidence
from pytest_pipeline.settings import Model

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/data/models/m/"
REAL = "/data/models/m"
BLOBS = "/home/ann/.cache/huggingface/hub/models--m/blobs"
SOURCE = "s3://cache/m"
SYNC = f"aws s3 sync --exact-timestamps {SOURCE} {PATH}"


def finding(defect: Defect, file: str = "model.safetensors", **more: Any) -> Finding:
    return Finding(defect=defect, file=file, why="it is so", **more)


def refused(denied: str) -> Finding:
    return finding(Defect.UNREADABLE, denied=denied)


def remedy(
    *findings: Finding, source: str | None = SOURCE, path: str = PATH, real: str = REAL, exists: bool = True
) -> str:
    folder = ModelFolder(path=path, real_path=real, exists=exists, findings=findings)
    return to_fetch(folder, Model(name="M", path=path, source=source), user="trainer")


TRUNCATED = finding(Defect.TRUNCATED)
BESIDE = finding(Defect.STALE, fatal=False, in_the_way=True)
ARIA2 = finding(Defect.PARTIAL_DOWNLOAD, "m-00001.safetensors.aria2", in_the_way=True)


def test_a_whole_folder_needs_nothing() -> None:
    assert remedy() == ""
    assert remedy(finding(Defect.STALE, fatal=False)) == ""


def test_what_is_absent_or_broken_is_fetched() -> None:
    assert remedy(exists=False) == f"aws s3 sync {SOURCE} {PATH}"
    assert remedy(TRUNCATED) == SYNC
    assert remedy(TRUNCATED, path="~/m", source="s3://b/it's") == (
        "aws s3 sync --exact-timestamps 's3://b/it'\"'\"'s' ~/m"
    )


def test_nobody_knows_where_to_fetch_it_from() -> None:
    assert remedy(TRUNCATED, source=None) == ""
    assert remedy(exists=False, source=None) == ""


def test_a_parent_that_refuses_lets_this_user_through_and_stays_its_owners() -> None:
    assert remedy(refused("/data")) == "sudo setfacl -m u:trainer:x /data || sudo chmod a+x /data"


def test_files_that_refuse_may_be_read_by_all_and_stay_their_owners() -> None:
    denied = [refused(REAL), refused(f"{REAL}/config.json"), refused(f"{REAL}/a/b")]

    assert remedy(*denied) == f"sudo chmod -R a+rX {REAL}"


def test_files_of_the_hubs_cache_are_opened_where_they_lie() -> None:
    snapshot = f"{BLOBS.removesuffix('/blobs')}/snapshots/r1"

    assert remedy(refused(f"{BLOBS}/a"), refused(f"{BLOBS}/b"), real=snapshot) == f"sudo chmod -R a+rX {BLOBS}"


def test_a_file_that_a_link_leads_to_is_opened_alone() -> None:
    assert remedy(refused("/home/ann/my weights")) == "sudo chmod -R a+rX '/home/ann/my weights'"


def test_what_refuses_is_opened_before_anything_is_fetched() -> None:
    assert remedy(TRUNCATED, refused("/data"), refused("/x")) == (
        "sudo setfacl -m u:trainer:x /data || sudo chmod a+x /data && sudo chmod -R a+rX /x"
    )


def test_a_disk_that_does_not_answer_is_not_copied_to() -> None:
    assert remedy(finding(Defect.UNREADABLE)) == ""


def test_a_broken_file_beside_the_shards_is_removed() -> None:
    assert remedy(TRUNCATED, BESIDE) == f"rm {REAL}/model.safetensors && {SYNC}"
    assert remedy(TRUNCATED, BESIDE, source=None) == f"rm {REAL}/model.safetensors"
    assert remedy(TRUNCATED, BESIDE, path="~/my m", source=None) == "rm ~/'my m'/model.safetensors"


def test_it_is_not_enough_to_remove_it_where_something_else_is_broken() -> None:
    assert remedy(TRUNCATED, BESIDE, finding(Defect.ABSENT, "tokenizer.json"), source=None) == ""


def test_what_an_unfinished_download_left_is_removed_and_the_file_fetched_again() -> None:
    assert remedy(ARIA2) == f"rm {REAL}/m-00001.safetensors.aria2 && {SYNC}"


def test_what_an_unfinished_download_left_is_all_that_tells_so_where_there_is_no_source() -> None:
    assert remedy(ARIA2, source=None) == ""


def test_a_download_that_goes_on_is_left_alone() -> None:
    assert remedy(finding(Defect.PARTIAL_DOWNLOAD, "m.safetensors.aria2")) == ""


def test_only_files_of_the_folder_are_removed() -> None:
    outside = finding(Defect.TRUNCATED, "../../etc/passwd", in_the_way=True)

    assert remedy(outside) == SYNC


def run(command: str, place: Path) -> None:
    """Run it as the host would, with a sudo that has nothing to do and no setfacl."""
    programs = place / "programs"
    programs.mkdir()
    for name, text in (("sudo", 'exec "$@"'), ("setfacl", "exit 1")):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": f"{programs}:{os.environ['PATH']}"}, timeout=20)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_command_opens_what_refused(tmp_path: Path) -> None:
    model, hub = tmp_path / "ann" / "model", tmp_path / "hub" / "blobs"
    for folder in (model, hub):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"")
        (folder / "file").chmod(0o600)
    (tmp_path / "ann").chmod(0o700)
    denied = [refused(str(tmp_path / "ann")), refused(f"{hub}/file"), refused(f"{model}/file")]
    run(remedy(*denied, real=str(model)), tmp_path)

    assert (mode(tmp_path / "ann"), mode(model / "file"), mode(hub / "file")) == (0o711, 0o644, 0o644)


def test_the_command_removes_what_is_in_the_way(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model-00001-of-00001.safetensors"):
        (tmp_path / name).write_bytes(b"")
    run(remedy(TRUNCATED, BESIDE, path=f"{tmp_path}/", source=None), tmp_path)

    assert not (tmp_path / "model.safetensors").exists()
    assert (tmp_path / "model-00001-of-00001.safetensors").exists()


def judged(folder: ModelFolder) -> list[str]:
    """Return the warnings. Raises pytest.fail.Exception."""
    evidence = Evidence()
    judge_model(folder, Model(name="M", path=PATH), evidence)
    return evidence.warnings


def test_what_is_not_fatal_is_a_warning_and_what_is_fails() -> None:
    odd = ModelFolder(path=PATH, real_path=REAL, exists=True, shards=1, findings=(BESIDE,), left_out=3)

    assert judged(odd) == ["model.safetensors: it is so", "3 more like these"]
    with pytest.raises(pytest.fail.Exception, match=r"^model\.safetensors: it is so$"):
        judged(replace(odd, findings=(TRUNCATED, BESIDE), left_out=0))
