"""What is installed, read from its metadata by hand: Python 3.7 has no importlib.metadata, uv's environments no pip.

Sources: PyPA specifications "Recording installed projects" and "Core metadata"; setuptools' requires.txt; the library's
documentation of `site` (path configuration files).
"""

import ast
import csv
import os
import re
import sys

CHUNK_BYTES = 16384
HEADER_BYTES = 1024 * 1024
MOST_FILES = 5000  # of a folder that is looked through for modules
DEEPEST = 3
JUNK = (
    "tests", "test", "docs", "doc", "example", "examples", "benchmarks", "scripts", "tools", "build", "setup",
    "conftest", "noxfile",
)  # fmt: skip
# A folder that no import finds (*.dist-info, *.data, ..) is no name; `lib*.so` is a library that modules are linked to.
MODULE = re.compile(r"((?:[^\W\d]\w*/)*(?!lib\w*\.so)[^\W\d]\w*)(?:\.pyc?|(?:\.[A-Za-z0-9_-]+)?\.so)$")


def installed(required: list) -> list:
    """Return all distributions that an import would find; what they require, where `required` leads to it."""
    found = every()
    leads = closure(found, required)
    answers = []
    for name, one in sorted(found.items()):
        lines = one["requires"] if name in leads else None
        requires = None if lines is None else [line for line in lines if applies(line, leads[name])]
        answers.append(dict(one, requires=requires))
    return answers


def every() -> dict:
    """Return the distributions by normal name. The first folder on the path that has one is the one that counts.

    Of two in a folder it is the one that is there: the other was left behind. Else the first that is listed, as
    importlib.metadata has it.
    """
    found = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder)
        except OSError:
            continue  # where nothing can be listed, nothing is imported: an archive, a folder that is not there
        here = {}
        for name in names:
            if name.endswith((".dist-info", ".egg-info")) and not name.startswith(
                "~"
            ):  # pip's name for what is half gone
                one = distribution(folder, name)
                if one is not None:
                    here.setdefault(normal(one["name"]), []).append(one)
        for name, several in here.items():
            found.setdefault(name, max(several, key=share_there) if len(several) > 1 else several[0])
    return found


def share_there(one: dict) -> float:
    """Return which share of what a distribution recorded is there, by name and size."""
    rows = record(os.path.join(one["location"], one["info"])) or []
    return sum(is_there(os.path.join(one["location"], row[0]), row[2:3]) for row in rows) / max(1, len(rows))


def is_there(file: str, recorded_size: list) -> bool:
    """Whether a file is there; in its recorded size, where it has one."""
    try:
        return str(os.stat(file).st_size) in recorded_size or recorded_size in ([], [""])
    except OSError:
        return False


def distribution(folder: str, name: str) -> object:
    """Read one distribution; None where its metadata is gone. What cannot be read still has its folder's name.

    Its `requires` are None where they could not be read: metadata that does not say whose it is, is not whole.
    """
    place = os.path.join(folder, name)
    file = (
        place
        if os.path.isfile(place)
        else os.path.join(place, "METADATA" if name.endswith(".dist-info") else "PKG-INFO")
    )
    try:
        fields = header(file)
        requires = fields.get("requires-dist", []) if "name" in fields else None
        if name.endswith(".egg-info") and requires == []:
            requires = egg_requires(place)
    except FileNotFoundError:
        return None
    except OSError:
        fields, requires = {}, None
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
        waiting += [line for line in found[name]["requires"] or [] if new and applies(line, new)]
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


def module_of(requirement: str) -> tuple:
    """Return the name that a required distribution is imported by ("": it has nothing to import), and if it is a guess.

    It is in what was installed (RECORD), or in what that points to, else in top_level.txt. Where none of these tells,
    the distribution's own name is a guess. What is not installed has no other name.
    """
    name = asked(requirement)[0]
    own = name.replace("-", "_")
    one = every().get(name)
    if one is None:
        return own, False
    counted = modules(one["location"], os.path.join(one["location"], one["info"]))
    if counted is None:
        return own, True

    def rank(module: str) -> tuple:
        plain = module.lower().replace(".", "_")
        return (
            plain == own,
            module.rpartition(".")[2].lower() == own,
            not any(part in JUNK for part in module.split(".")) and not module.startswith("_"),
            counted[module],
            -module.count("."),
        )

    return max(sorted(counted), key=rank, default=""), False


def modules(folder: str, place: str) -> object:
    """Return the modules of a distribution, and of how many files each; None where nothing says which they are."""
    rows = record(place)
    if rows is None:
        tops = lines_of(os.path.join(place, "top_level.txt"))
        found = counted([path for top in tops for path in beneath(folder, top)])
        return found or {top.replace("/", "."): 1 for top in tops} or None
    files = [row[0] for row in rows]
    pointers = [path for path in files if path.endswith(".pth") and "/" not in path]  # others are weights of a model
    lines = [line for path in pointers for line in lines_of(os.path.join(folder, path))]
    finders = [found.group(1) + ".py" for found in map(re.compile(r"import\s+(\w+)").match, lines) if found]
    found = counted([path for path in files if path not in finders])
    if found or not pointers:
        return found
    for finder in finders:
        found.update(mapped(os.path.join(folder, finder)))
    for line in lines:
        there = [] if line.startswith("import") else beneath(os.path.join(folder, line), "")
        # Where somebody works lies more than what is installed of it.
        found.update(counted([path for path in there if re.split("[/.]", path)[0] not in JUNK]))
    return found or None


def counted(files: list) -> dict:
    """Return which modules some files are, and of how many each: packages and what is in none; else the shallowest."""
    paths = [found.group(1) for found in map(MODULE.match, files) if found]
    packages = {path[: -len("/__init__")] for path in paths if path.endswith("/__init__")}
    found = {}
    for path in packages:
        parts = path.split("/")
        if not any("/".join(parts[:end]) in packages for end in range(1, len(parts))):
            found[path.replace("/", ".")] = sum(1 for file in files if file.startswith(path + "/"))
    rest = [path for path in paths if path.rpartition("/")[2] not in ("__init__", "__main__")]
    depth = 0 if found else min((path.count("/") for path in rest), default=0)
    for path in rest:
        if path.count("/") == depth:
            found.setdefault(path.replace("/", "."), 1)
    return found


def record(place: str) -> object:
    """Return the rows of a RECORD (path, hash, size); None where there is none to be read."""
    try:
        with open(os.path.join(place, "RECORD"), encoding="utf-8", errors="replace", newline="") as file:
            return [row for row in csv.reader(file) if row]
    except OSError:
        return None


def beneath(folder: str, inside: str) -> list:
    """Return the files at a place in a folder, and in its folders as far as these are no packages; by relative path."""
    if not os.path.isdir(os.path.join(folder, inside)):
        return [inside + ".py"]
    found, waiting = [], [inside + "/" if inside else ""]
    for place in waiting:
        names = listed(os.path.join(folder, place)) if len(found) < MOST_FILES else []
        files = [name for name in names if not os.path.isdir(os.path.join(folder, place, name))]
        found += [place + name for name in files]
        if place.count("/") < DEEPEST and not (place and any(name.startswith("__init__.") for name in files)):
            waiting += [place + name + "/" for name in names if name.isidentifier() and name not in files]
    return found


def listed(folder: str) -> list:
    """Return the names in a folder; none where it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def mapped(file: str) -> dict:
    """Return the modules that a finder of setuptools leads to. It is read, not executed."""
    try:
        with open(file, "rb") as opened:
            tree = ast.parse(opened.read())
        for node in tree.body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            if any(getattr(target, "id", "") == "MAPPING" for target in targets):
                return dict.fromkeys(ast.literal_eval(node.value), 1)
    except (OSError, SyntaxError, ValueError, TypeError):
        return {}
    return {}


def lines_of(file: str) -> list:
    """Return the lines of a file that are neither empty nor comments; none where it cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return [line.strip() for line in opened if line.strip() and not line.startswith("#")]
    except OSError:
        return []
