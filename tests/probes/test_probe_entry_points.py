"""Following the imports of deployed scripts without executing them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import PYTHONS, part, parts, source, working_python

if TYPE_CHECKING:
    from pathlib import Path

SHORT = f"{sys.version_info[0]}.{sys.version_info[1]}"


def examine(folder: Path, script: str = "train.py", **files: str) -> dict[str, Any]:
    """Examine a script of a deployment; `a__b` is a/b.py, and each file writes a mark where it is executed."""
    for name, text in files.items():
        package = name.removesuffix("____init__")
        file = folder / f"{package.replace('__', '/')}{'/__init__' if package != name else ''}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\nopen({str(folder / 'executed')!r}, 'w')\n", encoding="utf-8")
    found: dict[str, Any] = part("entry_points").examine(str(folder / script), parts())
    assert not (folder / "executed").exists()
    return found


def missing(folder: Path, script: str = "train.py", **files: str) -> list[tuple[str, str, bool, bool]]:
    """Return (where, name, silent, local) of what is missing."""
    found = examine(folder, script, **files)["missing"]
    return [(f"{one['file']}:{one['line']}", one["name"], one["silent"], one["local"]) for one in found]


HEALTHY = {
    "the standard library": {"train": "import json, os.path\nfrom xml.dom import minidom"},
    "an installed package": {"train": "import pytest\nfrom _pytest.config import Config"},
    "a module beside it": {"train": "import helper\nfrom helper import work", "helper": "def work(): pass"},
    "a package": {
        "train": "from shared import data\nfrom shared.data import load",
        "shared____init__": "",
        "shared__data": "load = 1",
    },
    "a relative import": {
        "train": "import shared.data",
        "shared____init__": "from .data import load",
        "shared__data": "from . import beat\nfrom .beat import go\nload = 1",
        "shared__beat": "def go(): pass",
    },
    "a module in a namespace folder": {"train": "from lib import tool\nimport lib", "lib__tool": ""},
    "a module in folders of folders": {
        "train": "import lib.own.tool\nfrom lib.own.tool import use\nimport lib",
        "lib__own__tool": "use = 1",
    },
    "what every module has": {
        "train": "from shared import __file__, __name__, __path__, __doc__",
        "shared____init__": "",
    },
    "an optional import with another way": {
        "train": "try:\n    import no_such_json as json\nexcept ImportError:\n    import json",
    },
    "what an older Python needs": {
        "train": "import sys\nif sys.version_info >= (3, 0):\n    import json\nelse:\n    import no_such_backport",
    },
    "what only type checkers see": {
        "train": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from no_such_stubs import X",
    },
    "what they see, by another name": {
        "train": "import typing as t\nif t.TYPE_CHECKING:\n    from no_such_stubs import X",
    },
    "a handler that is never reached": {"train": "try:\n    import json\nexcept ImportError:\n    import no_such_json"},
    "a name that is made when it runs": {
        "train": "from shared import anything",
        "shared": "def __getattr__(name): return name",
    },
    "a star": {"train": "from shared import anything", "shared": "from os.path import *"},
    "a folder on the path": {
        "train": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))\n"
        "import tool",
        "lib__tool": "",
    },
    "a folder on the path by pathlib": {
        "train": "import sys\nfrom pathlib import Path\nsys.path.append(str(Path(__file__).resolve().parent / 'lib'))\n"
        "import tool",
        "lib__tool": "",
    },
    "modules that import each other": {"train": "import a", "a": "import b", "b": "import a"},
    "names bound in every way": {
        "train": "from m import a, b, c, d, e, f, g",
        "m": "a = 1\nb: int = 2\ndef c(): pass\nclass d: pass\nfor e in (): pass\nwith open('x') as f: pass\n"
        "try:\n    import json as g\nexcept ImportError:\n    g = None",
    },
}


@pytest.mark.parametrize("files", HEALTHY.values(), ids=[*HEALTHY])
def test_what_would_be_imported_is_not_missing(tmp_path: Path, files: dict[str, str]) -> None:
    found = examine(tmp_path, **files)

    assert (found["missing"], found["problems"]) == ([], [])
    assert found["imports"] >= 1


BROKEN: dict[str, tuple[dict[str, str], list[tuple[str, str, bool, bool]]]] = {
    "a package that is not installed": ({"train": "\nimport no_such"}, [("train.py:2", "no_such", False, False)]),
    "in a module of ours": (
        {"train": "import helper", "helper": "import no_such"},
        [("helper.py:1", "no_such", False, False)],
    ),
    "a module that was not copied": (
        {"train": "from shared.beat import go", "shared____init__": ""},
        [("train.py:1", "shared.beat", False, True)],
    ),
    "a name that is not there": (
        {"train": "from shared import go", "shared____init__": "stop = 1"},
        [("train.py:1", "shared.go", False, True)],
    ),
    "swallowed": (
        {"train": "try:\n    from shared import go\nexcept ImportError:\n    go = None", "shared____init__": ""},
        [("train.py:2", "shared.go", True, True)],
    ),
    "swallowed by a bare except": (
        {"train": "try:\n    import no_such\nexcept:\n    pass"},
        [("train.py:2", "no_such", True, False)],
    ),
    "suppressed": (
        {"train": "import contextlib\nwith contextlib.suppress(ImportError):\n    import no_such"},
        [("train.py:3", "no_such", True, False)],
    ),
    "caught, and the script ends": (
        {"train": "import sys\ntry:\n    import no_such\nexcept ImportError:\n    sys.exit(1)"},
        [("train.py:3", "no_such", False, False)],
    ),
    "caught as something else": (
        {"train": "try:\n    import no_such\nexcept KeyError:\n    pass"},
        [("train.py:2", "no_such", False, False)],
    ),
    "two ways, and neither there": (
        {"train": "try:\n    import no_such\nexcept ImportError:\n    import no_other"},
        [("train.py:2", "no_such", True, False), ("train.py:4", "no_other", False, False)],
    ),
    "in a function, of ours": (
        {"train": "def main():\n    from shared import go", "shared____init__": ""},
        [("train.py:2", "shared.go", False, True)],
    ),
    "relative in a script": ({"train": "from . import beat"}, [("train.py:1", ".", False, True)]),
    "by name": (
        {"train": "import importlib\nplugin = importlib.import_module('no_such.plugin')"},
        [("train.py:2", "no_such.plugin", False, False)],
    ),
    "on the branch of this Python": (
        {"train": "import sys\nif sys.platform == 'linux':\n    import no_such"},
        [("train.py:3", "no_such", False, False)],
    ),
    "in a package, of itself": (
        {"train": "from shared.data import load", "shared____init__": "from . import gone", "shared__data": "load = 1"},
        [("shared/__init__.py:1", "shared.gone", False, True)],
    ),
    "unseen by type checkers": (
        {"train": "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import no_such"},
        [("train.py:3", "no_such", False, False)],
    ),
    "in a folder of folders": (
        {"train": "import lib.own.gone", "lib__own__tool": ""},
        [("train.py:1", "lib.own.gone", False, True)],
    ),
    "the version of a module": (
        {"train": "from shared import __version__", "shared____init__": ""},
        [("train.py:1", "shared.__version__", False, True)],
    ),
    "behind the main guard": (
        {"train": "if __name__ == '__main__':\n    import no_such"},
        [("train.py:2", "no_such", False, False)],
    ),
}


@pytest.mark.parametrize(("files", "expected"), BROKEN.values(), ids=[*BROKEN])
def test_what_would_not_be_imported_is_missing(
    tmp_path: Path, files: dict[str, str], expected: list[tuple[str, str, bool, bool]]
) -> None:
    assert missing(tmp_path, **files) == expected


def test_a_file_that_is_no_python_here_is_missing_with_its_line(tmp_path: Path) -> None:
    found = examine(tmp_path, train="import helper", helper="def broken(:")["missing"]

    assert (found[0]["file"], found[0]["line"], found[0]["local"]) == ("helper.py", 1, True)
    assert found[0]["why"].startswith("SyntaxError: ")


@pytest.mark.parametrize(
    "text", ["def export():\n    import no_such", "import os\nif os.environ.get('X'):\n    import no_such"]
)
def test_what_is_imported_only_when_needed_is_a_problem_to_look_at(tmp_path: Path, text: str) -> None:
    found = examine(tmp_path, train=text)

    assert found["missing"] == []
    assert "imports no_such when it is needed: No module named 'no_such'" in found["problems"][0]


@pytest.mark.parametrize(
    "unknown", ["sys.path.insert(0, os.environ['HERE'])", "sys.path = sys.argv[1:] + sys.path", "sys.path.append('.')"]
)
def test_what_may_lie_in_a_folder_that_only_the_run_knows_is_a_problem_to_look_at(tmp_path: Path, unknown: str) -> None:
    found = examine(tmp_path, train=f"import os, sys\n{unknown}\nimport no_such")

    assert found["missing"] == []
    assert found["problems"] == [
        "train.py:3: No module named 'no_such', unless it is where train.py:2 looks, known only when it runs"
    ]


def test_such_a_folder_alone_is_none(tmp_path: Path) -> None:
    found = examine(tmp_path, train="import os, sys\nsys.path.insert(0, os.environ['HERE'])\nimport json")

    assert (found["missing"], found["problems"]) == ([], [])


ON_PATH = {
    "a variable": "HERE = os.path.dirname(os.path.abspath(__file__))\nsys.path.insert(0, os.path.join(HERE, 'lib'))",
    "variables": "A = os.path.dirname(__file__)\nB = 'lib'\nA = os.path.join(A, B)\nsys.path.insert(0, A)",
    "a parent": "sys.path.append(str(Path(__file__).resolve().parents[0] / 'lib'))",
    "a sum": "sys.path.append(os.path.dirname(os.path.abspath(__file__)) + '/lib')",
    "an f-string": "sys.path.append(f'{os.path.dirname(__file__)}/lib')",
    "up and down": "sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, 'it', 'lib'))",
    "joinpath": "sys.path.append(str(Path(__file__).parent.joinpath('lib')))",
    "several": "sys.path.extend([os.path.join(os.path.dirname(__file__), 'lib')])",
    "in front of all": "sys.path[0:0] = []\nimport site\nsite.addsitedir(os.path.dirname(__file__) + '/lib')",
    "if need be": "L = os.path.dirname(__file__) + '/lib'\nif L not in sys.path:\n    sys.path.insert(0, L)",
}


@pytest.mark.parametrize("how", ON_PATH)
def test_a_folder_that_the_script_puts_on_its_path_is_looked_into(tmp_path: Path, how: str) -> None:
    head = f"import os, sys\nfrom pathlib import Path\n{ON_PATH[how]}\n"
    (tmp_path / "it").mkdir()

    found = examine(tmp_path / "it", train=f"{head}from tool import use", lib__tool="use = 1")
    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 2)
    old = examine(tmp_path / "it", train=f"{head}from tool import use", lib__tool="other = 1")
    assert [one["name"] for one in old["missing"]] == ["tool.use"]


def test_a_module_that_was_deployed_where_nobody_looks_is_ours(tmp_path: Path) -> None:
    silent = "try:\n    from heartbeat import beat\nexcept ImportError:\n    beat = None"
    found = examine(tmp_path, train=silent, shared__heartbeat="beat = 1", shared____init__="")["missing"]

    assert [(one["silent"], one["local"]) for one in found] == [(True, True)]
    assert found[0]["why"] == (
        "No module named 'heartbeat'; shared/heartbeat.py was deployed, and is not where it looks"
    )


@pytest.mark.parametrize(
    "file", ["venv/lib/python3.10/site-packages/no_such_log/__init__.py", "conda/lib/python3.10/no_such_log.py"]
)
def test_what_lies_in_an_environment_beside_the_script_was_not_deployed(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    silent = "try:\n    import no_such_log\nexcept ImportError:\n    no_such_log = None"

    assert missing(tmp_path, train=silent) == [("train.py:2", "no_such_log", True, False)]


def install(place: Path) -> None:
    """Install a package that does without a part of its own, as many do."""
    package = place / "no_such_fast"
    package.mkdir(parents=True)
    text = "try:\n    from . import fast\nexcept ImportError:\n    fast = None\ndef slow():\n    from . import gone"
    (package / "__init__.py").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "place",
    [f".venv/lib/python{SHORT}/site-packages", f".local/lib/python{SHORT}/site-packages", "lib/python3/dist-packages"],
)
def test_what_is_installed_below_the_script_was_not_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    install(tmp_path / place)
    monkeypatch.syspath_prepend(str(tmp_path / place))
    found = examine(tmp_path, train="import no_such_fast")

    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 1)


def test_nor_was_it_where_the_environment_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "envs" / "site-packages")
    monkeypatch.syspath_prepend(str(tmp_path / "envs" / "site-packages"))
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "no_such_fast").symlink_to(tmp_path / "envs" / "site-packages" / "no_such_fast")

    assert examine(tmp_path / "it", train="import no_such_fast")["files_read"] == 1


def test_nor_was_it_where_the_script_itself_puts_it_on_its_path(tmp_path: Path) -> None:
    install(tmp_path / ".venv" / "site-packages")
    text = "import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/.venv/site-packages')\n"
    found = examine(tmp_path, train=f"{text}import no_such_fast")

    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 1)


def test_nor_was_what_the_environment_keeps_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / ".venv" / "src" / "fast")
    monkeypatch.syspath_prepend(str(tmp_path / ".venv" / "src" / "fast"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))

    assert examine(tmp_path, train="import no_such_fast")["files_read"] == 1


def test_a_script_in_the_folder_of_an_environment_was_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert missing(tmp_path, train="from shared import go", shared="") == [("train.py:1", "shared.go", False, True)]


def test_an_interpreter_below_the_script_was_not_deployed(tmp_path: Path) -> None:
    (tmp_path / "pyenv").symlink_to(sys.base_prefix)
    (tmp_path / "train.py").write_text("import argparse, logging, unittest, multiprocessing", encoding="utf-8")
    found = examined_by(tmp_path / "pyenv" / "bin" / f"python{SHORT}", tmp_path / "train.py")

    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 1)


AS_MODULE = {
    "beside it": ("pkg/train.py", {"pkg__train": "from .corpus import load", "pkg__corpus": "load = 1"}),
    "above it": ("pkg/own/train.py", {"pkg__own__train": "from ..corpus import load", "pkg__corpus": "load = 1"}),
    "by its whole name": ("pkg/train.py", {"pkg__train": "from pkg.corpus import load", "pkg__corpus": "load = 1"}),
    "as a script": ("pkg/train.py", {"pkg__train": "from corpus import load", "pkg__corpus": "load = 1"}),
}
PACKAGES = {"pkg____init__": "", "pkg__own____init__": ""}


@pytest.mark.parametrize(("script", "files"), AS_MODULE.values(), ids=[*AS_MODULE])
def test_a_script_of_a_package_may_be_run_as_its_module(tmp_path: Path, script: str, files: dict[str, str]) -> None:
    found = examine(tmp_path, script, **files, **PACKAGES)

    assert (found["missing"], found["problems"]) == ([], [])
    assert found["path"].endswith(script)


NEITHER_WAY = {
    "as a module": ("from .corpus import load, gone", ("pkg/train.py:1", "pkg.corpus.gone", False, True)),
    "as a script": ("import corpus\nfrom corpus import gone", ("train.py:2", "corpus.gone", False, True)),
    "of somebody else": ("from .corpus import load\nimport no_such", ("pkg/train.py:2", "no_such", False, False)),
}


@pytest.mark.parametrize(("text", "expected"), NEITHER_WAY.values(), ids=[*NEITHER_WAY])
def test_what_is_missing_both_ways_is_missing_in_the_way_that_is_meant(
    tmp_path: Path, text: str, expected: tuple[str, str, bool, bool]
) -> None:
    assert missing(tmp_path, "pkg/train.py", pkg__train=text, pkg__corpus="load = 1", **PACKAGES) == [expected]


def test_a_package_is_imported_before_its_module_is_run(tmp_path: Path) -> None:
    files = {"pkg____init__": "import no_such", "pkg__train": "from .corpus import load", "pkg__corpus": "load = 1"}

    assert missing(tmp_path, "pkg/train.py", **files) == [("pkg/__init__.py:1", "no_such", False, False)]


@pytest.mark.parametrize(
    ("named", "lies"),
    [("abspath(__file__)", "bin__lib__tool"), ("realpath(__file__)", "real__lib__tool")],
)
def test_of_a_linked_script_the_modules_lie_beside_the_file_itself(tmp_path: Path, named: str, lies: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "train.py").symlink_to("../real/train.py")
    text = f"import os, sys\nsys.path.insert(0, os.path.dirname(os.path.{named}) + '/lib')\nimport helper, tool"
    found = examine(tmp_path, "bin/train.py", real__train=text, real__helper="", **{lies: ""})

    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 3)


def test_an_archive_on_the_path_is_whole_as_what_is_installed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("tool.py", "use = 1")
        archive.writestr("own/", "")
        archive.writestr("own/part.py", "use = 1")
    text = "import os, sys\nsys.path.insert(0, os.path.dirname(__file__) + '/lib.zip')\n"
    found = examine(tmp_path, train=f"{text}from tool import use\nimport own.part\nimport own")

    assert (found["missing"], found["problems"], found["files_read"]) == ([], [], 1)
    assert missing(tmp_path, train=f"{text}import own.gone") == [("train.py:3", "own.gone", False, False)]


SWALLOWED = "try:\n    {}\nexcept ImportError:\n    wandb = None"
A_FOLDER = {
    "plain": ("import wandb", ("train.py:1", "wandb", False, False)),
    "no ImportError": (SWALLOWED.format("import wandb"), ("train.py:2", "wandb", False, False)),
    "an ImportError": (SWALLOWED.format("from wandb import log"), ("train.py:2", "wandb.log", True, False)),
}


@pytest.mark.parametrize(("text", "expected"), A_FOLDER.values(), ids=[*A_FOLDER])
@pytest.mark.parametrize("file", ["run-1/files/train.py", "__pycache__/run.cpython-311.pyc", "records/part.json"])
def test_a_folder_without_a_module_is_no_package(
    tmp_path: Path, text: str, expected: tuple[str, str, bool, bool], file: str
) -> None:
    (tmp_path / "wandb" / file).parent.mkdir(parents=True)
    (tmp_path / "wandb" / file).touch()

    assert missing(tmp_path, train=text) == [expected]


def test_such_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "wandb").mkdir()

    why = "only a folder of that name was found, without a module in it: wandb"
    assert examine(tmp_path, train="import wandb")["missing"][0]["why"] == why
    assert examine(tmp_path, train="def log():\n    import wandb")["problems"] == [
        f"train.py:2 imports wandb when it is needed: {why}"
    ]


IN_PARTS = {
    "import no_such.tool": [],
    "from no_such import tool": [],
    "from no_such.tool import anything": [],
    "import no_such": [],
    "import no_such.gone.part": ["no_such.gone.part"],
    "from no_such.gone import part": ["no_such.gone"],
    "from no_such.cloud import gone": ["no_such.cloud.gone"],
    "import no_such.cloud.gone": ["no_such.cloud.gone"],
    "from no_such import gone": ["no_such.gone"],
}


@pytest.mark.parametrize("text", IN_PARTS)
def test_of_a_package_that_is_installed_in_parts_each_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    for name in ("tool", "cloud/logging"):
        package = tmp_path / "site-packages" / "no_such" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("import not_looked_at", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    (tmp_path / "it").mkdir()

    expected = [("train.py:1", name, False, False) for name in IN_PARTS[text]]
    assert missing(tmp_path / "it", train=text) == expected


@pytest.mark.parametrize("text", ["import no_such.own", "from no_such import own"])
def test_a_part_that_another_finder_knows_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    class Editable:
        @staticmethod
        def find_spec(name: str, *_: object) -> ModuleSpec | None:
            return ModuleSpec(name, None) if name == "no_such.own" else None

    (tmp_path / "site-packages" / "no_such" / "tool").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Editable])

    assert missing(tmp_path, train=text) == []


@pytest.mark.parametrize(
    "handler",
    [
        "def log(*a):\n        raise RuntimeError('install it')",
        "class Log:\n        def __init__(self):\n            raise ImportError('install it')",
        "if '--strict' in sys.argv:\n        raise",
    ],
    ids=["a stand-in", "a class", "a condition"],
)
def test_a_handler_that_raises_later_lets_the_script_go_on(tmp_path: Path, handler: str) -> None:
    text = f"import sys\ntry:\n    import no_such\nexcept ImportError:\n    {handler}"

    assert missing(tmp_path, train=text) == [("train.py:3", "no_such", True, False)]


TRIED = "try:\n    import no_such\n    HAS = True\nexcept ImportError:\n    HAS = False\n"
KNOWN_BEFORE = {
    "found": "import importlib.util\nHAS = importlib.util.find_spec('no_such') is not None\n"
    "if HAS:\n    import no_such",
    "found, typed": "from importlib.util import find_spec\nHAS: bool = bool(find_spec('no_such'))\n"
    "def main():\n    if HAS:\n        import no_such",
    "tried": f"{TRIED}if HAS:\n    import no_such.part",
    "tried, and more": f"{TRIED}def main(wanted):\n    if HAS and wanted:\n        import no_such.part",
    "tried, turned around": f"{TRIED}if not HAS:\n    pass\nelse:\n    import no_such.part",
    "false before": "HAS = False\ntry:\n    import no_such\n    HAS = True\nexcept ImportError:\n    pass\n"
    "if HAS:\n    import no_such.part",
    "true after": "try:\n    import no_such\nexcept ImportError:\n    HAS = False\nelse:\n    HAS = True\n"
    "if HAS:\n    import no_such.part",
    "none": "try:\n    import no_such\nexcept ImportError:\n    no_such = None\n"
    "if no_such is not None:\n    import no_such.part",
    "else": "try:\n    import no_such\nexcept ImportError:\n    pass\nelse:\n    import no_such.part",
    "the other": "try:\n    import json\n    HAS = True\nexcept ImportError:\n    HAS = False\n"
    "if HAS:\n    json = json\nelse:\n    import no_such",
}


@pytest.mark.parametrize("how", KNOWN_BEFORE)
def test_who_knows_from_before_may_do_without(tmp_path: Path, how: str) -> None:
    found = examine(tmp_path, train=KNOWN_BEFORE[how])

    assert found["problems"] == []
    assert [one for one in found["missing"] if not one["silent"] or one["local"]] == []


NOT_KNOWN = {
    "set anew": f"{TRIED}HAS = len('x') > 0\nif HAS:\n    import no_other",
    "an argument": f"{TRIED}def main(HAS):\n    if HAS:\n        import no_other",
    "more was tried": "try:\n    import json\n    json.loads('')\n    HAS = True\nexcept Exception:\n    HAS = False\n"
    "if HAS:\n    import no_other",
    "something else was asked": "device = choose(is_cuda_available())\nif device:\n    import no_other",
}


@pytest.mark.parametrize("how", NOT_KNOWN)
def test_what_is_not_known_from_before_is_a_problem_to_look_at(tmp_path: Path, how: str) -> None:
    found = examine(tmp_path, train=NOT_KNOWN[how])

    assert [one["name"] for one in found["missing"] if not one["silent"]] == []
    assert "imports no_other when it is needed: No module named 'no_other'" in found["problems"][0]


@pytest.mark.parametrize(
    "text",
    [
        f"{TRIED}if HAS:\n    pass\nelse:\n    import no_other",
        "try:\n    import json\n    HAS = True\nexcept ImportError:\n    HAS = False\nif HAS:\n    import no_other",
        f"{TRIED}if not HAS:\n    import no_other",
    ],
)
def test_what_is_known_to_be_imported_is_missing(tmp_path: Path, text: str) -> None:
    assert [name for _, name, silent, _ in missing(tmp_path, train=text) if not silent] == ["no_other"]


@pytest.mark.parametrize("test", ["importlib.util.find_spec('no_such')", "is_no_such_available()"])
def test_who_asks_first_may_do_without(tmp_path: Path, test: str) -> None:
    text = f"import importlib.util\ndef is_no_such_available(): return False\nif {test}:\n    import no_such"
    found = examine(tmp_path, train=text)

    assert ([one["silent"] for one in found["missing"]], found["problems"]) == ([True], [])


def test_conditions_may_be_put_together(tmp_path: Path) -> None:
    never = "import sys\nif sys.version_info[0] == 2 or not (sys.platform != 'win32'):\n    import no_such"
    found = examine(tmp_path, train=never)

    assert (found["missing"], found["problems"]) == ([], [])


UNBOUND = [
    "v: int",
    "l = [v for v in ()]",
    "def f():\n    v = 1",
    "def f():\n    exec('v = 1')",
    "def f():\n    return globals()['v']",
    "import sys\nsys.modules['other'] = sys",
]


@pytest.mark.parametrize("text", UNBOUND)
def test_what_only_looks_bound_is_missing(tmp_path: Path, text: str) -> None:
    assert [name for _, name, *_ in missing(tmp_path, train="from data import v", data=text)] == ["data.v"]


def test_a_global_of_a_function_is_bound(tmp_path: Path) -> None:
    assert missing(tmp_path, train="from data import v", data="def f():\n    global v\n    v = 1\nf()") == []


@pytest.mark.parametrize(
    "text",
    [
        "exec('v = 1')",
        "locals()['v'] = 1",
        "vars().update(v=1)",
        "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(v=1)",
        "import sys\ndef f():\n    setattr(sys.modules[__name__], 'v', 1)\nf()",
        "def f():\n    globals()['v'] = 1\nf()",
        "def f():\n    globals().update(v=1)\nf()",
    ],
)
def test_what_may_be_bound_when_it_runs_is_not_missing(tmp_path: Path, text: str) -> None:
    assert missing(tmp_path, train="from data import v", data=text) == []


def test_the_same_import_is_said_once_and_a_loud_one_beside_a_silent_one(tmp_path: Path) -> None:
    silent = "try:\n    import no_such\nexcept ImportError:\n    pass\n"
    found = missing(tmp_path, train=f"{silent}import no_such\nimport no_such")

    assert [(where, silent) for where, _, silent, _ in found] == [("train.py:2", True), ("train.py:5", False)]


def test_a_module_that_hides_an_installed_one_is_a_problem_to_look_at(tmp_path: Path) -> None:
    assert examine(tmp_path, train="import pytest", pytest="")["problems"] == [
        "pytest.py hides the installed module of that name"
    ]


def test_a_module_does_not_hide_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "named").symlink_to("it")
    monkeypatch.syspath_prepend(str(tmp_path / "named"))

    assert examine(tmp_path / "it", train="import no_such_helper", no_such_helper="")["problems"] == []


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        examine(tmp_path)


def examined_by(python: Path | str, script: Path) -> dict[str, Any]:
    """Return what another interpreter finds."""
    sources = {name: source(name) for name in ("entry_points", "deployed", "script_syntax")}
    program = (
        f"import json, types\nparts = {{}}\nfor name, text in {sources!r}.items():\n"
        "    parts[name] = types.ModuleType(name)\n    exec(text, parts[name].__dict__)\n"
        f"print(json.dumps(parts['entry_points'].examine({str(script)!r}, parts)))"
    )
    ran = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", PYTHONS)
def test_it_runs_in_every_interpreter_there_is(tmp_path: Path, name: str) -> None:
    python = working_python(name)
    if not python:
        pytest.skip(f"{name} is not installed")
    (tmp_path / "lib" / "own").mkdir(parents=True)
    (tmp_path / "lib" / "own" / "tool.py").touch()
    text = f"{TRIED}if HAS and not HAS:\n    import no_other\nimport json, lib.own.tool, lib.own.gone\n"
    (tmp_path / "train.py").write_text(text, encoding="utf-8")
    found = examined_by(python, tmp_path / "train.py")

    assert [one["name"] for one in found["missing"]] == ["no_such", "lib.own.gone"]
    assert found["problems"] == []
