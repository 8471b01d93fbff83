"""What is installed, read from its metadata by hand: Python 3.7 has no importlib.metadata, uv's environments no pip.

Sources: PyPA specifications "Recording installed projects" and "Core metadata"; setuptools' requires.txt.
"""

import csv
import os
import re
import sys

CHUNK_BYTES = 16384
HEADER_BYTES = 1024 * 1024
JUNK = ("tests", "test", "docs", "doc", "examples", "benchmarks", "scripts", "tools")
MODULE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.(?:[A-Za-z0-9_-]+\.)?(?:py|so)$")  # no dot folder, no data


def installed(required: list) -> list:
    """Return all distributions that an import would find; what they require, where `required` leads to it."""
    found = every()
    leads = closure(found, required)
    answers = []
    for name, one in sorted(found.items()):
        requires = [line for line in one["requires"] if applies(line, leads[name])] if name in leads else None
        answers.append(dict(one, requires=requires))
    return answers


def every() -> dict:
    """Return the distributions by normal name. The first on the path is the one that counts."""
    found = {}
    for folder in sys.path:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            continue  # where nothing can be listed, nothing is imported: an archive, a folder that is not there
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith(
                "~"
            ):  # pip's name for what is half gone
                one = distribution(folder, name)
                if one is not None:
                    found.setdefault(normal(one["name"]), one)
    return found


def distribution(folder: str, name: str) -> object:
    """Read one distribution; None where its metadata is gone. What cannot be read still has its folder's name."""
    place = os.path.join(folder, name)
    file = (
        place
        if os.path.isfile(place)
        else os.path.join(place, "METADATA" if name.endswith(".dist-info") else "PKG-INFO")
    )
    try:
        fields = header(file)
        requires = fields.get("requires-dist", [])
        if name.endswith(".egg-info") and not requires:
            requires = egg_requires(place)
    except FileNotFoundError:
        return None
    except OSError:
        fields, requires = {}, []
    stem = re.match(r"(.+?)(?:-([^-]+)(?:-py[\d.]+)?)?\.(?:dist|egg)-info$", name)
    return {
        "name": fields.get("name", [stem.group(1)])[0],
        "version": fields.get("version", [stem.group(2) or ""])[0],
        "location": folder,
        "requires_python": fields.get("requires-python", [""])[0],
        "requires": requires,
        "info": name,
    }


def header(file: str) -> dict:
    """Return the fields of the header block, by lower-case name; a long description follows it."""
    data = b""
    with open(file, "rb") as opened:
        while len(data) < HEADER_BYTES:
            chunk = opened.read(CHUNK_BYTES)
            data += chunk
            end = re.search(rb"\r?\n\r?\n", data)
            if end or not chunk:
                break
    fields = {}
    name = ""
    for line in data[: end.start() if end else None].decode("utf-8", "replace").splitlines():
        if line[:1] in (" ", "\t") and name:
            fields[name][-1] += " " + line.strip()
            continue
        name, _, value = line.partition(":")
        name = name.strip().lower()
        fields.setdefault(name, []).append(value.strip())
    return fields


def egg_requires(place: str) -> list:
    """Return the requirements of an egg as Requires-Dist lines."""
    try:
        with open(os.path.join(place, "requires.txt"), encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found, marker = [], ""
    for line in filter(None, lines):
        if line.startswith("["):
            extra, _, condition = line.strip("[]").partition(":")
            marker = " and ".join(
                filter(None, ['extra == "%s"' % extra if extra else "", condition and "(%s)" % condition])
            )
        else:
            found.append(line + (" ; " + marker if marker else ""))
    return found


def closure(found: dict, required: list) -> dict:
    """Return the distributions that requirements lead to, by normal name, and which of their extras ("" is none).

    By name alone: markers are evaluated by whoever asked, except that an extra must have been asked for.
    """
    leads = {}
    waiting = list(required)
    while waiting:
        name, extras = asked(waiting.pop())
        if name not in found:
            continue
        new = extras - leads.get(name, set())
        leads.setdefault(name, set()).update(new)
        waiting += [line for line in found[name]["requires"] if new and applies(line, new)]
    return leads


def asked(requirement: str) -> tuple:
    """Return the normal name that a requirement asks for, and the extras, "" among them."""
    parsed = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?", requirement)
    if parsed is None:
        return "", {""}
    extras = {normal(extra.strip()) for extra in (parsed.group(2) or "").split(",") if extra.strip()}
    return normal(parsed.group(1)), extras | {""}


def applies(line: str, extras: set) -> bool:
    """Whether a Requires-Dist line is for one of these extras, or for none in particular."""
    wanted = re.findall(r"""extra\s*==\s*["']([^"']+)["']""", line.partition(";")[2])
    return any(normal(extra) in extras for extra in wanted) if wanted else True


def normal(name: str) -> str:
    """Return a name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def module_of(requirement: str) -> object:
    """Return the name that a required distribution is imported by; None where it has nothing to import.

    It is in what was installed (RECORD), else in top_level.txt, else it is the distribution's own name.
    """
    name = asked(requirement)[0]
    own = name.replace("-", "_")
    one = every().get(name)
    if one is None:
        return own
    place = os.path.join(one["location"], one["info"])
    counted = recorded(place)
    if counted is None:
        counted = dict.fromkeys(top_levels(place), 1) or {own: 1}
    if not counted:
        return None

    def rank(module: str) -> tuple:
        plain = module.lower().replace(".", "_")
        return (
            plain == own,
            module.rpartition(".")[2].lower() == own,
            module not in JUNK and not module.startswith("_"),
            counted[module],
        )

    return max(sorted(counted), key=rank)


def recorded(place: str) -> object:
    """Return the modules that a distribution installed, and of how many files; None where that is not recorded."""
    try:
        with open(os.path.join(place, "RECORD"), encoding="utf-8", errors="replace", newline="") as file:
            files = [row[0] for row in csv.reader(file) if row]
    except (FileNotFoundError, NotADirectoryError):
        return None
    if any("__editable__" in path or path.endswith(".pth") for path in files):
        return None  # it is installed as a pointer to where it is worked on
    packages = {path.rpartition("/")[0] for path in files if path.endswith("/__init__.py")}
    outermost = [path for path in packages if not any(path.startswith(one + "/") for one in packages if one != path)]
    counted = {}
    for path in outermost:
        if all(part.isidentifier() for part in path.split("/")):
            counted[path.replace("/", ".")] = sum(1 for file in files if file.startswith(path + "/"))
    for path in files:
        single = MODULE.match(path)
        if single:
            counted.setdefault(single.group(1), 1)
    return counted


def top_levels(place: str) -> list:
    """Return what top_level.txt names."""
    try:
        with open(os.path.join(place, "top_level.txt"), encoding="utf-8", errors="replace") as file:
            return [line.strip().replace("/", ".") for line in file if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        return []
