"""The imports of a deployed script, followed through the modules that were deployed with it. None of them is executed.

Runs in the interpreter of a context: its grammar and its packages are those that the script will meet.
"""

import ast
import importlib.util
import os
import sys
from importlib.machinery import PathFinder

LARGEST_BYTES = 4 * 1024 * 1024
MOST_FILES = 500
MOST_FOLDERS = 300  # of a deployment that are searched for a module that lies elsewhere
DEEPEST = 3
PUTS_ON_PATH = ("sys.path.insert", "sys.path.append", "sys.path.extend", "site.addsitedir")


def examine(path: str, syntax: object) -> dict:
    """Follow a script's imports. Raises OSError where it cannot be read."""
    script = os.path.abspath(os.path.expanduser(path))
    walk = Walk(os.path.dirname(script), syntax)
    walk.visit(script, "")
    while walk.todo and walk.files < MOST_FILES:
        walk.visit(*walk.todo.pop())
    if walk.todo:
        walk.problems.append("more than %d files; the others were not read" % MOST_FILES)
    return {
        "path": path,
        "files_read": walk.files,
        "imports": walk.imports,
        "missing": [*{(one["name"], one["file"], one["silent"]): one for one in walk.missing[::-1]}.values()][::-1][
            :100
        ],
        "problems": walk.problems[:20],
    }


class Walk:
    """What was seen on the way. `places` are the folders whose modules count as deployed."""

    def __init__(self, root: str, syntax: object) -> None:
        self.root, self.places, self.syntax = root, [root], syntax
        self.path = [one for one in sys.path if one]
        self.todo, self.seen, self.names = [], set(), {}
        self.files = self.imports = 0
        self.missing, self.problems = [], []
        self.file = self.package = self.unknown_place = ""
        self.known = {}

    def visit(self, file: str, package: str) -> None:
        """Look at the imports of one file of a package ("" for a script)."""
        tree = self.parsed(file)
        if tree is not None:
            self.file, self.package, self.known = file, package, {"__file__": file}
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
                    self.need(alias.name, node, how)
            elif kind == "ImportFrom":
                self.need_from(node, how)
            elif kind in ("Try", "TryStar"):
                self.trial(node, how)
            elif kind == "If":
                self.condition(node, how)
            elif kind in ("FunctionDef", "AsyncFunctionDef"):
                self.statements(node.body, how or "later")
            elif kind == "With" and any(self.syntax.suppresses(item.context_expr) for item in node.items):
                self.statements(node.body, "silent")
            else:
                self.others(node, how)

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
        elif isinstance(node, ast.Assign):
            text = self.syntax.path_of(value, self.known) or self.syntax.text_of(value)
            self.known.update((name, text) for name in targets)
        if not isinstance(value, ast.Call):
            return
        called = self.syntax.dotted(value.func)
        if called in PUTS_ON_PATH and value.args:
            self.add_place(value.args[-1], node)
        elif called in ("importlib.import_module", "import_module", "__import__") and value.args:
            name = self.syntax.text_of(value.args[0])
            if name and not name.startswith("."):
                self.need(name, node, how)

    def trial(self, node: object, how: str) -> None:
        """A `try`: its handlers matter only where an import in it fails; one that imports something else mends it."""
        catching = [handler for handler in node.handlers if self.syntax.catches(handler)]
        swallowed = bool(catching) and not any(self.syntax.leaves(handler.body) for handler in catching)
        before = len(self.missing)
        self.statements(node.body, "silent" if swallowed else how)
        failed = self.missing[before:]
        others = [handler for handler in node.handlers if handler not in catching]
        if failed:
            for handler in catching:
                inside = len(self.missing)
                imports = self.imports
                self.statements(handler.body, how)
                if self.imports > imports and len(self.missing) == inside:
                    self.missing[before:inside] = []
        for handler in others:
            self.statements(handler.body, how)
        self.statements(node.orelse + node.finalbody, how)

    def condition(self, node: object, how: str) -> None:
        """An `if`: what only type checkers see is left out, what depends on the interpreter is decided."""
        test = self.syntax.dotted(node.test)
        decided = self.syntax.decide(node.test)
        if test in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            decided = False
        main = isinstance(node.test, ast.Compare) and self.syntax.dotted(node.test.left) == "__name__"
        unsure = how if main or decided is not None else (how or "later")
        if self.syntax.asks_first(node.test):
            unsure = "silent"
        if decided is not False:
            self.statements(node.body, unsure)
        if decided is not True:
            self.statements(node.orelse, unsure)

    def need(self, name: str, node: object, how: str) -> object:
        """Look for a module; the deployed ones are looked into later. Returns its specification."""
        self.imports += 1
        top = name.partition(".")[0]
        if top in sys.builtin_module_names:
            return None
        spec = PathFinder.find_spec(top, self.places + self.path)
        if spec is None or not self.is_local(spec):
            if spec is None and not findable(top):
                elsewhere = self.deployed(top)
                lies = "; %s was deployed, and is not where it looks" % elsewhere if elsewhere else ""
                self.note(name, node, how, "No module named '%s'%s" % (top, lies), local=bool(elsewhere))
            return None
        installed = PathFinder.find_spec(top, self.path)
        if installed is not None and installed.origin != spec.origin:
            self.problems.append("%s hides the installed module of that name" % self.shown(spec.origin))
        self.later(spec, top)
        for index, part in enumerate(name.split(".")[1:], 1):
            whole = ".".join(name.split(".")[: index + 1])
            inside = spec.submodule_search_locations
            spec = PathFinder.find_spec(whole, list(inside)) if inside else None
            if spec is None:
                self.note(name, node, how, "there is no %s in %s" % (part, whole.rpartition(".")[0]))
                return None
            self.later(spec, whole)
        return spec

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
            self.note(name + "." + alias.name, node, how, "%s has no %s" % (name, alias.name))

    def has(self, spec: object, module: str, name: str) -> bool:
        """Whether a deployed module has a name: bound there, or a module of it."""
        inside = spec.submodule_search_locations
        below = PathFinder.find_spec(module + "." + name, list(inside)) if inside else None
        if below is not None:
            self.later(below, module + "." + name)
            return True
        if not spec.origin or not spec.origin.endswith(".py"):
            return bool(spec.origin)  # compiled: what it has is not to be seen
        if spec.origin not in self.names:
            self.names[spec.origin] = bound_in(spec.origin, self.syntax)
        names = self.names[spec.origin]
        return names is None or name in names

    def later(self, spec: object, name: str) -> None:
        """Remember a deployed module's file to be looked at."""
        if spec.origin and spec.origin.endswith(".py") and spec.origin not in self.seen:
            self.seen.add(spec.origin)
            package = name if spec.submodule_search_locations else name.rpartition(".")[0]
            self.todo.append((spec.origin, package))

    def is_local(self, spec: object) -> bool:
        """Whether a module is one of those that were deployed."""
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
        return any(place.startswith(folder + os.sep) for place in places for folder in self.places)

    def add_place(self, node: object, statement: object) -> None:
        """A folder that the script puts on its path."""
        for one in getattr(node, "elts", [node]):
            folder = self.syntax.path_of(one, self.known)
            if folder is None:
                self.unknown_place = "%s:%d" % (self.shown(self.file), statement.lineno)
            elif folder not in self.places:
                self.places.append(folder)

    def deployed(self, top: str) -> str:
        """Return where a module of this name lies below the script's folder, "" where it does not."""
        for number, (folder, inside, names) in enumerate(os.walk(self.root)):
            deep = folder[len(self.root) :].count(os.sep) >= DEEPEST or "pyvenv.cfg" in names
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
        return os.path.relpath(file, self.root) if file.startswith(self.root + os.sep) else file


def findable(top: str) -> bool:
    """Whether any finder of this interpreter knows a module: an editable install has one of its own."""
    try:
        return importlib.util.find_spec(top) is not None
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
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            names.update(name for one in ast.walk(node) if isinstance(one, ast.Global) for name in one.names)
            continue
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)):
            continue  # what they bind is their own
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Call) and syntax.dotted(node.func) in ("globals", "setattr", "globals().update"):
            return None
        todo.extend(ast.iter_child_nodes(node))
    return None if names & {"*", "__getattr__"} else names
