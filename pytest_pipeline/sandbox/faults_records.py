"""Faults of the records that training reads: the rows of form, content, volume and meaning must catch them."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.data_content import TRAIN_KEY, VALIDATION_KEY, records
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.plan import CACHE_BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

    Inject = Callable[[TenantPlan], Tally]
    Change = Callable[[dict[str, object], int], object]

FORM, CONTENT, VOLUME = "data-format", "data-content", "data-volume"
SCHEMA, REPEATS, LEAK, PLACEHOLDER = (
    "schema-consistency",
    "duplicate-records",
    "train-validation-leak",
    "placeholder-text",
)
LENGTH, ENCODING, SECRETS, STALE = "sequence-length", "encoding-damage", "secrets-in-data", "stale-dataset"
_AT = 437  # the line that is broken, where it is one
_ANYWHERE = f"arn:aws:s3:::{CACHE_BUCKET}"
_TRAIN_URI = f"s3://{CACHE_BUCKET}/{TRAIN_KEY}"


def _read(plan: TenantPlan, key: str = TRAIN_KEY) -> Tally:
    return plan.rule("s3:GetObject", resources=(f"{_ANYWHERE}/{key}",))


def _lines(plan: TenantPlan, key: str = TRAIN_KEY) -> list[bytes]:
    return plan.buckets[CACHE_BUCKET].objects[key].splitlines(keepends=True)


def _put(plan: TenantPlan, content: bytes, key: str = TRAIN_KEY) -> Tally:
    plan.buckets[CACHE_BUCKET].objects[key] = content
    return _read(plan, key)


def _line(plan: TenantPlan, line: bytes, at: int = _AT) -> Tally:
    lines = _lines(plan)
    lines[at - 1] = line + b"\n"
    return _put(plan, b"".join(lines))


def _whole(plan: TenantPlan, change: Callable[[bytes], bytes]) -> Tally:
    return _put(plan, change(plan.buckets[CACHE_BUCKET].objects[TRAIN_KEY]))


def _cut(plan: TenantPlan) -> Tally:
    return _whole(plan, lambda content: content[:-40])


def _array(content: bytes) -> bytes:
    return json.dumps([json.loads(line) for line in content.splitlines()]).encode()


def _pretty(content: bytes) -> bytes:
    return b"\n".join(json.dumps(json.loads(line), indent=1).encode() for line in content.splitlines())


def _absent(plan: TenantPlan) -> Tally:
    del plan.buckets[CACHE_BUCKET].objects[TRAIN_KEY]
    return plan.rule("s3:ListBucket", resources=(_ANYWHERE,))


def _emptied(plan: TenantPlan) -> Tally:
    plan.buckets[CACHE_BUCKET].objects[TRAIN_KEY] = b""
    return plan.rule("s3:ListBucket", resources=(_ANYWHERE,))


def _changed(plan: TenantPlan, change: Change, key: str = TRAIN_KEY) -> Tally:
    """Change records, each with its number from 1."""
    changed = []
    for number, line in enumerate(_lines(plan, key), 1):
        record = json.loads(line)
        change(record, number)
        changed.append(json.dumps(record, ensure_ascii=False).encode() + b"\n")
    return _put(plan, b"".join(changed), key)


def _some(name: str, value: object, *, every: int = 50) -> Inject:
    """Return what sets a field of 12 records to a value, or takes it away (None being JSON's null)."""

    def change(record: dict[str, object], number: int) -> None:
        if number % every == 0:
            record[name] = value

    return partial(_changed, change=change)


def _without(plan: TenantPlan) -> Tally:
    return _changed(plan, lambda record, number: record.pop("text") if number % 50 == 0 else None)


def _last_without(plan: TenantPlan) -> Tally:
    last = len(_lines(plan, VALIDATION_KEY))
    return _changed(plan, lambda record, number: record.pop("text") if number == last else None, VALIDATION_KEY)


def _renamed(record: dict[str, object], number: int) -> None:
    if number > _AT:
        record["Text"] = record.pop("text")


def _nested(record: dict[str, object], number: int) -> None:
    if number == _AT:
        record["data"] = {"text": record.pop("text")}


def _few(plan: TenantPlan) -> Tally:
    return _put(plan, records(120, "few"))


def _same(plan: TenantPlan) -> Tally:
    return _put(plan, records(60, "same") * 10)


def _leaked(plan: TenantPlan, count: int) -> Tally:
    return _put(plan, b"".join([*_lines(plan, VALIDATION_KEY)[: count - 1], *_lines(plan)[:1]]), VALIDATION_KEY)


def _second_file(plan: TenantPlan, content: bytes) -> Tally:
    key = "datasets/mistral-verbosity/train_more.jsonl"
    plan.settings["data"]["train"] = [_TRAIN_URI, f"s3://{CACHE_BUCKET}/{key}"]
    return _put(plan, content, key)


def _with_column(name: str, value: object) -> bytes:
    lines = records(50, "more").splitlines()
    return b"".join(json.dumps({**json.loads(line), name: value}).encode() + b"\n" for line in lines)


def _template(record: dict[str, object], number: int, *, every: int) -> None:
    if number % every:
        record["text"] = f"Processed content from report_{number}.pdf"


def _boilerplate(record: dict[str, object], number: int) -> None:
    record["text"] = f"This document could not be read: error {number} in file {number % 7} of the archive."


def _lengthened(plan: TenantPlan, every: int) -> Tally:
    def change(record: dict[str, object], number: int) -> None:
        if number % every == 0:
            record["text"] = " ".join([str(record["text"])] * 24)

    return _changed(plan, change)


def _short_sequence(plan: TenantPlan) -> Tally:
    plan.settings["data"]["sequence_length"] = 16
    return _read(plan)


def _mojibake(record: dict[str, object], number: int, *, every: int) -> None:
    if number % every == 0:
        said = f"Les élèves près de la forêt {number} ont déjà été reçus à l\u2019école: {record['text']}"
        record["text"] = said.encode().decode("cp1252")


def _replacement(record: dict[str, object], number: int) -> None:
    if number % 10 == 0:
        record["text"] = f"Les \ufffdl\ufffdves pr\ufffds de la for\ufffdt {number}: {record['text']}"


def _saying(text: str) -> Inject:
    def change(record: dict[str, object], number: int) -> None:
        if number == _AT:
            record["text"] = f"{record['text']} {text}"

    return partial(_changed, change=change)


def _stale(plan: TenantPlan, hours: float, key: str = TRAIN_KEY) -> Tally:
    plan.buckets[CACHE_BUCKET].ages_hours |= {key: hours}
    return _read(plan, key)


def _fault(
    row: str, name: str, inject: Callable[[TenantPlan], Tally | None], words: str, summary: str, **more: object
) -> Fault:
    return Fault(id=name, row=row, words=words, summary=summary, inject=inject, **{"kind": "subtle", **more})  # type: ignore[arg-type]


def _form(name: str, line: bytes, words: str, summary: str) -> Fault:
    return _fault(FORM, name, partial(_line, line=line), words, summary)


_BROKEN = f"{TRAIN_KEY}: line {_AT}: "

FORM_FAULTS = (
    _fault(FORM, "fmt-absent", _absent, "there is no such file", "no training data", kind="gross"),
    _fault(FORM, "fmt-emptied", _emptied, "is empty", "training data of 0 bytes", kind="gross"),
    _fault(FORM, "fmt-cut", _cut, "truncated", "a file whose end is missing", kind="gross"),
    _form("fmt-truncated", b'{"text": "cut off in the midd', f"{_BROKEN}truncated", "a line that is cut off"),
    _form("fmt-malformed", b'{"text": "no comma" "source": "s"}', f"{_BROKEN}malformed", "a line that is no JSON"),
    _form("fmt-latin1", b'{"text": "caf\xe9", "source": "s", "number": 1}', "bad utf8", "a line in Latin-1"),
    _form(
        "fmt-latin1-elsewhere",
        b'{"text": "fine", "source": "caf\xe9", "number": 1}',
        "bad utf8",
        "Latin-1 in a field that nobody asked for",
    ),
    _form(
        "fmt-bom", b'\xef\xbb\xbf{"text": "a", "source": "s", "number": 1}', "bom", "a byte order mark between files"
    ),
    _form(
        "fmt-concatenated",
        b'{"text": "one", "source": "s", "number": 1}{"text": "two", "source": "s", "number": 2}',
        "concatenated",
        "two records on a line",
    ),
    _form(
        "fmt-literal-newline",
        b'{"text": "one", "source": "s"}\\n{"text": "two", "source": "s"}',
        "literal newline",
        "a newline between records that is spelt out",
    ),
    _form("fmt-garbage", b'{"text": "one", "source": "s", "number": 1} #', "trailing garbage", "more behind a record"),
    _form("fmt-comma", b'{"text": "one", "source": "s",}', "trailing comma", "a comma too many"),
    _form("fmt-python", b"{'text': 'one', 'source': 's'}", "single quotes", "a Python dict instead of JSON"),
    _form("fmt-control", b'{"text": "tab\there", "source": "s"}', "control character", "a raw tab in a string"),
    _form("fmt-nan", b'{"text": "t", "source": "s", "number": NaN}', "nan", "NaN, which JSON does not have"),
    _form("fmt-twice", b'{"text": "first", "text": "second"}', "duplicate key", "a required key twice"),
    _form("fmt-surrogate", b'{"text": "half \\ud83d of a pair"}', "lone surrogate", "half a surrogate pair"),
    _form("fmt-list", b'["text", "source"]', "not object", "a line that is a list"),
    _form("fmt-deep", b'{"text": "t", "source": ' + b"[" * 3000 + b"]" * 3000 + b"}", "too deep", "3,000 levels"),
    _fault(
        FORM,
        "fmt-array",
        partial(_whole, change=_array),
        "array",
        "a file that is one JSON array",
        kind="gross",
    ),
    _fault(FORM, "fmt-pretty", partial(_whole, change=_pretty), "pretty printed", "records over several lines"),
    _fault(
        FORM,
        "fmt-utf16",
        partial(_whole, change=lambda content: content.decode().encode("utf-16")),
        "utf 16",
        "a file in UTF-16, as PowerShell writes it",
    ),
    _fault(
        FORM,
        "fmt-html",
        partial(_whole, change=lambda _: b"<html><body>AccessDenied</body></html>\n"),
        "malformed",
        "an error page that was saved as the dataset",
    ),
    _fault(
        FORM,
        "fmt-gzip-cut",
        partial(_whole, change=lambda content: gzip.compress(content)[:-500]),
        "broken stream",
        "a packed file that cannot be unpacked to its end",
    ),
    _fault(
        FORM,
        "fmt-crlf",
        partial(_whole, change=lambda content: content.replace(b"\n", b"\r\n")),
        "end in CR LF",
        "lines that end as on Windows",
        expect=Status.WARNED,
    ),
    _fault(
        FORM,
        "fmt-blank",
        partial(_whole, change=lambda content: content + b"\n\n"),
        "are blank",
        "blank lines at the end",
        expect=Status.WARNED,
    ),
)

CONTENT_FAULTS = (
    _fault(
        CONTENT, "cnt-missing", _without, "Records missing 'text' field: 12", "12 records without text", kind="gross"
    ),
    _fault(CONTENT, "cnt-null", _some("text", None), "'text' field: 12", "text that is null"),
    _fault(CONTENT, "cnt-empty", _some("text", ""), "'text' field: 12", "text that is empty"),
    _fault(CONTENT, "cnt-whitespace", _some("text", " \n\t "), "'text' field: 12", "text that is blank"),
    _fault(CONTENT, "cnt-list", _some("text", ["a", "b"]), "'text' field: 12", "text that is a list", also=(SCHEMA,)),
    _fault(CONTENT, "cnt-number", _some("text", 42), "'text' field: 12", "text that is a number", also=(SCHEMA,)),
    _fault(
        CONTENT,
        "cnt-renamed",
        partial(_changed, change=_renamed),
        "'text' field: 163",
        "a key that was renamed",
        also=(SCHEMA,),
    ),
    _fault(
        CONTENT,
        "cnt-nested",
        partial(_changed, change=_nested),
        "'text' field: 1",
        "text one level too deep",
        also=(SCHEMA,),
    ),
    _fault(
        CONTENT,
        "cnt-last-validation",
        _last_without,
        f"{VALIDATION_KEY} line 60",
        "the very last record of the validation data has no text",
    ),
)

VOLUME_FAULTS = (
    _fault(VOLUME, "vol-few", _few, "Only 120 valid records, need 500", "too few records", kind="gross"),
    _fault(
        VOLUME,
        "vol-same",
        _same,
        "Only 60 valid records, need 500",
        "records enough, and few of them distinct",
        also=(REPEATS,),
    ),
    _fault(
        VOLUME,
        "vol-numbered",
        partial(_changed, change=lambda record, number: record.update(text=f"Rule {number % 450} of the house")),
        "Only 450 valid records, need 500",
        "records that differ only in what is not trained on",
        also=(REPEATS, PLACEHOLDER),
    ),
)

MEANING_FAULTS = (
    _fault(
        SCHEMA,
        "sch-extra",
        partial(_second_file, content=_with_column("extra", 1)),
        "column extra",
        "a column in a later file alone, which datasets refuses",
        kind="gross",
    ),
    _fault(
        SCHEMA,
        "sch-type",
        partial(_second_file, content=_with_column("number", {"value": 1})),
        "column number",
        "a number that is an object in a later file",
    ),
    _fault(
        SCHEMA,
        "sch-validation",
        partial(_changed, change=lambda record, _: record.update(score=1), key=VALIDATION_KEY),
        "column score",
        "a column of the validation data that the training data lacks",
        expect=Status.WARNED,
    ),
    _fault(
        REPEATS,
        "dup-some",
        lambda plan: _put(plan, b"".join([*_lines(plan), *_lines(plan)[:100]])),
        "100 of 700",
        "100 records twice",
        kind="gross",
    ),
    _fault(
        REPEATS,
        "dup-across",
        lambda plan: _second_file(plan, b"".join(_lines(plan)[:90])),
        "90 of 690",
        "records that a second file has too",
    ),
    _fault(
        REPEATS,
        "dup-few",
        lambda plan: _put(plan, b"".join([*_lines(plan), *_lines(plan)[:5]])),
        "5 of 605",
        "few records twice",
        expect=Status.WARNED,
    ),
    _fault(
        LEAK,
        "leak-all",
        lambda plan: _put(plan, b"".join(_lines(plan)[:60]), VALIDATION_KEY),
        "60 of 60",
        "validation data that is part of the training data",
        kind="gross",
    ),
    _fault(LEAK, "leak-one", partial(_leaked, count=60), "1 of 60", "one record in both"),
    _fault(
        LEAK,
        "leak-other-columns",
        lambda plan: _put(
            plan, json.dumps({"text": json.loads(_lines(plan)[7])["text"]}).encode() + b"\n", VALIDATION_KEY
        ),
        "1 of 1",
        "a record in both whose other columns differ",
        also=(SCHEMA,),
    ),
    _fault(
        PLACEHOLDER,
        "ph-most",
        partial(_changed, change=partial(_template, every=10)),
        "Processed content from",
        "nine of ten records say that content was processed",
        kind="gross",
    ),
    _fault(
        PLACEHOLDER,
        "ph-half",
        partial(_changed, change=partial(_template, every=3)),
        "Processed content from",
        "two of three records say so",
    ),
    _fault(
        PLACEHOLDER,
        "ph-errors",
        partial(_changed, change=_boilerplate),
        "could not be read",
        "error messages instead of text",
    ),
    _fault(
        LENGTH,
        "len-all",
        partial(_lengthened, every=1),
        "longer than 512 tokens",
        "records far longer than the sequence",
        kind="gross",
        expect=Status.WARNED,
    ),
    _fault(
        LENGTH,
        "len-quarter",
        partial(_lengthened, every=4),
        "longer than 512 tokens",
        "a quarter of the records far longer",
        expect=Status.WARNED,
    ),
    _fault(
        LENGTH,
        "len-setting",
        _short_sequence,
        "longer than 16 tokens",
        "a sequence length that no record fits into",
        expect=Status.WARNED,
    ),
    _fault(
        ENCODING,
        "enc-mojibake",
        partial(_changed, change=partial(_mojibake, every=2)),
        "Ã",
        "UTF-8 that was read as Latin-1",
        kind="gross",
    ),
    _fault(
        ENCODING,
        "enc-some",
        partial(_changed, change=partial(_mojibake, every=60)),
        "Ã",
        "some of it",
        expect=Status.WARNED,
    ),
    _fault(ENCODING, "enc-replaced", partial(_changed, change=_replacement), "U+FFFD", "characters that were lost"),
    _fault(
        SECRETS,
        "sec-aws",
        _saying(
            "aws_access_key_id = AKIAQ3EGRNDB5X7YTRWL aws_secret_access_key = kx8Zq2Vb7Lw9Rt4Yp1Nc6Md3Hf5Jg0Ks8Ua2Xe7Q"
        ),
        "AWS secret access key",
        "an access key of AWS, with its secret",
        kind="gross",
    ),
    _fault(
        SECRETS,
        "sec-pem",
        _saying(
            "-----BEGIN RSA PRIVATE KEY-----\n"
            + "MIIEowIBAAKCAQEAvq1vJ0kq8mT2xW5nR7cY9uBzL3dKf6hG1sQpE4iO0aVtUjXy\n" * 6
            + "-----END RSA PRIVATE KEY-----"
        ),
        "private key",
        "a private key",
    ),
    _fault(
        SECRETS, "sec-token", _saying("use ghp_" + "a8Kd03lQzX7mB2vN5cR9tY1uWe4iOp6sJfGh"), "ghp_", "a token of GitHub"
    ),
    _fault(
        STALE,
        "old-day",
        partial(_stale, hours=24),
        "is older than its sources",
        "made a day before its sources",
        kind="gross",
        expect=Status.WARNED,
    ),
    _fault(
        STALE,
        "old-hour",
        partial(_stale, hours=1),
        "is older than its sources",
        "made an hour before",
        expect=Status.WARNED,
    ),
    _fault(
        STALE,
        "old-validation",
        partial(_stale, hours=30, key=VALIDATION_KEY),
        "validation_dataset.jsonl",
        "validation data of the day before, beside new training data",
        expect=Status.WARNED,
    ),
)

RECORDS_FAULTS = (*FORM_FAULTS, *CONTENT_FAULTS, *VOLUME_FAULTS, *MEANING_FAULTS)


def _gzipped(plan: TenantPlan) -> Tally:
    return _whole(plan, gzip.compress)


def _french(plan: TenantPlan) -> Tally:
    return _saying("L\u2019élève naïf a reçu œuvres, PÃO DE AÇÚCAR, and 東京 too 🙂")(plan)


def _unended(plan: TenantPlan) -> Tally:
    return _whole(plan, lambda content: content.removesuffix(b"\n"))


def _folder(plan: TenantPlan) -> Tally:
    """Let training read a folder of two files, with a text beside them."""
    lines, folder = _lines(plan), "datasets/split/"
    plan.buckets[CACHE_BUCKET].objects |= {
        f"{folder}README.md": b"two files\n",
        f"{folder}dataset_info.json": b'{\n "splits": 1\n}\n',
        folder: b"",
    }
    plan.settings["data"]["train"] = [f"s3://{CACHE_BUCKET}/{folder}"]
    _put(plan, b"".join(lines[:300]), f"{folder}part-0.jsonl")
    return _put(plan, b"".join(lines[300:]), f"{folder}part-1.jsonl")


def _here(plan: TenantPlan) -> None:
    """Let the data lie on this machine."""
    path = plan.path("train.jsonl")
    path.write_bytes(plan.buckets[CACHE_BUCKET].objects[TRAIN_KEY])
    plan.settings["data"]["train"] = [str(path)]


def _tolerated(plan: TenantPlan) -> None:
    plan.settings["data"]["sources"].append({"name": "later", "uri": "s3://policy-database/later/", "optional": True})


RECORDS_VARIANTS = (
    Variant(id="data-gzip", summary="Training data is packed with gzip, whatever its name says", inject=_gzipped),
    Variant(id="data-unicode", summary="Text in other languages, which looks like damage and is none", inject=_french),
    Variant(id="data-unended", summary="The last line has no newline", inject=_unended),
    Variant(
        id="data-folder",
        summary="Training reads a folder of two files, with a README and a description beside them",
        inject=_folder,
    ),
    Variant(id="data-here", summary="The training data lies on this machine", inject=_here),
    Variant(id="data-optional", summary="A source that may be empty is empty", inject=_tolerated),
)
