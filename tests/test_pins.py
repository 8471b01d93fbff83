"""What files pin: requirement files, setup scripts, Dockerfiles, pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.pins.files import read_pins
from pytest_pipeline.pins.pin import Pin, Way, can_both_hold, contradictions

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, name: str, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return package -> "line specifier", and what was not understood."""
    (folder / name).write_text(text, encoding="utf-8")
    found = read_pins(folder / name)
    pins = {pin.name: f"{pin.line} {pin.specifier}".strip() for pin in found.pins}
    return pins, tuple(one.said for one in found.unread)


def pinned(folder: Path, name: str, text: str) -> list[str]:
    """Return each package with what is pinned of it, in the order of the file."""
    (folder / name).write_text(text, encoding="utf-8")
    return [f"{pin.name}{pin.specifier}" for pin in read_pins(folder / name).pins]


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
    "conda create -y -n train -c pytorch python=3.10 pytorch=2.4.0": {"python": "==3.10.*", "torch": "==2.4.0.*"},
    "mamba create --name=train 'pytorch>=2.4,<2.5'": {"torch": "<2.5,>=2.4"},
    "uv add torch==2.4.0": {"torch": "==2.4.0"},
    "poetry add torch@^2.4 'peft==0.13.2'": {"torch": "<3,>=2.4", "peft": "==0.13.2"},
    "uv pip install --index https://packages.example/a --default-index https://packages.example/b torch==2.4.0": {
        "torch": "==2.4.0"
    },
    "python3 -m pip install https://packages.example/torch-2.5.1%2Bcu121-cp310-cp310-linux_x86_64.whl?x=1": {
        "torch": "==2.5.1+cu121"
    },
    "pip install `cat more.txt` torch==2.5.1": {"torch": "==2.5.1"},
    "pip install -i $(url $(host)) torch==2.5.1": {"torch": "==2.5.1"},
    'OUT="$(pip install torch==2.5.1 2>&1)"': {"torch": "==2.5.1"},
    "PIP=$(which pip) && pip install torch==2.5.1": {"torch": "==2.5.1"},
    "apt-get install -y pip # pip install torch==1": {},
    "pip install torch==2.5.1 --log 'a # b'": {"torch": "==2.5.1"},
    "log() { echo 'pip install torch==1'; }": {},
    "CMD='pip install torch==2.5.1'; eval \"$CMD\"": {"torch": "==2.5.1"},
    "ssh host <<EOF\npip install torch==2.5.1\nEOF": {"torch": "==2.5.1"},
    "cat <<-'EOF' | ssh host bash\n\tpip install torch==2.5.1\n\tEOF": {"torch": "==2.5.1"},
    "cat <<EOF | docker exec -i it bash\npip install torch==2.5.1\nEOF": {"torch": "==2.5.1"},
    "cat > app.ini <<EOF\nhost = 10.0.0.1\nEOF": {},
    "usage() { cat <<'EOF'\n  the old release, don't:\n    pip install torch==2.4.0\nEOF\n}": {},
    "MAINTAINER O'Brien\nRUN pip install torch==2.5.1  # don't": {"torch": "==2.5.1"},
    "echo 'Usage:\n  pip install torch==2.4.0\n'": {},
    'ssh host "\n  pip install torch==2.5.1\n"': {"torch": "==2.5.1"},
    "pip install \\\n    # the framework\n\n    torch==2.5.1 \\\n    peft==0.13.2": {
        "torch": "==2.5.1",
        "peft": "==0.13.2",
    },
}


@pytest.mark.parametrize(("command", "pins"), COMMANDS.items())
def test_a_script_is_read_for_what_it_installs(tmp_path: Path, command: str, pins: dict[str, str]) -> None:
    (tmp_path / "setup.sh").write_text(f"#!/bin/bash\n{command}\n", encoding="utf-8")

    assert {pin.name: pin.specifier for pin in read_pins(tmp_path / "setup.sh").pins} == pins


VARIABLES = {
    "TORCH=2.4.0\npip install torch==$TORCH": ["torch==2.4.0"],
    "export TORCH='2.4.0'\npip install \"torch==${TORCH}\"": ["torch==2.4.0"],
    "CUDA=cu121 TORCH=2.4.0\nFULL=$TORCH+$CUDA\npip install torch==$FULL": ["torch==2.4.0+cu121"],
    "pip install torch==${TORCH:-2.4.0}": ["torch==2.4.0"],
    "TORCH=${1:-2.4.0}\npip install torch==$TORCH": ["torch==2.4.0"],
    "TORCH=2.5.1\npip install torch==${TORCH:-2.4.0}": ["torch==2.5.1"],
    "TORCH=2.5.1\nTORCH=2.4.0\npip install torch==$TORCH": ["torch==2.4.0"],
    "FROM x\nARG TORCH=2.4.0\nENV PEFT 0.13.2\nRUN pip install torch==$TORCH peft==$PEFT": [
        "torch==2.4.0",
        "peft==0.13.2",
    ],
    "MORE='torch==2.4.0 peft'\npip install $MORE": ["torch==2.4.0", "peft"],
    "MORE=(\n  'torch==2.4.0'  # the framework\n  peft\n)\npip install \"${MORE[@]}\"": ["torch==2.4.0", "peft"],
    "if old; then\n  TORCH=2.4.0\n  pip install torch==$TORCH\nfi": ["torch==2.4.0"],
}


@pytest.mark.parametrize(("script", "pins"), VARIABLES.items())
def test_a_variable_that_is_given_plainly_is_what_it_says(tmp_path: Path, script: str, pins: list[str]) -> None:
    assert pinned(tmp_path, "setup.sh", f"{script}\n") == pins


@pytest.mark.parametrize(
    "script",
    [
        "TORCH=$(cat torch.version)",
        "TORCH=2.5.1\nif old; then TORCH=2.4.0; fi",
        "TORCH=2.5.1\n[[ $1 ]] && TORCH=2.4.0",
        "TORCH=2.5.1\nread TORCH",
        "for TORCH in 2.5.1 2.4.0; do",
        "TORCH=2.5\nTORCH+=.1",
    ],
)
def test_a_variable_that_more_than_one_may_have_given_is_not_known(tmp_path: Path, script: str) -> None:
    assert read(tmp_path, "setup.sh", f"{script}\npip install peft==1 torch==$TORCH\n")[1] == (
        f"setup.sh:{script.count(chr(10)) + 2}: torch==$TORCH",
    )


def test_what_only_the_script_knows_is_noted(tmp_path: Path) -> None:
    pins, unread = read(
        tmp_path, "setup.sh", 'pip install "torch==$TORCH" $MORE -r "$HERE/requirements.txt" peft==0.13.2\n'
    )

    assert pins == {"peft": "1 ==0.13.2"}
    assert unread == ("setup.sh:1: torch==$TORCH", "setup.sh:1: $MORE", "setup.sh:1: -r $HERE/requirements.txt")


MAY_PIN = {
    "setup.sh": [
        'pip install "torch==$TORCH"',
        "pip install $MORE",
        "pip install -r $MORE",
        "pip install git+https://code.example/torch@v2.4.0",
        'ssh host "pip install torch==2.4.0',
        "pip install transformers>=4.45",
        "cat > more.txt <<EOF\ntorch==2.4.0\nEOF",
        "sudo tee /opt/install <<EOF\n#!/bin/sh\npip install torch\nEOF",
        "WORK=$(cat <<'EOF'\npip install torch==2.4.0\nEOF\n)",
        "cat more.txt | xargs pip install",
    ],
    "requirements.txt": ["-r https://packages.example/more.txt", "-c ${MORE}/more.txt", "torch = 2.4"],
    "environment.yml": ["dependencies:\n  - numpy>=1.26|1.24"],
    "setup.py": ["setup()"],
    "pyproject.toml": ["[project", "[tool.poetry.dependencies]\ntorch = '2.4 || 2.5'"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in MAY_PIN.items() for text in texts])
def test_what_may_pin_and_is_not_understood_is_known(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")

    assert [one.may_pin for one in read_pins(tmp_path / name).unread] == [True]


@pytest.mark.parametrize("words", ["git+https://code.example/some/thing.git", "./vendored", "."])
def test_what_names_no_version_may_not_pin(tmp_path: Path, words: str) -> None:
    (tmp_path / "setup.sh").write_text(f"pip install {words}\n", encoding="utf-8")

    assert [one.may_pin for one in read_pins(tmp_path / "setup.sh").unread] == [False]


SECRETS = {
    "requirements.txt": [
        "git+https://S3CRET@code.example/thing.git@v1",
        "mine @ https://user:S3CRET@packages.example/mine-1.zip",
        "mine @ https://packages.example/mine-1.zip?token=S3CRET#egg=mine",
        "-r https://user:S3C@S3CRET@packages.example/more.txt",
    ],
    "environment.yml": ["dependencies:\n  - pip:\n    - --extra-index-url https://user:S3CRET@packages.example/simple"],
    "setup.sh": [
        "uv pip install --index https://user:S3CRET@packages.example/simple torch",
        "uv pip install --what-is-it https://user:S3CRET@packages.example/simple torch",
        'ssh host "pip install -i https://user:S3CRET@packages.example/simple torch',
    ],
    "pyproject.toml": ["[tool.poetry.dependencies]\nmine = {git = 'https://S3CRET@code.example/mine', tag = 'v1'}"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in SECRETS.items() for text in texts])
def test_what_is_noted_holds_no_secret_of_a_url(tmp_path: Path, name: str, text: str) -> None:
    assert "S3C" not in str(read(tmp_path, name, f"{text}\n"))


def test_of_a_url_its_host_and_path_stay(tmp_path: Path) -> None:
    url = "git+https://user:S3CRET@code.example/thing.git@v1?a=b#egg=thing"

    assert read(tmp_path, "requirements.txt", url)[1] == (
        "requirements.txt:1: git+https://***@code.example/thing.git@v1#egg=thing",
    )


def test_a_requirement_file_that_lies_beside_the_script_is_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("peft==0.13.2\n", encoding="utf-8")
    (tmp_path / "Dockerfile").write_text("FROM x\nRUN pip install \\\n  -r requirements.txt\n", encoding="utf-8")

    assert [pin.said for pin in read_pins(tmp_path / "Dockerfile").pins] == ["requirements.txt:1 pins ==0.13.2"]


def test_a_requirement_file_of_the_far_side_is_the_one_that_is_listed(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("peft==0.13.2\n", encoding="utf-8")
    script = tmp_path / "ops" / "setup.sh"
    script.parent.mkdir()
    script.write_text("pip install -r /opt/app/requirements.txt\n", encoding="utf-8")

    assert read_pins(script).pins == ()
    assert [pin.said for pin in read_pins(script, [tmp_path / "requirements.txt"]).pins] == [
        "requirements.txt:1 pins ==0.13.2"
    ]


def test_an_include_may_stand_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "my base.txt").write_text("peft==0.13.2\n", encoding="utf-8")

    assert pinned(tmp_path, "requirements.txt", '-r "my base.txt"\n') == ["peft==0.13.2"]


def test_a_list_of_the_network_is_not_looked_for_on_the_disk(tmp_path: Path) -> None:
    pins, unread = read(tmp_path, "requirements.txt", "-c https://packages.example/constraints.txt\ntorch==2.5.1\n")

    assert pins == {"torch": "2 ==2.5.1"}
    assert unread == ("requirements.txt:1: -c https://packages.example/constraints.txt",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_list_that_powershell_wrote_is_read_as_pip_reads_it(tmp_path: Path, encoding: str) -> None:
    text = "torch==2.5.1\r\npeft==0.13.2\r\n" if encoding == "utf-16" else "\ufefftorch==2.5.1\npeft==0.13.2\n"
    (tmp_path / "requirements.txt").write_bytes(text.encode(encoding))

    assert [pin.said for pin in read_pins(tmp_path / "requirements.txt").pins] == [
        "requirements.txt:1 pins ==2.5.1",
        "requirements.txt:2 pins ==0.13.2",
    ]


def test_a_list_that_says_how_it_is_installed_is_a_list(tmp_path: Path) -> None:
    pins, _ = read(tmp_path, "requirements.txt", "# pip install -r requirements.txt\ntorch==2.5.1\n")

    assert pins == {"torch": "2 ==2.5.1"}


def test_a_mark_of_the_byte_order_belongs_to_no_name(tmp_path: Path) -> None:
    assert read(tmp_path, "requirements.txt", "\ufefftorch==2.5.1\n") == ({"torch": "1 ==2.5.1"}, ())


def test_what_the_shell_takes_for_a_file_is_no_pin_and_noted(tmp_path: Path) -> None:
    pins, unread = read(tmp_path, "setup.sh", "pip install transformers>=4.45 peft==0.13.2\n")

    assert pins == {"transformers": "1", "peft": "1 ==0.13.2"}
    assert unread == ("setup.sh:1: transformers>=4.45 has no quotes: the shell makes a file of it",)


@pytest.mark.parametrize("name", ["requirements", "requirements.lock"])
def test_a_list_of_another_name_may_say_in_a_comment_how_it_is_installed(tmp_path: Path, name: str) -> None:
    assert pinned(tmp_path, name, "# pip install -r requirements\ntorch==2.5.1\n") == ["torch==2.5.1"]


@pytest.mark.parametrize("comment", ["# afterwards: pip install -e .", "# conda install -n base conda=24.1"])
def test_an_environment_that_says_how_it_is_installed_is_an_environment(tmp_path: Path, comment: str) -> None:
    text = f"{comment}\nname: t\ndependencies:\n  - pytorch=2.4.0\n# with\n  - pip:\n    - peft==0.13.2\n"

    assert pinned(tmp_path, "environment.yml", text) == ["torch==2.4.0.*", "peft==0.13.2"]


def test_what_a_pipeline_of_ci_installs_is_read(tmp_path: Path) -> None:
    text = "jobs:\n  test:\n    name: Don't wait\n    steps:\n      - run: pip install torch==2.4.0\n      # it's\n"

    assert pinned(tmp_path, "ci.yml", text) == ["torch==2.4.0"]


def test_a_script_that_installs_nothing_is_no_list(tmp_path: Path) -> None:
    assert pinned(tmp_path, "setup.sh", "if true; then\n  df\nfi\n") == []
    assert pinned(tmp_path, "setup", "#!/bin/sh\ndf\n") == []


def test_an_environment_of_conda_is_read(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("peft==0.13.2\n", encoding="utf-8")
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
        "peft": "1 ==0.13.2",
    }
    assert unread == ()


BRANCHES = "#!/bin/bash\nif nvidia-smi; then\n  pip install torch==2.5.1+cu121\nelse\n  pip install torch==2.4.0\nfi\n"


def test_branches_of_a_script_need_not_agree_and_one_of_them_must_with_others(tmp_path: Path) -> None:
    (tmp_path / "setup.sh").write_text(f"{BRANCHES}pip install peft==1\npip install peft==2\n", encoding="utf-8")
    pins = read_pins(tmp_path / "setup.sh").pins

    assert [first.name for first, _ in contradictions(pins)] == ["peft"], "what comes after is no branch"
    for specifier, wrong in (("==2.5.1", 0), ("==2.4.0", 0), ("==2.3.0", 2)):
        other = Pin(name="torch", specifier=specifier, file="requirements.txt", line=1)
        assert len([one for one in contradictions([*pins, other]) if other in one]) == wrong


NEED_NOT_AGREE = {
    "tests": "[[ $CUDA == 11 ]] && pip install torch==1\n[ $CUDA = 12 ] && pip install torch==2",
    "a test and what else": "test $OLD && pip install torch==1 || pip install torch==2",
    "a test of two": "[[ $OLD || $CPU ]] &&\n  pip install torch==1\npip install torch==2",
    "a group": "command -v nvidia-smi >/dev/null && {\n  date\n  pip install torch==1\n  exit\n}\npip install torch==2",
    "functions": 'cpu() {\n  pip install torch==1\n}\nfunction gpu {\n  pip install torch==2\n}\n"$1"',
    "functions of cases": "a() { pip install torch==1; }\nb() { pip install torch==2; }\ncase $1 in a) a;; *) b;; esac",
    "cases": "case $1 in\n  old|older) pip install torch==1 ;;\n  *) pip install torch==2 ;;\nesac",
    "cases of a build": "FROM x\nRUN --mount=type=cache,target=/x if old; then \\\n  pip install torch==1; \\\n"
    "else \\\n  pip install torch==2; \\\nfi",
    "a second try": "pip install torch==1 || pip install torch==2",
    "files in branches": "if old; then pip install -r one.txt; else pip install -r two.txt; fi",
    "environments": "/opt/train/bin/pip install torch==1\n/opt/vllm/bin/python -m pip install torch==2",
    "an environment and the usual one": "pip install torch==1\nuv pip install --python .venv/bin/python torch==2",
    "activated environments": "source a/bin/activate\npip install torch==1\ndeactivate\n. b/bin/activate\n"
    "pip install torch==2",
    "environments of conda": "conda create -n a pytorch==1\nconda run -n b pip install torch==2",
    "activated environments of conda": "conda activate a\npip install torch==1\nconda activate b\npip install torch==2",
    "files for environments": "/a/bin/pip install -r one.txt\n/b/bin/pip install -r two.txt",
    "stages": "FROM x AS cpu\nRUN pip install torch==1\nFROM x AS gpu\nRUN pip install torch==2",
    "on hosts": "ssh a '[[ $OLD ]] && pip install torch==1'; ssh b '[[ $OLD ]] && pip install torch==2'",
}


@pytest.mark.parametrize("script", NEED_NOT_AGREE.values(), ids=[*NEED_NOT_AGREE])
def test_what_a_script_installs_instead_or_elsewhere_need_not_agree(tmp_path: Path, script: str) -> None:
    (tmp_path / "one.txt").write_text("torch==1\n", encoding="utf-8")
    (tmp_path / "two.txt").write_text("torch==2\n", encoding="utf-8")
    (tmp_path / "setup.sh").write_text(f"{script}\n", encoding="utf-8")
    pins = read_pins(tmp_path / "setup.sh").pins

    assert [pin.specifier for pin in pins] == ["==1", "==2"]
    assert [*contradictions(pins)] == []


MUST_AGREE = {
    "one after the other": "cd /opt && pip install torch==1\npip install torch==2",
    "in a branch": "if old; then\n  pip install torch==1\n  pip install torch==2\nfi",
    "functions that are called": "a() { pip install torch==1; }\nb() { pip install torch==2; }\nmain() { a; b; }\nmain",
    "that end the script": "pip install torch==1 || exit 1\npip install torch==2 || { echo no; exit 1; }",
    "in one environment": "/opt/train/bin/pip install torch==1\n/opt/train/bin/python3 -m pip install torch==2",
    "in the system's": "pip install torch==1\n/usr/bin/pip3 install torch==2",
    "in one environment of two names": "$HOME/a/bin/pip install torch==1\nuv pip install -p ~/a/bin/python torch==2",
    "in one stage": "FROM x\nRUN pip install torch==1\nRUN pip install torch==2",
    "behind a branch": "if old; then date; fi\npip install torch==1\nfor x in 1; do pip install torch==2; done",
    "in a subshell": "(pip install torch==1)\n(cd x && pip install torch==2)",
}


@pytest.mark.parametrize("script", MUST_AGREE.values(), ids=[*MUST_AGREE])
def test_what_a_script_installs_in_any_case_must_agree(tmp_path: Path, script: str) -> None:
    (tmp_path / "setup.sh").write_text(f"{script}\n", encoding="utf-8")

    assert len([*contradictions(read_pins(tmp_path / "setup.sh").pins)]) == 1


def test_a_list_is_for_one_environment_at_least() -> None:
    pins = [
        Pin(name="torch", specifier=f"=={number}", file="s", line=number, way=Way(script="s", place=place))
        for number, place in enumerate(("/opt/train", "/opt/vllm"), 1)
    ]
    for specifier, wrong in (("==1", 0), ("==2", 0), ("==3", 2)):
        other = Pin(name="torch", specifier=specifier, file="requirements.txt", line=1)
        assert len([*contradictions([*pins, other])]) == wrong


@pytest.mark.parametrize(("place", "other", "wrong"), [("", "", 1), ("", "/opt/a", 1), ("/opt/a", "/opt/b", 0)])
def test_the_usual_environment_of_another_script_may_be_any(place: str, other: str, wrong: int) -> None:
    pins = [
        Pin(name="torch", specifier=f"=={script}", file=script, line=1, way=Way(script=script, place=where))
        for script, where in (("1", place), ("2", other))
    ]

    assert len([*contradictions(pins)]) == wrong


def test_python_inside_a_script_opens_no_branch(tmp_path: Path) -> None:
    text = "python3 <<EOF\nif True:\n    pass\nEOF\npip install torch==1\npip install torch==2\n"
    (tmp_path / "setup.sh").write_text(text, encoding="utf-8")

    assert len([*contradictions(read_pins(tmp_path / "setup.sh").pins)]) == 1


def test_a_quote_that_nothing_closes_costs_its_command_alone(tmp_path: Path) -> None:
    pins, unread = read(tmp_path, "setup.sh", 'ssh host "pip install torch==2.5.1\npip install peft==0.13.2\n')

    assert pins == {"peft": "2 ==0.13.2"}
    assert unread == ("setup.sh:1: a command that installs has a quote that nothing closes",)


def test_a_project_is_read_for_its_dependencies(tmp_path: Path) -> None:
    pins, _ = read(tmp_path, "pyproject.toml", '[project]\nname = "x"\ndependencies = [\n  "torch>=2.5",\n]\n')

    assert pins == {"torch": "4 >=2.5"}
    assert read(tmp_path, "pyproject.toml", "[project")[1] != ()


@pytest.mark.parametrize(
    "text",
    [
        "[dependency-groups]\ntrain = [\n  {include-group = 'x'},\n  'torch==2.4.0',\n]\n",
        "[project.optional-dependencies]\ntrain = [\n\n  'torch==2.4.0',\n]\n",
        "[tool.uv]\noverride-dependencies = [\n\n  'torch==2.4.0',\n]\n",
        "[tool.uv]\nconstraint-dependencies = [\n\n  'torch==2.4.0',\n]\n",
        "[tool.uv]\ndev-dependencies = [\n\n  'torch==2.4.0',\n]\n",
        "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\ntorch = '2.4.0'\n",
        "[tool.poetry]\nname = 'x'\n[tool.poetry.group.a.dependencies]\ntorch = {version = '2.4.0', extras = ['x']}\n",
    ],
)
def test_a_project_is_read_wherever_it_pins(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "pyproject.toml", text) == ({"torch": "4 ==2.4.0"}, ())


def test_groups_of_a_project_need_not_agree_and_one_of_them_must_with_others(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[project.optional-dependencies]\ncpu = ['torch==1']\ngpu = ['torch==2']\n", encoding="utf-8"
    )
    pins = read_pins(tmp_path / "pyproject.toml").pins

    for specifier, wrong in (("==1", 0), ("==2", 0), ("==3", 2)):
        other = Pin(name="torch", specifier=specifier, file="requirements.txt", line=1)
        assert len([*contradictions([*pins, other])]) == wrong


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("'2.4.0'", "==2.4.0"),
        ("'2.4.*'", "==2.4.*"),
        ("'*'", ""),
        ("'>=2.4,<2.5'", "<2.5,>=2.4"),
        ("'~=2.4'", "~=2.4"),
        ("'^2.4'", "<3,>=2.4"),
        ("'^0.13.2'", "<0.14,>=0.13.2"),
        ("'^0.0.3'", "<0.0.4,>=0.0.3"),
        ("'~2.4.1'", "<2.5,>=2.4.1"),
        ("'~2'", "<3,>=2"),
        ("{version = '^2.4', optional = true}", "<3,>=2.4"),
        ("{source = 'pytorch'}", ""),
        ("{url = 'https://packages.example/torch-2.4.0-py3-none-any.whl'}", None),
        ("[{version = '2.4', python = '<3.10'}]", None),
    ],
)
def test_poetry_has_words_of_its_own(tmp_path: Path, constraint: str, specifier: str | None) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.poetry.dependencies]\ntorch = {constraint}\n", encoding="utf-8")
    found = read_pins(tmp_path / "pyproject.toml")

    assert [pin.specifier for pin in found.pins] == ([] if specifier is None else [specifier])
    assert len(found.unread) == (specifier is None)


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
