"""What lies where a file of a model should be: a pointer to it, a web page, an archive, a text, nothing.

A finding is a tuple (defect, file, why, fatal), or one more for its remedy: {"denied": path} or {"in_the_way": True}.
The defects are those of the observer's `Defect`.
Sources: git-lfs/docs/spec.md (pointers), RFC 1952 (gzip), RFC 8878 (zstd).
"""

import json
import os
import pwd
import re
import stat

FIRST_BYTES = 512
DOCUMENT_LIMIT_BYTES = 64 * 1024 * 1024  # the largest tokenizers have 40 MB

COMPRESSED = ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (b"PK\x03\x04", "zip"))


def imposter(first: bytes) -> object:
    """Return (defect, why) for what a file's first bytes give away, None where they may be the file's own."""
    if not first:
        return "empty", "it has no bytes"
    if first.startswith(b"version https://git-lfs"):
        size = re.search(rb"^size (\d{1,18})$", first, re.MULTILINE)
        of = " of a file of %s" % in_words(int(size.group(1))) if size else ""
        return "LFS pointer", "it is the Git LFS pointer%s, and not the file (git lfs pull)" % of
    text = first[3:] if first.startswith(b"\xef\xbb\xbf") else first
    opening = text.lstrip()[:64].lower()
    if opening.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml", b"<error")):
        return "HTML page", "it is a web page or an error that was saved in its place: %s" % shown(text)
    if first.startswith(b"\x1f\x8b"):
        return "gzip-encoded", "it is gzip-encoded: saved as it was sent (Content-Encoding), and never decoded"
    for magic, name in COMPRESSED:
        if first.startswith(magic):
            return "compressed", "it is compressed or packed (%s)" % name
    return None


def is_text(first: bytes) -> bool:
    """Whether a file begins as a text does, and no file of weights."""
    return all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in first)  # noqa: PLR2004  # printable ASCII


def shown(first: bytes) -> str:
    """Return the beginning of a text for a message."""
    return repr(" ".join(first.decode("ascii", "replace").split())[:80])


def in_words(size_bytes: int) -> str:
    """Return a size as people read it, in powers of ten."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size_bytes >= unit:
            return "%.1f%s" % (size_bytes / unit, name)
    return "%d bytes" % size_bytes


def unreadable(path: str, name: str, error: OSError, *, fatal: bool = True) -> tuple:
    """Return the finding for a path that cannot be read: why, for whom, and whose it is."""
    why = error.strerror or str(error)
    if not isinstance(error, PermissionError):
        return "unreadable", name, why, fatal
    real = denied = os.path.realpath(path)  # a link is everybody's; what it leads to may not be
    while not visible(denied):  # whoever may not look into a folder cannot see whose the file is
        denied = os.path.dirname(denied)
    status = os.stat(denied)
    whose = ("it" if denied == real else denied, user_name(status.st_uid), stat.S_IMODE(status.st_mode))
    why = "%s for %s: %s is %s's, mode %04o" % (why, user_name(os.getuid()), *whose)
    return "unreadable", name, why, fatal, {"denied": denied}


def visible(path: str) -> bool:
    """Whether the user can see that a path is there; the root always."""
    return os.path.exists(path) or path in ("/", "")


def user_name(uid: int) -> str:
    """Return an account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def content(path: str, *, fatal: bool = True) -> tuple:
    """Return a file's bytes and what is wrong with them; (None, findings) where they are not the file's own."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(DOCUMENT_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None, [("absent", name, "it is a link to what is not there", fatal)]
    except OSError as error:
        return None, [unreadable(path, name, error, fatal=fatal)]
    if len(raw) > DOCUMENT_LIMIT_BYTES:
        too_long = "it has more than %s, too much to be read" % in_words(DOCUMENT_LIMIT_BYTES)
        return None, [("malformed", name, too_long, fatal)]
    other = imposter(raw[:FIRST_BYTES])
    return (None, [(other[0], name, other[1], fatal)]) if other else (raw, [])


def document(path: str, *, fatal: bool = True, shorten: object = bytes) -> tuple:
    """Return the object in a JSON file and what is wrong with the file; (None, findings) where it cannot be read.

    `shorten` may leave out of the bytes what nobody needs.
    """
    name = os.path.basename(path)
    raw, findings = content(path, fatal=fatal)
    if raw is None:
        return None, findings
    try:
        value = json.loads(shorten(raw).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        cut = raw[:1] == b"{" and not raw.rstrip().endswith(b"}")
        why = "it is no JSON: %s; it begins %s" % (str(error)[:120], shown(raw[:FIRST_BYTES]))
        return None, [("truncated" if cut else "malformed", name, why, fatal)]
    if not isinstance(value, dict):
        return None, [("malformed", name, "it holds no object of JSON", fatal)]
    return value, []
