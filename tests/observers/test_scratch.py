"""Copies of a pipeline's folder: what is in them, what is not, and that they go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pytest_pipeline.observers.scratch import ScratchError, scratch_copy


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "pipeline"
    (folder / "scripts").mkdir(parents=True)
    (folder / "scripts" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "scripts" / "run.sh").chmod(0o755)
    (tmp_path / "copies").mkdir()
    return folder


def copied(source: Path, **options: object) -> tuple[list[str], tuple[str, ...]]:
    """Return the paths of a copy, and what it left out."""
    with scratch_copy(source, parent=source.parent / "copies", **options) as scratch:  # type: ignore[arg-type]
        return sorted(str(path.relative_to(scratch.workdir)) for path in scratch.workdir.rglob("*")), scratch.left_out


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")


def test_a_copy_has_the_files_and_their_modes_and_is_gone_with_its_context(source: Path) -> None:
    with scratch_copy(source, parent=source.parent / "copies") as scratch:
        script = scratch.workdir / "scripts" / "run.sh"
        assert script.read_text() == "#!/bin/sh\n"
        assert script.stat().st_mode & stat.S_IXUSR
        assert stat.S_IMODE(scratch.root.stat().st_mode) == 0o700
        assert scratch.temporary.is_dir()
        script.write_text("changed")
        write(scratch.workdir / "made" / "output")

    assert (source / "scripts" / "run.sh").read_text() == "#!/bin/sh\n"
    assert [*(source.parent / "copies").iterdir()] == []


def test_secrets_and_history_stay_behind_at_any_depth(source: Path) -> None:
    stays = [
        ".git/config", ".env", ".env.production", "config/prod.env", "config/my.pem", "server.key", ".aws/credentials",
        "deploy/id_ed25519", "deploy/id_rsa", "scripts/__pycache__/a.pyc", ".netrc", ".ssh/config",
    ]  # fmt: skip
    goes = ["environment.yml", "keys.py", "git/notes", "config/settings.toml"]
    write(*(source / name for name in (*stays, *goes)))

    files, left_out = copied(source)
    assert [name for name in goes if name not in files] == []
    folders = {".git/config", ".aws/credentials", ".ssh/config", "scripts/__pycache__/a.pyc"}
    assert {*left_out} == {*stays} - folders | {str(Path(name).parent) for name in folders}
    assert {*files} & {*stays} == set()


def test_what_the_settings_exclude_stays_behind(source: Path) -> None:
    write(source / "data" / "a", source / "src" / "data" / "b", source / "src" / "runs" / "c", source / "notes.md")

    assert copied(source, exclude=["./data"])[1] == ()
    files, left_out = copied(source, exclude=["src/data/", "runs/", "*.md"])
    assert left_out == ("notes.md", "src/data", "src/runs")
    assert files == ["data", "data/a", "scripts", "scripts/run.sh", "src"]


def test_links_within_lead_within_the_copy_and_those_out_of_it_are_left_out(source: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside" / "secret", source / "a" / "file")
    (source / "within").symlink_to("a/file")
    (source / "a" / "absolute").symlink_to(source / "a")
    (source / "around").symlink_to(f"../{source.name}/a")
    (source / "dangling").symlink_to("not-yet")
    (source / "loop").symlink_to("loop")
    (source / "out").symlink_to(tmp_path / "outside")
    (source / "a" / "out").symlink_to("../../outside/secret")
    (source / "deeper").symlink_to("a/out")

    with scratch_copy(source, parent=tmp_path / "copies") as scratch:
        copy = scratch.workdir
        for name in ("within", "a/absolute", "around", "dangling"):
            assert Path(os.path.realpath(copy / name)).is_relative_to(copy), name
        assert (copy / "around" / "file").read_text() == "content"
        assert (copy / "dangling").is_symlink()
        assert not (copy / "out").exists()
    assert scratch.left_out == ("a/out", "deeper", "out")


@pytest.mark.timeout(10)
def test_what_is_no_file_is_left_out(source: Path) -> None:
    os.mkfifo(source / "pipe")

    assert copied(source)[1] == ("pipe",)


def test_a_folder_that_is_too_large_is_refused_by_the_name_of_what_is_large(source: Path) -> None:
    with (source / "weights").open("wb") as file:
        file.truncate(300_000_000)

    with pytest.raises(ScratchError) as caught:
        copied(source, limit_bytes=200_000_000)
    assert str(caught.value) == (
        f"{source} has more than 0.2 GB to copy (weights alone has 0.3); "
        "exclude what the pipeline does not need, or allow more"
    )
    assert [*(source.parent / "copies").iterdir()] == []
    assert copied(source, limit_bytes=200_000_000, exclude=["weights"])[1] == ("weights",)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScratchError) as caught, scratch_copy(tmp_path / "none", parent=tmp_path):
        pass
    assert str(caught.value) == f"{tmp_path}/none cannot be copied: {tmp_path}/none: No such file or directory"


def test_a_copy_inside_of_its_original_is_not_copied_again(source: Path) -> None:
    with scratch_copy(source, parent=source) as scratch:
        assert sorted(path.name for path in scratch.workdir.iterdir()) == ["scripts"]


def test_what_a_stage_made_read_only_is_removed_too(source: Path) -> None:
    with scratch_copy(source, parent=source.parent / "copies") as scratch:
        write(scratch.workdir / "cache" / "deep" / "file")
        (scratch.workdir / "link").symlink_to("/")
        for folder in (scratch.workdir / "cache" / "deep", scratch.workdir / "cache"):
            folder.chmod(0o500)

    assert [*(source.parent / "copies").iterdir()] == []


def test_copies_of_dead_gates_are_removed_and_those_of_living_ones_kept(source: Path) -> None:
    copies = source.parent / "copies"
    write(copies / "pipeline-gate-dead" / "work" / "file", copies / "others" / "file")
    with scratch_copy(source, parent=copies) as one, scratch_copy(source, parent=copies) as two:
        assert one.workdir.exists()
        assert {path.name for path in copies.iterdir()} == {"others", one.root.name, two.root.name}
