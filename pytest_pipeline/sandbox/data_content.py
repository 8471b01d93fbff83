"""The data of a tenant's pipeline: folders of policy, and the dataset that an earlier run made of them."""

from __future__ import annotations

import json
import random

FOLDERS = (
    "econ-theory",
    "operatives",
    "fiscal-policy",
    "trade",
    "labour",
    "energy",
    "health",
    "education",
)
"""The eight folders of the matrix's sample."""

TRAIN_KEY = "datasets/mistral-verbosity/train_dataset.jsonl"
VALIDATION_KEY = "datasets/mistral-verbosity/validation_dataset.jsonl"
SOURCE_PREFIX = "models/mistralai/Mistral-7B-v0.3/"
"""Where the bucket of caches holds the base model, to be downloaded to the host."""

TRAIN_RECORDS = 600
VALIDATION_RECORDS = 60

_WEIGHTS = bytes(9 * 2**20)
_WORDS = """
account agree amend annual appeal asset audit bank bill bond border budget build capital carry cause charge city claim
coal common comply contract cost council court credit crop customs debt decide deficit demand deposit district draft
duty earn elect employ energy enforce estimate excise expense export farm fee finance firm fiscal forecast freight fuel
fund general govern grant gross ground growth health hearing hospital house import income index industry inflation
insure interest invest issue judge labour land law lease lesson levy licence loan local loss market measure member
merge mine mortgage national need notice offer office order output owner parish pay pension people permit plant policy
port power price profit province public pupil quarter quota raise rate reason record reform refund region relief rent
repay reserve return revenue river road rural safety salary scale school sector senate settle share ship solar source
staff statute stock strike student subsidy supply surplus survey tariff tax teacher trade transfer treaty trend trial
union urban value verify village volume vote wage waste water welfare wheat wind worker yield zone
"""


def records(count: int, seed: str) -> bytes:
    """Return so many records as JSON lines; the same for the same seed, and no two alike."""
    choose = random.Random(seed)  # noqa: S311  # text, no secret
    lines = [
        json.dumps({"text": _paragraph(choose), "source": seed, "number": number}, ensure_ascii=False)
        for number in range(count)
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def policy_objects() -> dict[str, bytes]:
    """Return what lies in the bucket of policies: records in each folder, and reports as PDF in one."""
    objects = {f"{folder}/chunk_{n}.jsonl": records(12, f"{folder}-{n}") for folder in FOLDERS for n in range(3)}
    return objects | {f"operatives/report_{n}.pdf": pdf(f"Report {n}") for n in range(3)}


def dataset_objects() -> dict[str, bytes]:
    """Return the dataset that an earlier run made of them."""
    return {TRAIN_KEY: records(TRAIN_RECORDS, "train"), VALIDATION_KEY: records(VALIDATION_RECORDS, "validation")}


def source_objects() -> dict[str, bytes]:
    """Return what lies where the model is downloaded from: enough to measure a speed with, and the same for all."""
    return {f"{SOURCE_PREFIX}consolidated.safetensors": _WEIGHTS}


def pdf(title: str) -> bytes:
    """Return a whole PDF of one empty page (ISO 32000-1, 7.5)."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
        b"<< /Title (%s) >>" % title.encode("ascii"),
    ]
    text, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(text))
        text += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(text))
    return text + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (size, table, trailer)


def _paragraph(choose: random.Random) -> str:
    words = _WORDS.split()
    sentences = [" ".join(choose.choices(words, k=choose.randint(6, 18))) for _ in range(choose.randint(2, 4))]
    return " ".join(f"{sentence.capitalize()}." for sentence in sentences)
