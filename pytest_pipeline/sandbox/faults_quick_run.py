"""Faults of the step that makes the data: the row processing-speed must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.data_content import TRAIN_KEY, VALIDATION_KEY
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.pipeline_step import MADE_TRAIN, MADE_VALIDATION, PIPELINE
from pytest_pipeline.sandbox.plan import CACHE_BUCKET, POLICY_BUCKET, FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

SPEED_ROW = "processing-speed"
_SCRIPT = "pipeline/prepare.py"
_CACHE = f"arn:aws:s3:::{CACHE_BUCKET}"
_UPLOAD = "        s3.upload_file(str(args.work_dir / name), bucket, prefix + name)\n"
_SPOKEN = "    print(f\"Processed {counts['read']} records in {seconds:.3f} s\")\n"
_OLD_HOURS = 30.0
_DAEMON = (
    "    import subprocess\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
)


def _step(plan: TenantPlan) -> dict[str, Any]:
    step: dict[str, Any] = plan.settings["pipeline"]["steps"][0]
    return step


def _edited(plan: TenantPlan, old: str, new: str, **settings: object) -> None:
    """Let the tenant have a program of its own, which differs from the reference pipeline's in one place."""
    text = (PIPELINE / "prepare.py").read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ValueError(f"prepare.py has {old!r} {text.count(old)} times")
    plan.files[_SCRIPT] = FileSpec(text=text.replace(old, new))
    plan.settings["pipeline"]["workdir"] = str(plan.path(_SCRIPT).parent)
    _step(plan).update(settings)


def _old_outputs(plan: TenantPlan) -> None:
    """Let it upload nothing, where an earlier run has left all that it should make."""
    cache = plan.buckets[CACHE_BUCKET]
    for made, source in ((MADE_TRAIN, TRAIN_KEY), (MADE_VALIDATION, VALIDATION_KEY)):
        cache.objects[made] = cache.objects[source]
        cache.ages_hours[made] = _OLD_HOURS
    _edited(plan, _UPLOAD, "")


def _few(plan: TenantPlan) -> None:
    _step(plan)["quick"] = ["--limit", "2"]


def _asks(plan: TenantPlan) -> None:
    """Let it ask a question, as a program that somebody always ran by hand; at the end of input it asks again."""
    question = (
        "    while not (answer := sys.stdin.readline()):\n"
        '        print("Overwrite the dataset? [y/N]")\n'
        "        time.sleep(0.2)\n"
    )
    _edited(plan, _SPOKEN, question + _SPOKEN, timeout_s=3.0, grace_s=0.5)


def _denied(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:PutObject", f"{_CACHE}/{MADE_TRAIN}", of=plan.operator)


def _source_gone(plan: TenantPlan) -> None:
    _step(plan)["command"] += ["--source", f"s3://{POLICY_BUCKET}/taxes/"]


def _own_path(plan: TenantPlan) -> None:
    """Let it need a file of the one machine that it was written on."""
    _edited(plan, "    args = arguments()\n", '    args = arguments()\n    open("/home/somebody/stopwords.txt")\n')


def _broken_lines(plan: TenantPlan) -> None:
    _edited(plan, 'json.dumps({"text": text}).encode()', 'repr({"text": text}).encode()')


def _first_run(plan: TenantPlan) -> Tally:
    """Let there be no dataset before the quick run makes it."""
    objects = plan.buckets[CACHE_BUCKET].objects
    del objects[TRAIN_KEY], objects[VALIDATION_KEY]
    plan.settings["data"] |= {
        "train": [f"s3://{CACHE_BUCKET}/{MADE_TRAIN}"],
        "validation": [f"s3://{CACHE_BUCKET}/{MADE_VALIDATION}"],
        "min_records": 200,
    }
    return plan.rule("s3:PutObject", resources=(f"{_CACHE}/{MADE_TRAIN}",))


def _first_run_fails(plan: TenantPlan) -> None:
    _first_run(plan)
    _edited(plan, _SPOKEN, '    sys.exit("error: out of luck")\n')


def _first_run_of_little(plan: TenantPlan) -> Tally:
    tally = _first_run(plan)
    plan.settings["data"]["min_records"] = 5000
    return tally


def _fault(
    name: str,
    inject: Callable[[TenantPlan], Tally | None],
    words: str,
    summary: str,
    *,
    gross: bool = False,
    expect: Status = Status.FAILED,
) -> Fault:
    return Fault(
        id=name,
        row=SPEED_ROW,
        kind="gross" if gross else "subtle",
        words=words,
        summary=summary,
        inject=inject,
        expect=expect,
    )


QUICK_RUN_FAULTS = (
    _fault(
        "run-exits",
        partial(_edited, old=_SPOKEN, new='    sys.exit("error: out of luck")\n'),
        "Quick run of prepare failed: exit status 1: error: out of luck",
        "the step fails",
        gross=True,
    ),
    _fault(
        "run-nothing",
        partial(_edited, old=_UPLOAD, new=""),
        "quick/train_dataset.jsonl was not written",
        "the step ends well, and uploads nothing",
    ),
    _fault(
        "run-old",
        _old_outputs,
        "quick/train_dataset.jsonl was not written",
        "the step uploads nothing, and what an earlier run made is still there",
    ),
    _fault(
        "run-one-of-two",
        partial(_edited, old=_UPLOAD, new='        if name.startswith("train"):\n    ' + _UPLOAD),
        "quick/validation_dataset.jsonl was not written",
        "the step uploads one file of two",
    ),
    _fault("run-few", _few, "valid records, need 20", "the step makes too few records"),
    _fault("run-python", _broken_lines, "has 0 valid records", "the step writes Python instead of JSON"),
    _fault(
        "run-empty",
        partial(_edited, old=_UPLOAD, new='        (args.work_dir / name).write_text("")\n' + _UPLOAD),
        "has 0 valid records",
        "the step uploads files of 0 bytes",
    ),
    _fault(
        "run-late",
        partial(_edited, old=_SPOKEN, new="    time.sleep(600)\n", timeout_s=3.0, grace_s=0.5),
        "not done after 3 s",
        "the step does all its work, and does not end",
    ),
    _fault("run-asks", _asks, "Overwrite the dataset?", "the step asks a question, and nobody answers"),
    _fault(
        "run-daemon",
        partial(_edited, old=_SPOKEN, new=_DAEMON + _SPOKEN),
        "left a process behind: ",
        "the step leaves a process behind",
    ),
    _fault("run-denied", _denied, "AccessDenied", "the step may not write one of its files"),
    _fault("run-source-gone", _source_gone, "taxes/ has no records", "the step reads a folder that is not there"),
    _fault("run-own-path", _own_path, "stopwords.txt", "the step needs a file of another machine"),
    _fault(
        "run-silent",
        partial(_edited, old=_SPOKEN, new=""),
        "how fast prepare is cannot be told",
        "the step does not say how fast it was",
        expect=Status.WARNED,
    ),
    _fault(
        "run-no-time",
        partial(_edited, old="{seconds:.3f} s", new="{0:.3f} s"),
        "48 records in 0 s",
        "the step says that it took no time",
        expect=Status.WARNED,
    ),
    _fault(
        "run-first-fails",
        _first_run_fails,
        "exit status 1: error: out of luck",
        "there is no dataset yet, and the step that makes it fails",
    ),
    Fault(
        id="run-first-of-little",
        row="data-volume",
        kind="subtle",
        words="valid records, need 5,000",
        summary="there is no dataset yet, and the sources will not make one that is large enough",
        inject=_first_run_of_little,
    ),
)


def _chatty(plan: TenantPlan) -> None:
    """Let the step print a megabyte before it says how fast it was."""
    noise = "    print(('x' * 79 + '\\n') * 13_000)\n"
    _edited(plan, _SPOKEN, noise + _SPOKEN)


def _by_bash(plan: TenantPlan) -> None:
    """Let the command be a line for bash."""
    step = _step(plan)
    program, *rest = step["command"]
    step["command"] = f"'{program}' " + " ".join(rest)


QUICK_RUN_VARIANTS = (
    Variant(id="run-first", summary="There is no dataset yet: the quick run makes it", inject=_first_run),
    Variant(id="run-chatty", summary="The step prints more than is kept of its log", inject=_chatty),
    Variant(id="run-bash", summary="The step's command is a line for bash", inject=_by_bash),
)
