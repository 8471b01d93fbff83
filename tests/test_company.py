"""Who else is on the host: strangers on its GPUs and in its memory, and what an earlier run has left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from context_builders import A10G_UUID, card, context, cuda, device

from matrix_tests.company import judge_gpus, judge_memory, judge_runs
from pytest_pipeline.observers.co_tenants import used_ids
from pytest_pipeline.observers.gpu_readings import GpuProcess
from pytest_pipeline.observers.system_readings import LockFile, Memory, Process, Processes, SystemReadings
from pytest_pipeline.outcome import Blocked, Evidence, Reading

if TYPE_CHECKING:
    from pytest_pipeline.observers.gpu_readings import Gpu

GB = 10**9
GONE = Reading[Any].missing("not read", by="ssh-access")
LOCK = "/var/lock/train.lock"


def process(pid: int, command: str = "python3 serve.py", **more: Any) -> Process:
    healthy = Process(pid=pid, user="bob", command=command, resident_bytes=9 * GB, age_s=7300.0, state="S")
    return replace(healthy, **more)


def running(*trainers: Process, **more: Any) -> Processes:
    return replace(Processes(largest=(), components=(), trainers=trainers, total=120), **more)


def machine(available_gb: float = 60, *owners: Process, processes: Processes | None = None) -> SystemReadings:
    memory = Memory(total_bytes=64 * GB, available_bytes=int(available_gb * GB), swap_total_bytes=0, swap_free_bytes=0)
    return SystemReadings(
        memory=Reading.of(memory),
        processes=Reading.of(processes or running()),
        clock_sync=GONE,
        names={},
        credentials=GONE,
        notices=GONE,
        locks={},
        gpu_owners=Reading.of(owners),
        unit_limits=GONE,
    )


def on_gpu(pid: int, *, name: str = "/usr/bin/python3", kind: str = "C", used_gb: float | None = 12.8) -> GpuProcess:
    return GpuProcess(pid=pid, name=name, kind=kind, used_bytes=None if used_gb is None else int(used_gb * GB))


def memory(system: SystemReadings, required_gb: float | None, **contexts: Any) -> Evidence:
    evidence = Evidence()
    try:
        judge_memory(system, contexts, required_gb, evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_memory_that_suffices() -> None:
    seen = memory(machine(60), 48, train=context())
    assert (seen.warnings, seen.noted.get("failed"), seen.noted["ram_gb"]) == ([], None, 60.0)


def test_memory_that_does_not_suffice_names_the_largest() -> None:
    others = running(largest=(process(1, gate=True), process(4242), process(4243, "java", user="ann")))
    assert memory(machine(47.9, processes=others), 48).noted["failed"] == (
        "47.9GB of main memory available, need 48GB; "
        "the largest: pid 4242 (bob, python3 serve.py) 9.0GB, pid 4243 (ann, java) 9.0GB"
    )


def test_without_a_requirement_half_of_it_is_worth_a_warning() -> None:
    assert memory(machine(32), None).warnings == []
    assert len(memory(machine(31.9), None).warnings) == 1


def test_the_narrowest_contexts_control_group_limits_it() -> None:
    narrow = context(memory_limit_bytes=Reading.of(16 * GB))
    unknown = context(memory_limit_bytes=Reading.missing("not read", by="limits"))
    seen = memory(machine(60), 48, wide=context(), unknown=unknown, narrow=narrow)
    assert "16.0GB of main memory available" in str(seen.noted["failed"])
    assert "the control group of context narrow" in str(seen.noted["failed"])
    assert "failed" not in memory(machine(60), 48, wide=context()).noted


def test_memory_that_an_earlier_run_holds_is_that_runs_cause() -> None:
    stale = running(process(7, "python3 train.py", resident_bytes=30 * GB))
    with pytest.raises(Blocked, match=r"an earlier run holds 30\.0GB") as blocked:
        judge_memory(machine(20, processes=stale), {}, 48, Evidence())
    assert blocked.value.by == "stale-processes"
    assert "failed" in memory(machine(10, processes=stale), 48).noted, "it would not suffice without it either"


def gpus(*cards: Gpu, system: SystemReadings | None = None, used: set[str] | None = None) -> Evidence:
    evidence = Evidence()
    try:
        judge_gpus(cards, used, system or machine(), evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_nobody_on_the_gpu() -> None:
    assert "failed" not in gpus(card()).noted


def test_somebody_else_on_the_gpu_is_named() -> None:
    seen = gpus(card(on_gpu(4242)), system=machine(60, process(4242)))
    assert seen.noted["failed"] == "pid 4242 (bob, python3 serve.py) computes on GPU 0, holding 12.8GB"
    assert seen.noted["error"] == seen.noted["failed"]
    assert seen.command == "on the host: ps -fp 4242"


def test_who_cannot_be_seen_on_the_host_is_in_a_container() -> None:
    seen = gpus(card(on_gpu(4242, name="/opt/flux/bin/python3", used_gb=None)))
    assert seen.noted["failed"] == "pid 4242 (/opt/flux/bin/python3) computes on GPU 0"


def test_the_gate_is_no_stranger_to_itself() -> None:
    assert "failed" not in gpus(card(on_gpu(5)), system=machine(60, process(5, gate=True))).noted


def test_an_earlier_run_on_the_gpu_is_another_rows_cause() -> None:
    trainer = process(7, "python3 train.py")
    system = machine(60, trainer, processes=running(trainer))
    with pytest.raises(Blocked, match="an earlier run is on the GPU: pid 7") as blocked:
        judge_gpus((card(on_gpu(7)),), None, system, Evidence())
    assert blocked.value.by == "stale-processes"


def test_what_has_ended_since_it_was_listed_is_nobody() -> None:
    assert "failed" not in gpus(card(on_gpu(7)), system=machine(60, process(7, "", state="X"))).noted


def test_memory_that_nobody_is_seen_to_hold_is_a_warning() -> None:
    def warnings(free_gb: float, *listed: GpuProcess) -> list[str]:
        held = replace(card(*listed), free_bytes=Reading.of(int(free_gb * GB)))
        return gpus(held, system=machine(60, process(5, gate=True))).warnings

    assert warnings(22.7) == []  # driver, display, a trial of the gate's own
    assert warnings(3.0) == [
        "21.1GB of GPU 0 are held by nobody that can be seen: a process of another container, or memory that was not "
        "given back"
    ]
    assert warnings(3.0, on_gpu(5, used_gb=21.0)) == []
    assert warnings(3.0, on_gpu(5, used_gb=None)) == [], "nothing can be said where the driver does not tell"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("/usr/lib/xorg/Xorg", "G"), ("nvidia-cuda-mps-server", "C"), ("/usr/bin/nvidia-cuda-mps-server", "C")],
)
def test_a_display_and_the_sharing_daemon_compute_nothing(name: str, kind: str) -> None:
    assert "failed" not in gpus(card(on_gpu(9, name=name, kind=kind))).noted


@pytest.mark.parametrize("kind", ["C", "C+G", "M+C", ""])
def test_every_kind_of_computing_counts(kind: str) -> None:
    assert "failed" in gpus(card(on_gpu(9, kind=kind))).noted


def test_what_computes_cannot_be_read() -> None:
    silent = replace(card(), processes=Reading.missing("nvidia-smi says 'N/A'", by="cuda"))
    with pytest.raises(Blocked) as blocked:
        judge_gpus((silent,), None, machine(), Evidence())
    assert blocked.value.by == "cuda"


def test_whose_it_is_cannot_be_read() -> None:
    system = replace(machine(), gpu_owners=Reading.missing("late", by="stale-processes"))
    with pytest.raises(Blocked) as blocked:
        judge_gpus((card(on_gpu(9)),), None, system, Evidence())
    assert blocked.value.by == "stale-processes"
    judge_gpus((card(),), None, system, Evidence())  # nobody is there whose name would be needed


def test_a_stranger_on_a_gpu_that_is_not_used_is_noted() -> None:
    cards = (card(), card(on_gpu(4242), index=1, uuid="GPU-other"))
    seen = gpus(*cards, used={A10G_UUID.removeprefix("GPU-")})
    assert "failed" not in seen.noted
    assert "pid 4242" in str(seen.noted["elsewhere"])
    assert "failed" in gpus(*cards).noted, "where it is not known which are used, all are"
    assert "failed" in gpus(*cards, used={"5a1d-of-a-slice"}).noted, "nor where the id is that of no card"


def test_the_gpus_that_the_contexts_use() -> None:
    two = cuda(device(), device(index=1, uuid="GPU-Other"))
    contexts = {"train": context(cuda=Reading.of(two))}
    assert used_ids(contexts, None) == {A10G_UUID.removeprefix("GPU-"), "other"}
    assert used_ids(contexts, 1) == {A10G_UUID.removeprefix("GPU-")}
    bare = {"train": context(cuda=Reading.of(cuda(device(uuid=A10G_UUID.removeprefix("GPU-")))))}
    assert used_ids(bare, None) == {A10G_UUID.removeprefix("GPU-")}


@pytest.mark.parametrize(
    "seen",
    [
        Reading.missing("torch does not import", by="pytorch"),
        Reading.of(cuda(device(uuid=""))),
        Reading.of(replace(cuda(), devices=())),
    ],
)
def test_where_that_is_not_known_all_gpus_count(seen: Reading[Any]) -> None:
    assert used_ids({"train": context(), "other": context(cuda=seen)}, None) is None


def runs(processes: Processes, **lock: Any) -> Evidence:
    evidence = Evidence()
    locks = {LOCK: Reading.of(LockFile(**{"path": LOCK, "exists": True, "age_s": 60.0, **lock}))} if lock else {}
    try:
        judge_runs(processes, locks, evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_nothing_is_left() -> None:
    seen = runs(running(), exists=False)
    assert (seen.warnings, seen.noted.get("failed"), seen.noted["processes"]) == ([], None, 120)


def test_a_component_that_is_alive() -> None:
    trainer = process(7, "python3 train.py", component="train")
    seen = runs(running(components=(trainer,)))
    assert (seen.noted["failed"], seen.command) == (
        "train: pid 7 (bob, python3 train.py), for 2 h",
        "on the host: kill 7",
    )


def test_a_stopped_one_is_alive_and_a_dead_one_is_not() -> None:
    assert "for 2 h, stopped" in str(runs(running(process(7, state="T"))).noted["failed"])
    assert "failed" not in runs(running(process(7, state="Z"), process(8, gate=True))).noted


def test_many_workers_are_named_in_short() -> None:
    seen = runs(running(*(process(pid, age_s=float(pid)) for pid in range(1, 10))))
    assert str(seen.noted["failed"]).endswith(", and 6 more")
    assert seen.command == "on the host: ps -o pid,user,lstart,args -p 9,8,7,6,5,4,3,2,1"


def test_what_only_looks_like_a_run_of_ours_is_looked_at_before_it_is_killed() -> None:
    assert runs(running(process(7))).command == "on the host: ps -o pid,user,lstart,args -p 7"
    of_two = running(components=(process(7, component="train"), process(8, component="train", user="ann")))
    assert runs(of_two).command == "on the host: ps -o pid,user,lstart,args -p 7,8"


def test_runs_of_others_that_are_hidden_are_a_warning() -> None:
    assert runs(running(hidden=True)).warnings == [
        "the processes of others are hidden from this user (hidepid): a run of theirs is not seen"
    ]


def test_a_lock_that_is_held() -> None:
    assert runs(running(), held=True, holder=7).noted["failed"] == f"{LOCK} is locked by pid 7"
    seen = runs(running(), held=True)
    assert (seen.noted["failed"], seen.command) == (f"{LOCK} is locked", f"on the host: fuser -v {LOCK}")


def test_the_trainer_and_its_lock_are_one_finding() -> None:
    seen = runs(running(process(7)), held=True, holder=7)
    assert LOCK not in str(seen.noted["failed"])
    assert seen.command == "on the host: ps -o pid,user,lstart,args -p 7"


def test_a_file_that_is_there_to_be_locked_is_harmless() -> None:
    seen = runs(running())
    assert seen.warnings == []
    seen = runs(running(), held=False)
    assert (seen.warnings, "failed" in seen.noted, seen.noted[f"lock {LOCK}"]) == ([], False, "not held, 1 min old")


def test_a_lock_by_presence() -> None:
    assert runs(running(), made=True, maker=7).warnings == [
        f"{LOCK} was left by pid 7, which is gone: a run that takes its presence for a lock does not start"
    ]
    assert len(runs(running(), made=True).warnings) == 1
    assert runs(running(), made=True, maker=7, maker_lives=True).noted["failed"] == f"{LOCK} is locked by pid 7"


def test_a_lock_that_could_not_be_read_is_no_lock_that_is_free() -> None:
    locks = {LOCK: Reading[LockFile].missing("Permission denied", by="stale-processes")}
    with pytest.raises(Blocked):
        judge_runs(running(), locks, Evidence())
