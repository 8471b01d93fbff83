"""A model's own tokenizer, to count with."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class NoTokenizerError(Exception):
    """There is nothing to count tokens with; the message says why."""


def token_counter(path: Path) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text, by a `tokenizer.json`, its special tokens included.

    Raises NoTokenizerError without the library `tokenizers`, or where the file is none of its.
    """
    try:
        library = import_module("tokenizers")
    except ImportError as error:
        raise NoTokenizerError(f"tokenizers cannot be imported: {error}") from error
    try:
        tokenizer = library.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower one
        raise NoTokenizerError(f"{path} is no tokenizer: {error}") from error
    # A file may say how to cut and to fill up, and what was cut is not counted.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text).ids)
