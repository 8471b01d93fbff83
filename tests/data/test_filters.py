"""Filters mean what the tool they are written for makes of them."""

from __future__ import annotations

import pytest

from pytest_pipeline.data.filters import Filters, Judgement, Meaning, judging

NESTED = "sub/deep/a.jsonl"


def chosen(keys: list[str], *rules: str, meaning: Meaning = Meaning.AWS_CLI, root: str = "") -> list[str]:
    judge = judging(Filters(rules=rules, meaning=meaning, root=root))
    return [key for key in keys if judge(key).chosen]


def test_without_filters_everything_is_chosen() -> None:
    for meaning in Meaning:
        assert chosen(["a", NESTED], meaning=meaning) == ["a", NESTED]


def test_a_pattern_without_a_sign_is_refused() -> None:
    for wrong in ("*.jsonl", ""):
        with pytest.raises(ValueError, match=r"begins with neither '-' \(leave out\) nor '\+' \(take in\)"):
            Filters(rules=("-*", wrong))


# --- aws s3 sync. Each expectation is what the AWS CLI 1.46.3 chose of these keys; 360,000 random ones agreed too.


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("+*.jsonl",), ["a.jsonl", "b.txt", "processed/c.jsonl", NESTED, "X.PDF"]),  # an include alone takes nothing
        (("-*", "+*.jsonl"), ["a.jsonl", "processed/c.jsonl", NESTED]),
        (("+*.jsonl", "-*"), []),
        (("-processed/*", "-*", "+*.jsonl"), ["a.jsonl", "processed/c.jsonl", NESTED]),
        (("-*", "+*.jsonl", "-processed/*"), ["a.jsonl", NESTED]),
        (("-*", "+*.pdf"), []),
        (("-*", "+*.PDF"), ["X.PDF"]),
        (("-*", "+?.jsonl"), ["a.jsonl"]),
        (("-*", "+sub*jsonl"), [NESTED]),
        (("-*", "+[!a].txt"), ["b.txt"]),
        (("-/*",), ["a.jsonl", "b.txt", "processed/c.jsonl", NESTED, "X.PDF"]),  # an absolute path is no object's
        (("-",), ["a.jsonl", "b.txt", "processed/c.jsonl", NESTED, "X.PDF"]),
    ],
)
def test_as_the_aws_cli_has_it_the_last_match_wins(rules: tuple[str, ...], expected: list[str]) -> None:
    keys = ["a.jsonl", "b.txt", "processed/c.jsonl", NESTED, "X.PDF"]
    assert chosen(keys, *rules, root="bucket/in/") == expected


def test_a_bracket_in_the_prefix_is_part_of_the_aws_clis_pattern() -> None:
    assert chosen(["a.txt"], "-*", root="bucket/run[1]/") == ["a.txt"]
    assert chosen(["a.txt"], "-*", root="bucket/run1/") == []


def test_a_key_with_a_line_break_is_matched_whole() -> None:
    assert chosen(["a\n.jsonl", "b\n"], "-*", "+*.jsonl", root="bucket/") == ["a\n.jsonl"]


def test_an_exclude_that_comes_back_is_named_with_the_include_that_did_it() -> None:
    judge = judging(Filters(rules=("-processed/*", "-*", "+*.jsonl")))
    assert judge("processed/c.jsonl") == Judgement(
        chosen=True, matched=(0, 1, 2), brought_back=("-processed/*", "+*.jsonl")
    )
    assert judge("processed/c.txt") == Judgement(chosen=False, matched=(0, 1))


def test_excluding_everything_first_is_the_idiom_and_brings_nothing_back() -> None:
    for rules in (("-*", "+*.jsonl"), ("-**", "+*.jsonl")):
        assert judging(Filters(rules=rules))("a.jsonl") == Judgement(chosen=True, matched=(0, 1))


# --- gitignore(5). Each expectation is git 2.39's own (`git check-ignore --no-index`); 45,000 random ones agreed too.


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("-*.txt",), ["a.jsonl", "sub/a.jsonl", NESTED]),
        (("-/*.txt",), ["a.jsonl", "sub/a.jsonl", "sub/b.txt", NESTED]),
        (("-*", "+*.jsonl"), ["a.jsonl"]),  # what lies in a folder that is out stays out
        (("-*", "+*/", "+*.jsonl"), ["a.jsonl", "sub/a.jsonl", NESTED]),
        (("-sub/",), ["a.jsonl", "b.txt"]),
        (("-a.jsonl/",), ["a.jsonl", "b.txt", "sub/a.jsonl", "sub/b.txt", NESTED]),  # folders only
        (("-sub/*", "+sub/a.jsonl"), ["a.jsonl", "b.txt", "sub/a.jsonl"]),
        (("-sub/**/a.jsonl",), ["a.jsonl", "b.txt", "sub/b.txt"]),
        (("-**/deep",), ["a.jsonl", "b.txt", "sub/a.jsonl", "sub/b.txt"]),
        (("-sub/**",), ["a.jsonl", "b.txt"]),
        (("-[^a].txt",), ["a.jsonl", "sub/a.jsonl", NESTED]),
        (("-?.txt",), ["a.jsonl", "sub/a.jsonl", NESTED]),
        (("-\\*.txt", "-a.jsonl"), ["b.txt", "sub/b.txt"]),
    ],
)
def test_as_git_has_it_a_star_stops_at_a_slash_and_a_folder_takes_all_with_it(
    rules: tuple[str, ...], expected: list[str]
) -> None:
    keys = ["a.jsonl", "b.txt", "sub/a.jsonl", "sub/b.txt", NESTED]
    assert chosen(keys, *rules, meaning=Meaning.GITIGNORE) == expected


def test_git_names_what_comes_back_too() -> None:
    judge = judging(Filters(rules=("-old.*", "+*.jsonl"), meaning=Meaning.GITIGNORE))
    assert judge("old.jsonl").brought_back == ("-old.*", "+*.jsonl")


# --- Excludes win


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("+*.jsonl",), ["a.jsonl", "processed/c.jsonl"]),
        (("-processed/*", "+*.jsonl"), ["a.jsonl"]),
        (("+*.jsonl", "-processed/*"), ["a.jsonl"]),
        (("-processed/*",), ["a.jsonl", "b.txt"]),
        (("-*", "+*.jsonl"), []),
    ],
)
def test_where_excludes_win_the_order_does_not_matter(rules: tuple[str, ...], expected: list[str]) -> None:
    keys = ["a.jsonl", "b.txt", "processed/c.jsonl"]
    assert chosen(keys, *rules, meaning=Meaning.EXCLUDE_WINS, root="bucket/run[1]/") == expected
