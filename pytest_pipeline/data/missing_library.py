"""An optional library that a piece of work cannot do without."""

from __future__ import annotations


class MissingLibraryError(Exception):
    """A library is not installed, and without it nothing can be said: what it is, what for, and how to install it."""

    def __init__(self, library: str, purpose: str) -> None:
        super().__init__(library, purpose)  # both, so that it comes whole out of another process

    def __str__(self) -> str:
        """Say what is missing, what for, and what to do."""
        library, purpose = self.args
        return f"{library} is not installed, and is needed {purpose}: pip install 'pytest-pipeline-readiness[data]'"
