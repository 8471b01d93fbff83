"""Where credentials come from: botocore's own sources, made never to prompt, never to hang, and to stay where told.

Three things are changed, each because a gate has nobody at the keyboard:
- an MFA profile raises `MfaNeededError` where botocore would read a code from the terminal, and the role sessions that
  the AWS CLI cached (`~/.aws/cli/cache`, AWS CLI user guide, "Using an IAM role in the AWS CLI") are used;
- a `credential_process` has a deadline, no terminal, and no survivors (botocore waits for it for ever);
- where the settings name the files, nothing but these files is asked.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.credentials import (
    AssumeRoleProvider,
    CanonicalNameCredentialSourcer,
    CredentialResolver,
    EnvProvider,
    ProcessProvider,
    ProfileProviderBuilder,
    create_credential_resolver,
)
from botocore.exceptions import BotoCoreError, CredentialRetrievalError
from botocore.utils import JSONFileCache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import botocore.session

_AMBIENT = ("env", "ec2-credentials-file", "boto-config", "container-role", "iam-role")
"""The sources (botocore's METHOD names) that are not the profile's own files."""


class MfaNeededError(BotoCoreError):  # type: ignore[misc]  # botocore ships no types
    """A profile asks for an MFA code, nobody is there to type it, and no cached session is alive."""

    fmt = "MFA code needed for {serial}, and the AWS CLI has no live session cached"


class ProcessHungError(BotoCoreError):  # type: ignore[misc]  # botocore ships no types
    """A `credential_process` gave no answer in time. Only its program is named: arguments may be secret."""

    fmt = "credential_process ({program}) gave no answer within {deadline_s:g} s"


def credential_chain(
    session: botocore.session.Session, *, files_alone: bool, caches: Path, process_deadline_s: float
) -> CredentialResolver:
    """Return botocore's chain of credential sources for a session, with the changes of this module.

    `files_alone` drops what is not in the profile's files. `caches` is the folder with `cli/cache` and `sso/cache`.
    """
    region = session.get_config_variable("region")
    profile = session.get_config_variable("profile") or "default"
    cached_roles = CachedRoles(caches / "cli" / "cache")
    profiles = _Profiles(
        session,
        cache=cached_roles,
        region_name=region,
        sso_token_cache=JSONFileCache(str(caches / "sso" / "cache")),
        files_alone=files_alone,
        process_deadline_s=process_deadline_s,
    )
    botocores = create_credential_resolver(session, cache=cached_roles, region_name=region)
    ambient = [source for source in botocores.providers if source.METHOD in _AMBIENT and not files_alone]
    first = [source for source in ambient if source.METHOD == EnvProvider.METHOD]
    last = [source for source in ambient if source.METHOD != EnvProvider.METHOD]
    assume_role = AssumeRoleProvider(
        load_config=lambda: session.full_config,
        client_creator=functools.partial(session.create_client, region_name=region),
        cache=cached_roles,
        profile_name=profile,
        prompter=_refuse_to_prompt,
        credential_sourcer=CanonicalNameCredentialSourcer([] if files_alone else [EnvProvider(), *last]),
        profile_provider_builder=profiles,
    )
    # A profile chosen in the settings goes before keys in the environment, as the CLI's --profile does: botocore has
    # then left the environment out of its chain, and web identity must not read it either.
    chosen = session.instance_variables().get("profile") is not None
    return CredentialResolver([*first, assume_role, *profiles.providers(profile, disable_env_vars=chosen), *last])


class _Profiles(ProfileProviderBuilder):  # type: ignore[misc]  # botocore ships no types
    """Botocore's sources of one profile (and of its `source_profile`s), with a bounded `credential_process`."""

    def __init__(self, session: Any, *, files_alone: bool, process_deadline_s: float, **more: Any) -> None:
        super().__init__(session, **more)
        self._shared_config = lambda: session.full_config
        self._files_alone = files_alone
        self._run = functools.partial(_BoundedProcess, deadline_s=process_deadline_s)

    def providers(self, profile_name: str, disable_env_vars: bool = False) -> list[Any]:  # noqa: FBT001, FBT002  # botocore's own signature
        sources = super().providers(profile_name, disable_env_vars=disable_env_vars or self._files_alone)
        bounded = ProcessProvider(profile_name=profile_name, load_config=self._shared_config, popen=self._run)
        return [bounded if isinstance(source, ProcessProvider) else source for source in sources]


def _refuse_to_prompt(prompt: str) -> str:
    """Stand where botocore reads an MFA code; its prompt is "Enter MFA code for SERIAL: "."""
    raise MfaNeededError(serial=prompt.removeprefix("Enter MFA code for ").strip().removesuffix(":"))


class CachedRoles:
    """The role sessions the AWS CLI has cached, as a mapping. New ones stay in memory: a gate leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new: dict[str, Any] = {}

    def _read(self, key: str) -> Any:
        """Return a whole session or None: botocore would die of a damaged file, and the CLI overwrites it."""
        try:
            session = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
            keys = session["Credentials"]
            _ = keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
            # The CLI writes "...UTC" for "...Z".
            datetime.fromisoformat(keys["Expiration"].replace("UTC", "+00:00"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return session

    def __contains__(self, key: str) -> bool:
        return key in self._new or self._read(key) is not None

    def __getitem__(self, key: str) -> Any:
        session = self._new.get(key) or self._read(key)
        if session is None:
            raise KeyError(key)
        return session

    def __setitem__(self, key: str, session: Any) -> None:
        self._new[key] = session


class _BoundedProcess:
    """What `ProcessProvider` needs of `subprocess.Popen`: a child with a deadline and without a terminal.

    It leads a session of its own, so that it can open no terminal to prompt on and ends with all it started.
    """

    returncode: int

    def __init__(self, argv: Sequence[str], *, stdout: int, stderr: int, deadline_s: float) -> None:
        self._program = os.path.basename(argv[0])  # noqa: PTH119  # a name to show; it need not be a path at all
        self._deadline_s = deadline_s
        try:
            self._child = subprocess.Popen(  # noqa: S603  # the user's own profile names the program
                argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
        except OSError as error:
            raise CredentialRetrievalError(
                provider=ProcessProvider.METHOD, error_msg=f"cannot run {self._program}: {error.strerror}"
            ) from None

    def communicate(self) -> tuple[bytes, bytes]:
        """Return what the process wrote. Raises ProcessHungError, or CredentialRetrievalError where it is no JSON."""
        with self._child:
            try:
                out, err = self._child.communicate(timeout=self._deadline_s)
            except subprocess.TimeoutExpired:
                os.killpg(self._child.pid, signal.SIGKILL)
                raise ProcessHungError(program=self._program, deadline_s=self._deadline_s) from None
        self.returncode = self._child.returncode
        if self.returncode == 0:
            try:
                json.loads(out)
            except ValueError:
                raise CredentialRetrievalError(
                    provider=ProcessProvider.METHOD, error_msg=f"{self._program} printed something other than JSON"
                ) from None
        said = err.decode("utf-8", "replace").strip() or f"{self._program} ended with status {self.returncode}"
        return out, said.encode()
