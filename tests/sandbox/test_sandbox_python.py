"""The interpreters of a simulated host: theirs alone, whole, and with a PyTorch that computes what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pytest_pipeline.sandbox.accelerator import Slice, a10g
from pytest_pipeline.sandbox.host_python import make_pythons
from pytest_pipeline.sandbox.plan import HostPlan
from pytest_pipeline.sandbox.python_packages import training_environment
from pytest_pipeline.sandbox.python_plan import TorchPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox.conftest import OpenWorld, World

    Ask = Callable[..., Any]

REQUIRED = ("torch", "transformers", "peft", "datasets", "accelerate")
SHORT = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def plan() -> HostPlan:
    return HostPlan()


@pytest.fixture
def ask(plan: HostPlan, tmp_path: Path) -> Ask:
    """Give what runs code on the host's own python3, whose last line is JSON."""
    made: list[HostPlan] = []

    def run(code: str, *, place: str = "bin", flags: tuple[str, ...] = (), **environment: str) -> Any:
        if not made:
            make_pythons(plan, root=tmp_path, home=tmp_path / "home")
            made.append(plan)
        return answer_of([str(tmp_path / place / "python3"), *flags, "-c", code], environment)

    return run


def answer_of(argv: list[str], environment: Mapping[str, str]) -> Any:
    ran = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=30, env={"PATH": os.environ["PATH"], **environment}
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def site_packages(root: Path) -> list[str]:
    return [str(root / "lib" / f"python{SHORT}" / "site-packages")]


@pytest.mark.parametrize("flags", [(), ("-I",)])
def test_nothing_that_is_installed_on_this_machine_is_seen(ask: Ask, tmp_path: Path, flags: tuple[str, ...]) -> None:
    path, found = ask(
        "import sys, json, importlib.util as u\n"
        "print(json.dumps([sys.path, [bool(u.find_spec(name)) for name in ('pytest', 'pydantic', 'torch')]]))",
        flags=flags,
    )

    assert [one for one in path if "-packages" in one] == site_packages(tmp_path)
    assert found == [False, False, True]


def test_the_users_own_packages_are_not_seen_either(ask: Ask, tmp_path: Path) -> None:
    own = tmp_path / "home" / ".local" / "lib" / f"python{SHORT}" / "site-packages"
    own.mkdir(parents=True)

    assert str(own) not in ask("import sys, json; print(json.dumps(sys.path))", HOME=str(tmp_path / "home"))


def test_every_stub_imports_and_says_the_version_of_its_metadata(ask: Ask) -> None:
    answers = ask(
        "import importlib, importlib.metadata as m, json\n"
        "print(json.dumps([[name, getattr(importlib.import_module(name), '__version__', None), m.version(owners[0])]\n"
        "                  for name, owners in m.packages_distributions().items() if name != 'nvidia']))"
    )

    assert {name for name, *_ in answers} >= {*REQUIRED, "numpy", "yaml", "huggingface_hub", "pip"}
    assert [answer for answer in answers if answer[1] != answer[2]] == []


def test_its_metadata_is_as_installers_leave_it(plan: HostPlan, tmp_path: Path) -> None:
    make_pythons(plan, root=tmp_path, home=tmp_path / "home")
    (packages,) = site_packages(tmp_path)

    for one in distributions(path=[packages]):
        assert one.files
        assert all(file.locate().exists() for file in one.files), one.name  # type: ignore[attr-defined]  # a Path here


def test_what_is_installed_in_a_healthy_world_goes_together(plan: HostPlan, tmp_path: Path) -> None:
    make_pythons(plan, root=tmp_path, home=tmp_path / "home")
    installed = {canonicalize_name(one.name): one for one in distributions(path=site_packages(tmp_path))}

    needs = [Requirement(line) for one in installed.values() for line in one.requires or ()]
    applicable = [need for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    unmet = [need for need in applicable if installed[canonicalize_name(need.name)].version not in need.specifier]

    assert len(applicable) > 50
    assert unmet == []


def test_torch_is_what_its_plan_says_and_calls_itself_simulated(plan: HostPlan, ask: Ask) -> None:
    plan.system_python.torch = TorchPlan(version="2.5.1", cuda="12.4", distribution="2.5.1")
    said = ask(
        "import torch, json; from importlib.metadata import version\n"
        "print(json.dumps([torch.__version__, version('torch'), torch.version.cuda, torch.version.hip,"
        " torch.__simulated__, torch.backends.cudnn.version()]))"
    )

    assert said == ["2.5.1", "2.5.1", "12.4", None, True, 90100]


ROUNDED = {
    "bfloat16": {
        1.0: 1.0,
        1 + 2**-8: 1.0,  # a tie, to even
        1 + 3 * 2**-8: 1 + 2**-6,  # likewise, upwards
        1 + 2**-8 + 2**-20: 1 + 2**-7,
        3.14159265: 3.140625,
        -2.71828182: -2.71875,
        3.3895313892515355e38: 3.3895313892515355e38,  # its largest
        3.4e38: float("inf"),
        1e300: float("inf"),
        1e-40: 2.0**-133,  # its smallest
    },
    "float16": {
        1 / 3: 0.333251953125,
        2049.0: 2048.0,
        65519.0: 65504.0,
        65520.0: float("inf"),
        -1e6: float("-inf"),
        2.0**-24: 2.0**-24,
        2.0**-26: 0.0,
    },
    "float32": {0.1: 0.10000000149011612, 16777217.0: 16777216.0, 1e39: float("inf")},
}


@pytest.mark.parametrize("dtype", ROUNDED)
def test_numbers_are_rounded_as_the_format_has_them(ask: Ask, dtype: str) -> None:
    given, expected = list(ROUNDED[dtype]), list(ROUNDED[dtype].values())
    code = f"import torch, json; inf = float('inf'); print(json.dumps(torch.tensor([{given}], dtype=torch.{dtype})"

    assert ask(code + ".tolist()[0]))") == pytest.approx(expected, rel=1e-6, abs=0)


def test_products_are_summed_wide_and_rounded_once(ask: Ask) -> None:
    """Summed in bf16, three hundred ones would stop at 256."""
    product = ask(
        "import torch, json\n"
        "row = torch.tensor([[1.0] * 300], dtype=torch.bfloat16).to('cuda:0')\n"
        "column = torch.tensor([[1.0]] * 300, dtype=torch.bfloat16).to('cuda:0')\n"
        "small = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float32)\n"
        "print(json.dumps([(row @ column).tolist(), (small @ small).tolist()]))"
    )

    assert product == [[[300.0]], [[7.0, 10.0], [15.0, 22.0]]]


def test_it_refuses_what_torch_refuses(ask: Ask) -> None:
    said = ask(
        "import torch, json\n"
        "a = torch.tensor([[1.0]], dtype=torch.float32)\n"
        "def of(attempt):\n"
        "    try: attempt()\n"
        "    except (RuntimeError, AssertionError) as error: return str(error)\n"
        "print(json.dumps([of(lambda: a @ a.to('cuda:0')), of(lambda: a @ a.to(torch.bfloat16)),\n"
        "                  of(lambda: torch.cuda.mem_get_info(1))]))"
    )

    assert "same device" in said[0]
    assert "same dtype" in said[1]
    assert said[2] == "Invalid device id"


DEVICES = (
    "import torch, json, warnings; warnings.simplefilter('ignore'); c = torch.cuda\n"
    "of = range(c.device_count() if c.is_available() else 0)\n"
    "print(json.dumps([[c.get_device_properties(i).name, str(c.get_device_properties(i).uuid)[-1],"
    " *(size >> 20 for size in c.mem_get_info(i))] for i in of]))"
)


def two_cards(plan: HostPlan) -> None:
    assert plan.accelerator is not None
    (second,) = a10g().cards
    second.uuid, second.used_mib = second.uuid[:-1] + "2", 20_000
    plan.accelerator.cards.append(second)


FIRST, SECOND = ["NVIDIA A10G", "1", 22569, 22593], ["NVIDIA A10G", "2", 2593, 22593]


@pytest.mark.parametrize(
    ("variable", "seen"),
    [
        (None, [FIRST, SECOND]),
        ("0", [FIRST]),
        ("1,0", [SECOND, FIRST]),
        ("GPU-5a1d0b10-0000-4000-8000-000000000002", [SECOND]),
        ("GPU-5a1d0b10", []),  # of two cards
        ("0,7,1", [FIRST]),
        ("7,0", []),
        ("-1", []),
        ("", []),
        ("0,0", []),
        ("NoDevFiles", []),
    ],
)
def test_a_process_sees_the_devices_that_the_variable_leaves_it(
    plan: HostPlan, ask: Ask, variable: str | None, seen: list[list[object]]
) -> None:
    two_cards(plan)

    assert ask(DEVICES, **({} if variable is None else {"CUDA_VISIBLE_DEVICES": variable})) == seen


def test_of_a_sliced_card_a_process_sees_one_slice(plan: HostPlan, ask: Ask) -> None:
    assert plan.accelerator is not None
    plan.accelerator.cards[0].slices += [Slice(total_mib=4864), Slice(total_mib=9856)]

    ((name, _, free, total),) = ask(DEVICES)

    assert "MIG" in name
    assert (free, total) == (4863, 4864)


@pytest.mark.parametrize(
    ("capability", "arch_list", "runs"),
    [
        ("8.6", ("sm_80",), True),
        ("8.6", ("sm_89",), False),
        ("8.6", ("sm_90",), False),
        ("12.0", ("sm_90", "compute_90"), True),
        ("7.5", ("compute_80",), False),
    ],
)
def test_a_device_computes_what_the_build_has_code_for(
    plan: HostPlan, ask: Ask, capability: str, arch_list: tuple[str, ...], *, runs: bool
) -> None:
    assert plan.accelerator is not None
    plan.accelerator.cards[0].capability = capability
    plan.system_python.torch = TorchPlan(arch_list=arch_list)
    said = ask(
        "import torch, json; a = torch.tensor([[2.0]], dtype=torch.float16).to('cuda')\n"
        "try: said = (a @ a).tolist()\n"
        "except RuntimeError as error: said = str(error).splitlines()[0]\n"
        "print(json.dumps(said))"
    )

    assert said == ([[4.0]] if runs else "CUDA error: no kernel image is available for execution on the device")


@pytest.mark.parametrize(
    ("driver", "cuda", "starts"),
    [("525.60.13", "12.0", True), ("515.105.01", "11.7", False), ("580.82.07", "13.0", True)],
)
def test_cuda_starts_with_a_driver_that_is_new_enough(
    plan: HostPlan, ask: Ask, driver: str, cuda: str, *, starts: bool
) -> None:
    assert plan.accelerator is not None
    plan.accelerator.driver, plan.accelerator.cuda = driver, cuda

    assert ask("import torch, json; print(json.dumps(torch.cuda.is_available()))") is starts


def test_an_environment_is_its_own_and_its_pip_too(plan: HostPlan, ask: Ask, tmp_path: Path) -> None:
    plan.system_python.torch = None
    plan.environments["~/envs/pytorch"] = training_environment()
    prefix = tmp_path / "home/envs/pytorch"

    assert ask("import torch, sys, json; print(json.dumps([sys.prefix]))", place="home/envs/pytorch/bin") == [
        str(prefix)
    ]
    pip = subprocess.run([prefix / "bin" / "pip", "--version"], capture_output=True, text=True, check=True)
    assert f"from {prefix}/lib/python{SHORT}/site-packages/pip (python {SHORT})" in pip.stdout


def test_a_simulated_version_is_shown_wherever_one_looks(plan: HostPlan, ask: Ask, tmp_path: Path) -> None:
    plan.system_python.version = "3.8.10"
    shown = ask(
        "import sys, platform, json, torch\n"
        "print(json.dumps([sys.version.split()[0], sys.version_info[:3], sys.version_info.minor,"
        " platform.python_version(), sys.executable]))",
        flags=("-I",),
    )

    assert shown == ["3.8.10", [3, 8, 10], 8, "3.8.10", str(tmp_path / "bin" / "python3")]
    assert subprocess.check_output([tmp_path / "bin" / "python3", "--version"]) == b"Python 3.8.10\n"


def test_the_healthy_host_has_all_that_its_settings_require(world: World) -> None:
    imports = ", ".join(("torch", *world.settings["requirements"]["packages"]))
    code = f"import {imports}; print(torch.__version__, torch.cuda.is_available())"

    assert world.run(f"bash -lc 'python3 -c \"{code}\"'")[:2] == (0, "2.5.1+cu121 True\n")
    assert world.settings["host"]["contexts"] == [{"name": "train", "shell": "non-login"}]


def test_this_machines_interpreters_and_gpu_are_not_the_hosts(world: World) -> None:
    status, found, _ = world.run("which -a python3 python pip pip3 conda uv nvcc | grep -v ^$(dirname $HOME)/")

    assert (status, found) == (1, "")


def test_an_odd_shell_and_environment_are_the_hosts(open_world: OpenWorld) -> None:
    assert open_world(variant="dash").run("echo $0 $SHELL; getent passwd ubuntu | cut -d: -f7")[1].split() == [
        "/bin/dash",
        "/bin/dash",
        "/bin/dash",
    ]
    assert open_world(variant="posix-locale").run("locale charmap")[1] == "ANSI_X3.4-1968\n"
    assert open_world(variant="read-only-home").run("touch ~/x")[0] == 1


@pytest.mark.parametrize(
    "variant",
    [
        "environment",
        "uv-environment",
        "env-below-scripts",
        "conda-environment",
        "dash",
        "two-environments",
        "ngc-torch",
    ],
)
def test_the_contexts_of_odd_worlds_have_what_is_required(open_world: OpenWorld, variant: str) -> None:
    world = open_world(variant=variant)
    for context in world.host["contexts"]:
        shell = "dash -c" if variant == "dash" else "bash -lc" if context["shell"] == "login" else "bash -c"
        setup = f"{context['setup']} && " if "setup" in context else ""
        ran = world.run(f"{shell} '{setup}python3 -c \"import torch, peft; print(torch.cuda.is_available())\"'")
        assert ran == (0, "True\n", "")
