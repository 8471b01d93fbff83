"""What somebody who made a mistake in the settings reads: every message, whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.settings import SettingsError, load
from pytest_pipeline.settings.messages import _MUST

if TYPE_CHECKING:
    from pathlib import Path

AWS = (
    "account, attempts, buckets, config_file, connect_timeout_s, credentials_file, endpoint_url, profile, "
    "read_timeout_s, region"
)
BUCKET = "actions, from, kms_key, name, probe_key, read, region, request_payer, write"
HOST = (
    "accept_new_host_key, address, command_timeout_s, connect_timeout_s, connection, contexts, host_key_alias, "
    "import_timeout_s, instance_ids, instance_type, key, kind, known_hosts, port, secrets, share, ssh_config, user"
)
TABLES = "aws, data, host, pipeline, requirements, rows, waivers"
KEY_VALUE = """write it as in --pipeline-set 'requirements.disk."/mnt/training".free_gb=100'"""


def told(rootdir: Path, **given: Any) -> str:
    """Return what is told of these sources, the root folder shortened to ROOT."""
    nothing: dict[str, Any] = {"config_file": None, "command_line": {}, "assignments": (), "environ": {}}
    with pytest.raises(SettingsError) as caught:
        load(**{"rootdir": rootdir, **nothing, **given})
    return str(caught.value).replace(str(rootdir), "ROOT")


def told_of_file(rootdir: Path, text: str | bytes) -> list[str]:
    """Return what is told of a pipeline.toml, a line each, without its name."""
    content = text if isinstance(text, bytes) else text.encode()
    (rootdir / "pipeline.toml").write_bytes(content)
    lines = told(rootdir).splitlines()
    assert all(line.startswith("ROOT/pipeline.toml: ") for line in lines)
    return [line.removeprefix("ROOT/pipeline.toml: ") for line in lines]


UNKNOWN = [
    ("hots = 1", f"there is no table 'hots' (did you mean 'host'?); rename or remove it. Known: {TABLES}"),
    ("[zebra]", f"there is no table 'zebra'; rename or remove it. Known: {TABLES}"),
    ("[host]\nusre = 'x'", f"host has no key 'usre' (did you mean 'user'?); rename or remove it. Known: {HOST}"),
    ("[aws]\n'a\\nb' = 1", rf"aws has no key 'a\\nb'; rename or remove it. Known: {AWS}"),
    (
        "[[aws.buckets]]\nname = 'b'\nread = ['']\nfrom_ = ['host']",
        f"aws.buckets[0] has no key 'from_' (did you mean 'from'?); rename or remove it. Known: {BUCKET}",
    ),
    (
        # That the name is missing, and that nothing is read, only follows.
        "[[aws.buckets]]\nnmae = 'b'",
        f"aws.buckets[0] has no key 'nmae' (did you mean 'name'?); rename or remove it. Known: {BUCKET}",
    ),
    (
        "[[aws.buckets]]\nname = 'b'\nraed = ['']",
        f"aws.buckets[0] has no key 'raed' (did you mean 'read'?); rename or remove it. Known: {BUCKET}",
    ),
    (
        "[requirements.disk.'/mnt/training']\nfree = 1",
        """requirements.disk."/mnt/training" has no key 'free' (did you mean 'free_gb'?); rename or remove it. """
        "Known: free_gb, inodes, kinds, reuse, survives_reboot",
    ),
    ("world = 'sandbox'", "world is not set, it follows --sandbox; remove it"),
]

ILL_TYPED = [
    ("host = 5", "host must be a table, got the number 5; correct or remove it"),
    ("[aws]\nregion = 5", "aws.region must be text, got the number 5; put it in quotes"),
    ("[aws]\nregion = []", "aws.region must be text, got an empty list; correct or remove it"),
    ("[aws]\nregion = ''", "aws.region must not be empty, got the text ''; correct or remove it"),
    ("[aws]\naccount = 210000000001", "aws.account must be text, got the number 210000000001; put it in quotes"),
    (
        "[aws]\naccount = '12'",
        "aws.account must be the 12 digits of an account, got the text '12'; correct or remove it",
    ),
    (
        "[aws]\nendpoint_url = 'localhost:5000'",
        "aws.endpoint_url must be a URL that begins with http:// or https://, got the text 'localhost:5000'; "
        "correct or remove it",
    ),
    (
        "[aws]\nread_timeout_s = 0",
        "aws.read_timeout_s must be above 0, got the number 0; correct it, or remove it for the default 5.0",
    ),
    (
        "[aws]\nread_timeout_s = '5'",
        "aws.read_timeout_s must be a number, got the text '5'; correct it, or remove it for the default 5.0",
    ),
    (
        "[aws]\nattempts = 0",
        "aws.attempts must be at least 1, got the number 0; correct it, or remove it for the default 3",
    ),
    (
        "[aws]\nattempts = true",
        "aws.attempts must be a whole number, got true; correct it, or remove it for the default 3",
    ),
    (
        "[aws]\nattempts = 2.5",
        "aws.attempts must be a whole number, got the number 2.5; correct it, or remove it for the default 3",
    ),
    (
        "[host]\nport = 65536",
        "host.port must be at most 65535, got the number 65536; correct it, or remove it for the default 22",
    ),
    (
        "[host]\naccept_new_host_key = 'yes'",
        "host.accept_new_host_key must be true or false, got the text 'yes'; "
        "correct it, or remove it for the default false",
    ),
    (
        "[host]\nconnection = 'opensh'",
        "host.connection must be 'fabric', 'openssh' or 'local' (did you mean 'openssh'?), got the text 'opensh'; "
        'correct it, or remove it for the default "fabric"',
    ),
    ("[host]\nkey = 5", "host.key must be a path, got the number 5; correct or remove it"),
    ("[host]\nkey = ''", "host.key must not be empty, got the text ''; correct or remove it"),
    ("[host]\nkey = 2027-01-31", "host.key must be a path, got the date 2027-01-31; correct or remove it"),
    ("[host]\ninstance_ids = 'i-1'", "host.instance_ids must be a list, got the text 'i-1'; correct or remove it"),
    ("[host]\ninstance_ids = {a = 1}", "host.instance_ids must be a list, got a table; correct or remove it"),
    ("[host]\ninstance_ids = ['']", "host.instance_ids[0] must not be empty, got the text ''; correct it"),
    (
        "[host]\nsecrets = ['hf_abc-def']",
        "host.secrets[0] must be the name of an environment variable, never its value; correct it",
    ),
    (
        "[[host.contexts]]\nname = 'x'\nenvironment = []",
        "host.contexts[0].environment must be a table, got an empty list; correct or remove it",
    ),
    ("[[host.contexts]]", "host.contexts[0].name is missing; add it"),
    ("[aws]\nbuckets = [5]", "aws.buckets[0] must be a table, got the number 5; correct it"),
    (
        "[[aws.buckets]]\nname = 's3://b/x'\nread = ['']",
        "aws.buckets[0].name must be a bucket's name alone, without s3:// and prefix, got the text 's3://b/x'; "
        "correct it",
    ),
    (
        "[[aws.buckets]]\nname = 'b'\nread = ['s3://b/x']",
        "aws.buckets[0].read[0] must be a prefix inside the bucket, without s3://, got the text 's3://b/x'; correct it",
    ),
    (
        "[[aws.buckets]]\nname = 'b'\nread = ['']\nfrom = []",
        "aws.buckets[0].from must not be empty, got an empty list; correct or remove it",
    ),
    (
        "[requirements.disk.x]\nfree_gb = 1",
        "requirements.disk: each key must be a path on the host that begins with '/' or '~', got the text 'x'; "
        "correct it",
    ),
    (
        "[requirements.disk.'~']\nfree_gb = nan",
        'requirements.disk."~".free_gb must be a finite number, got the number nan; correct it',
    ),
    ("[requirements.disk.'~']", 'requirements.disk."~".free_gb is missing; add it'),
    (
        "[requirements]\npython = '3.10+'",
        "requirements.python must be a version specifier such as '>=3.10' or '>=2.5.1,<2.6', got the text '3.10+'; "
        "correct or remove it",
    ),
    (
        "[requirements]\npackages = ['peft >']",
        "requirements.packages[0] must be a package as pip takes it, such as 'peft' or 'transformers>=4.44', "
        "got the text 'peft >'; correct it",
    ),
    (
        "[rows.severity]\ndisk-space = 'mjor'",
        "rows.severity.disk-space must be 'critical' or 'major' (did you mean 'major'?), got the text 'mjor'; "
        "correct or remove it",
    ),
    (
        "[rows.not_applicable]\ndisk-space = ''",
        "rows.not_applicable.disk-space must not be empty, got the text ''; correct or remove it",
    ),
    (
        "[rows.severity]\nDisk_Space = 'major'",
        "rows.severity: each key must be the id of a row: lower-case words joined by '-' (did you mean 'disk-space'?), "
        "got the text 'Disk_Space'; correct it",
    ),
    (
        "[rows.severity]\ndisk-spaces = 'major'",
        "rows.severity: each key must be the id of a row (did you mean 'disk-space'? a row of your own needs another "
        "name), got the text 'disk-spaces'; correct it",
    ),
    (
        "[rows.severity]\nsettings = 'major'",
        "rows.severity: each key must be the id of a row; this is a cause that no row owns, got the text 'settings'; "
        "correct it",
    ),
]

_WAIVER = "[[waivers]]\nrow = 's3-read'\nowner = 'o'\nreason = 'r'\n"
ILL_TYPED += [
    (_WAIVER, "waivers[0].expires is missing; add it"),
    (
        _WAIVER + "expires = 'soon'",
        "waivers[0].expires must be a date such as 2027-01-31, got the text 'soon'; correct it",
    ),
    (_WAIVER + "expires = 5", "waivers[0].expires must be a date such as 2027-01-31, got the number 5; correct it"),
    (
        _WAIVER + "expires = 2027-01-31T10:00:00",
        "waivers[0].expires must be a date such as 2027-01-31, got the date 2027-01-31T10:00:00; correct it",
    ),
    (
        _WAIVER.replace("'r'", "''") + "expires = 2027-01-31",
        "waivers[0].reason must not be empty, got the text ''; correct it",
    ),
]

_TWO_WAIVERS = 2 * (_WAIVER + "expires = 2027-01-31\n")
CONTRADICTIONS = [
    (
        "[[aws.buckets]]\nname = 'b'",
        'aws.buckets[0] says nothing to look at; give read, write or actions (read = [""] is the whole bucket)',
    ),
    (
        "[host]\nkind = 'none'\n[[aws.buckets]]\nname = 'b'\nread = ['']\nfrom = ['host']",
        "aws.buckets[0].from names the host, but host.kind is 'none'; correct one of them",
    ),
    (
        "[host]\nkind = 'other'\ninstance_ids = ['i-1']",
        "host.instance_ids names EC2 instances, but host.kind is 'other'; correct one of them",
    ),
    (
        "[[host.contexts]]\nname = 'x'\n[[host.contexts]]\nname = 'x'",
        "host.contexts[1] is the second context named 'x'; rename one",
    ),
    (
        "[host]\nsecrets = ['HF']\n[[host.contexts]]\nname = 'x'\nenvironment = {HF = 'hunter22'}",
        "host.contexts[0].environment.HF writes down a value that host.secrets calls secret; "
        "remove it: the environment has it",
    ),
    (
        "[[pipeline.components]]\nname = 'train'\nmatch = 'train('",
        "pipeline.components[0].match must be a regular expression (missing ), unterminated subpattern at position 5), "
        "got the text 'train('; correct it",
    ),
    (
        "[requirements.entry_points]\n'/mnt/train.py' = 'train'",
        """requirements.entry_points."/mnt/train.py" names the context 'train', which host.contexts does not have; """
        "correct one of them",
    ),
    (
        "[requirements.disk.'/a']\nfree_gb = 1\nreuse = ['/ab']",
        """requirements.disk."/a".reuse[0] is '/ab', which does not lie below '/a'; correct the path""",
    ),
    (
        "[requirements.disk.'/a']\nfree_gb = 1\nkinds = ['tmpfs']",
        """requirements.disk."/a".kinds allows tmpfs, which stands for a volume in the sandbox only; remove it""",
    ),
    (_TWO_WAIVERS, "waivers[1] waives 's3-read' for the second time; remove one"),
    (
        "rows.not_applicable.s3-read = 'no'\n" + _WAIVER + "expires = 2027-01-31",
        "waivers[0] waives 's3-read', which rows.not_applicable says has no object here; remove one",
    ),
]


@pytest.mark.parametrize(("text", "message"), UNKNOWN + ILL_TYPED + CONTRADICTIONS)
def test_a_mistake_in_a_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert told_of_file(tmp_path, text) == [message]


def test_each_refusal_of_pydantic_has_words_of_ours() -> None:
    """Those in the table are all met above, so that none stands there for nothing; the rest would show its raw type."""
    shown = " ".join(message for _, message in ILL_TYPED)

    for must in set(_MUST.values()):
        pattern = re.sub(r"\\{\w+(:g)?\\}", ".+", re.escape(must))
        assert re.search(pattern, shown), must
    assert "is refused" not in shown


@pytest.mark.parametrize("row", ["my-own-row", "disk-space-2", "s3-head", "gpu"])
def test_a_row_of_ones_own_is_no_mistake(tmp_path: Path, row: str) -> None:
    settings = load(
        rootdir=tmp_path, config_file=None, command_line={}, assignments=[f"rows.severity.{row}=major"], environ={}
    )

    assert settings.rows.severity == {row: "major"}


def test_all_mistakes_are_listed_together(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text("[host]\nusre = 1\nport = 'x'\nuser = 5\n")

    message = told(
        tmp_path,
        environ={"PYTEST_PIPELINE_HOST__PORT": "y", "PYTEST_PIPELINE_HOST__USRE": "z"},
        command_line={"host.key": 5},
        assignments=["host.prot=1", "aws.attempts=0"],
    )

    known = HOST.upper().replace("CONNECT_TIMEOUT_S, CONNECTION", "CONNECTION, CONNECT_TIMEOUT_S")
    assert message.splitlines() == [
        f"ROOT/pipeline.toml: host has no key 'usre' (did you mean 'user'?); rename or remove it. Known: {HOST}",
        "environment variable PYTEST_PIPELINE_HOST__USRE: sets nothing (did you mean PYTEST_PIPELINE_HOST__USER?); "
        f"rename or unset it. Known after PYTEST_PIPELINE_HOST__: {known}",
        f"--pipeline-set host.prot: host has no key 'prot' (did you mean 'port'?); rename or remove it. Known: {HOST}",
        "--pipeline-set aws.attempts: aws.attempts must be at least 1, got the number 0; "
        "correct it, or remove it for the default 3",
        "ROOT/pipeline.toml: host.user must be text, got the number 5; put it in quotes",
        "environment variable PYTEST_PIPELINE_HOST__PORT: host.port must be a whole number, got the text 'y'; "
        "correct it, or remove it for the default 22",
        "--ssh-key: host.key must be a path, got the number 5; correct or remove it",
    ]


def test_what_is_missing_is_asked_of_whom_spoke_last(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text("[requirements.disk.'/m']\ninodes = 1\nsurvives_reboot = true\n")

    assert told(tmp_path, assignments=['requirements.disk."/m".inodes=5']) == (
        """--pipeline-set requirements.disk."/m".inodes: requirements.disk."/m".free_gb is missing; add it"""
    )


class TestFiles:
    """Files that cannot be read as settings."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                b"[host\n",
                "not TOML: Expected ']' at the end of a table declaration (at line 1, column 6); correct that line",
            ),
            (b"a = 1\nb = nope\n", "not TOML: Invalid value (at line 2, column 5); correct that line"),
            (b"[host]\nuser = '\xff'\n", "not UTF-8 (at line 2); save it as UTF-8"),
            ("[host]\n".encode("utf-16"), "not UTF-8 (at line 1); save it as UTF-8"),
        ],
    )
    def test_content_that_is_not_toml(self, tmp_path: Path, content: bytes, message: str) -> None:
        assert told_of_file(tmp_path, content) == [message]

    def test_a_number_that_python_refuses_to_read(self, tmp_path: Path) -> None:
        (line,) = told_of_file(tmp_path, "a = " + "9" * 5000)

        assert line.startswith("not TOML: Exceeds the limit")

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        (tmp_path / "pipeline.toml").write_text("host.port = 3\n", encoding="utf-8-sig")

        settings = load(rootdir=tmp_path, config_file=None, command_line={}, assignments=(), environ={})

        assert settings.host.port == 3

    def test_a_named_file_that_is_missing(self, tmp_path: Path) -> None:
        assert told(tmp_path, config_file=tmp_path / "x.toml") == (
            "ROOT/x.toml: cannot be read (no such file or directory); correct the name or the permissions"
        )

    def test_a_named_file_that_is_a_folder(self, tmp_path: Path) -> None:
        assert told(tmp_path, config_file=tmp_path) == (
            "ROOT: cannot be read (is a directory); correct the name or the permissions"
        )

    def test_a_found_file_that_leads_nowhere_is_not_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "pipeline.toml").symlink_to(tmp_path / "gone")

        assert told(tmp_path) == (
            "ROOT/pipeline.toml: cannot be read (no such file or directory); correct the name or the permissions"
        )

    def test_both_files(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.pytest-pipeline]\n")
        (tmp_path / "pipeline.toml").touch()

        assert told(tmp_path) == (
            "ROOT/pyproject.toml has [tool.pytest-pipeline], and there is ROOT/pipeline.toml beside it: "
            "nobody can tell which counts; move all settings into one of them"
        )

    def test_a_named_project_file_without_the_table(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.other]\n")

        assert told(tmp_path, config_file=tmp_path / "pyproject.toml") == (
            "ROOT/pyproject.toml: there is no [tool.pytest-pipeline] in it; add the table, or name another file"
        )

    def test_a_project_file_with_something_else_there(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool]\npytest-pipeline = 1\n")

        assert told(tmp_path) == "ROOT/pyproject.toml [tool.pytest-pipeline]: must be a table; correct it"

    def test_a_project_file_is_named_with_its_table(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.pytest-pipeline]\nhost.port = 'x'\n")

        assert told(tmp_path) == (
            "ROOT/pyproject.toml [tool.pytest-pipeline]: host.port must be a whole number, got the text 'x'; "
            "correct it, or remove it for the default 22"
        )


class TestEnvironment:
    """Variables that set nothing."""

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            (
                "PYTEST_PIPELINE_HSOT__USER",
                "sets nothing (did you mean PYTEST_PIPELINE_HOST__USER?); rename or unset it. "
                "Known after PYTEST_PIPELINE_: AWS, DATA, HOST, PIPELINE, REQUIREMENTS, ROWS, WAIVERS",
            ),
            (
                "PYTEST_PIPELINE_ROWS__DISK_SPACE",
                "sets nothing; rename or unset it. Known after PYTEST_PIPELINE_ROWS__: NOT_APPLICABLE, SEVERITY",
            ),
            (
                "PYTEST_PIPELINE_REQUIREMENTS__MODEL__NMAE",
                "sets nothing (did you mean PYTEST_PIPELINE_REQUIREMENTS__MODEL__NAME?); rename or unset it. "
                "Known after PYTEST_PIPELINE_REQUIREMENTS__: "
                "DISK, ENTRY_POINTS, GPUS, GPU_MEMORY_GB, MODEL, NAMES, OPEN_FILES, PACKAGES, PINS, PRECISION, "
                "PROCESSES, PYTHON, RAM_GB, RUN_HOURS, SHM_GB, TORCH, TORCH_CUDA",
            ),
            (
                "PYTEST_PIPELINE_",
                "sets nothing; rename or unset it. "
                "Known after PYTEST_PIPELINE_: AWS, DATA, HOST, PIPELINE, REQUIREMENTS, ROWS, WAIVERS",
            ),
            ("PYTEST_PIPELINE_WORLD", "world is not set, it follows --sandbox; unset the variable"),
        ],
    )
    def test_a_name_with_our_prefix_is_ours(self, tmp_path: Path, name: str, message: str) -> None:
        assert told(tmp_path, environ={name: "x"}) == f"environment variable {name}: {message}"


class TestAssignments:
    """`--pipeline-set` that is none."""

    @pytest.mark.parametrize(
        ("assignment", "before"),
        [
            ("host.port", "host.port"),
            ("=5", ""),
            ("host..port=5", "host..port"),
            ("requirements.disk./mnt.free_gb=1", "requirements.disk./mnt.free_gb"),
            ("host port=hunter22", "host port"),
            ("[host]\nport=5", "[host]\nport"),
        ],
    )
    def test_no_dotted_key(self, tmp_path: Path, assignment: str, before: str) -> None:
        assert told(tmp_path, assignments=[assignment]) == (
            f"--pipeline-set {before!r}: not KEY=VALUE with a dotted key; {KEY_VALUE}"
        )

    def test_a_part_of_a_list(self, tmp_path: Path) -> None:
        assert told(tmp_path, assignments=["aws.buckets.0.region=x"]) == (
            "--pipeline-set aws.buckets.0.region: aws.buckets must be a list, got a table; correct or remove it"
        )

    def test_an_unknown_key(self, tmp_path: Path) -> None:
        assert told(tmp_path, assignments=["a.b=1"]) == (
            f"--pipeline-set a.b: there is no table 'a'; rename or remove it. Known: {TABLES}"
        )
