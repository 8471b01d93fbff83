"""What single statements of a script mean for its imports: a part that `entry_points` uses. Pure, over syntax trees."""

import ast
import os
import sys

CAUGHT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
LEAVES = {"exit", "_exit", "abort", "quit"}
SAME = ("abspath", "realpath", "str", "Path", "fspath", "resolve", "absolute")


def catches(handler: object) -> bool:
    """Whether a handler catches an ImportError."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(dotted(kind).split(".")[-1] in CAUGHT for kind in kinds)


def leaves(body: list) -> bool:
    """Whether a handler always raises, or ends the script: a stand-in that raises once it is used does not count."""
    for node in body:
        if isinstance(node, ast.Raise):
            return True
        call = getattr(node, "value", None)
        if isinstance(call, ast.Call) and dotted(call.func).split(".")[-1] in LEAVES:
            return True
    return False


def suppresses(node: object) -> bool:
    """Whether an expression is contextlib.suppress of an ImportError."""
    if not isinstance(node, ast.Call) or dotted(node.func).split(".")[-1] != "suppress":
        return False
    return any(dotted(kind).split(".")[-1] in CAUGHT for kind in node.args)


def asks_first(test: object) -> bool:
    """Whether a condition asks if a module can be imported: `find_spec("x")`, `is_x_available()`."""
    calls = [dotted(node.func).split(".")[-1] for node in ast.walk(test) if isinstance(node, ast.Call)]
    return any(name == "find_spec" or (name.startswith("is_") and name.endswith("_available")) for name in calls)


def decide(test: object) -> object:
    """Return what a condition on sys.version_info or sys.platform comes to here; None for any other."""
    plain = (ast.expr, ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop, getattr(ast, "Index", ast.expr))
    for node in ast.walk(test):
        if isinstance(node, (ast.Call, ast.Lambda, ast.BinOp)) or not isinstance(node, plain):
            return None
    names = {dotted(node) for node in ast.walk(test) if isinstance(node, (ast.Attribute, ast.Name))}
    if not names or names - {"sys", "sys.version_info", "sys.platform"}:
        return None
    try:
        return bool(eval(compile(ast.Expression(test), "<condition>", "eval"), {"sys": sys}))  # noqa: S307  # see above
    except Exception:
        return None


def path_of(node: object, known: dict) -> object:
    """Return the folder that an expression names, as far as it is made of literals and of what is known by name.

    That is `__file__`, and the variables whose texts and paths were seen on the way.
    """
    text = part_of(node, known)
    if text is not None:
        return os.path.normpath(text) if os.path.isabs(text) else None
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        return above(path_of(node.value, known))
    if isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "parents":
        return above(path_of(node.value.value, known), number_of(node.slice))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return joined(path_of(node.left, known), [part_of(node.right, known)])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return glued([node.left, node.right], known)
    if isinstance(node, ast.JoinedStr):
        return glued([getattr(part, "value", part) if text_of(part) is None else part for part in node.values], known)
    return path_called(node, known) if isinstance(node, ast.Call) else None


def path_called(node: object, known: dict) -> object:
    """Return the folder that a call of os.path or pathlib names."""
    called = dotted(node.func).split(".")[-1] or getattr(node.func, "attr", "")
    of = [*node.args] if node.args and called != "joinpath" else [getattr(node.func, "value", None), *node.args]
    inner = path_of(of[0], known) if of[0] is not None else None
    if called in SAME:
        return inner
    if called == "dirname":
        return above(inner)
    return joined(inner, [part_of(one, known) for one in of[1:]]) if called in ("join", "joinpath") else None


def part_of(node: object, known: dict) -> object:
    """Return the text of a literal, of a known variable, or of os.pardir; None for anything else."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    return ".." if dotted(node) in ("os.pardir", "os.path.pardir") else text_of(node)


def number_of(node: object) -> object:
    """Return the number of an index; None where it is no literal."""
    node = node.value if type(node).__name__ == "Index" else node  # which Python 3.8 and older have
    number = getattr(node, "value", getattr(node, "n", None))
    return number if isinstance(number, int) and number >= 0 else None


def glued(nodes: list, known: dict) -> object:
    """Return the path that texts and paths make when they are put together."""
    texts = [part_of(node, known) or path_of(node, known) for node in nodes]
    whole = "".join(texts) if None not in texts else ""
    return os.path.normpath(whole) if os.path.isabs(whole) else None


def above(path: object, more: object = 0) -> object:
    """Return the folder of a path, or one so many more above; None where it is not known."""
    if path is None or more is None:
        return None
    for _ in range(more + 1):
        path = os.path.dirname(path)
    return path


def joined(folder: object, parts: list) -> object:
    """Return a path below a folder, None where a part of it is not known."""
    if folder is None or None in parts:
        return None
    return os.path.normpath(os.path.join(folder, *parts))


def text_of(node: object) -> object:
    """Return the text of a literal; None for anything else."""
    value = getattr(node, "value", None) if type(node).__name__ == "Constant" else getattr(node, "s", None)
    return value if isinstance(value, str) else None


def dotted(node: object) -> str:
    """Return a name with its attributes, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        whole = dotted(node.value)
        return whole + "." + node.attr if whole else ""
    if isinstance(node, ast.Call):
        called = dotted(node.func)
        return called + "()" if called else ""
    return ""
