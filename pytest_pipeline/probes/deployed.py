"""The modules of a deployment: which there are, where they lie, which belong to others. None of them is executed."""

import functools
import importlib.machinery
import os
import sys

MOST_FOLDERS = 300  # that are searched for a module
DEEPEST = 3
FINDER = importlib.machinery.PathFinder
MODULES = tuple(importlib.machinery.all_suffixes())
INSTALLED = ("site-packages", "dist-packages")


class Deployment:
    """What was deployed with a script. `places` are the folders whose modules count, but for what is `foreign`."""

    def __init__(self, root: str) -> None:
        self.root, self.places = root, [root]
        self.path = [one for one in sys.path if one]
        self.foreign = foreign_to(root)

    def add(self, folder: str) -> None:
        """Look in a folder too, that the script puts on its path."""
        if os.path.basename(folder) in INSTALLED:
            self.path.append(folder)
            self.foreign.append(folder)
        elif folder not in self.places:
            self.places.append(folder)

    def find(self, top: str) -> object:
        """Return the specification of a module, None where the path has none."""
        return FINDER.find_spec(top, self.places + self.path)

    def hides_installed(self, spec: object, top: str) -> bool:
        """Whether a deployed module is taken instead of an installed one of its name."""
        installed = FINDER.find_spec(top, self.path)
        return self.is_local(spec) and installed is not None and real_origin(installed) != real_origin(spec)

    @staticmethod
    def part_of(spec: object, part: str) -> object:
        """Return the specification of a part of a package, None where it has none.

        The finder is asked by the part's own name: given the whole one, it looks for the package above among the
        imported.
        """
        inside = spec.submodule_search_locations
        return FINDER.find_spec(part, list(inside)) if inside else None

    @staticmethod
    def is_found_otherwise(name: str, above: object = None) -> bool:
        """Whether another finder of this interpreter knows a module: an editable install has one of its own."""
        if name in sys.modules:
            return True
        inside = above.submodule_search_locations if above is not None else None
        finders = [one for one in sys.meta_path if one is not FINDER and hasattr(one, "find_spec")]
        try:
            return any(one.find_spec(name, inside and list(inside)) is not None for one in finders)
        except (ImportError, ValueError, AttributeError):
            return False

    @staticmethod
    def is_folder(spec: object) -> bool:
        """Whether a module is a mere folder, without __init__.py."""
        return spec.origin is None and spec.submodule_search_locations is not None

    def is_without_modules(self, spec: object) -> bool:
        """Whether a module is a mere folder in which there is none."""
        return self.is_folder(spec) and not any(has_modules(one) for one in spec.submodule_search_locations)

    def is_open(self, spec: object) -> bool:
        """Whether the parts of a module are looked for: an installed package has its own."""
        return self.is_folder(spec) or self.is_local(spec)

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

    def place_of(self, top: str) -> str:
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

    def shown(self, file: str) -> str:
        """Return a file as it is said: relative to the script's folder."""
        return os.path.relpath(file, self.root) if is_below(file, self.root) else file


def package_of(folder: str) -> tuple:
    """Return the folder that a package lies in, and its whole name; "" where the folder is none."""
    names = []
    while os.path.basename(folder) and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        names.insert(0, name)
    return folder, ".".join(names)


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


def real_origin(spec: object) -> str:
    """Return the file of a module; "" where it has none."""
    return os.path.realpath(spec.origin) if spec.origin else ""
