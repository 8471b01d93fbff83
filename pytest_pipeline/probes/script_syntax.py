"""What single statements of a script mean for its imports: a part that `entry_points` uses.

Over syntax trees; of the host's files, only links are followed.
"""

import ast
import os
import sys

OF_EVERY_MODULE = {
    "__name__",
    "__doc__",
    "__file__",
    "__spec__",
    "__loader__",
    "__package__",
    "__dict__",
    "__builtins__",
}

CAUGHT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
LEAVES = {"exit", "_exit", "abort", "quit"}
SAME = ("abspath", "str", "Path", "fspath", "absolute")
BINDS = ("globals", "locals", "vars", "setattr", "exec")


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


def asks_first(test: object, asked: set) -> bool:
    """Whether a condition asks if a module can be imported, or is of what was `asked` before, by name."""
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return bool(names & asked) or any(map(asks, calls_in(test)))


def is_answer(value: object) -> bool:
    """Whether a value is what such questions came to, and nothing else: `find_spec("x") is not None`."""
    calls = [call for call in calls_in(value) if dotted(call.func) != "bool"]
    return bool(calls) and all(map(asks, calls))


def asks(call: object) -> bool:
    """Whether a call asks if a module can be imported: `find_spec("x")`, `is_x_available()`."""
    name = dotted(call.func).split(".")[-1]
    return name == "find_spec" or (name.startswith("is_") and name.endswith("_available"))


def calls_in(node: object) -> list:
    """Return the calls that an expression is made of."""
    return [one for one in ast.walk(node) if isinstance(one, ast.Call)]


def literals(body: list) -> dict:
    """Return the names that statements set to True, False or None, and to which."""
    found = {}
    for node in body:
        value = getattr(node, "value", None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and type(value).__name__ in ("Constant", "NameConstant"):
            plain = value.value is None or isinstance(value.value, bool)
            found.update((dotted(one), value.value) for one in getattr(node, "targets", None) or [node.target] if plain)
    return found


def left_by(node: object) -> dict:
    """Return what a `try` leaves in names where its imports succeed: known where nothing else in it can fail."""
    plain = all(isinstance(one, (ast.Import, ast.ImportFrom)) or literals([one]) for one in node.body)
    return literals(node.body + node.orelse) if plain else {}


def decide(test: object, flags: dict) -> object:
    """Return what a condition comes to here; None where that is not known.

    It is of sys.version_info, of sys.platform, of TYPE_CHECKING, and of `flags`: names that are None, True or False.
    """
    if isinstance(test, ast.BoolOp):
        told = [decide(one, flags) for one in test.values]
        ends = isinstance(test.op, ast.Or)
        return ends if ends in told else None if None in told else not ends
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        told = decide(test.operand, flags)
        return None if told is None else not told
    if dotted(test).split(".")[-1] == "TYPE_CHECKING":
        return False
    plain = (ast.expr, ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop, getattr(ast, "Index", ast.expr))
    for node in ast.walk(test):
        if isinstance(node, (ast.Call, ast.Lambda, ast.BinOp)) or not isinstance(node, plain):
            return None
    names = {dotted(node) for node in ast.walk(test) if isinstance(node, (ast.Attribute, ast.Name))}
    if not names or names - {"sys", "sys.version_info", "sys.platform", *flags}:
        return None
    known = dict(flags, sys=sys)
    try:
        return bool(eval(compile(ast.Expression(test), "<condition>", "eval"), known))  # noqa: S307  # see above
    except Exception:
        return None


def binds_unseen(node: object) -> bool:
    """Whether a node of a module may bind names of it that only a run knows."""
    return (isinstance(node, ast.Call) and dotted(node.func) in BINDS) or binds_above(node)


def binds_above(node: object) -> bool:
    """Whether a node may bind such names from within a function, too."""
    if isinstance(node, ast.Subscript) and dotted(node.value) == "sys.modules":
        return any(isinstance(one, ast.Name) and one.id == "__name__" for one in ast.walk(node))
    if isinstance(node, ast.Subscript):
        return dotted(node.value) == "globals()" and isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.Call) and dotted(node.func) == "globals().update"


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
    if called in ("realpath", "resolve"):
        return inner and os.path.realpath(inner)
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


def bound_in(file: str) -> object:
    """Return the names that a module binds; None where that is known only when it runs."""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return None  # said where the file itself is looked at
    names, todo = set(), list(tree.body)
    package = os.path.basename(file) == "__init__.py"
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inside = list(ast.walk(node))
            if any(binds_above(one) for one in inside):
                return None
            names.add(node.name)
            names.update(name for one in inside if isinstance(one, ast.Global) for name in one.names)
            continue
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)):
            continue  # what they bind is their own
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            of_itself = (
                package and getattr(node, "level", 0) == 1 and not node.module
            )  # found as its part, or not at all
            named = [one for one in node.names if one.asname or not of_itself]
            names.update(one.asname or one.name.split(".")[0] for one in named)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif binds_unseen(node):
            return None
        todo.extend(ast.iter_child_nodes(node))
    return None if names & {"*", "__getattr__"} else names
