# ruff: noqa: INP001 - a script, not a package
"""Makes the pages that follow from code: configuration.md, pipeline.schema.json, matrix.md, defects.md and faults.md.

`python docs/generate.py` writes them; with `--check` it writes nothing, names the stale ones and ends with status 1.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import SecretStr

from pytest_pipeline.catalogue import CATALOGUE, EXTENDED, MATRIX
from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spans import DataFile, spans_of
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.validate import validate
from pytest_pipeline.matrix import Area, FailureMode, Phase
from pytest_pipeline.sandbox.faults import FAULTS
from pytest_pipeline.sandbox.variants import VARIANTS
from pytest_pipeline.settings import Settings
from pytest_pipeline.settings.messages import toml
from pytest_pipeline.settings.shape import NOT_YOURS, as_list, as_mapping, as_table, bare, keys
from pytest_pipeline.settings.sources import TOOL, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from pytest_pipeline.settings.tables import Table

HERE = Path(__file__).parent

_SHOWN_BYTES = 80
_NOTICE = "<!-- Made by docs/generate.py; change the code, then run it. -->"

_SOURCES = f"""\
# Configuration

{_NOTICE}

Settings are closed: a key that is not on this page is an error, and so is a value of another type. An editor that
knows JSON Schema can check them against [pipeline.schema.json](pipeline.schema.json).

## Where settings come from

Each source wins over those before it:

1. the defaults below; they are those of no pipeline in particular
2. one file: the table `[tool.{TOOL}]` of `pyproject.toml` in pytest's root folder, or `pipeline.toml` beside it, where
   the same tables stand at the top; both at once are an error. `--pipeline-config FILE` is read instead of either.
3. environment variables, named below; other names that begin with `PYTEST_PIPELINE_` are errors
4. `--instance-id`, `--instance-ip`, `--ssh-key`
5. `--pipeline-set KEY=VALUE`, repeatable: `--pipeline-set 'requirements.disk."/mnt/training".free_gb=100'`

With `--sandbox` the sandbox's own settings stand instead of the file that is found and of the environment;
`--pipeline-config` and the command line still count.

Tables are merged key by key; a list replaces a list. A value in a variable or in `--pipeline-set` is read as TOML, else
as JSON, else it is text; what is to be text stays text, so that `3.10` needs no quotes. A variable can set a whole
table or list (`PYTEST_PIPELINE_AWS__BUCKETS='[{{name = "x", read = [""]}}]'`), but nothing inside a list.

A relative path is relative to the folder of its file, elsewhere to the working directory; `~` is your home. Paths on
the host are left as they are. `_gb` is 10^9 bytes, `_s` are seconds.

Ids of rows are those of [matrix.md](matrix.md) or of rows of your own. An id that is one slip away from a shipped
row's is an error; any other unknown one is taken for a row of your own.
"""


def configuration() -> str:
    """Return the page about settings."""
    return "\n".join([_SOURCES, "## All tables", "", *_section(Settings, "", ())])


def _section(table: type[Table], title: str, path: tuple[str, ...] | None) -> Iterator[str]:
    """Yield the lines about a table and what lies in it. `path` is what variables are named for; None within lists."""
    inner: list[tuple[type[Table], str, tuple[str, ...] | None]] = []
    yield "| key | type | default | environment | meaning |"
    yield "|---|---|---|---|---|"
    for name, field in keys(table).items():
        place = f"{title}.{name}".removeprefix(".")
        if place == NOT_YOURS:
            continue
        here = None if path is None else (*path, name)
        cells = (f"`{name}`", _type(field.annotation), _default(field), f"`{variable(here)}`" if here else "")
        yield "| " + " | ".join((*cells, _cell(field.description or ""))) + " |"
        if one := as_table(field.annotation):
            inner.append((one, place, here))
        elif each := as_table(as_list(field.annotation)):
            inner.append((each, f"[{place}]", None))
        elif each := as_table(as_mapping(field.annotation)):
            inner.append((each, f'{place}."..."', None))
    yield ""
    for one, place, here in inner:
        yield from (f"### `[{place}]`", "", one.__doc__ or "", "")
        yield from _section(one, place.strip("[]"), here)


def _type(annotation: Any) -> str:
    if as_table(annotation):
        return "table"
    if entries := as_list(annotation):
        return f"list of {_plural(entries)}"
    if entries := as_mapping(annotation):
        return f"table of {_plural(entries)}"
    kind = bare(annotation)
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    return _KINDS[kind][0]


def _plural(annotation: Any) -> str:
    if as_table(annotation):
        return "tables, see below"
    return _type(annotation) if get_origin(bare(annotation)) is Literal else _KINDS[bare(annotation)][1]


_KINDS = {
    bool: ("true or false", "true or false"),
    date: ("date", "dates"),
    float: ("number", "numbers"),
    int: ("whole number", "whole numbers"),
    Path: ("path", "paths"),
    SecretStr: ("secret text", "secret texts"),
    str: ("text", "texts"),
}


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    # An empty one is said in the description, where it means anything.
    told = default != "" and isinstance(default, (bool, int, float, str))
    return f"`{toml(default)}`" if told else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema() -> str:
    """Return the JSON schema of the settings as a TOML file holds them."""
    made = Settings.model_json_schema()
    del made["properties"][NOT_YOURS]
    described = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_as_toml(made),
        "title": f"Settings of {TOOL}",
    }
    return json.dumps(described, indent=2, sort_keys=True) + "\n"


def _as_toml(schema: Any) -> Any:
    """Return a schema without what TOML cannot say (null), titles that repeat the keys, and pydantic's differences.

    Its versions write whole numbers as int or as float, and some give rules for the names of keys.
    """
    if isinstance(schema, float) and schema.is_integer():
        return int(schema)
    if isinstance(schema, list):
        return [_as_toml(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    choices = [part for part in kept.pop("anyOf", []) if part != {"type": "null"}]
    kept.pop("propertyNames", None)
    if kept.get("default", ...) in (None, []):
        del kept["default"]
    return {key: _as_toml(value) for part in (kept, *choices) for key, value in part.items()}


_MATRIX = f"""\
# The failure matrix

{_NOTICE}

A row is one failure mode. Critical: the deployment cannot work, and is blocked; major: it would run, and somebody would
regret it. In braces stands what a run fills in. An area's points are shared equally by its rows of the matrix; rows
shipped beside the matrix carry none, and decide the verdict all the same.
"""

_COLUMNS = "| row | category | failure mode | diagnostic | fix | severity |\n|---|---|---|---|---|---|"


def matrix() -> str:
    """Return the page about the shipped rows."""
    lines = [_MATRIX]
    for phase in Phase:
        lines += [f"## Phase {phase.value}: {phase.title}", ""]
        for area in (area for area in Area if area.phase is phase):
            rows = [row for row in MATRIX.values() if row.area is area]
            share = _mixed(Fraction(area.points, len(rows)))
            lines += [f"{area.value}: {area.points} points, {share} a row", "", _COLUMNS, *map(_row, rows), ""]
        extended = [row for row in EXTENDED.values() if row.phase is phase]
        if extended:
            lines += ["Beside the matrix:", "", _COLUMNS, *map(_row, extended), ""]
    return "\n".join(lines)


_FAULTS = f"""\
# Faults

{_NOTICE}

What the sandbox can break, and which row must catch it in which words:
`pytest --inject ID --pyargs matrix_tests -m phase1`. The proof,
`python -m pytest_pipeline.sandbox prove`, runs one whole pytest for each of them and for each healthy world: the row
says its words, no other row fails or warns beyond those named under "also seen by", and healthy worlds raise no alarm.
"""


def faults() -> str:
    """Return the page about what the sandbox can break."""
    lines = [_FAULTS]
    for row in CATALOGUE:
        own = [fault for fault in FAULTS.values() if fault.row == row]
        if own:
            lines += [f"## {row}", "", "| fault | kind | what is broken | becomes | says | also seen by |"]
            lines += ["|---|---|---|---|---|---|"]
            lines += [
                f"| `{fault.id}` | {fault.kind} | {_cell(fault.summary)} | {fault.expect.value} "
                f"| {_cell(fault.words)} | {', '.join(fault.also)} |"
                for fault in own
            ]
            lines += [""]
    lines += ["## Odd and healthy", "", "| world | what is odd |", "|---|---|"]
    lines += [f"| `{variant.id}` | {_cell(variant.summary)} |" for variant in VARIANTS.values()]
    unproven = [row for row in MATRIX if not any(fault.row == row for fault in FAULTS.values())]
    lines += ["", "## Unproven", "", f"No fault yet: {', '.join(unproven)}.", ""]
    return "\n".join(lines)


_DEFECTS = f"""\
# Defects of records

{_NOTICE}

What can be wrong with a line of JSON lines, and how it reads: each example below was judged, with `text` as the
required field. A line has one reason, the first that applies. Defects of form are the row data-format's, those of
content data-content's; notes are warnings, since a record with one is valid.

A record is judged by RFC 8259 and by what training reads: the required fields of `data.fields`. Keys that occur twice
are a defect where the key is required. Offsets count bytes of the unpacked stream.
"""

_GOOD = b'{"text": "fine"}\n'
_EXAMPLES: Mapping[Reason, bytes] = {
    Reason.TRUNCATED: b'{"text": "cut off in the midd',
    Reason.MALFORMED: b'{"text": "no comma" "source": "s"}',
    Reason.BAD_UTF8: b'{"text": "caf\xe9"}',
    Reason.BOM: b'\xef\xbb\xbf{"text": "behind a byte order mark"}',
    Reason.UTF16: '{"text": "as PowerShell writes it"}'.encode("utf-16"),
    Reason.CONCATENATED: b'{"text": "one"}{"text": "two"}',
    Reason.LITERAL_NEWLINE: b'{"text": "one"}\\n{"text": "two"}',
    Reason.TRAILING_GARBAGE: b'{"text": "one"} #',
    Reason.TRAILING_COMMA: b'{"text": "one",}',
    Reason.SINGLE_QUOTES: b"{'text': 'a Python dict'}",
    Reason.CONTROL_CHARACTER: b'{"text": "a raw tab\t"}',
    Reason.ARRAY: b'[{"text": "one"}, {"text": "two"}]',
    Reason.PRETTY_PRINTED: b'{\n  "text": "one"\n}',
    Reason.NAN: b'{"text": "one", "score": NaN}',
    Reason.DUPLICATE_KEY: b'{"text": "first", "text": "second"}',
    Reason.LONE_SURROGATE: b'{"text": "half of a pair \\ud83d"}',
    Reason.TOO_LONG: b'{"text": "' + b"x" * 9_000_000 + b'"}',
    Reason.TOO_DEEP: b'{"text": "t", "meta": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    Reason.NOT_OBJECT: b'["text"]',
    Reason.BROKEN_STREAM: gzip.compress(_GOOD * 100, mtime=0)[:-12],
    Reason.MISSING: b'{"Text": "one"}',
    Reason.NULL: b'{"text": null}',
    Reason.EMPTY: b'{"text": ""}',
    Reason.WHITESPACE: b'{"text": " \\n "}',
    Reason.WRONG_TYPE: b'{"text": ["a", "b"]}',
    Reason.CRLF: b'{"text": "one"}\r',  # and the line's end behind it
    Reason.BLANK: b"",
}
_WHOLE_FILES = frozenset({Reason.UTF16, Reason.ARRAY, Reason.PRETTY_PRINTED, Reason.BROKEN_STREAM})


def defects() -> str:
    """Return the page about what can be wrong with records."""
    lines = [_DEFECTS]
    kinds = {"Form": (False, False), "Content": (True, False), "Notes": (False, True)}
    for title, kind in kinds.items():
        lines += [f"## {title}", "", "| reason | for example | how it reads |", "|---|---|---|"]
        lines += [_defect(reason) for reason in Reason if (reason.is_content, reason.is_note) == kind]
        lines += [""]
    return "\n".join(lines)


def _defect(reason: Reason) -> str:
    example = _EXAMPLES[reason]
    content = example if reason in _WHOLE_FILES else _GOOD + example + b"\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.jsonl")
        path.write_bytes(content)
        size, opener = len(content), LocalFiles()
        file = examined(DataFile(uri=str(path), size_bytes=size), opener)
        (found,) = validate(spans_of([file])[0], RecordSpec(fields=(Field(name="text"),)), opener).defects
    if found.reason is not reason:
        raise AssertionError(f"the example of {reason} is {found.reason}")
    shown = example if len(example) < _SHOWN_BYTES else example[: _SHOWN_BYTES // 2] + b"..."
    text = shown.decode("utf-8", "backslashreplace").encode("unicode_escape").decode().replace("|", "\\|")
    said = f"line {found.line}, byte {found.offset:,}{f': {found.detail}' if found.detail else ''}"
    return f"| {reason.value} | `{text}` | {_cell(said)} |" if text else f"| {reason.value} | an empty line | {said} |"


def _mixed(number: Fraction) -> str:
    whole, rest = divmod(number, 1)
    return f"{whole} {rest}" if rest else str(whole)


def _row(row: FailureMode) -> str:
    cells = (row.category, row.failure, row.diagnostic, row.fix, row.severity.value)
    return f"| `{row.id}` | " + " | ".join(map(_cell, cells)) + " |"


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "defects.md": defects,
    "faults.md": faults,
    "matrix.md": matrix,
    "pipeline.schema.json": schema,
}


def main(arguments: Sequence[str], folder: Path = HERE) -> int:
    """Write the pages, or only say which are stale; return the exit status."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/generate.py [--check]\n")
        return 2
    texts = {folder / name: make() for name, make in PAGES.items()}
    stale = [path for path, text in texts.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if arguments:
        sys.stderr.writelines(f"{path} is stale; run python docs/generate.py\n" for path in stale)
        return 1 if stale else 0
    for path in stale:
        path.write_text(texts[path], encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
