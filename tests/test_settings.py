"""Settings: their sources, which one wins, and what becomes of secrets. What mistakes are told is in another file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping  # noqa: TC003 - pydantic evaluates it
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from pytest_pipeline.settings import Aws, Bucket, Context, Host, Settings, SettingsError, load, missing, redactor
from pytest_pipeline.settings.layers import Layer
from pytest_pipeline.settings.sources import assemble, variables

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[..., Settings]

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load_in(tmp_path: Path) -> Load:
    """Load with nothing but what a test gives; `pipeline` and `pyproject` are the text of files in the root folder."""

    def load_with(*, pipeline: str | None = None, pyproject: str | None = None, **given: Any) -> Settings:
        for name, text in (("pipeline.toml", pipeline), ("pyproject.toml", pyproject)):
            if text is not None:
                (tmp_path / name).write_text(text, encoding="utf-8")
        nothing: dict[str, Any] = {"config_file": None, "command_line": {}, "assignments": (), "environ": {}}
        return load(**{"rootdir": tmp_path, **nothing, **given})

    return load_with


class TestPrecedence:
    """default < file < environment < command line < --pipeline-set."""

    FILE = "[host]\nuser = 'file'\naddress = 'file'\n"
    ENVIRON: Mapping[str, str] = {"PYTEST_PIPELINE_HOST__ADDRESS": "environment"}
    OPTION: Mapping[str, str] = {"host.address": "option"}
    ASSIGNMENT = ("host.address=first", "host.address=assignment")

    def test_without_any_source_there_are_the_defaults(self, load_in: Load) -> None:
        assert load_in() == Settings()

    def test_each_source_wins_over_those_before_it(self, load_in: Load) -> None:
        assert load_in(pipeline=self.FILE).host.address == "file"
        assert load_in(environ=self.ENVIRON).host.address == "environment"
        assert load_in(environ=self.ENVIRON, command_line=self.OPTION).host.address == "option"
        everything = load_in(environ=self.ENVIRON, command_line=self.OPTION, assignments=self.ASSIGNMENT)
        assert everything.host.address == "assignment"
        assert everything.host.user == "file"

    def test_the_project_file_has_a_table_of_ours(self, load_in: Load) -> None:
        text = "[project]\nname = 'x'\n[tool.pytest-pipeline.host]\nuser = 'project'\n"

        assert load_in(pyproject=text).host.user == "project"

    @pytest.mark.parametrize("text", ["", "tool = 1\n", "[tool.other]\nx = 1\n"])
    def test_a_project_file_without_it_leaves_the_other_one(self, load_in: Load, text: str) -> None:
        assert load_in(pyproject=text, pipeline=self.FILE).host.user == "file"

    @pytest.mark.parametrize("name", ["given.toml", "pyproject.toml"])
    def test_a_named_file_stands_instead_of_the_found_one(self, load_in: Load, tmp_path: Path, name: str) -> None:
        given = tmp_path / "elsewhere" / name
        given.parent.mkdir()
        table = "tool.pytest-pipeline.host" if name == "pyproject.toml" else "host"
        given.write_text(f"[{table}]\naddress = 'given'\n")

        settings = load_in(pipeline=self.FILE, config_file=given)

        assert (settings.host.address, settings.host.user) == ("given", "ubuntu")

    def test_a_tenant_stands_instead_of_found_file_and_environment(self, load_in: Load, tmp_path: Path) -> None:
        tenant = {"world": "sandbox", "host": {"port": 2222, "address": "tenant"}}
        given = tmp_path / "given.toml"
        given.write_text("[host]\ncommand_timeout_s = 1.5\naddress = 'given'\n")
        both = {"pipeline": self.FILE, "environ": {"PYTEST_PIPELINE_HOST__PORT": "1"}, "tenant": tenant}

        alone = load_in(**both)
        with_more = load_in(**both, config_file=given, assignments=["host.connection=openssh"])

        assert (alone.world, alone.host.user, alone.host.port, alone.host.address) == (
            "sandbox",
            "ubuntu",
            2222,
            "tenant",
        )
        assert (with_more.host.address, with_more.host.command_timeout_s, with_more.host.connection) == (
            "given",
            1.5,
            "openssh",
        )

    def test_tables_are_merged_and_lists_are_replaced(self, load_in: Load) -> None:
        text = (
            "[requirements.disk]\n'/a' = {free_gb = 1, inodes = 5}\n'/b' = {free_gb = 2}\n"
            "[[aws.buckets]]\nname = 'file'\nread = ['']\n"
        )
        environ = {
            "PYTEST_PIPELINE_REQUIREMENTS__DISK": "{'/a' = {free_gb = 3}}",
            "PYTEST_PIPELINE_AWS__BUCKETS": '[{name = "environment", write = ["out"]}]',
        }

        settings = load_in(pipeline=text, environ=environ)

        disk = settings.requirements.disk
        assert [(path, need.free_gb, need.inodes) for path, need in disk.items()] == [("/a", 3, 5), ("/b", 2, 1000)]
        assert [bucket.name for bucket in settings.aws.buckets] == ["environment"]

    def test_a_whole_table_in_the_environment_stands_below_its_keys(self, load_in: Load) -> None:
        environ = {"PYTEST_PIPELINE_HOST__USER": "key", "PYTEST_PIPELINE_HOST": "{user = 'table', port = 23}"}

        host = load_in(environ=environ).host

        assert (host.user, host.port) == ("key", 23)

    def test_variables_of_others_are_not_ours(self, load_in: Load) -> None:
        environ = {"PIPELINE_HOST": "x", "PIPELINE_WORKSPACE": "x", "PYTEST_ADDOPTS": "-x", "pytest_pipeline_x": "x"}

        assert load_in(environ=environ) == Settings()

    def test_no_variable_sets_the_world_or_a_part_of_a_list(self) -> None:
        assert "PYTEST_PIPELINE_WORLD" not in variables()
        assert variables()["PYTEST_PIPELINE_REQUIREMENTS__MODEL__PATH"] == ("requirements", "model", "path")
        assert not [name for name in variables() if name.startswith("PYTEST_PIPELINE_AWS__BUCKETS__")]


class TestValues:
    """Text from the environment and the command line becomes what the setting is."""

    @pytest.mark.parametrize(
        ("assignment", "expected"),
        [
            ("host.port=2222", ("host", "port", 2222)),
            ("host.port = 0x10", ("host", "port", 16)),
            ("host.connect_timeout_s=2", ("host", "connect_timeout_s", 2.0)),
            ("host.accept_new_host_key=true", ("host", "accept_new_host_key", True)),
            ("host.user=ec2-user", ("host", "user", "ec2-user")),
            ('host.user="ec2 user"', ("host", "user", "ec2 user")),
            ("host.user=true", ("host", "user", "true")),
            ("host.user=a=b", ("host", "user", "a=b")),
            ("host.user=x\nhost.port = 1", ("host", "user", "x\nhost.port = 1")),
            ("host.user='x'\nhost.port=1", ("host", "user", "'x'\nhost.port=1")),
            ("aws.account=012345678901", ("aws", "account", "012345678901")),
            ("aws.account=210000000001", ("aws", "account", "210000000001")),
            ("host.instance_ids=['i-1', 'i-2']", ("host", "instance_ids", ("i-1", "i-2"))),
            ('host.secrets=[\n"A",\n]', ("host", "secrets", ("A",))),
            ("requirements.gpu_memory_gb=24", ("requirements", "gpu_memory_gb", 24.0)),
            ("requirements.python=>=3.10", ("requirements", "python", ">=3.10")),
            ("rows.severity.disk-space=major", ("rows", "severity", {"disk-space": "major"})),
            ("rows.severity={'disk-space' = 'major'}", ("rows", "severity", {"disk-space": "major"})),
            ('rows.severity={"disk-space": "major"}', ("rows", "severity", {"disk-space": "major"})),
        ],
    )
    def test_a_value_is_toml_or_json_or_text(
        self, load_in: Load, assignment: str, expected: tuple[str, str, object]
    ) -> None:
        table, key, value = expected

        assert getattr(getattr(load_in(assignments=[assignment]), table), key) == value

    @pytest.mark.parametrize("path", ["/mnt/training", "/mnt/a=b", "/mnt/a.b c", '/mnt/"q"'])
    def test_a_quoted_part_of_a_key_may_hold_anything(self, load_in: Load, path: str) -> None:
        settings = load_in(assignments=[f"requirements.disk.{json.dumps(path)}.free_gb=1"])

        assert settings.requirements.disk[path].free_gb == 1

    def test_the_environment_reads_values_alike(self, load_in: Load) -> None:
        environ = {
            "PYTEST_PIPELINE_AWS__ACCOUNT": "210000000001",
            "PYTEST_PIPELINE_HOST__PORT": "2222",
            "PYTEST_PIPELINE_REQUIREMENTS__MODEL__NAME": "7",
            "PYTEST_PIPELINE_REQUIREMENTS__MODEL__PATH": "/m",
            "PYTEST_PIPELINE_WAIVERS": (
                '[{"row": "disk-space", "owner": "me", "reason": "move", "expires": "2027-01-31"}]'
            ),
        }

        settings = load_in(environ=environ)

        assert (settings.aws.account, settings.host.port) == ("210000000001", 2222)
        assert settings.requirements.model is not None
        assert settings.requirements.model.name == "7"
        assert settings.waivers[0].expires == date(2027, 1, 31)

    def test_a_toml_date_is_a_date(self, load_in: Load) -> None:
        waiver = load_in(
            pipeline="[[waivers]]\nrow = 'my-own-row'\nowner = 'o'\nreason = 'r'\nexpires = 2027-01-31\n"
        ).waivers[0]

        assert [waiver.expired(date(2027, 1, 31)), waiver.expired(date(2027, 2, 1))] == [False, True]


class TestPaths:
    """Paths of this machine are made absolute where they are read; paths of the host are left alone."""

    def test_relative_to_the_folder_of_its_file(self, load_in: Load, tmp_path: Path) -> None:
        assert load_in(pipeline="[host]\nkey = 'keys/k.pem'\n").host.key == tmp_path / "keys/k.pem"

    def test_elsewhere_relative_to_the_working_directory(
        self, load_in: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)

        assert load_in(environ={"PYTEST_PIPELINE_HOST__KEY": "e.pem"}).host.key == tmp_path / "e.pem"
        assert load_in(command_line={"host.key": "o.pem"}).host.key == tmp_path / "o.pem"
        assert load_in(assignments=["host.key=a.pem"]).host.key == tmp_path / "a.pem"

    @pytest.mark.parametrize("text", ["~", "~/.ssh/k.pem"])
    def test_a_tilde_is_the_home_folder(self, load_in: Load, text: str) -> None:
        settings = load_in(pipeline=f"[host]\nkey = '{text}'\n", environ={"HOME": "/home/u"})

        assert settings.host.key == Path(text.replace("~", "/home/u"))

    def test_the_named_file_may_begin_with_one_too(self, load_in: Load, tmp_path: Path) -> None:
        (tmp_path / "g.toml").write_text("[host]\nport = 3\n")

        assert load_in(config_file=Path("~/g.toml"), environ={"HOME": str(tmp_path)}).host.port == 3

    def test_paths_of_the_host_are_not_touched(self, load_in: Load) -> None:
        settings = load_in(pipeline="[requirements.disk]\n'~/x' = {free_gb = 1, reuse = ['~/x/y']}\n")

        assert settings.requirements.disk["~/x"].reuse == ("~/x/y",)


class TestWhatFollows:
    """Defaults that depend on other settings."""

    @pytest.mark.parametrize(
        ("prefix", "key"),
        [
            ("", ".pipeline-gate/write-test"),
            ("runs/", "runs/.pipeline-gate/write-test"),
            ("runs", "runs/.pipeline-gate/write-test"),
        ],
    )
    def test_the_probe_key_lies_under_the_first_write_prefix(self, prefix: str, key: str) -> None:
        assert Bucket(name="b", write=[prefix, "other/"]).probe_key == key
        assert Bucket(name="b", write=[prefix], probe_key="mine").probe_key == "mine"
        assert Bucket(name="b", read=[prefix]).probe_key is None

    @pytest.mark.parametrize(
        ("host", "user"),
        [
            (Host(), "operator"),
            (Host(instance_ids=["i-1"]), "host"),
            (Host(kind="other", address="h"), "host"),
            (Host(connection="local"), "host"),
            (Host(kind="none", address="h"), "operator"),
        ],
    )
    def test_a_bucket_is_the_hosts_where_there_is_one(self, host: Host, user: str) -> None:
        buckets = [Bucket(name="a", read=[""]), Bucket(name="b", read=[""], from_=["operator"])]
        settings = Settings(host=host, aws=Aws(buckets=buckets))

        assert [bucket.from_ for bucket in settings.aws.buckets] == [(user,), ("operator",)]
        assert buckets[0].from_ == ()

    def test_missing_names_what_is_not_configured(self) -> None:
        settings = Settings(host=Host(address="h"))

        assert missing(settings, "aws.buckets", "host.address", "requirements.disk", "host.key", "host.port") == (
            "aws.buckets",
            "requirements.disk",
            "host.key",
        )
        with pytest.raises(AttributeError):
            missing(settings, "host.adress")


class TestFrozen:
    """Nobody changes settings."""

    def test_values_cannot_be_set(self) -> None:
        with pytest.raises(ValidationError):
            Settings().host.port = 5

    def test_lists_are_tuples(self) -> None:
        assert Host(instance_ids=["i-1"]).instance_ids == ("i-1",)


SECRET = "hunter22-hunter22"  # noqa: S105 - one to be looked for


class WithSecrets(Settings):
    """Settings with a secret at each place where one may come to lie."""

    token: SecretStr | None = None
    tokens: Mapping[str, SecretStr] = Field(default_factory=dict)
    passwords: dict[str, list[SecretStr]] = Field(default_factory=dict)


class TestSecrets:
    """They reach workers and nothing else."""

    FULL = WithSecrets(
        token=SecretStr(SECRET),
        tokens={"a": SecretStr(SECRET + "2")},
        host=Host(secrets=["HF_TOKEN"], key=Path("/k"), contexts=[Context(name="c", environment={"A": "1"})]),
        aws=Aws(buckets=[Bucket(name="b", read=[""])]),
    )

    def test_no_text_of_settings_shows_one(self) -> None:
        shown = [repr(self.FULL), str(self.FULL), self.FULL.model_dump_json(), f"{self.FULL.model_dump()}"]

        assert not [text for text in shown if SECRET in text]

    def test_the_digest_does_not_depend_on_one(self) -> None:
        other = self.FULL.model_copy(update={"token": SecretStr("another")})

        assert other.sha256 == self.FULL.sha256
        assert other != self.FULL

    def test_the_digest_depends_on_all_else(self) -> None:
        assert len({Settings().sha256, Settings(host=Host(port=23)).sha256, self.FULL.sha256}) == 3

    def test_the_digest_is_the_same_in_every_process(self) -> None:
        program = (
            "from pytest_pipeline.settings import *; "
            "print(Settings(host=Host(secrets=['B', 'A']), rows=Rows(severity={'s3-read': 'major'})).sha256)"
        )
        runs = [
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        ]

        assert runs[0] == runs[1] != b""

    def test_workers_get_equal_settings_as_json(self) -> None:
        wire = json.loads(json.dumps(self.FULL.to_wire()))

        assert WithSecrets.from_wire(wire) == self.FULL
        assert wire["token"] == SECRET
        assert wire["aws"]["buckets"][0]["from"] == ["operator"]

    def test_all_that_can_be_configured_survives_the_wire(self, load_in: Load) -> None:
        waiver = "{row = 's3-read', owner = 'o', reason = 'r', expires = 2027-01-31}"
        settings = load_in(rootdir=ROOT, assignments=[f"waivers=[{waiver}]", "host.key=k"])

        assert Settings.from_wire(json.loads(json.dumps(settings.to_wire()))) == settings

    def test_a_message_never_repeats_one(self) -> None:
        layer = Layer(
            source="f", values={"token": [SECRET], "tokens": {"a": 7}, "passwords": {"a": [7]}}, folder=Path("/")
        )

        with pytest.raises(SettingsError) as caught:
            assemble(WithSecrets, [layer], home=Path("/"))

        assert str(caught.value).splitlines() == [
            "f: token must be text; correct or remove it",
            "f: tokens.a must be text; put it in quotes",
            "f: passwords.a[0] must be text; put it in quotes",
        ]

    @pytest.mark.parametrize("value", [SECRET, f'["{SECRET}"]'])
    def test_values_in_the_place_of_names_are_not_repeated(self, load_in: Load, value: str) -> None:
        with pytest.raises(SettingsError) as caught:
            load_in(environ={"PYTEST_PIPELINE_HOST__SECRETS": value})

        assert SECRET not in str(caught.value)


class TestRedaction:
    """Streamed output loses what is secret."""

    def redact(self, text: str, **environ: str) -> str:
        return redactor(Settings(host=Host(secrets=sorted(environ))), environ)(text)

    def test_values_of_named_variables_become_stars(self) -> None:
        assert self.redact("token=abcd, abcd!", HF="abcd") == "token=***, ***!"

    def test_secret_settings_become_stars(self) -> None:
        assert redactor(TestSecrets.FULL, {})(f"<{SECRET}> <{SECRET}2>") == "<***> <***>"

    def test_the_longest_goes_first(self) -> None:
        assert self.redact("abcdef abcd", A="abcd", B="abcdef") == "*** ***"

    def test_stars_are_not_redacted_again(self) -> None:
        assert self.redact("****", A="****", B="***") == "***"

    def test_values_are_no_patterns(self) -> None:
        assert self.redact("a.b* axbb", A="a.b*") == "*** axbb"

    def test_short_values_stay(self) -> None:
        assert self.redact("abc abcd", A="abc", B="abcd") == "abc ***"

    def test_lines_of_a_value_are_secret_by_themselves(self) -> None:
        assert self.redact("> MIIEow\n> end", KEY="-----BEGIN\nMIIEow\n-----END\n") == "> ***\n> end"

    def test_without_secrets_text_stays(self) -> None:
        assert self.redact("abcd") == "abcd"
        assert redactor(Settings(host=Host(secrets=["UNSET"])), {})("abcd") == "abcd"


def test_this_repositorys_own_table_loads(load_in: Load) -> None:
    """It is the pipeline of the matrix, said in settings alone."""
    settings = load_in(rootdir=ROOT)

    assert [(bucket.name, bucket.from_) for bucket in settings.aws.buckets] == [
        ("policy-database", ("host",)),
        ("asoba-llm-cache", ("operator", "host")),
    ]
    assert settings.host.user == "ubuntu"
    assert settings.requirements.disk["/mnt/training"].kinds == ("ebs",)
    assert (settings.requirements.python, settings.requirements.torch) == (">=3.10", ">=2.5.1,<2.6")
    assert missing(settings, "host.instance_ids", "host.key") == ("host.instance_ids", "host.key")


def test_nobody_inherits_a_pipeline() -> None:
    """The values of one pipeline are no defaults."""
    defaults = repr(Settings())

    assert not [word for word in ("policy-database", "asoba", "mistral", "/mnt", "2.5.1", "3.10") if word in defaults]
