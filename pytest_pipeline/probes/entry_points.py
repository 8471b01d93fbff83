"""The imports of a deployed script, followed through the modules that were deployed with it. None of them is executed.

Runs in the interpreter of a context: its grammar and its packages are those that the script will meet.
"""

import ast
import functools
import importlib.machinery
import os
import sys

LARGEST_BYTES = 4 * 1024 * 1024
MOST_FILES = 500
MOST_FOLDERS = 300  # that are searched for a module
DEEPEST = 3
FINDER = importlib.machinery.PathFinder
MODULES = tuple(importlib.machinery.all_suffixes())
INSTALLED = ("site-packages", "dist-packages")
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
PUTS_ON_PATH = ("sys.path.insert", "sys.path.append", "sys.path.extend", "site.addsitedir")


def examine(path: str, syntax: object) -> dict:
    """Follow a script's imports. Raises OSError where it cannot be read.

    A script of a package may be meant to be run as its module (`python -m`): then one of both ways is enough.
    """
    script = os.path.abspath(os.path.expanduser(path))
    real = os.path.realpath(script)  # of a linked script, Python looks where the file itself lies
    found = follow(real, script, (os.path.dirname(real), ""), syntax)
    root, package = package_of(os.path.dirname(script))
    if package and any(wrong(found)):
        found = min(found, follow(script, script, (root, package), syntax), key=wrong)
    return dict(found, path=path)


def follow(file: str, called: str, place: tuple, syntax: object) -> dict:
    """Return what is found on the way from one file; `place` is the folder that is looked in first, and its package."""
    root, package = place
    walk = Walk(root, syntax)
    if package:
        walk.need(package, None, "")  # it is imported before its module is run
    walk.visit(file, package, called)
    while walk.todo and walk.files < MOST_FILES:
        walk.visit(*walk.todo.pop())
    if walk.todo:
        walk.problems.append("more than %d files; the others were not read" % MOST_FILES)
    return {
        "files_read": walk.files,
        "imports": walk.imports,
        "missing": [*{(one["name"], one["file"], one["silent"]): one for one in walk.missing[::-1]}.values()][::-1][
            :100
        ],
        "problems": walk.problems[:20],
    }


def package_of(folder: str) -> tuple:
    """Return the folder that a package lies in, and its whole name; "" where the folder is none."""
    names = []
    while os.path.basename(folder) and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    return folder, ".".join(names)


def wrong(found: dict) -> tuple:
    """Return how wrong a way to run a script is: where a relative import fails, it is not the way that is meant."""
    names = [one["name"] for one in found["missing"] if one["local"] or not one["silent"]]
    return any(name.startswith(".") for name in names), len(names)


class Walk:
    """What was seen on the way. `places` are the folders whose modules count as deployed, but for what is `foreign`."""

    def __init__(self, root: str, syntax: object) -> None:
        self.root, self.places, self.syntax = root, [root], syntax
        self.path = [one for one in sys.path if one]
        self.foreign = foreign_to(root)
        self.todo, self.seen, self.names = [], set(), {}
        self.files = self.imports = 0
        self.missing, self.problems = [], []
        self.file = self.package = self.unknown_place = ""
        self.known, self.flags, self.asked = {}, {}, set()

    def visit(self, file: str, package: str, called: str = "") -> None:
        """Look at the imports of one file of a package ("" for a script); `called` is what its `__file__` says."""
        tree = self.parsed(file)
        if tree is not None:
            self.file, self.package, self.known = file, package, {"__file__": called or file}
            self.flags, self.asked = {}, set()
            self.files += 1
            self.statements(tree.body, "")

    def parsed(self, file: str) -> object:
        """Return the tree of a file; None where this interpreter cannot read it as Python, which is noted."""
        if os.path.getsize(file) > LARGEST_BYTES:
            self.problems.append("%s is too large to be read" % self.shown(file))
            return None
        with open(file, "rb") as source:
            text = source.read()
        try:
            return ast.parse(text, file)
        except (SyntaxError, ValueError) as error:
            self.file = file
            self.note(self.shown(file), error, "", "%s: %s" % (type(error).__name__, error))
            return None

    def statements(self, body: list, how: str) -> None:
        """Look at statements; `how` says why a failure in them would not end the script at once ("" where it would)."""
        for node in body:
            kind = type(node).__name__
            if kind == "Import":
                for alias in node.names:
                    self.need_itself(alias.name, node, how)
            elif kind == "ImportFrom":
                self.need_from(node, how)
            elif kind in ("Try", "TryStar"):
                self.trial(node, how)
            elif kind == "If":
                self.condition(node, how)
            elif kind in ("FunctionDef", "AsyncFunctionDef"):
                self.function(node, how)
            elif kind == "With" and any(self.syntax.suppresses(item.context_expr) for item in node.items):
                self.statements(node.body, "silent")
            else:
                self.others(node, how)

    def function(self, node: object, how: str) -> None:
        """A function: its body runs later, and its names are its own."""
        outside = self.flags, self.asked
        given = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        self.flags = {name: value for name, value in self.flags.items() if name not in given}
        self.asked = self.asked - given
        self.statements(node.body, how or "later")
        self.flags, self.asked = outside

    def others(self, node: object, how: str) -> None:
        """Look into any other statement, and at calls that bend the path or import by name."""
        for field in ("body", "orelse", "finalbody"):
            self.statements(getattr(node, field, None) or [], how)
        for case in getattr(node, "cases", []):
            self.statements(case.body, how)
        value = getattr(node, "value", None)
        targets = [self.syntax.dotted(one) for one in getattr(node, "targets", [getattr(node, "target", None)])]
        if isinstance(node, (ast.Assign, ast.AugAssign)) and "sys.path" in targets:
            self.add_place(value, node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and value is not None:
            text = self.syntax.path_of(value, self.known) or self.syntax.text_of(value)
            self.known.update((name, text) for name in targets)
            self.flags = {name: one for name, one in self.flags.items() if name not in targets}
            self.asked = self.asked.union(targets) if self.syntax.is_answer(value) else self.asked.difference(targets)
        if not isinstance(value, ast.Call):
            return
        called = self.syntax.dotted(value.func)
        if called in PUTS_ON_PATH and value.args:
            self.add_place(value.args[-1], node)
        elif called in ("importlib.import_module", "import_module", "__import__") and value.args:
            name = self.syntax.text_of(value.args[0])
            if name and not name.startswith("."):
                self.need_itself(name, node, how)

    def trial(self, node: object, how: str) -> None:
        """A `try`: its handlers matter only where an import in it fails; one that imports something else mends it."""
        catching = [handler for handler in node.handlers if self.syntax.catches(handler)]
        swallowed = bool(catching) and not any(self.syntax.leaves(handler.body) for handler in catching)
        for handler in node.handlers:
            if handler not in catching:
                self.statements(handler.body, how)
        before = len(self.missing)
        self.statements(node.body, "silent" if swallowed else how)
        if len(self.missing) == before:
            self.statements(node.orelse, how)
            self.flags.update(self.syntax.left_by(node))
        else:
            unset = self.syntax.literals(node.body + node.orelse)
            self.flags.update((name, not value) for name, value in unset.items())
            for handler in catching:
                inside = len(self.missing)
                imports = self.imports
                self.statements(handler.body, how)
                self.flags.update(self.syntax.literals(handler.body))
                if self.imports > imports and len(self.missing) == inside:
                    self.missing[before:inside] = []
        self.statements(node.finalbody, how)

    def condition(self, node: object, how: str) -> None:
        """An `if`: what depends on the interpreter, or on an import that was tried, is decided."""
        decided = self.syntax.decide(node.test, self.flags)
        main = isinstance(node.test, ast.Compare) and self.syntax.dotted(node.test.left) == "__name__"
        unsure = how if main or decided is not None else (how or "later")
        if self.syntax.asks_first(node.test, self.asked):
            unsure = "silent"
        if decided is not False:
            self.statements(node.body, unsure)
        if decided is not True:
            self.statements(node.orelse, unsure)

    def need(self, name: str, node: object, how: str) -> object:
        """Look for a module; the deployed ones are looked into later.

        Returns the specification of one that was deployed, and of a folder without __init__.py: its parts are looked
        for wherever it lies.
        """
        self.imports += 1
        whole, *parts = name.split(".")
        if whole in sys.builtin_module_names:
            return None
        spec = FINDER.find_spec(whole, self.places + self.path)
        if spec is None:
            if not findable(whole, None):
                elsewhere = self.deployed(whole)
                lies = "; %s was deployed, and is not where it looks" % elsewhere if elsewhere else ""
                self.note(name, node, how, "No module named '%s'%s" % (whole, lies), local=bool(elsewhere))
            return None
        installed = FINDER.find_spec(whole, self.path)
        if self.is_local(spec) and installed is not None and real_origin(installed) != real_origin(spec):
            self.problems.append("%s hides the installed module of that name" % self.shown(spec.origin))
        self.later(spec, whole)
        for part in parts:
            if not self.is_open(spec):
                return None
            below = part_of(spec, part)
            if below is None:
                if not findable(whole + "." + part, spec.submodule_search_locations):
                    local = self.is_local(spec)
                    self.note(name, node, how, "there is no %s in %s" % (part, whole), local=local)
                return None
            spec, whole = below, whole + "." + part
            self.later(spec, whole)
        return spec if self.is_open(spec) else None

    def need_itself(self, name: str, node: object, how: str) -> None:
        """Look for the module of `import X`: to Python any folder of that name is one, of no use without a module."""
        spec = self.need(name, node, how)
        if spec is None or not is_folder(spec) or any(has_modules(one) for one in spec.submodule_search_locations):
            return
        folder = self.shown(next(iter(spec.submodule_search_locations)))
        why = "only a folder of that name was found, without a module in it: %s" % folder
        raised = "" if how == "silent" else how  # there is no ImportError that could be swallowed
        self.note(name, node, raised, why, local=False)

    def need_from(self, node: object, how: str) -> None:
        """Look for `from X import a, b`: X, and in a deployed X each of the names."""
        name = node.module or ""
        if node.level:
            parts = self.package.split(".") if self.package else []
            if node.level > len(parts):
                self.imports += 1
                shown = "." * node.level + name
                self.note(shown, node, how, "a relative import beyond what was deployed as a package")
                return
            name = ".".join(parts[: len(parts) - node.level + 1] + ([name] if name else []))
        spec = self.need(name, node, how)
        if spec is None:
            return
        for alias in node.names:
            if alias.name == "*" or self.has(spec, name, alias.name):
                continue
            why = "%s has no %s" % (name, alias.name)
            self.note(name + "." + alias.name, node, how, why, local=self.is_local(spec))

    def has(self, spec: object, module: str, name: str) -> bool:
        """Whether a module has a name: bound there, or a module of it."""
        below = part_of(spec, name)
        if below is not None:
            self.later(below, module + "." + name)
            return True
        if is_folder(spec):
            return findable(module + "." + name, spec.submodule_search_locations)
        if not spec.origin.endswith(".py"):
            return True  # compiled: what it has is not to be seen
        if name in OF_EVERY_MODULE or (name == "__path__" and spec.submodule_search_locations):
            return True
        if spec.origin not in self.names:
            self.names[spec.origin] = bound_in(spec.origin, self.syntax)
        names = self.names[spec.origin]
        return names is None or name in names

    def later(self, spec: object, name: str) -> None:
        """Remember the file of a module to be looked at, if it was deployed."""
        if spec.origin not in self.seen and self.is_local(spec) and (spec.origin or "").endswith(".py"):
            self.seen.add(spec.origin)
            package = name if spec.submodule_search_locations else name.rpartition(".")[0]
            self.todo.append((spec.origin, package))

    def is_open(self, spec: object) -> bool:
        """Whether the parts of a module are looked for: an installed package has its own."""
        return is_folder(spec) or self.is_local(spec)

    def is_local(self, spec: object) -> bool:
        """Whether a module is one of those that were deployed."""
        if spec.origin:
            return self.is_ours(spec.origin)
        return any(self.is_ours(one) and has_modules(one) for one in spec.submodule_search_locations or [])

    def is_ours(self, place: str) -> bool:
        """Whether a file or folder was deployed. What is in an archive is whole, as what is installed."""
        if not any(is_below(place, folder) for folder in self.places) or not os.path.exists(place):
            return False
        real = os.path.realpath(place)
        return not any(is_below(place, folder) or is_below(real, folder) for folder in self.foreign)

    def add_place(self, node: object, statement: object) -> None:
        """A folder that the script puts on its path."""
        for one in getattr(node, "elts", [node]):
            folder = self.syntax.path_of(one, self.known)
            if folder is None:
                self.unknown_place = "%s:%d" % (self.shown(self.file), statement.lineno)
            elif os.path.basename(folder) in INSTALLED:
                self.path.append(folder)
                self.foreign.append(folder)
            elif folder not in self.places:
                self.places.append(folder)

    def deployed(self, top: str) -> str:
        """Return where a module of this name lies below the script's folder, "" where it does not."""
        for number, (folder, inside, names) in enumerate(os.walk(self.root)):
            deep = folder[len(self.root) :].count(os.sep) >= DEEPEST
            deep = deep or "pyvenv.cfg" in names or "conda-meta" in inside
            if top + ".py" in names:
                return self.shown(os.path.join(folder, top + ".py"))
            if folder != self.root and os.path.basename(folder) == top and "__init__.py" in names:
                return self.shown(folder)
            skipped = [one for one in inside if deep or one.startswith((".", "__")) or one.endswith("-packages")]
            inside[:] = [one for one in inside if one not in skipped]
            if number > MOST_FOLDERS:
                break
        return ""

    def note(self, name: str, node: object, how: str, why: str, *, local: bool = True) -> None:
        """Note an import that would fail. One that is only made when needed, of no module of ours, is a problem."""
        line = getattr(node, "lineno", 0) or 0
        where = "%s:%d" % (self.shown(self.file), line)
        if how == "later" and not local:
            self.problems.append("%s imports %s when it is needed: %s" % (where, name, why))
            return
        if self.unknown_place and not local and how != "silent":
            at = self.unknown_place
            self.problems.append("%s: %s, unless it is where %s looks, known only when it runs" % (where, why, at))
            return
        found = {"name": name, "file": self.shown(self.file), "line": line, "silent": how == "silent", "local": local}
        self.missing.append(dict(found, why=why))

    def shown(self, file: str) -> str:
        """Return a file as it is said: relative to the script's folder."""
        return os.path.relpath(file, self.root) if is_below(file, self.root) else file


def foreign_to(root: str) -> list:
    """Return the folders of this interpreter and of what is installed for it, as they are named and as they are.

    They may lie below a script. One that the script itself lies in is left out.
    """
    named = [os.path.dirname(os.__file__), sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix]
    named += [one for one in sys.path if os.path.basename(one) in INSTALLED]
    real = os.path.realpath(root)
    around = [one for one in named if not is_below(real, os.path.realpath(one))]
    return sorted({*around, *map(os.path.realpath, around)})


def is_below(place: str, folder: str) -> bool:
    """Whether a place is a folder, or in it."""
    return os.path.join(place, "").startswith(os.path.join(folder, ""))


def is_folder(spec: object) -> bool:
    """Whether a module is a mere folder, without __init__.py."""
    return spec.origin is None and spec.submodule_search_locations is not None


@functools.lru_cache(maxsize=None)
def has_modules(folder: str) -> bool:
    """Whether a module lies in a folder, or in one below it that can be imported; an archive is not opened for it."""
    if not os.path.isdir(folder):
        return True
    for number, (_, inside, names) in enumerate(os.walk(folder, followlinks=True)):
        if any(name.endswith(MODULES) for name in names):
            return True
        inside[:] = [one for one in inside if one.isidentifier() and not one.startswith("__")]
        if number > MOST_FOLDERS:
            break
    return False


def part_of(spec: object, part: str) -> object:
    """Return the specification of a part of a package, None where it has none.

    The finder is asked by the part's own name: given the whole one, it looks for the package above among the imported.
    """
    inside = spec.submodule_search_locations
    return FINDER.find_spec(part, list(inside)) if inside else None


def real_origin(spec: object) -> str:
    """Return the file of a module; "" where it has none."""
    return os.path.realpath(spec.origin) if spec.origin else ""


def findable(name: str, inside: object) -> bool:
    """Whether another finder of this interpreter knows a module: an editable install has one of its own."""
    if name in sys.modules:
        return True
    finders = [one for one in sys.meta_path if one is not FINDER and hasattr(one, "find_spec")]
    try:
        return any(one.find_spec(name, inside and list(inside)) is not None for one in finders)
    except (ImportError, ValueError, AttributeError):
        return False


def bound_in(file: str, syntax: object) -> object:
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
            if any(syntax.binds_above(one) for one in inside):
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
        elif syntax.binds_unseen(node):
            return None
        todo.extend(ast.iter_child_nodes(node))
    return None if names & {"*", "__getattr__"} else names
