"""The contexts: real shells find real interpreters, and whatever is between is said."""

from __future__ import annotations

import os
import pwd
import select
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from context_world import TORCH, World, asked, package, write
from probe_parts import PYTHONS, part, working_python

SHELLS = ("bash", "dash", "zsh")
PYTHON = str(Path(sys.executable).resolve())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(PYTHON).parent}:/usr/bin:/bin")
    for name in ("SSH_CLIENT", "SSH_CONNECTION", "PYTHONPATH", "BASH_ENV", "ENV"):
        monkeypatch.delenv(name, raising=False)
    return World(tmp_path)


@pytest.fixture(params=SHELLS)
def any_shell(request: pytest.FixtureRequest, world: World) -> World:
    shell = shutil.which(request.param)
    if shell is None:
        pytest.skip(f"there is no {request.param} on this machine")
    world.shell = shell
    return world


def venv(folder: Path, python: str = PYTHON) -> Path:
    """A virtual environment, by hand."""
    activate = f"VIRTUAL_ENV={folder}\nPATH={folder}/bin:$PATH\nexport VIRTUAL_ENV PATH\n"
    configuration = f"home = {Path(python).parent}\ninclude-system-site-packages = false\n"
    write(folder, {"pyvenv.cfg": configuration, "bin/activate": activate})
    (folder / "bin" / "python3").symlink_to(python)
    return folder


def interpreter(answer: dict[str, Any]) -> dict[str, Any]:
    value = answer["value"]["answers"]["interpreter"][""]["value"]
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("name", PYTHONS)
def test_every_python_here_says_what_it_is(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    python = working_python(name)
    if not python:
        pytest.skip(f"no working {name} on this machine")
    world.install(package("plain", "3.1", "other; extra == 'more'"))
    answers = world.answers(python=python, packages=["plain"])
    assert answers["interpreter"][""]["value"]["version"].startswith(name.removeprefix("python"))
    assert answers["package"]["plain"]["value"]["version"] == "3.1"
    assert "No module named 'torch'" in answers["torch"][""].get("error", "No module named 'torch'")
    for kind in ("limits", "shared_memory", "memory_limit", "distributions"):
        assert "value" in answers[kind][""]


@pytest.mark.parametrize("name", ["python2", "python2.7", "python3.4", "python3.5", "python3.6"])
def test_a_python_that_is_too_old_says_which_it_is(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    python = working_python(name)
    if not python:
        pytest.skip(f"no working {name} on this machine")
    answer = world.ask(python=python)["value"]
    assert answer["python"]["version"].startswith(name.removeprefix("python"))
    assert answer["answers"] == {}


def test_an_old_python_is_not_asked_more_than_its_version(world: World) -> None:
    site = "import sys\nsys.version, sys.version_info = '3.6.9 (old)', (3, 6, 9, 'final', 0)\n"
    world.install({"sitecustomize.py": site})
    answer = world.ask(environment={"PYTHONPATH": str(world.packages)})["value"]
    assert answer["python"]["version"] == "3.6.9"
    assert answer["python"]["executable"]
    assert answer["answers"] == {}


@pytest.mark.parametrize("start", ["login", "non-login", "systemd"])
def test_noise_is_no_answer(start: str, any_shell: World) -> None:
    noise = "echo 'Welcome! {\"a\": 1}'; echo oops >&2; echo '@@pipeline-record @@[]'; printf 'no newline'\n"
    write(any_shell.home, {".profile": noise, ".bash_profile": noise, ".zprofile": noise, ".zshenv": noise})
    any_shell.install({"sitecustomize.py": "print('site'); print('@@pipeline-end x@@[]')"})
    seen = interpreter(any_shell.ask(shell=start, environment={"PYTHONPATH": str(any_shell.packages)}))
    assert seen["version"].startswith("3.")
    assert seen["environment"]["PYTHONPATH"] == str(any_shell.packages)


def test_a_shell_that_echoes_what_it_runs(any_shell: World) -> None:
    echo = "exec 2>&1; set -vx\n"
    write(any_shell.home, {".profile": echo, ".zprofile": echo})
    assert interpreter(any_shell.ask(shell="login", setup="true"))["version"].startswith("3.")


def test_only_a_login_shell_reads_the_profile(any_shell: World) -> None:
    here = venv(any_shell.home / "env")
    write(any_shell.home, {".profile": f". {here}/bin/activate\n", ".zprofile": f". {here}/bin/activate\n"})
    assert interpreter(any_shell.ask(shell="login"))["prefix"] == str(here)
    assert interpreter(any_shell.ask(shell="non-login"))["prefix"] != str(here)


def test_bash_under_sshd_reads_what_it_reads_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write(world.home, {".bashrc": "export CONDA_DEFAULT_ENV=from-bashrc\n"})
    monkeypatch.setenv("SHLVL", "3")
    monkeypatch.setenv("SSH_CLIENT", "127.0.0.1 1 2")
    assert interpreter(world.ask())["environment"].get("CONDA_DEFAULT_ENV") == "from-bashrc"
    monkeypatch.delenv("SSH_CLIENT")
    assert "CONDA_DEFAULT_ENV" not in interpreter(world.ask())["environment"]


def test_systemd_gives_its_own_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("PYTHONPATH", "/from/the/shell")
    python = write(world.home, {"python": f'#!/bin/sh\npwd >{world.home}/where\nexec {PYTHON} "$@"\n'}) / "python"
    python.chmod(0o755)
    seen = interpreter(world.ask(shell="systemd", python="~/python", environment={"LC_ALL": "C"}))
    assert seen["environment"] == {"PATH": part("contexts").SYSTEMD_PATH, "LANG": "C.UTF-8", "LC_ALL": "C"}
    assert (world.home / "where").read_text() == "/\n"


def test_variables_are_set_to_the_letter_and_before_setup(any_shell: World) -> None:
    odd = "a 'b' \"c\" $HOME `id`\n\\ é"
    setup = 'CONDA_PREFIX="<$CUDA_HOME>"; export CONDA_PREFIX'
    seen = interpreter(any_shell.ask(environment={"CUDA_HOME": odd}, setup=setup))["environment"]
    assert seen["CUDA_HOME"] == odd
    assert seen["CONDA_PREFIX"] == f"<{odd}>"


def test_setup_activates_an_environment(any_shell: World) -> None:
    here = venv(any_shell.home / "env")
    write(here, {"bin/pip": f"#!{here}/bin/python3\n"})
    (here / "bin" / "pip").chmod(0o755)
    seen = interpreter(any_shell.ask(setup=f". {here}/bin/activate", python="python3"))
    assert seen["executable"] == f"{here}/bin/python3"
    assert (seen["prefix"], seen["real"], seen["pip"]) == (str(here), PYTHON, seen["executable"])
    assert seen["environment"]["VIRTUAL_ENV"] == str(here)


@pytest.mark.parametrize(
    ("setup", "status"),
    [
        (". /no/such/activate", ""),
        ("echo this is it >&2; false", "1: this is it"),
        ("echo gone >&2; exit 3", "3: gone"),
        ("set -e; false; true", "1"),
        ("conda activate train", "127"),
        ("echo 'open", ""),
        ("(exit 5)", "5"),
    ],
)
def test_a_setup_that_fails_is_said(setup: str, status: str, any_shell: World) -> None:
    write(any_shell.home, {".profile": "echo not me >&2\n", ".zprofile": "echo not me >&2\n"})
    error = any_shell.ask(shell="login", setup=setup)["error"]
    assert error.startswith(f"the setup `{setup}` (in {any_shell.shell} -l) ended with exit status {status}")
    assert "not me" not in error


def test_a_sourced_file_that_is_not_there_is_named(any_shell: World) -> None:
    assert "/no/such/activate" in any_shell.ask(setup=". /no/such/activate")["error"].partition("status")[2]


def test_a_setup_that_is_strict_harms_nobody(any_shell: World) -> None:
    assert interpreter(any_shell.ask(setup="set -eu"))["version"].startswith("3.")


def test_a_setup_that_hangs_costs_its_own_context_only(world: World) -> None:
    world.deadline_s = 2.0
    started = time.monotonic()
    answers = world.ask_all(asked(name="hangs", setup="echo waiting >&2; sleep 60 & sleep 60"), asked(name="good"))
    assert time.monotonic() - started < 15
    assert "the setup `echo waiting" in answers["hangs"]["error"]
    assert "did not answer within 1.6 s: waiting" in answers["hangs"]["error"]
    assert interpreter(answers["good"])["version"].startswith("3.")
    assert world.left_over() == []


def test_what_a_profile_leaves_running_is_not_waited_for_and_is_ended(world: World) -> None:
    write(world.home, {".profile": f"sleep 60 & echo $! >{world.home}/pid\n"})
    started = time.monotonic()
    interpreter(world.ask(shell="login"))
    absent = world.ask(shell="login", python="python3.99")
    assert "was not found" in absent["error"]
    assert time.monotonic() - started < 10
    assert ends(int((world.home / "pid").read_text()))


def ends(pid: int) -> bool:
    """Whether a process has ended, or does so now: a kill is on its way before it arrives."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 5)[0])  # also a dead one that nobody has buried: that is not ours
    finally:
        os.close(process)


def test_a_profile_that_ends_the_shell(any_shell: World) -> None:
    text = "echo expired: call the office >&2; exit 4\n"
    write(any_shell.home, {".profile": text, ".zprofile": text})
    error = any_shell.ask(shell="login")["error"]
    assert error == (
        f"{any_shell.shell} -l did not come to the command: it ended with exit status 4: expired: call the office"
    )


def test_an_absent_python_says_what_is_there(any_shell: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(any_shell.home, {"bin/python3.8": "#!/bin/sh\n", "bin/python3-config": "#!/bin/sh\n"}) / "bin"
    for program in folder.iterdir():
        program.chmod(0o755)
    (folder / "python").symlink_to("python3.8")
    monkeypatch.setenv("PATH", str(folder))
    assert any_shell.ask()["error"] == f"python3 was not found on its PATH; there is {folder}/python"
    (folder / "python3.8").unlink()
    assert any_shell.ask()["error"] == "python3 was not found on its PATH; there is no other Python on its PATH"


def test_a_link_to_an_interpreter_that_is_gone(any_shell: World) -> None:
    (any_shell.home / "python3").symlink_to("/opt/python3.9/bin/python3.9")
    error = any_shell.ask(python="~/python3")["error"]
    assert error.startswith("~/python3 is a link to /opt/python3.9/bin/python3.9, which is not there; there is ")


def test_a_python_that_may_not_be_run(any_shell: World) -> None:
    python = write(any_shell.home, {"python3": "#!/no/such/interpreter\n"}) / "python3"
    error = any_shell.ask(python=str(python))["error"]
    assert "126" in error
    assert "denied" in error
    python.chmod(0o755)
    assert str(python) in any_shell.ask(python=str(python))["error"]


def test_a_python_that_cannot_start(any_shell: World) -> None:
    error = any_shell.ask(environment={"PYTHONHOME": "/no/such"})["error"]
    assert error.startswith("python3 ended with ")
    assert "error" in error.lower()


def test_a_container_is_given_no_input(any_shell: World) -> None:
    docker = write(
        any_shell.home,
        {"docker": '#!/bin/sh\necho pulling\nread line && exit 9\nshift 2\nNVIDIA_VISIBLE_DEVICES=all exec "$@"\n'},
    )
    (docker / "docker").chmod(0o755)
    seen = interpreter(any_shell.ask(wrap=["~/docker", "run", "image 'x'"]))
    assert seen["environment"]["NVIDIA_VISIBLE_DEVICES"] == "all"


def test_a_container_that_does_not_start_is_said_in_its_words(any_shell: World) -> None:
    said = "echo 'docker: Error response from daemon: no such image'\necho \"See 'docker run --help'.\"\n"
    text = f"#!/bin/sh\nexec >&2\n{said}exit 127\n"
    docker = write(any_shell.home, {"docker": text}) / "docker"
    docker.chmod(0o755)
    error = any_shell.ask(wrap=[str(docker), "run"])["error"]
    assert (
        error == f"{docker} run python3 ended with exit status 127: docker: Error response from daemon: no such image"
    )


def test_a_wrapper_that_keeps_what_is_printed_is_waited_for(any_shell: World) -> None:
    """`conda run` prints all at the end."""
    text = '#!/bin/sh\nsaid=$("$@")\necho "$said"\n'
    wrapper = write(any_shell.home, {"conda-run": text}) / "conda-run"
    wrapper.chmod(0o755)
    any_shell.install({"slow.py": "import time\ntime.sleep(2.5)"})
    any_shell.deadline_s = 2.0
    answers = any_shell.answers(wrap=[str(wrapper)], packages=["slow"])
    assert answers["package"]["slow"]["value"]["took_s"] >= 2.5


def test_a_wrapper_that_does_not_end_is_not_waited_for_any_longer(world: World) -> None:
    world.imports_s, world.deadline_s = 1.0, 2.0
    assert world.ask(wrap=["sh", "-c", "sleep 60"])["error"].endswith("python3 did not answer within 2.6 s")
    assert world.left_over() == []


def test_an_import_that_is_not_waited_for_says_what_helps(world: World) -> None:
    world.imports_s = 2.0
    world.install({"slow.py": "import time\ntime.sleep(60)"})
    assert world.answers(packages=["slow"])["package"]["slow"] == {
        "error": "did not end within 1 s; a cold disk may be the reason: run again, or raise host.import_timeout_s"
    }


def test_all_that_an_import_says_is_heard(world: World) -> None:
    world.install({"loud.py": "import sys\nfor n in range(90): sys.stderr.write('line %d\\n' % n)"})
    answer = world.answers(packages=["loud"])["package"]["loud"]["value"]
    assert answer["warnings"] == [f"line {n}" for n in range(90)]


def test_what_hides_the_devices_is_the_environments_to_say(world: World) -> None:
    world.install({"torch.py": TORCH.replace("return True", "return False", 1)})
    environment = {"PYTHONPATH": str(world.packages), "CUDA_VISIBLE_DEVICES": "1"}
    answers = world.answers(environment=environment)
    assert answers["cuda"][""]["value"]["why"] == []
    assert answers["interpreter"][""]["value"]["environment"]["CUDA_VISIBLE_DEVICES"] == "1"


def test_an_interpreter_that_is_killed_later_keeps_what_it_said(world: World) -> None:
    world.install({"fatal.py": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"})
    answer = world.ask(packages=["fatal"], environment={"PYTHONPATH": str(world.packages)})["value"]
    assert "was ended by SIGKILL" in answer["ended"]
    assert answer["python"]["version"].startswith("3.")
    assert "package" not in answer["answers"]
    assert world.left_over() == []


def test_an_interpreter_that_is_late_keeps_what_it_said(world: World) -> None:
    # What hangs is the interpreter itself, not a step in its child.
    world.sent["interpreter"] += "\ndef limits():\n    import time\n    time.sleep(60)\n"
    world.imports_s, world.deadline_s = 1.0, 5.0
    answers = world.answers()
    assert answers["limits"][""] == {"error": "no answer within 1.02 s"}
    assert "value" in answers["shared_memory"][""]
    assert world.left_over() == []


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", "no_SUCH.locale"])
def test_a_locale_that_is_not_utf_8(locale: str, world: World) -> None:
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "CUDA_HOME": "/données"}
    seen = interpreter(world.ask(environment=environment))["environment"]
    assert os.fsencode(seen["CUDA_HOME"]) == "/données".encode()


def test_nothing_is_written(world: World) -> None:
    world.install({"own/__init__.py": "import own.more", "own/more.py": ""})
    before = sorted(world.home.rglob("*"))
    world.answers(packages=["own"])
    assert sorted(world.home.rglob("*")) == before


def test_modules_in_the_home_folder_are_not_taken_for_the_library(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(venv(world.home / "env") / "bin" / "python3")  # what is installed here may import early
    write(world.home, dict.fromkeys(("json.py", "base64.py", "zlib.py", "torch.py"), "raise SystemExit('mine')"))
    monkeypatch.chdir(world.home)
    for path in ("", ":/x", f"{world.packages}::/x"):
        answers = world.answers(python=python, environment={"PYTHONPATH": path}, packages=["torch"])
        assert not {"", str(world.home)} & set(answers["interpreter"][""]["value"]["path"])
        assert answers["torch"][""] == {"error": "ModuleNotFoundError: No module named 'torch'"}


def test_the_home_folder_counts_where_it_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write(world.home, {"torch.py": "raise SystemExit('mine')"})
    monkeypatch.chdir(world.home)
    answers = world.answers(environment={"PYTHONPATH": f":{world.home}"})
    assert answers["torch"][""] == {"error": "it called sys.exit('mine')"}


def test_every_context_comes_back(world: World) -> None:
    answers = world.ask_all(asked(name="one"), asked(name="two", python="nope"), asked(name="three", shell="systemd"))
    assert set(answers) == {"one", "two", "three"}
    assert "error" in answers["two"]
    assert interpreter(answers["one"])
    assert interpreter(answers["three"])


def test_what_is_sent_fits_into_one_argument(world: World) -> None:
    request = {
        "contexts": [asked()], "sources": {**world.sent, "entry_points": os.urandom(16384).hex()},
        "nonce": world.nonce, "imports_s": 9.0,
    }  # fmt: skip
    text = part("contexts").shell_text(asked(packages=[f"package-{n}>=1" for n in range(200)]), request)
    assert len(text) < 100_000


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "", "/no/such/shell"])
def test_an_account_without_a_shell_gets_the_plain_one(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("trainer", "x", 1000, 1000, "", "/home/trainer", shell))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    assert part("contexts").own_account() == {"user": "trainer", "home": "/home/trainer", "shell": "/bin/sh"}


def test_an_account_has_its_own_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.struct_passwd(("trainer", "x", 1000, 1000, "", "/home/trainer", "/bin/bash"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: entry)
    assert part("contexts").own_account()["shell"] == "/bin/bash"


def recorded(name: str, *paths: str, **files: str) -> dict[str, str]:
    """The files of a distribution whose RECORD has these paths; each holds nothing, but for those that are given."""
    record = "".join(f"{path},,\n" for path in (*paths, *files))
    return {**dict.fromkeys(paths, ""), **package(name, record=record, code=None), **files}


INSTALLED: dict[str, tuple[dict[str, str], str]] = {
    "a package": (recorded("own", "own/__init__.py", "own/more.py", "tests/__init__.py"), "own"),
    "a package of another name": (recorded("own", "scripts/__init__.py", "other/__init__.py", "other/a.py"), "other"),
    "a module beside an example": (recorded("own-py", "example.py", "pyown.py"), "pyown"),
    "a package in a namespace": (recorded("acme-own", "acme/own/__init__.py", "acme/own/more.py"), "acme.own"),
    "no __init__.py": (recorded("acme-own", "acme/own/loop.py", "acme/own/deep/data.py"), "acme.own.loop"),
    "no __init__.py, one part of its own name": (recorded("own", "acme/data.py", "acme/own.py"), "acme.own"),
    "no __init__.py, compiled": (recorded("own", "acme/ops.cpython-311-x86_64-linux-gnu.so"), "acme.ops"),
    "no __init__.py, and a program": (recorded("own", "acme/__main__.py", "acme/work.py"), "acme.work"),
    "a compiled __init__": (recorded("own", "fast/__init__.abi3.so", "fast/deep/more.py"), "fast"),
    "an __init__ without a source": (recorded("own", "bare/__init__.pyc", "bare/more.pyc"), "bare"),
    "weights of a model": (recorded("own", "other/__init__.py", "other/weights/a.pth"), "other"),
    "a pointer beside a package": (recorded("own", "own-nspkg.pth", "other/__init__.py"), "other"),
    "libraries alone": (recorded("own", "nvidia/lib/libown.so", "nvidia/lib/libown.so.12", "../../bin/own.py"), ""),
    "metadata alone": (recorded("own", "own-1.0.dist-info/tool.py", "own-1.0.data/scripts/tool.py"), ""),
    "nothing that is recorded, but top_level.txt": (
        {"own.egg-info/PKG-INFO": "Name: own\n", "own.egg-info/top_level.txt": "other\n", "other/__init__.py": ""},
        "other",
    ),
    "a namespace in top_level.txt": (
        {"own.egg-info/PKG-INFO": "Name: own\n", "own.egg-info/top_level.txt": "acme\n", "acme/own/__init__.py": ""},
        "acme.own",
    ),
    "a folder of top_level.txt that is gone": (
        {"own.egg-info/PKG-INFO": "Name: own\n", "own.egg-info/top_level.txt": "other\n"},
        "other",
    ),
}


@pytest.mark.parametrize(("files", "module"), INSTALLED.values(), ids=[*INSTALLED])
def test_what_was_installed_says_by_which_name_it_is_imported(
    files: dict[str, str], module: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.install(files)
    monkeypatch.setattr(sys, "path", [str(world.packages)])
    (name,) = {line.partition(": ")[2] for text in files.values() for line in text.splitlines()[:2] if "Name:" in line}
    assert part("distributions").module_of(name) == (module, False)


FINDER = (
    "MAPPING: dict[str, str] = {{'trainlib': {place!r}}}\nNAMESPACES: dict[str, list[str]] = {{}}\nraise SystemExit\n"
)
POINTERS: dict[str, tuple[str, dict[str, str], str]] = {
    "a path": ("{place}\n", {}, "trainlib"),
    "a path to no __init__.py": ("{place}/bare", {"bare/setup.py": "", "bare/acme/loop.py": ""}, "acme.loop"),
    "a path to sources": ("# from a tool\n\n{place}/src\n", {"src/acme/own/__init__.py": ""}, "acme.own"),
    "a finder": ("import __editable___own_finder; __editable___own_finder.install()", {}, "trainlib"),
}


@pytest.mark.parametrize(("pointer", "files", "module"), POINTERS.values(), ids=[*POINTERS])
def test_a_package_that_is_worked_on_in_place_is_imported_from_there(
    pointer: str, files: dict[str, str], module: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = dict.fromkeys(("setup.py", "tests/__init__.py", "data/a.txt", "trainlib/__init__.py"), "raise SystemExit")
    place = write(world.home / "project", project | files)
    finder = FINDER.format(place=str(place / "trainlib"))
    finders = {"__editable___own_finder.py": finder} if "finder" in pointer else {}
    world.install(recorded("acme-training", **{"__editable__.own.pth": pointer.format(place=place)}, **finders))
    monkeypatch.setattr(sys, "path", [str(world.packages)])
    assert part("distributions").module_of("acme-training") == (module, False)


@pytest.mark.parametrize(
    "files",
    [{"acme.pth": "/no/such/folder"}, {"acme.pth": "import _acme_editable", "_acme_editable.py": "raise SystemExit"}],
)
def test_a_pointer_that_leads_nowhere_leaves_a_guess(files: dict[str, str], world: World) -> None:
    world.install(recorded("acme-training", **files))
    answer = world.answers(packages=["acme-training"])["package"]["acme-training"]["value"]
    assert (answer["module"], answer["guess"]) == ("", "acme_training")


def test_a_guess_that_is_right_is_no_guess(world: World) -> None:
    world.install(recorded("acme", **{"acme.pth": "/no/such/folder\n"}), {"acme.py": "__version__ = '7'"})
    answer = world.answers(packages=["acme"])["package"]["acme"]["value"]
    assert (answer["module"], answer["guess"], answer["version"]) == ("acme", "", "7")


@pytest.mark.parametrize("code", ["import gone", "raise ImportError('broken')"])
def test_a_guess_that_is_there_and_broken_is_broken(code: str, world: World) -> None:
    world.install(recorded("acme", **{"acme.pth": "/no/such/folder\n"}), {"acme.py": code})
    assert "error" in world.answers(packages=["acme"])["package"]["acme"]


def test_what_is_not_installed_is_no_guess(world: World) -> None:
    assert world.answers(packages=["acme"])["package"]["acme"] == {
        "error": "ModuleNotFoundError: No module named 'acme'"
    }


def requires(world: World, name: str) -> Any:
    found = world.answers(packages=[name])["distributions"][""]["value"]
    return [(one["version"], one["requires"]) for one in found if one["name"] == name]


def test_metadata_that_does_not_say_whose_it_is_was_not_read(world: World) -> None:
    world.install({**package("own", "1.0"), "own-1.0.dist-info/METADATA": ""})
    assert requires(world, "own") == [("1.0", None)]


def test_metadata_that_cannot_be_opened_was_not_read(world: World) -> None:
    world.install(package("own", "1.0"))
    metadata = world.packages / "own-1.0.dist-info" / "METADATA"
    metadata.unlink()
    metadata.mkdir()
    assert requires(world, "own") == [("1.0", None)]


@pytest.mark.parametrize("stale", ["0.1", "9.9"])
@pytest.mark.parametrize("record", ["", "own/__init__.py,,3\nown/old.py,,\n"])
def test_of_two_records_of_a_package_the_one_of_what_is_there_counts(stale: str, record: str, world: World) -> None:
    there = package("own", "1.0", "numpy")
    left = {path: text for path, text in package("own", stale).items() if record or "METADATA" in path}
    world.install({**left, f"own-{stale}.dist-info/RECORD": record} if record else left, there)
    assert requires(world, "own") == [("1.0", ["numpy"])]
