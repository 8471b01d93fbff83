"""Files that nobody would write; `python -m data.fuzz` makes more of them."""

from __future__ import annotations

import pytest

from data.fuzz import difference
from pytest_pipeline.data import counting


@pytest.mark.parametrize("first", range(0, 1500, 250))
def test_made_up_files_read_as_the_oracle_reads_them(first: int) -> None:
    assert [text for seed in range(first, first + 250) if (text := difference(seed))] == []


def test_without_the_fast_counting_files_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_fast", None)

    assert [text for seed in range(5000, 5100) if (text := difference(seed))] == []
