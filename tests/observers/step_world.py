"""A pipeline of one step, with a bucket of its own to put things into."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from moto.s3.models import s3_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld
from pytest_pipeline.observers.quick_run import QuickRun, look_at_quick_run
from pytest_pipeline.outcome import Reading
from pytest_pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from observers.aws_world import MakeAws, Tenant

ANSWER: TypeAdapter[Any] = TypeAdapter(Reading[QuickRun])
# Puts what it is told to, as `KEY=TEXT`, and says the rest.
PUT = """
import os, sys, boto3
s3 = boto3.client("s3")
for word in sys.argv[2:]:
    key, is_put, text = word.partition("=")
    if is_put:
        s3.put_object(Bucket=sys.argv[1], Key=key, Body=text.replace("|", "\\n").encode())
    else:
        print(word)
"""
LINES = '{"text": "a"}|{"text": "b"}|'
SPOKEN = "Processed 1,200 records in 2.5 s"


class Pipeline:
    """A pipeline of one step, its bucket, and the run's folder."""

    def __init__(self, world: AwsWorld, make_aws: MakeAws, folder: Path) -> None:
        self.user: Tenant = world.user(EVERYTHING)
        self.bucket = world.name("bucket")
        world.client("s3").create_bucket(Bucket=self.bucket)
        self._aws = make_aws(self.user)
        self.workdir, self.run_folder = folder / "code", folder / "gate-7"
        self.workdir.mkdir()
        self.run_folder.mkdir()
        (self.workdir / "put.py").write_text(PUT)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, body: bytes) -> str:
        s3: Any = s3_backends[ACCOUNT]["aws"]
        s3.put_object(self.bucket, key, body)
        return self.uri(key)

    def settings(self, command: Any, *quick: str, **more: Any) -> Settings:
        step = {"name": "prepare", "command": command, "quick": quick, "settle_s": 0.1, "grace_s": 0.3}
        step |= {"outputs": [{"uri": self.uri("made/train.jsonl"), "min_records": 2}], **more.pop("step", {})}
        given: dict[str, Any] = {
            "aws": self._aws,
            "world": "sandbox",
            "pipeline": {"workdir": str(self.workdir), "steps": [step]},
            "data": {"produced_by": "prepare", **more.pop("data", {})},
        }
        return Settings.model_validate(given | more)

    def look(self, settings: Settings) -> Reading[QuickRun]:
        step = settings.producer
        assert step is not None
        seen = look_at_quick_run(settings, step, self.run_folder)
        assert ANSWER.validate_json(ANSWER.dump_json(seen)) == seen
        return seen

    def puts(self, *words: str, **more: Any) -> QuickRun:
        """Run a step that puts and says these words."""
        seen = self.look(self.settings([sys.executable, "put.py", "{bucket}"], *words, **more))
        assert seen.is_known, seen.reason
        return seen.value
