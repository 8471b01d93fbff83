"""Fills the documented names into commands that belong to the user.

A command's own braces mean something to somebody else (`awk '{print $1}'`, `${RUN_ID}`, JSON), so only the names
below are replaced and all else is left as it stands.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES: Mapping[str, str] = {
    "run_id": "the id of the run",
    "prefix": "the S3 prefix of the run",
    "workdir": "the folder that commands run in",
    "bucket": "the bucket that is looked at",
    "region": "the AWS region",
    "instance_id": "the EC2 instance",
    "instance_ip": "the address of the host",
    "ssh_key": "the private key file",
    "ssh_user": "who logs in on the host",
    "webhook": "the address of the alert receiver",
    "pid": "the process that is meant",
    "step": "the step that is meant",
}
"""What may stand in braces, and what it stands for."""

# Not `${run_id}`: that is the shell's own variable.
_PLACEHOLDER = r"(?<!\$)\{(?P<name>" + "|".join(NAMES) + r")\}"
_IN_ARGV = re.compile(_PLACEHOLDER)
_IN_SHELL = {
    "": re.compile(r"\\.|(?P<around>['\"]?)" + _PLACEHOLDER + r"(?P=around)|(?P<mark>['\"])", re.DOTALL),
    '"': re.compile(r"\\.|" + _PLACEHOLDER + r"|(?P<mark>\")", re.DOTALL),
    "'": re.compile(_PLACEHOLDER + "|(?P<mark>')"),
}
"""What matters to us in a command line: outside of quotes, and within each kind."""

_TANGLED = re.compile(r"\$\(|\$'|`|<<|#")
"""Where quotes nest, or do not quote: telling them apart from here on takes the whole grammar of the shell."""


class TemplateError(ValueError):
    """A template that cannot be filled. Its text is the whole message for the user."""


def fill_argv(template: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Return an argument vector with each name replaced by its value, verbatim.

    Raises TemplateError for a name that has no value.
    """

    def filled(argument: str) -> str:
        return _IN_ARGV.sub(lambda found: _value(found["name"], values, argument), argument)

    return [filled(argument) for argument in template]


def fill_command(template: str, values: Mapping[str, str]) -> str:
    """Return a shell's command line with each name replaced by its value, quoted so that it stays one word.

    Quotes right around a name (`"{ssh_key}"`) give way to those that the value needs. A name deeper inside quotes
    (`ssh host 'run {run_id}'`) may be meant for a second shell or for none: only a value that needs no quotes is put
    there. Raises TemplateError for another one, and for a name that has no value.
    """
    parts, quote, end = [], "", 0
    while found := _IN_SHELL[quote].search(template, end):
        parts.append(template[end : found.start()])
        end = found.end()
        name, mark = found["name"], found["mark"]
        parts.append(_word(name, values, template, nested=bool(quote)) if name else found[0])
        if mark:
            quote = "" if quote else mark
    return "".join(parts) + template[end:]


def _word(name: str, values: Mapping[str, str], template: str, *, nested: bool) -> str:
    value = _value(name, values, template)
    quoted = shlex.quote(value)
    if quoted != value and (nested or _TANGLED.search(template)):
        # The value stays unsaid: it may be a webhook.
        raise TemplateError(
            f"the value of {{{name}}} needs quotes, and there is no telling which where it stands in {template!r}; "
            "put the name outside of quotes, or write the command as a list"
        )
    return quoted


def _value(name: str, values: Mapping[str, str], template: str) -> str:
    if name not in values:
        raise TemplateError(
            f"{{{name}}} ({NAMES[name]}) has no value in {template!r}; configure what gives it, or take it out"
        )
    return values[name]
