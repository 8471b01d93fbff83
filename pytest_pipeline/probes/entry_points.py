"""The imports of a deployed script, followed through the modules that were deployed with it. None of them is executed.

Runs in the interpreter of a context: its grammar and its packages are those that the script will meet.
"""

import ast
import os
import sys

LARGEST_BYTES = 4 * 1024 * 1024
MOST_FILES = 500
PUTS_ON_PATH = ("sys.path.insert", "sys.path.append", "sys.path.extend", "site.addsitedir")


def examine(path: str, parts: dict) -> dict:
    """Follow a script's imports. Raises OSError where it cannot be read.

    A script of a package may be meant to be run as its module (`python -m`): then one of both ways is enough.
    """
    script = os.path.abspath(os.path.expanduser(path))
    real = os.path.realpath(script)  # of a linked script, Python looks where the file itself lies
    found = follow(real, script, (os.path.dirname(real), ""), parts)
    root, package = parts["deployed"].package_of(os.path.dirname(script))
    if package and any(wrong(found)):
        found = min(found, follow(script, script, (root, package), parts), key=wrong)
    return dict(found, path=path)


def follow(file: str, called: str, place: tuple, parts: dict) -> dict:
    """Return what is found on the way from one file; `place` is the folder that is looked in first, and its package."""
    root, package = place
    walk = Walk(parts["deployed"].Deployment(root), parts["script_syntax"])
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


def wrong(found: dict) -> tuple:
    """Return how wrong a way to run a script is: where a relative import fails, it is not the way that is meant."""
    names = [one["name"] for one in found["missing"] if one["local"] or not one["silent"]]
    return any(name.startswith(".") for name in names), len(names)


class Walk:
    """What was seen on the way."""

    def __init__(self, deployment: object, syntax: object) -> None:
        self.deployment, self.syntax = deployment, syntax
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
            self.problems.append("%s is too large to be read" % self.deployment.shown(file))
            return None
        with open(file, "rb") as source:
            text = source.read()
        try:
            return ast.parse(text, file)
        except (SyntaxError, ValueError) as error:
            self.file = file
            self.note(self.deployment.shown(file), error, "", "%s: %s" % (type(error).__name__, error))
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
        spec = self.deployment.find(whole)
        if spec is None:
            if not self.deployment.is_found_otherwise(whole):
                elsewhere = self.deployment.place_of(whole)
                lies = "; %s was deployed, and is not where it looks" % elsewhere if elsewhere else ""
                self.note(name, node, how, "No module named '%s'%s" % (whole, lies), local=bool(elsewhere))
            return None
        if self.deployment.hides_installed(spec, whole):
            self.problems.append("%s hides the installed module of that name" % self.deployment.shown(spec.origin))
        self.later(spec, whole)
        for part in parts:
            if not self.deployment.is_open(spec):
                return None
            below = self.deployment.part_of(spec, part)
            if below is None:
                if not self.deployment.is_found_otherwise(whole + "." + part, spec):
                    local = self.deployment.is_local(spec)
                    self.note(name, node, how, "there is no %s in %s" % (part, whole), local=local)
                return None
            spec, whole = below, whole + "." + part
            self.later(spec, whole)
        return spec if self.deployment.is_open(spec) else None

    def need_itself(self, name: str, node: object, how: str) -> None:
        """Look for the module of `import X`: to Python any folder of that name is one, of no use without a module."""
        spec = self.need(name, node, how)
        if spec is None or not self.deployment.is_without_modules(spec):
            return
        folder = self.deployment.shown(next(iter(spec.submodule_search_locations)))
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
            self.note(name + "." + alias.name, node, how, why, local=self.deployment.is_local(spec))

    def has(self, spec: object, module: str, name: str) -> bool:
        """Whether a module has a name: bound there, or a module of it."""
        below = self.deployment.part_of(spec, name)
        if below is not None:
            self.later(below, module + "." + name)
            return True
        if self.deployment.is_folder(spec):
            return self.deployment.is_found_otherwise(module + "." + name, spec)
        if not spec.origin.endswith(".py"):
            return True  # compiled: what it has is not to be seen
        if name in self.syntax.OF_EVERY_MODULE or (name == "__path__" and spec.submodule_search_locations):
            return True
        if spec.origin not in self.names:
            self.names[spec.origin] = self.syntax.bound_in(spec.origin)
        names = self.names[spec.origin]
        return names is None or name in names

    def later(self, spec: object, name: str) -> None:
        """Remember the file of a module to be looked at, if it was deployed."""
        if spec.origin not in self.seen and self.deployment.is_local(spec) and (spec.origin or "").endswith(".py"):
            self.seen.add(spec.origin)
            package = name if spec.submodule_search_locations else name.rpartition(".")[0]
            self.todo.append((spec.origin, package))

    def add_place(self, node: object, statement: object) -> None:
        """A folder that the script puts on its path."""
        for one in getattr(node, "elts", [node]):
            folder = self.syntax.path_of(one, self.known)
            if folder is None:
                self.unknown_place = "%s:%d" % (self.deployment.shown(self.file), statement.lineno)
            else:
                self.deployment.add(folder)

    def note(self, name: str, node: object, how: str, why: str, *, local: bool = True) -> None:
        """Note an import that would fail. One that is only made when needed, of no module of ours, is a problem."""
        line = getattr(node, "lineno", 0) or 0
        where = "%s:%d" % (self.deployment.shown(self.file), line)
        if how == "later" and not local:
            self.problems.append("%s imports %s when it is needed: %s" % (where, name, why))
            return
        if self.unknown_place and not local and how != "silent":
            at = self.unknown_place
            self.problems.append("%s: %s, unless it is where %s looks, known only when it runs" % (where, why, at))
            return
        found = {"name": name, "file": self.deployment.shown(self.file), "line": line, "silent": how == "silent"}
        self.missing.append(dict(found, local=local, why=why))
