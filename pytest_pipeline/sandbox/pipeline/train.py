"""Train a tiny Mistral, made from scratch, on what `prepare.py` uploaded. Runs on a CPU in seconds, without a network.

Checkpoints lie in the output folder. `--resume` goes on from the last whole one, and ends as an uninterrupted run does.
The run is told of in S3, below PREFIX/RUN_ID/: `progress.json` after each step, `_complete` or `_error` at the end. The
training loop itself is what writes the progress: when it hangs, so does its heartbeat.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import signal
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from datasets import load_dataset
from transformers import (
    ByT5Tokenizer,
    DataCollatorForLanguageModeling,
    MistralConfig,
    MistralForCausalLM,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

FILES = {"train": "train_dataset.jsonl", "validation": "validation_dataset.jsonl"}


def main() -> None:
    """Train, and say in S3 how it ended; a failure is `_error` and an exit status other than 0."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: terminated"))
    run = Run(args.monitoring, args.run_id)
    run.remove("_complete", "_error")  # those of an earlier attempt
    try:
        steps, loss = train(args, run)
    except BaseException as error:
        run.put("_error", {"reason": f"{type(error).__name__}: {error}"})
        raise
    run.put("_complete", {"step": steps, "validation_loss": loss})
    print(f"Finished at step {steps} with a validation loss of {loss:.6f}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="s3://bucket/prefix/ that prepare.py wrote to")
    parser.add_argument("--monitoring", required=True, help="s3://bucket/prefix/ to tell of the run in")
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--output-dir", type=Path, default=Path("output"))
    parser.add_argument("--max-steps", type=int, default=20)
    parser.add_argument("--save-steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-seq-length", type=int, default=64, help="in bytes: the tokenizer has one token a byte")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser.parse_args()


class Run:
    """What is told of a run in S3."""

    def __init__(self, prefix: str, run_id: str) -> None:
        self._bucket, self._prefix = split_uri(f"{prefix}{run_id}/")
        self._run_id = run_id
        self._s3 = boto3.client("s3")

    def put(self, name: str, content: dict[str, Any]) -> None:
        """Write an object, with the run and the time (UTC) in it."""
        now = dt.datetime.now(dt.timezone.utc).isoformat()  # noqa: UP017  # hosts may have Python 3.10
        body = json.dumps({"run_id": self._run_id, "timestamp": now, **content})
        self._s3.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=body.encode())

    def remove(self, *names: str) -> None:
        """Remove objects, which need not be there."""
        for name in names:
            self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + name)


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers leaves it untyped
    """Tells of each step when it is done."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Tell where training starts, or goes on."""
        self.on_step_end(args, state, control)

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Tell how far it is, with the last loss that was logged."""
        loss = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), None)
        self._run.put("progress.json", {"step": state.global_step, "total_steps": state.max_steps, "loss": loss})


def train(args: argparse.Namespace, run: Run) -> tuple[int, float]:
    """Train to the last step; return it, and the loss on the validation set."""
    checkpoint, done = last_checkpoint(args.output_dir)
    if checkpoint and not args.resume:
        sys.exit(f"error: {args.output_dir} has checkpoints of an earlier run; give --resume, or another folder")
    set_seed(0)
    tokenizer = ByT5Tokenizer(extra_ids=0)  # bytes are its whole vocabulary: no file, no download
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=args.max_seq_length,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    finished = checkpoint and done >= args.max_steps  # it was interrupted after its last step
    model = MistralForCausalLM.from_pretrained(checkpoint) if finished else MistralForCausalLM(config)
    data = load_dataset("json", data_files=download(args), cache_dir=str(args.output_dir / "cache")).map(
        lambda rows: tokenizer(rows["text"], truncation=True, max_length=args.max_seq_length),
        batched=True,
        remove_columns=["text"],
    )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(args.output_dir),
            max_steps=args.max_steps,
            save_steps=args.save_steps,
            save_total_limit=2,
            logging_steps=1,
            per_device_train_batch_size=args.batch_size,
            learning_rate=args.learning_rate,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=data["train"],
        eval_dataset=data["validation"],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        callbacks=[Progress(run)],
    )
    if not finished:
        done = trainer.train(resume_from_checkpoint=checkpoint).global_step
    trainer.save_model(str(args.output_dir / "final"))
    return done, trainer.evaluate()["eval_loss"]


def download(args: argparse.Namespace) -> dict[str, str]:
    """Fetch the two datasets; return where each lies."""
    bucket, prefix = split_uri(args.dataset)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    for name in FILES.values():
        try:
            boto3.client("s3").download_file(bucket, prefix + name, str(args.output_dir / name))
        except ClientError as error:
            raise RuntimeError(f"cannot fetch s3://{bucket}/{prefix}{name}: {error}") from error
    return {split: str(args.output_dir / name) for split, name in FILES.items()}


def last_checkpoint(output_dir: Path) -> tuple[str | None, int]:
    """Return the last whole checkpoint and its step: `trainer_state.json` is what the Trainer writes last into one."""
    whole = {}
    for folder in output_dir.glob("checkpoint-*"):
        try:
            whole[json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]] = str(folder)
        except (OSError, ValueError, KeyError):
            print(f"warning: {folder} is not whole; passed over", file=sys.stderr)
    step = max(whole, default=0)
    return whole.get(step), step


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of s3://bucket/prefix/."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or (prefix and not prefix.endswith("/")):
        sys.exit(f"error: {uri} is not s3://bucket/prefix/ (the slash at its end included)")
    return bucket, prefix


if __name__ == "__main__":
    main()
