"""What a plain client meets on a host that is at fault as a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.plan import LOCK
from sandbox.meets_python import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

OFFSET = "echo $(($(python3 -I -c 'import time; print(int(time.time()))') - $(date +%s)))"
HUB = "getent ahosts huggingface.co"
LEFT_S = "echo $(($(date -d $(awk '/expires/ {print $3}' ~/.aws/credentials) +%s) - $(date +%s)))"
ON_GPU = "nvidia-smi -q -x | grep -A4 '<pid>'"


def waits_for(command: str) -> Callable[[World], object]:
    """Run a command that is to take longer than anybody waits."""
    return runs(f"timeout 1 {command}; echo status $?")


SYSTEM_MEETS: dict[str, Meet] = {
    "clock-local-time": (runs(OFFSET), r"'-(2520[01]|25199)\\n'"),
    "clock-minutes": (runs(OFFSET), r"'(399|40[01])\\n'"),
    "clock-seconds": (runs(OFFSET), r"'9[456]\\n'"),
    "clock-unkept": (runs("chronyc -n tracking"), "Not synchronised"),
    "cred-short": (runs(LEFT_S), r"'1(19\d|200)\\n'"),
    "cred-environment": (runs("env | grep ^AWS_"), "AWS_CREDENTIAL_EXPIRATION=2"),
    "cred-no-end": (runs("cat ~/.aws/credentials"), r"aws_session_token = \S+\\n', ''\)$"),
    "cred-days": (lambda w: (w.settings["requirements"]["run_hours"], w.run("true")), "48"),
    "cred-process": (runs("cat ~/.aws/credentials ~/keys.json"), "credential_process.*Expiration"),
    "dns-unknown": (runs(HUB), r"\(2, '', ''\)"),
    "dns-blocked": (runs(HUB), r"\(0, '0\.0\.0\.0"),
    "dns-itself": (runs(HUB), r"\(0, '127\.0\.0\.1"),
    "dns-hangs": (waits_for("getent ahosts localhost"), "status 124"),
    "tenants-gpu": (runs(ON_GPU), r"<pid>4242</pid>.*/opt/flux/bin/python3.*12210 MiB"),
    "tenants-gpu-small": (runs(ON_GPU), r"<pid>1</pid>.*310 MiB"),
    "tenants-memory": (lambda w: (w.settings["requirements"]["ram_gb"], w.run("true")), "100000"),
    "shm-small": (runs("df -m --output=size /dev/shm"), r"\b16\\n"),
    "shm-docker": (runs("df -m --output=size /dev/shm"), r"\b64\\n"),
    "shm-littered": (runs("head -c 8M /dev/zero > /dev/shm/x"), "No space left"),
    "limits-files": (runs("ulimit -Sn; ulimit -Hn"), r"'256\\n(?!256)"),
    "limits-files-hard": (
        runs("ulimit -Sn; ulimit -n 1024"),
        r"'512\\n.*Operation not permitted|512\\n.*cannot modify",
    ),
    "limits-addresses": (
        runs("python3 -c 'import mmap; mmap.mmap(-1, 40 * 2**30, flags=mmap.MAP_PRIVATE | 0x4000)'"),
        "Cannot allocate memory",
    ),
    "limits-file-size": (runs("trap '' XFSZ; truncate -s 5G ~/checkpoint"), "File too large"),
    "stale-trainer": (
        runs("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"),
        "train_mistral_simple.py --batch-size 1 --run-id",
    ),
    "stale-other-name": (runs("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "finetune_qwen.py"),
    "stale-monitor": (runs("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "bash monitor_training.sh"),
    "stale-lock-held": (runs(f"flock -n {LOCK} true"), r"\(1, "),
    "stale-lock-left": (runs(f"flock -n {LOCK} cat {LOCK}"), r"\(0, '99999999"),
}
