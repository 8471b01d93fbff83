"""What a plain client meets on a host whose interpreters or packages are at fault."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]


def runs(command: str) -> Callable[[World], object]:
    return lambda w: w.run(command)


def in_context(number: int, command: str) -> Callable[[World], object]:
    """Run a command in the shell of one context of the pipeline, as its settings say."""

    def run(w: World) -> object:
        context = w.host["contexts"][number]
        setup = f"{context['setup']} && " if context.get("setup") else ""
        given = " ".join(f"{name}={value}" for name, value in context.get("environment", {}).items())
        shell = "bash -lc" if context["shell"] == "login" else "bash -c"
        command_there = command.replace("python3", context.get("python", "python3"))
        return w.run(f"{given} {shell} {quote(setup + command_there)}")

    return run


def python(code: str) -> Callable[[World], object]:
    return in_context(0, f"timeout 1 python3 -c {quote(code)}; echo status $?")


PRODUCT = (
    "import torch; a = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.bfloat16).to('cuda'); print((a @ a).tolist())"
)
AVAILABLE = "import torch; print(torch.cuda.is_available(), torch.cuda.device_count())"

PYTHON_MEETS: dict[str, Meet] = {
    "py-old": (runs("python3 --version; python3 -c 'import sys; print(sys.version_info[:2])'"), r"3\.8\.10.*\(3, 8\)"),
    "py-nowhere": (runs("python3 -V; for p in /usr/bin/python3*; do $p -V; done"), r"Permission denied"),
    "py-none": (runs("python3 -V"), r"\(127.*command not found"),
    "py-setup-fails": (in_context(0, "true"), r"\(1, .*envs/pytorch/bin/activate: No such file"),
    "py-dangling": (in_context(0, "python3 -V"), r"\(127, .*envs/pytorch/bin/python3: No such file"),
    "py-old-at-login": (
        lambda w: [in_context(number, "python3 -V")(w) for number in (0, 1)],
        r"\[\(0, 'Python 3\.(?!8\.)[^']*', ''\), \(0, 'Python 3\.8\.10",
    ),
    "py-profile-exits": (in_context(1, "python3 -V"), r"\(0, '', ''\)"),
    "same-other-at-login": (
        lambda w: [in_context(number, "command -v python3")(w) for number in (0, 1)],
        r"t\d+/bin/python3.*envs/notebooks/bin/python3",
    ),
    "same-pythonpath": (
        lambda w: [
            in_context(number, 'python3 -c "import transformers; print(transformers.__file__)"')(w) for number in (0, 1)
        ],
        "site-packages/transformers.*home/src/transformers",
    ),
    "same-torch-elsewhere": (
        lambda w: [in_context(number, 'python3 -c "import torch; print(torch.__file__)"')(w) for number in (0, 1)],
        r"/t\d+/lib/\S+/torch.*envs/notebooks/lib/\S+/torch",
    ),
    "same-activated-in-vain": (
        in_context(0, "command -v python3; echo $VIRTUAL_ENV"),
        r"\(0, '\S+/t\d+/bin/python3\\n\S+envs/pytorch\\n'",
    ),
    "same-pip": (
        in_context(0, "command -v python3; pip --version"),
        "envs/pytorch/bin/python3.*from .*envs/notebooks/lib",
    ),
    "torch-none": (python("import torch"), r"No module named \W+torch"),
    "torch-ver": (python("import torch; print(torch.__version__)"), r"2\.1\.0\+cu121"),
    "torch-cpu": (python("import torch; print(torch.version.cuda, torch.cuda.is_available())"), "None False"),
    "torch-cu118": (python("import torch; print(torch.version.cuda, torch.cuda.is_available())"), r"11\.8 True"),
    "torch-half-upgraded": (
        python("import torch, importlib.metadata as m; print(m.version(torch.__name__), torch.__version__)"),
        r"2\.5\.1\+cu121 2\.4\.1\+cu121",
    ),
    "torch-broken": (python("import peft"), r"OSError: libcudart\.so\.12: cannot open shared object file"),
    "torch-hang": (python("import torch"), "status 124"),
    "torch-crash": (python("import torch"), "status 139"),
    "cuda-off": (python(AVAILABLE), "False 1.*CUDA unknown error - this may be due to"),
    "cuda-driver-old": (python(AVAILABLE), r"False 1.*driver on your system is too old \(found version 11040\)"),
    "cuda-arch": (python(PRODUCT), "sm_86 is not compatible.*no kernel image is available"),
    "cuda-no-kernel": (python(PRODUCT), "RuntimeError: CUDA error: no kernel image is available for execution"),
    "cuda-wrong-product": (python(PRODUCT), r"\[\[0\.0, 0\.0\], \[15\.0, 22\.0\]\]"),
    "cuda-hang": (python(AVAILABLE), "status 124"),
    "cuda-visible-empty": (python(AVAILABLE), r"'False 0\\nstatus 0\\n', ''"),
    "cuda-visible-gone": (python(AVAILABLE), r"'False 0\\nstatus 0\\n', ''"),
    "dep-missing": (python("import peft"), r"No module named \W+peft"),
    "dep-broken": (python("import datasets"), r"ImportError: libarrow\.so"),
    "dep-version": (python("import transformers; print(transformers.__version__)"), r"4\.30\.2"),
    "dep-conflict": (python("import huggingface_hub, accelerate; print(huggingface_hub.__version__)"), r"0\.16\.4"),
    "dep-pair": (python("import accelerate, transformers; print(accelerate.__version__)"), r"0\.25\.0"),
    "dep-half-removed": (
        python("import importlib.metadata as m; print(m.version('accelerate')); import accelerate"),
        r"1\.1\.1.*No module named \W+accelerate",
    ),
    "dep-shadowed": (python("import peft; print(peft.__version__)"), r"'0\.4\.0"),
    "dep-without-torch": (python("import transformers"), "status 0.*Disabling PyTorch because"),
    "dep-not-loaded": (python("import peft, bitsandbytes"), "status 0.*bitsandbytes library load error"),
    "dep-no-init": (python("import acme.loop; import acme.loop.train"), r"ImportError: libarrow\.so"),
    "dep-hang": (python("import datasets"), "status 124"),
    "dep-crash": (python("import datasets"), "status 139"),
}
