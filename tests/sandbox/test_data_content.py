"""What lies in a tenant's buckets is like what lies in the user's: records that differ, and whole PDF files."""

from __future__ import annotations

import json

import pytest

from pytest_pipeline.data.pdfs import EDGE_BYTES, fault_of, table_place
from pytest_pipeline.sandbox.data_content import (
    FOLDERS,
    TRAIN_KEY,
    TRAIN_RECORDS,
    VALIDATION_KEY,
    VALIDATION_RECORDS,
    dataset_objects,
    pdf,
    policy_objects,
    records,
)


def texts(content: bytes) -> list[str]:
    return [json.loads(line)["text"] for line in content.splitlines()]


def test_records_are_as_many_as_asked_for_and_all_differ() -> None:
    content = records(600, "train")

    assert content.endswith(b"\n")
    assert len(texts(content)) == len({*texts(content)}) == 600
    assert all(text.strip() for text in texts(content))
    assert records(0, "train") == b""


def test_the_same_seed_makes_the_same_records_and_another_one_others() -> None:
    assert records(20, "a") == records(20, "a")
    assert records(20, "a") == b"".join(records(30, "a").splitlines(keepends=True)[:20])
    assert not {*texts(records(200, "a"))} & {*texts(records(200, "b"))}


def test_the_dataset_has_no_record_twice_in_it_or_in_both_of_its_files() -> None:
    made = dataset_objects()
    train, validation = texts(made[TRAIN_KEY]), texts(made[VALIDATION_KEY])

    assert (len(train), len(validation)) == (TRAIN_RECORDS, VALIDATION_RECORDS)
    assert len({*train, *validation}) == TRAIN_RECORDS + VALIDATION_RECORDS


def test_each_folder_of_policies_has_records_and_one_has_reports() -> None:
    made = policy_objects()

    assert {key.partition("/")[0] for key in made} == {*FOLDERS}
    assert len(FOLDERS) == 8
    assert sorted(key for key in made if key.endswith(".pdf")) == [f"operatives/report_{n}.pdf" for n in range(3)]
    assert all(content for content in made.values())


@pytest.mark.parametrize("title", ["Report 1", "x", "A longer title " * 90])
def test_a_report_is_a_whole_pdf(title: str) -> None:
    content = pdf(title)
    head, tail = content[:EDGE_BYTES], content[-EDGE_BYTES:]
    place = table_place(head, tail)

    assert place is not None
    assert fault_of(head, tail, content[place:]) is None
    assert f"({title})".encode() in content


def test_each_place_in_a_reports_table_is_that_of_its_object() -> None:
    content = pdf("Report 1")
    table = content[table_place(content, content) or 0 :].splitlines()
    size = int(table[1].split()[1])
    places = [int(line.split()[0]) for line in table[3 : 2 + size]]

    assert [content[place:].split(b" ", 1)[0] for place in places] == [b"%d" % n for n in range(1, size)]
