"""Imports what the pipeline needs, and lets its devices multiply: in a process of its own, as any of it may crash.

Of PyTorch only what every release since 1.8 has is used.
"""

import contextlib
import importlib
import json
import math
import os
import sys
import time
import warnings

SIZE = 48  # of the matrices: more than one tile of a tensor core, and next to no memory
LINES = 20


def serve(orders: object, answers: int, parts: dict) -> None:
    """Take one step after another: a line of JSON each, answered by a line."""
    for opened in (orders.fileno(), answers):
        os.set_inheritable(opened, False)  # noqa: FBT003  # os' own signature
    sys.argv[:] = [""]  # an import that reads its arguments finds none
    for line in orders:
        order = json.loads(line.decode("ascii"))
        data = (json.dumps(attempt(lambda order=order: take(order, parts))) + "\n").encode("ascii")
        with contextlib.suppress(Exception):  # what was imported may have closed or replaced it
            sys.stderr.flush()
        while data:
            data = data[os.write(answers, data) :]


def take(order: list, parts: dict) -> object:
    """Take one step."""
    kind, key, precision = order
    if kind == "torch":
        return pytorch()
    if kind == "cuda":
        return cuda()
    if kind == "trial":
        return trial(int(key), precision)
    if kind == "package":
        return package(key, parts["distributions"])
    return parts["entry_points"].examine(key, parts)


def attempt(look: object) -> dict:
    """Return {"value": ...} or {"error": ...}. An import may raise what is no Exception: sys.exit() does."""
    try:
        return {"value": look()}
    except BaseException as error:  # a module may raise SystemExit when it is imported
        return {"error": in_words(error)}


def in_words(error: BaseException) -> str:
    """Return what an exception says, and the one at the bottom of it where it is another."""
    said, seen = first_line(error), [error]
    while seen[-1].__cause__ is not None and seen[-1].__cause__ not in seen:
        seen.append(seen[-1].__cause__)
    root = first_line(seen[-1])
    return said if root == said else said + "; at the bottom of it: " + root


def first_line(error: BaseException) -> str:
    """Return the first line of an exception, with its type."""
    if isinstance(error, SystemExit):
        return "it called sys.exit(%r)" % (error.code,)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return type(error).__name__ + (": " + lines[0] if lines else "")


def lines_of(caught: list) -> list:
    """Return the first lines of warnings, each once."""
    found = []
    for one in caught:
        lines = [line.strip() for line in str(one.message).splitlines() if line.strip()]
        if lines and lines[0] not in found:
            found.append(lines[0])
    return found[:LINES]


def imported(name: str) -> dict:
    """Import a module, and say where it was found, which version it says it is, and what it warned of."""
    start = time.monotonic()
    with warnings.catch_warnings(
        record=True
    ) as caught:  # with the filters of this interpreter, as the pipeline has them
        module = importlib.import_module(name)
    took_s = time.monotonic() - start
    version = getattr(module, "__version__", "")
    return {
        "module": name,
        "version": version if isinstance(version, str) else "",
        "file": getattr(module, "__file__", None) or "",
        "took_s": round(took_s, 3),
        "warnings": lines_of(caught),
    }


def package(requirement: str, distributions: object) -> dict:
    """Import a required package, by the name that its distribution says; a `guess` that is no module is no answer."""
    name, guessed = distributions.module_of(requirement)
    nothing = {"module": "", "version": "", "file": "", "took_s": 0.0, "warnings": [], "guess": name}
    if not name:
        return nothing
    try:
        answer = imported(name)
    except ModuleNotFoundError as error:
        if guessed and error.name == name:
            return nothing
        raise
    if not answer["file"] and name not in sys.builtin_module_names:
        if guessed:
            return nothing
        where = ", ".join(list(getattr(sys.modules[name], "__path__", []))[:3])
        raise ImportError("only a folder of that name was found, without __init__.py: " + where)
    return dict(answer, guess="")


def pytorch() -> dict:
    """Import PyTorch, and say what was built."""
    answer = imported("torch")
    torch = sys.modules["torch"]
    if not answer["file"]:
        raise ImportError("only a folder named torch was found: " + ", ".join(list(torch.__path__)[:3]))
    try:
        answer["version"] = str(torch.__version__)
        answer["cuda"], answer["hip"] = torch.version.cuda or "", getattr(torch.version, "hip", None) or ""
    except AttributeError as error:
        raise ImportError("%s is no PyTorch: %s" % (answer["file"], error)) from error
    cudnn = attempt(torch.backends.cudnn.version)
    answer["cudnn"] = cudnn.get("value")
    if "error" in cudnn:
        answer["warnings"].append("cuDNN: " + cudnn["error"])
    answer["simulated"] = bool(getattr(torch, "__simulated__", False))
    return answer


def cuda() -> dict:
    """Ask PyTorch for CUDA and its devices, and why there are none."""
    torch = importlib.import_module("torch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # the reason why CUDA does not start is only a warning
        available = bool(torch.cuda.is_available())
        arch_list = [str(arch) for arch in torch.cuda.get_arch_list()]
        devices = [device(torch, index) for index in range(torch.cuda.device_count())] if available else []
        bf16 = attempt(lambda: bool(torch.cuda.is_bf16_supported())) if available else {}
    why = lines_of(caught)
    if not available and not (torch.version.cuda or getattr(torch.version, "hip", None)):
        why.append("this PyTorch (%s) is a build for the CPU alone" % torch.__version__)
    return {
        "available": available,
        "why": why,
        "arch_list": arch_list,
        "devices": devices,
        "bf16": bf16.get("value"),
        "warnings": [],
    }


def device(torch: object, index: int) -> dict:
    """Return what PyTorch says of a device. To ask for its free memory takes some hundred MiB of it, while we live."""
    of = torch.cuda.get_device_properties(index)
    memory = attempt(lambda: [int(size) for size in torch.cuda.mem_get_info(index)])
    return {
        "index": index,
        "name": str(of.name),
        "capability": "%d.%d" % (of.major, of.minor),
        "total_bytes": memory["value"][1] if "value" in memory else int(of.total_memory),
        "free": {"value": memory["value"][0]} if "value" in memory else memory,
        "uuid": str(getattr(of, "uuid", "")),
    }


def trial(index: int, precision: str) -> float:
    """Return the relative error of a product on a device, against the CPU's of the same, rounded, matrices."""
    torch = importlib.import_module("torch")
    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    place = "cuda:%d" % index
    left, right = torch.tensor(matrix(1), dtype=kind), torch.tensor(matrix(2), dtype=kind)
    product = left.to(place) @ right.to(place)
    torch.cuda.synchronize(index)
    found = product.to(torch.float32).tolist()
    expected = (left.to(torch.float32) @ right.to(torch.float32)).tolist()
    error = distance(found, expected) / distance(expected, [[0.0] * SIZE] * SIZE)
    if not math.isfinite(error):
        raise ArithmeticError("the product that %s computed is not finite" % place)
    return error


def matrix(seed: int) -> list:
    """Return a matrix whose values use all their digits, and are always the same."""
    return [[math.sin(seed + 1.7 * row + 0.31 * column * column) for column in range(SIZE)] for row in range(SIZE)]


def distance(one: list, other: list) -> float:
    """Return the Frobenius norm of a difference."""
    return math.sqrt(sum((a - b) ** 2 for row, line in zip(one, other) for a, b in zip(row, line)))
