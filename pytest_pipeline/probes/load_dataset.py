"""Loads files as training would and says what came of it: `python -c SOURCE REQUEST ANSWER`, two files.

The request is {"files": [path, ...], "scratch": folder}. The answer is {"version", "rows"} where they load;
{"version", "error", "file", "line"} where they do not, files counted from 0 and lines from 1; {"absent": true} without
the library, and {"broken": why} where it cannot be imported.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile

MESSAGE_CHARACTERS = 2000


class Refused(Exception):  # noqa: N818  # what it was
    """The library does not load the files; the message is its own, of what lies at the bottom of it."""


class Loading:
    """Loads files, as often as it takes to say which line of them it is that does not load."""

    def __init__(self, datasets: object, scratch: str) -> None:
        self._datasets = datasets
        self._scratch = scratch

    def rows(self, files: list) -> int:
        """Return how many rows there are. Raises Refused."""
        cache = tempfile.mkdtemp(dir=self._scratch)
        try:
            return self._datasets.load_dataset("json", data_files=files, split="train", cache_dir=cache).num_rows
        except Exception as error:
            while error.__cause__ is not None:
                error = error.__cause__
            raise Refused("%s: %s" % (type(error).__name__, error)) from None
        finally:
            shutil.rmtree(cache, ignore_errors=True)

    def refused(self, files: list) -> str:
        """Return why files are not loaded, or nothing."""
        try:
            self.rows(files)
        except Refused as error:
            return str(error) or "Refused"
        return ""

    def culprit(self, files: list) -> dict:
        """Return the first file and line that does not load, of files that do not."""
        number = first(lambda count: self.refused(files[:count]), len(files))
        before, path = files[: number - 1], files[number - 1]
        with open(path, "rb") as lines:
            count = sum(1 for _ in lines)
        line = first(lambda some: self.refused([*before, self.head(path, some)]), count)
        why = self.refused([*before, self.head(path, line)])
        return {"error": why[:MESSAGE_CHARACTERS], "file": number - 1, "line": line}

    def head(self, path: str, count: int) -> str:
        """Return a copy of a file's first lines."""
        copy = os.path.join(self._scratch, "head.jsonl")
        with open(path, "rb") as whole, open(copy, "wb") as part:
            part.writelines(whole.readline() for _ in range(count))
        return copy


def first(fails: object, count: int) -> int:
    """Return the smallest of 1 to count that fails, where `count` does, and what fails goes on to."""
    loads, failing = 0, count
    while failing - loads > 1:
        middle = (loads + failing) // 2
        if fails(middle):
            failing = middle
        else:
            loads = middle
    return failing


def answer_to(wanted: dict) -> dict:
    """Return what came of it."""
    try:
        import datasets  # noqa: PLC0415  # it may not be there
    except ModuleNotFoundError as error:
        return {"absent": True} if error.name == "datasets" else {"broken": str(error)}
    except Exception as error:
        return {"broken": "%s: %s" % (type(error).__name__, error)}
    loading = Loading(datasets, wanted["scratch"])
    answer = {"version": datasets.__version__}
    try:
        answer["rows"] = loading.rows(wanted["files"])
    except Refused:
        answer.update(loading.culprit(wanted["files"]))
    return answer


def main() -> None:
    """Answer a request."""
    with open(sys.argv[1], encoding="utf-8") as request:
        answer = answer_to(json.load(request))
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        json.dump(answer, out)


if __name__ == "__main__":
    main()
