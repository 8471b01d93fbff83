"""Records are looked at where they lie; what cannot be read has one owner, and nothing is green that nobody saw."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, Tenant, error
from pytest_pipeline.data.finding import Gravity
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.data.sampling import choose
from pytest_pipeline.observers import records_look, s3_files, source_look
from pytest_pipeline.observers.data_readings import DataReadings, Dataset
from pytest_pipeline.observers.data_world import of_data
from pytest_pipeline.observers.names import RECORDS, SOURCES
from pytest_pipeline.observers.observation import Observations
from pytest_pipeline.observers.records_look import look_at_records
from pytest_pipeline.observers.source_look import look_at_sources
from pytest_pipeline.outcome import Reading
from pytest_pipeline.settings import Aws, Bucket, Data, Settings, Source
from pytest_pipeline.settings.tables import Output, Pipeline, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from observers.aws_world import MakeAws

DENIED = error(403, "AccessDenied", "Access Denied")
ANSWER: TypeAdapter[Any] = TypeAdapter(Reading[DataReadings])
FIELDS: Any = {"text": "text"}


def records(count: int, first: int = 0, **more: object) -> bytes:
    """Records of which no two say the same, whatever is masked."""
    words = ("ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine", "rowan", "willow")
    lines = []
    for number in range(first, first + count):
        text = " ".join(words[(number >> shift) % 12] for shift in range(9)) + " " + "x" * (number % 97)
        lines.append(json.dumps({"text": text, **more}).encode() + b"\n")
    return b"".join(lines)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No connection of another test's endpoint."""
    yield
    s3_files._connection.cache_clear()


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    return name


def put(bucket: str, key: str, body: bytes, tier: str = "STANDARD") -> str:
    s3: Any = s3_backends[ACCOUNT]["aws"]
    s3.put_object(bucket, key, body, storage=tier)
    return f"s3://{bucket}/{key}"


def lay(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def nobody_makes() -> Reading[str]:
    raise AssertionError("no step makes the data")


class Look:
    """Looks at the data of settings, and checks what must always hold."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def __call__(self, *train: str, aws: Aws | None = None, **data: Any) -> DataReadings:
        settings = Settings(aws=aws or Aws(), data=Data(train=train, **{"fields": FIELDS, **data}))
        seen = look_at_records(settings, look_at_sources(settings), self.scratch, nobody_makes)
        assert [*self.scratch.iterdir()] == []
        assert ANSWER.validate_json(ANSWER.dump_json(Reading.of(seen))) == Reading.of(seen)
        return seen

    def why_not(self, *train: str, **more: Any) -> tuple[str, str]:
        """Return why no training data was seen and who answers for it; all that is read from it has the same cause."""
        seen = self(*train, **more)
        others: list[Reading[Any]] = [seen.columns, seen.overlap]
        assert not seen.train.is_known
        assert all(other == seen.train for other in others + ([] if seen.stale.is_known else [seen.stale]))
        return seen.train.reason, seen.train.by


@pytest.fixture
def look(tmp_path: Path, home: Path) -> Look:
    assert home.exists()
    return Look(tmp_path / "scratch")


def uris(dataset: Dataset) -> list[str]:
    return [file.file.uri for file in dataset.files]


class TestHere:
    """On this machine."""

    def test_all_records_are_counted(self, look: Look, tmp_path: Path) -> None:
        train = lay(tmp_path, "train.jsonl", records(40) + b'{"text": ""}\n[1]\n')
        validation = lay(tmp_path, "validation.jsonl", records(3, first=39))

        seen = look(train, validation=[validation], sequence_length=4_000)
        dataset = seen.train.value

        assert (dataset.exact, dataset.records, dataset.valid) == (True, 42, 40)
        assert (dataset.repeats.value.records, dataset.repeats.value.distinct) == (40, 40)
        assert {*dataset.findings} == {"placeholder-text", "encoding-damage", "secrets-in-data", "sequence-length"}
        assert (seen.validation.value.records, seen.overlap.value.records, seen.overlap.value.shared) == (3, 3, 1)
        assert seen.columns.value == ()

    def test_where_there_is_no_other_file_a_json_holds_the_records(self, look: Look, tmp_path: Path) -> None:
        only = lay(tmp_path, "folder/records.JSON", records(3))

        assert uris(look(f"{tmp_path}/folder/").train.value) == [only]

    def test_files_are_read_in_the_order_of_the_settings_and_by_name_within_a_folder(
        self, look: Look, tmp_path: Path
    ) -> None:
        first = lay(tmp_path, "z.jsonl", records(2))
        for name in ("b.jsonl", "a.JSONL", "c/d.jsonl.gz", "README.md", "_SUCCESS", "info.json"):
            lay(tmp_path, f"folder/{name}", gzip.compress(records(2)) if name.endswith("gz") else records(2))
        last = lay(tmp_path, "a.jsonl", records(2))

        seen = look(first, f"{tmp_path}/folder/", last).train.value

        within = [f"{tmp_path}/folder/{name}" for name in ("a.JSONL", "b.jsonl", "c/d.jsonl.gz")]
        assert uris(seen) == [first, *within, last]
        assert (seen.records, seen.valid) == (10, 10)

    def test_a_folder_is_one_without_a_slash_at_its_end_too(self, look: Look, tmp_path: Path) -> None:
        part = lay(tmp_path, "folder/part.jsonl", records(2))
        lay(tmp_path, "folder/README.md", b"two records\n")

        assert uris(look(f"{tmp_path}/folder").train.value) == [part]

    def test_a_file_is_read_whatever_its_name(self, look: Look, tmp_path: Path) -> None:
        assert look(lay(tmp_path, "train.data", records(2))).train.value.valid == 2

    def test_a_file_in_the_users_home_is_found(self, look: Look, home: Path) -> None:
        lay(home, "data/train.jsonl", records(2))

        assert look("~/data/").train.value.valid == look("~/data/train.jsonl").train.value.valid == 2

    def test_what_is_not_there_is_no_empty_dataset(self, look: Look, tmp_path: Path) -> None:
        there, absent = lay(tmp_path, "a.jsonl", records(2)), f"{tmp_path}/absent.jsonl"

        assert look.why_not(there, absent) == (f"{absent}: No such file or directory", "data-format")

    def test_what_holds_no_record_is_no_dataset(self, look: Look, tmp_path: Path) -> None:
        empty, blank = lay(tmp_path, "empty.jsonl", b""), lay(tmp_path, "blank.jsonl", b"\n \n")
        (tmp_path / "nothing").mkdir()
        lay(tmp_path, "texts/a.txt", records(2))

        assert look.why_not(empty) == (f"{empty}: empty.jsonl is empty", "data-format")
        assert look.why_not(blank) == (f"there is no record in {blank}", "data-format")
        assert look.why_not(f"{tmp_path}/nothing/") == (f"{tmp_path}/nothing/: there is no such file", "data-format")
        assert look.why_not(f"{tmp_path}/texts/") == (
            f"{tmp_path}/texts/: none of its 1 files is named as one of records "
            "(.jsonl, .json, .ndjson, .jsonl.gz, .json.gz, .jsonl.zst, .json.zst)",
            "data-format",
        )

    def test_a_link_to_nowhere_among_files_is_not_passed_over(self, look: Look, tmp_path: Path) -> None:
        lay(tmp_path, "folder/a.jsonl", records(2))
        (tmp_path / "folder" / "b.jsonl").symlink_to(tmp_path / "gone")

        assert look.why_not(f"{tmp_path}/folder/") == (
            f"{tmp_path}/folder/: b.jsonl is no file that can be read",
            "data-format",
        )

    def test_a_file_that_is_read_twice_is_said_so(self, look: Look, tmp_path: Path) -> None:
        train = lay(tmp_path, "folder/a.jsonl", records(2))

        assert look.why_not(f"{tmp_path}/folder/", train) == (
            f"data.train has {train} twice; take it out once",
            "settings",
        )

    def test_a_file_that_may_not_be_read_is_the_forms_affair(
        self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train = lay(tmp_path, "train.jsonl", records(2))

        def refuse(*_: object) -> None:  # root, as whom tests may run, is refused nothing
            raise PermissionError(13, "Permission denied", train)

        monkeypatch.setattr(LocalFiles, "open", refuse)
        assert look.why_not(train) == (f"{train}: Permission denied", "data-format")

    def test_a_file_that_changes_after_it_was_listed_is_of_two_files(
        self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train = lay(tmp_path, "train.jsonl", records(2))
        opened, times = LocalFiles.open, []

        def open_and_change(files: LocalFiles, file: Any, start: int) -> Any:
            times.append(start)
            if len(times) == 3:  # its shape has been seen
                lay(tmp_path, "train.jsonl", records(3))
            return opened(files, file, start)

        monkeypatch.setattr(LocalFiles, "open", open_and_change)
        assert look.why_not(train) == (f"{train} is not what was listed: it was changed since", "data-format")

    def test_without_training_data_the_settings_are_asked(self, look: Look) -> None:
        assert look.why_not() == ("data.train", "settings")

    def test_bad_validation_data_leaves_what_is_known_of_the_training_data(self, look: Look, tmp_path: Path) -> None:
        absent = f"{tmp_path}/absent.jsonl"
        seen = look(lay(tmp_path, "train.jsonl", records(2)), validation=[absent])

        gone = (f"{absent}: No such file or directory", "data-format")
        assert seen.train.is_known
        for name in ("validation", "columns", "overlap", "stale"):
            reading = getattr(seen, name)
            assert (reading.reason, reading.by) == gone, name

    def test_without_fields_nothing_is_said_of_what_repeats(self, look: Look, tmp_path: Path) -> None:
        seen = look(lay(tmp_path, "train.jsonl", records(2)), fields={}).train.value

        assert (seen.records, seen.repeats.by) == (2, "settings")

    def test_no_secret_is_kept_of_a_record(self, look: Look, tmp_path: Path) -> None:
        token = "ghp_" + "a8Kd03lQzX7mB2vN5cR9tY1uWe4iOp6sJfGh"
        broken = f'{{"text": "{token}" 1}}\n{{"text": "", "token": "{token}"}}\n'.encode()
        seen = look(lay(tmp_path, "train.jsonl", records(30) + broken + records(1, text=token)))

        assert token not in ANSWER.dump_json(Reading.of(seen)).decode()
        assert seen.train.value.findings["secrets-in-data"][0].gravity is Gravity.WRONG

    def test_where_no_record_was_drawn_nothing_is_said_to_fit(self, look: Look, tmp_path: Path) -> None:
        seen = look(lay(tmp_path, "train.jsonl", b"[1]\n" * 30), sequence_length=10).train.value

        assert {name: [one.gravity for one in found] for name, found in seen.findings.items()} == {
            row: [Gravity.UNKNOWN]
            for row in ("placeholder-text", "encoding-damage", "secrets-in-data", "sequence-length")
        }

    def test_a_tokenizer_that_is_not_there_is_a_matter_of_settings(self, look: Look, tmp_path: Path) -> None:
        seen = look(lay(tmp_path, "train.jsonl", records(2)), sequence_length=10, tokenizer=tmp_path / "tokenizer.json")

        assert seen.train.by == "settings"

    def test_an_executor_of_another_name_is_a_matter_of_settings(
        self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records_look, "_MUCH_BYTES", 0)
        why = look.why_not(lay(tmp_path, "train.jsonl", records(2)), executor="ray://somewhere:1")

        assert why == ("an executor is named as dask://host:port, not as 'ray://somewhere:1'", "settings")

    def test_time_that_runs_out_is_a_matter_of_settings(self, look: Look, tmp_path: Path) -> None:
        assert look.why_not(lay(tmp_path, "train.jsonl", records(2)), budget_s=1e-9)[1] == "settings"


class TestMade:
    """What a step makes before the first run, by its quick run."""

    def looked(self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, make: Any) -> DataReadings:
        train, validation = (f"s3://{bucket}/in/{name}.jsonl" for name in ("train", "validation"))
        step = Step(name="prepare", command="prepare", outputs=[Output(uri=train), Output(uri=validation)])
        settings = Settings(
            aws=make_aws(world.admin),
            data=Data(train=[train], validation=[validation], fields=FIELDS, produced_by="prepare"),
            pipeline=Pipeline(steps=[step]),
        )
        return look_at_records(settings, {}, look.scratch, make)

    def test_what_is_not_there_is_made_once_and_said_to_be(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        made = []

        def make() -> Reading[str]:
            made.append(1)
            put(bucket, "in/train.jsonl", records(5))
            put(bucket, "in/validation.jsonl", records(2, first=5))
            return Reading.of("prepare")

        for by in ("prepare", ""):
            seen = self.looked(look, world, make_aws, bucket, make)
            assert (seen.train.value.valid, seen.validation.value.valid, len(made)) == (5, 2, 1)
            assert (seen.train.value.made_by, seen.validation.value.made_by) == (by, by)

    def test_what_is_there_and_replaced_while_the_rest_is_made_is_read_as_it_is_then(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        put(bucket, "in/train.jsonl", records(5))

        def make() -> Reading[str]:
            put(bucket, "in/train.jsonl", records(3))
            put(bucket, "in/validation.jsonl", records(2, first=5))
            return Reading.of("prepare")

        seen = self.looked(look, world, make_aws, bucket, make)
        assert (seen.train.value.valid, seen.validation.value.made_by) == (3, "prepare")

    def test_what_could_not_be_made_is_told_with_its_owner(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        failed: Reading[str] = Reading.missing("exit status 1", by="processing-speed")
        seen = self.looked(look, world, make_aws, bucket, lambda: failed)

        assert seen.train == Reading.missing(
            f"s3://{bucket}/in/train.jsonl: there is no such file; exit status 1", by="processing-speed"
        )
        assert seen.validation.by == "processing-speed"

    def test_what_was_made_without_a_file_is_the_forms_affair(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        seen = self.looked(look, world, make_aws, bucket, lambda: Reading.of("prepare"))

        assert seen.train == Reading.missing(f"s3://{bucket}/in/train.jsonl: there is no such file", by="data-format")


class TestColumns:
    """Between files, in the order that training reads them."""

    def test_files_of_one_purpose_that_differ_are_wrong_and_purposes_that_do_are_doubtful(
        self, look: Look, tmp_path: Path
    ) -> None:
        plain, more = (lay(tmp_path, f"{n}.jsonl", records(3, **{n: 1} if n == "more" else {})) for n in ("a", "more"))

        wrong = look(plain, more, validation=[plain]).columns.value
        doubtful = look(plain, validation=[more]).columns.value

        assert [one.gravity for one in wrong] == [Gravity.WRONG]
        assert [one.gravity for one in doubtful] == [Gravity.DOUBTFUL]
        assert wrong[0].sentence == doubtful[0].sentence
        assert wrong[0].sentence.startswith(f"{more} line 1: column more is not in {plain}")

    def test_a_key_of_a_record_that_is_a_secret_is_no_name_to_show(self, look: Look, tmp_path: Path) -> None:
        token = "ghp_" + "a8Kd03lQzX7mB2vN5cR9tY1uWe4iOp6sJfGh"
        plain, more = lay(tmp_path, "a.jsonl", records(3)), lay(tmp_path, "b.jsonl", records(3, **{token: 1}))
        (found,) = look(plain, more).columns.value

        assert "column ghp_... is not in" in found.sentence
        assert token not in found.sentence


class TestStale:
    """The dataset against its sources."""

    def stale(self, look: Look, tmp_path: Path, **data: Any) -> Any:
        train, source = lay(tmp_path, "train.jsonl", records(2)), lay(tmp_path, "source/a.pdf", b"words")
        os.utime(train, (1e9, 1e9))
        return look(train, sources=[Source(name="s", uri=str(Path(source).parent))], **data).stale

    def test_an_older_dataset_is_found_with_and_without_validation_data(self, look: Look, tmp_path: Path) -> None:
        validation = lay(tmp_path, "validation.jsonl", records(2))
        for more in ({}, {"validation": [validation]}):
            (found,) = self.stale(look, tmp_path, **more).value
            assert found.gravity is Gravity.DOUBTFUL
            assert f"{tmp_path}/train.jsonl of 2001-09-09" in found.sentence

    def test_a_source_that_could_not_be_listed_is_not_left_out(
        self, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        absent = Source(name="s", uri=f"{tmp_path}/absent")
        train = lay(tmp_path, "train.jsonl", records(2))
        assert look(train, sources=[absent]).stale.by == "data-sources"

        monkeypatch.setattr("pytest_pipeline.observers.local_listing.list_local.__kwdefaults__", {"deadline_s": -1.0})
        late = self.stale(look, tmp_path)
        assert (late.reason, late.by) == (f"{tmp_path}/source was not listed to its end", "data-sources")


class TestInS3:
    """In S3, as the operator."""

    @staticmethod
    def settings_of(make_aws: MakeAws, user: Tenant, bucket: str) -> Aws:
        return make_aws(user, buckets=(Bucket(name=bucket, read=("in/",), from_=("operator",)),))

    def test_objects_are_counted_as_files_are(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, tmp_path: Path
    ) -> None:
        here = lay(tmp_path, "here.jsonl", records(2))
        put(bucket, "in/train/", b"")
        put(bucket, "in/train/README.md", b"words\n")
        first, second = (put(bucket, f"in/train/{name}.jsonl", records(5)) for name in "ab")
        validation = put(bucket, "in/validation.jsonl", gzip.compress(records(3, first=9)))

        for folder in (f"s3://{bucket}/in/train/", f"s3://{bucket}/in/train"):
            seen = look(here, folder, validation=[validation], aws=self.settings_of(make_aws, world.admin, bucket))
            assert uris(seen.train.value) == [here, first, second]
            assert (seen.train.value.valid, seen.train.value.repeats.value.distinct) == (12, 5)
            assert (seen.validation.value.valid, seen.overlap.value.shared) == (3, 0)

    def test_what_is_archived_or_empty_or_absent_is_told(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        aws = self.settings_of(make_aws, world.admin, bucket)
        archived = put(bucket, "in/a.jsonl", records(2), tier="DEEP_ARCHIVE")
        empty, absent = put(bucket, "in/b.jsonl", b""), f"s3://{bucket}/in/c.jsonl"

        assert look.why_not(archived, aws=aws) == (
            f"{archived}: a.jsonl (DEEP_ARCHIVE) must be restored before it can be read",
            "data-format",
        )
        assert look.why_not(empty, aws=aws) == (f"{empty}: b.jsonl is empty", "data-format")
        assert look.why_not(absent, aws=aws) == (f"{absent}: there is no such file", "data-format")

    @pytest.mark.parametrize("where", ["list-type", r"a\.jsonl\? "], ids=["listing", "reading"])
    @pytest.mark.parametrize(
        ("from_", "read", "by"),
        [("operator", "in/", "s3-read"), ("operator", "out/", "data-format"), ("host", "in/", "settings")],
    )
    def test_what_is_denied_has_one_owner(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, *, where: str, from_: Any, read: str, by: str
    ) -> None:
        train = put(bucket, "in/a.jsonl", records(2))
        user = world.user(EVERYTHING)
        user.meets(DENIED, method="GET", where=where)
        aws = make_aws(user, buckets=(Bucket(name=bucket, read=(read,), from_=(from_,)),))

        assert look.why_not(train, aws=aws)[1] == by

    def test_credentials_that_end_while_records_are_read_are_their_own_rows_affair(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        train = put(bucket, "in/a.jsonl", records(2))
        user = world.user(EVERYTHING)
        user.meets(error(400, "ExpiredToken", "The provided token has expired."), where=r"a\.jsonl\? ")

        assert look.why_not(train, aws=self.settings_of(make_aws, user, bucket))[1] == "aws-credentials"

    def test_an_object_that_changes_after_it_was_listed_is_of_two_objects(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train = put(bucket, "in/a.jsonl", records(2))
        listings = source_look.listings

        def list_and_change(*given: Any, **more: Any) -> Any:
            seen = listings(*given, **more)
            put(bucket, "in/a.jsonl", records(3))
            return seen

        monkeypatch.setattr(records_look, "listings", list_and_change)
        assert look.why_not(train, aws=self.settings_of(make_aws, world.admin, bucket)) == (
            f"{train} is not what was listed: it was changed since",
            "data-format",
        )


class TestHowMuch:
    """All of what lies here, and of S3 what may be downloaded."""

    SPAN_BYTES = 4 * 1024  # of a sample, so that moto has less to send

    @pytest.fixture(autouse=True)
    def small_spans(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choose, "__kwdefaults__", {"span_bytes": self.SPAN_BYTES})

    @pytest.fixture
    def content(self) -> bytes:
        return records(self.SPAN_BYTES * 41 // 90)

    def test_more_than_may_leave_s3_is_sampled_and_what_lies_here_is_not(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, tmp_path: Path, *, content: bytes
    ) -> None:
        aws = make_aws(world.admin)
        there, here = put(bucket, "in/a.jsonl", content), lay(tmp_path, "a.jsonl", content)

        seen = look(there, validation=[here], max_download_gb=1e-6, aws=aws)
        train = seen.train.value

        assert (train.exact, train.invalid.spans) == (False, 32)
        assert 0 < train.records < seen.validation.value.records
        assert seen.validation.value.exact
        assert train.repeats.value.records == train.valid
        assert seen.overlap.value.records == seen.validation.value.valid

    def test_what_may_be_downloaded_is_enough_for_all_where_it_is(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, *, content: bytes
    ) -> None:
        there = put(bucket, "in/a.jsonl", content)
        gb = len(content) / 1000**3

        assert look(there, max_download_gb=gb, aws=make_aws(world.admin)).train.value.exact
        assert not look(there, max_download_gb=gb * 0.9, aws=make_aws(world.admin)).train.value.exact

    def test_what_lies_here_does_not_let_more_leave_s3(
        self, look: Look, world: AwsWorld, make_aws: MakeAws, bucket: str, tmp_path: Path, *, content: bytes
    ) -> None:
        there, here = put(bucket, "in/a.jsonl", content), lay(tmp_path, "a.jsonl", content * 2)

        train = look(there, here, max_download_gb=1e-6, aws=make_aws(world.admin)).train.value

        assert (train.exact, train.invalid.spans) == (False, 32)

    def test_a_sample_is_looked_at_where_it_is_asked_for(self, look: Look, tmp_path: Path, content: bytes) -> None:
        train = look(lay(tmp_path, "a.jsonl", content), sample_records=10).train.value

        assert (train.exact, train.invalid.spans) == (False, 32)


class TestObservation:
    """As a run looks, once for all of its processes."""

    def observed(self, tmp_path: Path, settings: Settings, name: str) -> Reading[Any]:
        folder = tmp_path / "run"
        (folder / "observations").mkdir(parents=True, exist_ok=True)
        first, second = (Observations(folder, of_data(settings, folder)) for _ in range(2))
        seen = first.reading(name)
        assert second.reading(name) == seen
        return seen

    def test_what_one_process_saw_another_one_reads(self, tmp_path: Path) -> None:
        train = lay(tmp_path, "train.jsonl", records(5) + b"[1]\n")
        data = Data(train=[train], fields=FIELDS, sources=[Source(name="s", uri=train)])

        seen = self.observed(tmp_path, Settings(data=data), RECORDS)
        assert (seen.value.train.value.valid, seen.value.stale.value) == (5, ())
        assert self.observed(tmp_path, Settings(data=data), SOURCES).value["s"].value.count == 1

    def test_records_are_looked_at_without_a_source_in_the_settings(self, tmp_path: Path) -> None:
        data = Data(train=[lay(tmp_path, "train.jsonl", records(5))], fields=FIELDS)

        assert self.observed(tmp_path, Settings(data=data), RECORDS).value.train.value.valid == 5
