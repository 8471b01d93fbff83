"""What is known of the base model's folder without reading a weight. Plain values, stored as JSON and read back."""

from dataclasses import dataclass
from enum import StrEnum


class Defect(StrEnum):
    """What is wrong with a file, or with how files fit together."""

    ABSENT = "absent"  # named by the index or needed, and not there
    EMPTY = "empty"
    TRUNCATED = "truncated"
    LFS_POINTER = "LFS pointer"
    HTML = "HTML page"
    GZIP = "gzip-encoded"
    COMPRESSED = "compressed"  # or packed otherwise: zstd, xz, bzip2, zip
    SPARSE = "sparse"  # room was reserved, and never filled
    MALFORMED = "malformed"
    UNREADABLE = "unreadable"
    CONTRADICTS = "contradicts"  # another file of the folder
    STALE = "stale"  # of an earlier download or another revision
    PARTIAL_DOWNLOAD = "partial download"  # *.incomplete, *.part, *.tmp, *.aria2 ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. `fatal`: the model cannot be loaded, or would be another one; else somebody should look.

    `file` is relative to the folder. `denied` is the folder or file whose mode refuses, links followed. `in_the_way`:
    the file has to be removed, for no fetch takes it away.
    """

    defect: Defect
    file: str
    why: str
    fatal: bool = True
    denied: str = ""
    in_the_way: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model's folder, as far as its files tell without their weights.

    `exists` false: nothing is known but `nearest`, its last parent that is there, and some of what that one holds.
    `elsewhere` are folders near it in which a model lies, those of a like name first. `compared_with_config`: the
    shapes of the tensors follow from the config, and are those; for architectures that are not known they are not
    guessed. `left_out` findings are beyond those that are told.
    """

    path: str
    real_path: str
    exists: bool
    nearest: str = ""
    nearest_holds: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    architecture: str = ""
    quantisation: str = ""
    compared_with_config: bool = False
    shards: int = 0
    tensors: int = 0
    weights_bytes: int = 0
    dtypes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: int = 0
    files: int = 0
    took_s: float = 0.0
