"""Whether a file is what its name says, and whole: the first bytes, and then all of it."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import lzma
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from xformer.data.fetch.part import Origin
from xformer.data.readers.lines import input_errors, open_zip
from xformer.errors import InputError

_BEGINS = {".zip": b"PK", ".bz2": b"BZh", ".gz": b"\x1f\x8b", ".xz": b"\xfd7zXZ"}
_CHUNK = 1 << 20
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<!doctype html)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)

Show = Callable[[str, int, int | None], None]


def wrong_beginning(name: str, content: bytes) -> str | None:
    """What a file is instead of what its name says; None if it begins rightly.

    Args:
        name: whose end says what it is.
        content: its first bytes, four or more.
    """
    begins = _BEGINS.get(Path(name).suffix)
    if begins is None or content.startswith(begins):
        return None
    kind = Path(name).suffix.removeprefix(".")
    if _HTML.match(content.removeprefix(b"\xef\xbb\xbf")):
        title = _TITLE.search(content.decode("utf-8", "replace"))
        said = f" with the title {' '.join(title[1].split())[:80]!r}" if title and title[1] else ""
        question = "does the network want a login, or is the file gone?"
        return f"expected a {kind} file, got a web page{said}; {question}"
    return f"expected a {kind} file, which begins with {begins!r}, got {content[:8]!r}"


def damage(path: Path, name: str, origin: Origin, show: Show) -> str | None:
    """What is wrong with a file that has all its bytes; None if nothing is.

    Hashes that the server sent are compared. A compressed file is decompressed to its end, which compares the
    checksums inside.

    Args:
        path: the file.
        name: what it will be called; its end says what it is.
        origin: what the server said of it.
        show: called with progress, in bytes.
    """
    for algorithm, expected in (("md5", origin.md5), ("sha256", origin.sha256)):
        if expected is None:
            continue
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.new, algorithm, usedforsecurity=False))
        found = base64.b64encode(digest.digest()).decode("ascii")
        if found != expected.strip():
            return f"its {algorithm.upper()} is {found}, the server says {expected.strip()}"
    suffix = Path(name).suffix
    if suffix not in _BEGINS:
        return None
    with open(path, "rb") as file:
        if (wrong := wrong_beginning(name, file.read(1024))) is not None:
            return wrong
    try:
        if suffix == ".zip":
            _read_zip(path, f"check {name}", show)
        else:
            _read_compressed(path, suffix, f"check {name}", show)
    except InputError as error:
        return str(error).removeprefix(f"{path}: ")
    return None


def _read_zip(path: Path, what: str, show: Show) -> None:
    with open_zip(path) as archive, input_errors(path):
        total, done = sum(member.file_size for member in archive.infolist()), 0
        for member in archive.infolist():
            with archive.open(member) as file:
                while content := file.read(_CHUNK):
                    done += len(content)
                    show(what, done, total)


def _read_compressed(path: Path, suffix: str, what: str, show: Show) -> None:
    total = path.stat().st_size
    opener: dict[str, Callable[[IO[bytes]], Any]] = {".bz2": bz2.open, ".gz": gzip.open, ".xz": lzma.open}
    with input_errors(path), open(path, "rb") as packed, opener[suffix](packed) as file:
        while file.read(_CHUNK):
            show(what, min(packed.tell(), total), total)
