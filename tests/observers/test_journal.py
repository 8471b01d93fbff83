"""Effects: noted before they are made, and handed on when a run was killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.journal import effects_in, inherited_in, journal_in
from pytest_pipeline.run_folder import RunFolder, inherit_from_dead_runs

if TYPE_CHECKING:
    from pathlib import Path

UPLOAD = Effect(what="s3 multipart upload", where="s3://b/training-runs/.pipeline-gate/write-test")
OBJECT = Effect(what="s3 object", where="s3://b/training-runs/.pipeline-gate/write-test")


def gone(effect: Effect) -> Effect:
    return Effect(what=effect.what, where=effect.where, removed=True)


def test_an_effect_is_reported_as_it_was_last_noted(tmp_path: Path) -> None:
    note = journal_in(tmp_path, world="target")
    for effect in (UPLOAD, OBJECT, gone(UPLOAD)):
        note(effect)

    assert effects_in(tmp_path) == (gone(UPLOAD), OBJECT)


def test_a_run_without_effects_has_none(tmp_path: Path) -> None:
    assert effects_in(tmp_path) == ()
    assert inherited_in(tmp_path, world="target") == ()


def killed_run(folder: Path, *effects: Effect, world: str = "target") -> None:
    (folder / "observations").mkdir(parents=True)
    (folder / "main.lock").touch()  # nobody holds it
    note = journal_in(folder, world=world)
    for effect in effects:
        note(effect)


def heir(tmp_path: Path) -> Path:
    run = RunFolder(path=tmp_path / "heir")
    run.hold("main")
    inherit_from_dead_runs(run.path)
    return run.path


def test_the_next_run_inherits_what_a_killed_one_left_and_removes_its_folder(tmp_path: Path) -> None:
    killed_run(tmp_path / "killed", UPLOAD, OBJECT, gone(OBJECT))
    folder = heir(tmp_path)

    assert inherited_in(folder, world="target") == (UPLOAD,)
    assert [path.name for path in tmp_path.iterdir()] == ["heir"]


def test_what_was_left_in_a_sandbox_went_with_it(tmp_path: Path) -> None:
    killed_run(tmp_path / "killed", OBJECT, world="sandbox")
    folder = heir(tmp_path)

    assert inherited_in(folder, world="target") == ()


def test_a_sandbox_removes_nothing_of_the_target(tmp_path: Path) -> None:
    killed_run(tmp_path / "killed", OBJECT)

    assert inherited_in(heir(tmp_path), world="sandbox") == ()


def test_a_run_that_lives_is_left_alone(tmp_path: Path) -> None:
    other = RunFolder(path=tmp_path / "living")
    other.hold("main")
    journal_in(other.path, world="target")(OBJECT)

    assert inherited_in(heir(tmp_path), world="target") == ()
    assert other.path.exists()
