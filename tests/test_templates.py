"""Templates: which braces are ours, and how values stand in a shell's command line."""

from __future__ import annotations

import subprocess

import pytest

from pytest_pipeline.templates import NAMES, TemplateError, fill_argv, fill_command

NASTY = """a b$(exit 3);`x`'"\\&*\n{pid}"""


def words(command: str) -> list[str]:
    """Return the words that a real shell makes of a command line."""
    script = f"""words() {{ for word in "$@"; do printf '%s\\0' "$word"; done; }}; words {command}"""
    shell = subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True)
    return shell.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_each_documented_name_is_replaced(name: str) -> None:
    assert fill_command(f"run --x={{{name}}} .", {name: "v"}) == "run --x=v ."
    assert fill_argv([f"--x={{{name}}}"], {name: "v w"}) == ["--x=v w"]


@pytest.mark.parametrize(
    "command",
    [
        "awk '{print $1}'",
        "echo ${RUN_ID} ${run_id} ${bucket:-x}",
        """airflow -c '{"a": {"b": []}}'""",
        "echo {a,b} {1..3} {} {unknown}",
        "printf '%s' {{x}}",
        r"find . -exec ls {} \;",
    ],
)
def test_other_braces_stay(command: str) -> None:
    values = dict.fromkeys(NAMES, "wrong")

    assert fill_command(command, values) == command
    assert fill_argv([command], values) == [command]


@pytest.mark.parametrize("template", ["{workdir}", '"{workdir}"', "'{workdir}'", "x {workdir} y", "--d={workdir}/z"])
def test_a_value_stays_one_word_of_a_real_shell(template: str) -> None:
    expected = template.replace('"', "").replace("'", "")

    assert words(fill_command(template, {"workdir": NASTY})) == [
        word.replace("{workdir}", NASTY) for word in expected.split(" ")
    ]


def test_quotes_around_a_name_beside_other_quotes() -> None:
    filled = fill_command(
        """a "b c" "{ssh_key}" 'd "e' {run_id} f\\" {run_id}""", {"ssh_key": "/my key", "run_id": "r 1"}
    )

    assert words(filled) == ["a", "b c", "/my key", 'd "e', "r 1", 'f"', "r 1"]


def test_a_value_that_needs_no_quotes_may_stand_anywhere() -> None:
    filled = fill_command("""airflow -c '{"run_id": "{run_id}"}' # {step}""", {"run_id": "m-2026", "step": "2"})

    assert filled == """airflow -c '{"run_id": "m-2026"}' # 2"""


@pytest.mark.parametrize(
    "template",
    [
        "ssh host 'run {run_id}'",
        'ssh host "run {run_id}"',
        """x '{"id": "{run_id}"}'""",
        """echo "$(cat "{run_id}")\"""",
        "cat <<EOF\n{run_id}\nEOF",
        "true # don't\necho '{run_id}'",
    ],
)
def test_a_value_is_never_put_where_its_quotes_would_not_quote(template: str) -> None:
    with pytest.raises(TemplateError) as caught:
        fill_command(template, {"run_id": "$(boom)"})

    assert str(caught.value) == (
        f"the value of {{run_id}} needs quotes, and there is no telling which where it stands in {template!r}; "
        "put the name outside of quotes, or write the command as a list"
    )


def test_values_are_not_filled_again() -> None:
    assert fill_argv(["{run_id}"], {"run_id": "{pid}", "pid": "1"}) == ["{pid}"]
    assert fill_command("{run_id}", {"run_id": "{pid}", "pid": "1"}) == "'{pid}'"


def test_a_list_is_not_quoted() -> None:
    assert fill_argv(["python", "-c", "print({pid})", '"{run_id}"'], {"pid": "7", "run_id": NASTY}) == [
        "python",
        "-c",
        "print(7)",
        f'"{NASTY}"',
    ]


def test_a_name_without_a_value_says_which() -> None:
    message = (
        "{webhook} (the address of the alert receiver) has no value in 'post {webhook}'; "
        "configure what gives it, or take it out"
    )
    for fill in (lambda: fill_command("post {webhook}", {}), lambda: fill_argv(["post {webhook}"], {})):
        with pytest.raises(TemplateError) as caught:
            fill()

        assert str(caught.value) == message
