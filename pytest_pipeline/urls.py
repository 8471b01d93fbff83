"""URLs as they may be shown: what stands before the host, or in the query, is often a token. Pure."""

from __future__ import annotations

import re


def without_secrets(text: str) -> str:
    """Return a text whose URLs have lost what stands before their host, and their query."""
    return re.sub(r"(:/[^\s?]*)\?[^\s#\"']*", r"\1", re.sub(r"(:/+)[^/\s]*@", r"\1***@", text))
