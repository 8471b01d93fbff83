"""What files pin: requirement files, setup scripts, Dockerfiles, pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.pins import Pin, can_both_hold, contradictions, read_pins

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return package -> "line specifier", and what was not understood."""
    (folder / name).write_text(text, encoding="utf-8")
    found = read_pins(folder / name)
    return {pin.name: f"{pin.line} {pin.specifier}".strip() for pin in found.pins}, found.unread


def test_a_requirement_file_is_read_as_pip_reads_it(tmp_path: Path) -> None:
    pins, unread = read(
        tmp_path,
        "requirements.txt",
        "# a comment\n"
        "torch==2.5.1+cu121\n"
        "Transformers[torch] >=4.46, <5  # with a comment\n"
        "peft==0.13.2 \\\n    --hash=sha256:abc\n"
        "\n"
        "--index-url https://packages.example/simple\n"
        'tomli>=2; python_version < "3.11"\n'
        "numpy\n"
        "git+https://code.example/some/thing.git\n"
        "./vendored\n",
    )

    assert pins == {
        "torch": "2 ==2.5.1+cu121",
        "transformers": "3 <5,>=4.46",
        "peft": "4 ==0.13.2",
        "tomli": "8 >=2",
        "numpy": "9",
    }
    assert unread == ("requirements.txt:10: git+https://code.example/some/thing.git", "requirements.txt:11: ./vendored")


def test_included_files_are_read_with_their_own_names(tmp_path: Path) -> None:
    (tmp_path / "pins").mkdir()
    (tmp_path / "pins" / "base.txt").write_text("peft<0.13\n", encoding="utf-8")
    (tmp_path / "requirements.txt").write_text("-r pins/base.txt\n--constraint=pins/base.txt\n", encoding="utf-8")

    assert read_pins(tmp_path / "requirements.txt").pins == (
        Pin(name="peft", specifier="<0.13", file="base.txt", line=1),
    )


def test_files_that_include_each_other_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("-r a.txt\ntorch==2\n", encoding="utf-8")

    assert [pin.name for pin in read_pins(tmp_path / "a.txt").pins] == ["torch"]


def test_a_file_that_is_not_there_is_the_callers_to_say(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r gone.txt\n", encoding="utf-8")
    with pytest.raises(FileNotFoundError):
        read_pins(tmp_path / "a.txt")


COMMANDS = {
    "pip install torch==2.5.1": {"torch": "==2.5.1"},
    "pip3 install -q --no-cache-dir 'torch>=2.5,<2.6'": {"torch": "<2.6,>=2.5"},
    "/opt/venv/bin/pip install torch==2.5.1 && echo done==1": {"torch": "==2.5.1"},
    "python3 -m pip install --index-url https://packages.example/whl torch==2.5.1": {"torch": "==2.5.1"},
    "uv pip install --python /opt/venv/bin/python torch==2.5.1": {"torch": "==2.5.1"},
    "RUN apt-get install -y git && pip install torch==2.5.1": {"torch": "==2.5.1"},
    "ssh host 'cd /opt && pip install torch==2.5.1'": {"torch": "==2.5.1"},
    "conda install -y -c nvidia numpy=1.26 pip==24.0": {"numpy": "==1.26.*", "pip": "==24.0"},
    "if true; then pip install torch==2.5.1; fi": {"torch": "==2.5.1"},
    "(pip install torch==2.5.1)": {"torch": "==2.5.1"},
    "echo installing; apt-get install pip==1": {},
    "pip uninstall -y torch==1": {},
    "pip freeze > requirements.txt": {},
    "# pip install torch==1.0": {},
    "echo 'now run pip install torch==1.0 by hand'": {},
    "printf '%s\\n' \"pip install torch==1.0\"": {},
    "pip --no-cache-dir --log x.log install torch==2.5.1": {"torch": "==2.5.1"},
    "$PYTHON -m pip -q install torch==2.5.1": {"torch": "==2.5.1"},
    'RUN ["python3", "-m", "pip", "install", "torch==2.5.1"]': {"torch": "==2.5.1"},
    "pip install torch==2.5.1 2>&1 | tee log.txt": {"torch": "==2.5.1"},
    "OUT=$(pip install 'torch==2.5.1' 2>/dev/null)": {"torch": "==2.5.1"},
    "mamba install conda-forge::pytorch=2.5.1=py3.10_cuda12.1_0": {"torch": "==2.5.1"},
    "pip install 'git+https://x/y#egg=z' torch==2.5.1": {"torch": "==2.5.1"},
    "sudo -H pip3.10 install torch==2.5.1  # don't ask": {"torch": "==2.5.1"},
    "pip download torch==1.0": {},
}


@pytest.mark.parametrize(("command", "pins"), COMMANDS.items())
def test_a_script_is_read_for_what_it_installs(tmp_path: Path, command: str, pins: dict[str, str]) -> None:
    (tmp_path / "setup.sh").write_text(f"#!/bin/bash\n{command}\n", encoding="utf-8")

    assert {pin.name: pin.specifier for pin in read_pins(tmp_path / "setup.sh").pins} == pins


def test_what_only_the_script_knows_is_noted(tmp_path: Path) -> None:
    pins, unread = read(
        tmp_path, "setup.sh", 'pip install "torch==$TORCH" $MORE -r "$HERE/requirements.txt" peft==0.13.2\n'
    )

    assert pins == {"peft": "1 ==0.13.2"}
    assert unread == ("setup.sh:1: torch==$TORCH", "setup.sh:1: $MORE", "setup.sh:1: -r $HERE/requirements.txt")


def test_a_requirement_file_that_lies_beside_the_script_is_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("peft==0.13.2\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM x\nRUN pip install \\\n  -r requirements.txt\n", encoding="utf-8")

    assert [pin.said for pin in read_pins(tmp_path / "Dockerfile").pins] == ["requirements.txt:1 pins ==0.13.2"]


def test_a_list_that_says_how_it_is_installed_is_a_list(tmp_path: Path) -> None:
    pins, _ = read(tmp_path, "requirements.txt", "# pip install -r requirements.txt\ntorch==2.5.1\n")

    assert pins == {"torch": "2 ==2.5.1"}


def test_a_mark_of_the_byte_order_belongs_to_no_name(tmp_path: Path) -> None:
    assert read(tmp_path, "requirements.txt", "\ufefftorch==2.5.1\n") == ({"torch": "1 ==2.5.1"}, ())


def test_what_the_shell_takes_for_a_file_is_no_pin_and_noted(tmp_path: Path) -> None:
    pins, unread = read(tmp_path, "setup.sh", "pip install transformers>=4.45 peft==0.13.2\n")

    assert pins == {"transformers": "1", "peft": "1 ==0.13.2"}
    assert unread == ("setup.sh:1: transformers>=4.45 has no quotes: the shell makes a file of it",)


def test_an_environment_of_conda_is_read(tmp_path: Path) -> None:
    pins, unread = read(
        tmp_path,
        "environment.yml",
        "name: train\nchannels:\n  - nvidia\ndependencies:\n  - python=3.10  # system\n  - pytorch=2.5.1=py3.10_0\n"
        "  - 'numpy>=1.26,<2'\n  - pip\n  - pip:\n    - transformers==4.46.3\n    - -r more.txt\nprefix: /opt\n",
    )

    assert pins == {
        "python": "5 ==3.10.*",
        "torch": "6 ==2.5.1",
        "numpy": "7 <2,>=1.26",
        "pip": "8",
        "transformers": "10 ==4.46.3",
    }
    assert unread == ("environment.yml:11: -r more.txt",)


@pytest.mark.parametrize("name", ["setup.py", "pyproject.toml"])
def test_what_is_not_judged_is_noted(tmp_path: Path, name: str) -> None:
    text = "[project]\noptional-dependencies = {x = ['torch==1']}\n" if name.endswith("toml") else "setup()\n"

    assert len(read(tmp_path, name, text)[1]) == 1


BRANCHES = "#!/bin/bash\nif nvidia-smi; then\n  pip install torch==2.5.1+cu121\nelse\n  pip install torch==2.4.0\nfi\n"


def test_branches_of_a_script_need_not_agree_and_one_of_them_must_with_others(tmp_path: Path) -> None:
    (tmp_path / "setup.sh").write_text(f"{BRANCHES}pip install peft==1\npip install peft==2\n", encoding="utf-8")
    pins = read_pins(tmp_path / "setup.sh").pins

    assert [first.name for first, _ in contradictions(pins)] == ["peft"], "what comes after is no branch"
    for specifier, wrong in (("==2.5.1", 0), ("==2.4.0", 0), ("==2.3.0", 2)):
        other = Pin(name="torch", specifier=specifier, file="requirements.txt", line=1)
        assert len([one for one in contradictions([*pins, other]) if other in one]) == wrong


def test_python_inside_a_script_opens_no_branch(tmp_path: Path) -> None:
    text = "python3 <<EOF\nif True:\n    pass\nEOF\npip install torch==1\npip install torch==2\n"
    (tmp_path / "setup.sh").write_text(text, encoding="utf-8")

    assert len([*contradictions(read_pins(tmp_path / "setup.sh").pins)]) == 1


def test_an_open_quote_is_noted(tmp_path: Path) -> None:
    assert read(tmp_path, "setup.sh", 'ssh host "pip install torch==2.5.1\n"\n')[1] != ()


def test_a_project_is_read_for_its_dependencies(tmp_path: Path) -> None:
    pins, _ = read(tmp_path, "pyproject.toml", '[project]\nname = "x"\ndependencies = [\n  "torch>=2.5",\n]\n')

    assert pins == {"torch": "4 >=2.5"}
    assert read(tmp_path, "pyproject.toml", "[project")[1] != ()


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("==4.45.0", "==4.53.1", False),
        ("==4.45.0", "==4.45", True),
        ("==2.5.1+cu121", "==2.5.1", True),
        ("==2.5.1+cu121", "==2.5.1+cu118", False),
        (">=2.5", "<2.6", True),
        (">2.5,<2.6", "!=2.5.1", True),
        (">=2.6", "<2.6", False),
        (">=1.0", "<2", True),
        ("<0.13", "==0.13.2", False),
        ("<1", ">=0.9.5", True),
        ("<0.1", ">0.0.3", True),
        ("==2.*", ">=2.4,<2.5", True),
        ("==2.*", ">=3", False),
        ("~=1.4.2", "<1.4", False),
        ("~=1.4.2", ">=1.4.5", True),
        ("", "==1", True),
        (">=4.46,<5", ">=5.0.0", False),
        ("===weird", "==1", False),
    ],
)
def test_two_pins_hold_together_where_a_version_meets_both(first: str, second: str, *, both: bool) -> None:
    assert can_both_hold(first, second) is both
    assert can_both_hold(second, first) is both


def test_contradictions_are_between_pins_of_one_package() -> None:
    pins = [
        Pin(name="a", specifier="==1", file="x", line=1),
        Pin(name="b", specifier="==2", file="x", line=2),
        Pin(name="a", specifier="==2", file="y", line=3),
    ]

    assert [(first.said, second.said) for first, second in contradictions(pins)] == [
        ("x:1 pins ==1", "y:3 pins ==2"),
    ]
