"""Following the imports of deployed scripts without executing them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import PYTHONS, part, source, working_python

if TYPE_CHECKING:
    from pathlib import Path


def examine(folder: Path, script: str = "train.py", **files: str) -> dict[str, Any]:
    """Examine a script of a deployment; `a__b` is a/b.py, and each file writes a mark where it is executed."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\nopen({str(folder / 'executed')!r}, 'w')\n", encoding="utf-8")
    found: dict[str, Any] = part("entry_points").examine(str(folder / script), part("script_syntax"))
    assert not (folder / "executed").exists()
    return found


def missing(folder: Path, **files: str) -> list[tuple[str, str, bool, bool]]:
    """Return (where, name, silent, local) of what is missing."""
    found = examine(folder, **files)["missing"]
    return [(f"{one['file']}:{one['line']}", one["name"], one["silent"], one["local"]) for one in found]


HEALTHY = {
    "the standard library": {"train": "import json, os.path\nfrom xml.dom import minidom"},
    "an installed package": {"train": "import pytest\nfrom _pytest.config import Config"},
    "a module beside it": {"train": "import helper\nfrom helper import work", "helper": "def work(): pass"},
    "a package": {
        "train": "from shared import data\nfrom shared.data import load",
        "shared__init": "",
        "shared__data": "load = 1",
    },
    "a relative import": {
        "train": "import shared.data",
        "shared____init__": "from .data import load",
        "shared__data": "from . import beat\nfrom .beat import go\nload = 1",
        "shared__beat": "def go(): pass",
    },
    "a module in a namespace folder": {"train": "from lib import tool", "lib__tool": ""},
    "an optional import with another way": {
        "train": "try:\n    import no_such_json as json\nexcept ImportError:\n    import json",
    },
    "what an older Python needs": {
        "train": "import sys\nif sys.version_info >= (3, 0):\n    import json\nelse:\n    import no_such_backport",
    },
    "what only type checkers see": {
        "train": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from no_such_stubs import X",
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


def test_what_lies_in_an_environment_beside_the_script_was_not_deployed(tmp_path: Path) -> None:
    package = tmp_path / "venv" / "lib" / "python3.10" / "site-packages" / "no_such_log"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    silent = "try:\n    import no_such_log\nexcept ImportError:\n    no_such_log = None"

    assert missing(tmp_path, train=silent) == [("train.py:2", "no_such_log", True, False)]


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


@pytest.mark.parametrize("test", ["importlib.util.find_spec('no_such')", "is_no_such_available()"])
def test_who_asks_first_may_do_without(tmp_path: Path, test: str) -> None:
    text = f"import importlib.util\ndef is_no_such_available(): return False\nif {test}:\n    import no_such"
    found = examine(tmp_path, train=text)

    assert ([one["silent"] for one in found["missing"]], found["problems"]) == ([True], [])


def test_conditions_may_be_put_together(tmp_path: Path) -> None:
    never = "import sys\nif sys.version_info[0] == 2 or not (sys.platform != 'win32'):\n    import no_such"
    found = examine(tmp_path, train=never)

    assert (found["missing"], found["problems"]) == ([], [])


@pytest.mark.parametrize("text", ["v: int", "l = [v for v in ()]", "def f():\n    v = 1"])
def test_what_only_looks_bound_is_missing(tmp_path: Path, text: str) -> None:
    assert [name for _, name, *_ in missing(tmp_path, train="from data import v", data=text)] == ["data.v"]


def test_a_global_of_a_function_is_bound(tmp_path: Path) -> None:
    assert missing(tmp_path, train="from data import v", data="def f():\n    global v\n    v = 1\nf()") == []


def test_the_same_import_is_said_once_and_a_loud_one_beside_a_silent_one(tmp_path: Path) -> None:
    silent = "try:\n    import no_such\nexcept ImportError:\n    pass\n"
    found = missing(tmp_path, train=f"{silent}import no_such\nimport no_such")

    assert [(where, silent) for where, _, silent, _ in found] == [("train.py:2", True), ("train.py:5", False)]


def test_a_module_that_hides_an_installed_one_is_a_problem_to_look_at(tmp_path: Path) -> None:
    assert examine(tmp_path, train="import pytest", pytest="")["problems"] == [
        "pytest.py hides the installed module of that name"
    ]


def test_a_script_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        examine(tmp_path)


@pytest.mark.parametrize("name", PYTHONS)
def test_it_runs_in_every_interpreter_there_is(tmp_path: Path, name: str) -> None:
    python = working_python(name)
    if not python:
        pytest.skip(f"{name} is not installed")
    (tmp_path / "train.py").write_text("import json\nimport no_such\n", encoding="utf-8")
    program = (
        f"import types\nm = types.ModuleType('m')\nexec({source('script_syntax')!r}, m.__dict__)\n"
        f"e = types.ModuleType('e')\nexec({source('entry_points')!r}, e.__dict__)\n"
        f"import json\nprint(json.dumps(e.examine({str(tmp_path / 'train.py')!r}, m)))"
    )
    ran = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)

    assert [one["name"] for one in json.loads(ran.stdout)["missing"]] == ["no_such"]
