"""A corpus on disk: one gzipped JSON-lines file per split, and a manifest."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from xformer.data.manifest import Manifest
from xformer.data.record import Record
from xformer.errors import InputError

_FIELDS = {"text", "language", "group", "source", "id", "label"}


class Corpus:
    """The records of a corpus folder, split by split. Made by `open_corpus`.

    Attributes:
        folder: where it lies.
        manifest: what it holds.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    def records(self, split: str) -> Iterator[Record]:
        """Every record of a split, in the order of the file, one at a time.

        Raises:
            InputError: when there is no such split, or its file is missing, damaged, or holds another number
                of records than the manifest says; the file and the line are named.
        """
        entry = self.manifest.split(split)
        path = entry.file.verify(self.folder, content=False)
        count = 0
        for record in read_records(path):
            count += 1
            yield record
        if count != entry.total.records:
            raise InputError(f"{path}: expected {entry.total.records:,} records, found {count:,}")


def open_corpus(folder: str | os.PathLike[str], verify: bool = False) -> Corpus:
    """Open what `import_corpus` wrote.

    Args:
        folder: the corpus folder.
        verify: compare the hash of every file first, which reads them all; otherwise sizes only, and damage
            is found where gzip's own checksum finds it, while reading.

    Raises:
        InputError: when the folder is no corpus, or was changed; the file is named.
    """
    manifest = Manifest.read(folder)
    for entry in manifest.splits.values():
        entry.file.verify(Path(folder), content=verify)
    return Corpus(Path(folder), manifest)


def write_line(record: Record) -> bytes:
    """A record as one line of JSON, ended by a newline; fields that are None are left out."""
    fields = {
        "text": record.text,
        "language": record.language,
        "group": record.group,
        "source": record.source,
    }
    optional = {"id": record.id, "label": record.label}
    fields |= {name: value for name, value in optional.items() if value is not None}
    return (json.dumps(fields, ensure_ascii=False) + "\n").encode()


def read_records(path: Path) -> Iterator[Record]:
    """Records from a gzipped JSON-lines file that `write_line` wrote.

    Raises:
        InputError: when a line is not a record, or the file ends early; file and line are named.
    """
    number = 0
    try:
        # Bytes break at \n only; text mode would be told to, but bytes cannot be misread.
        with gzip.open(path, "rb") as file:
            for line in file:
                number += 1
                yield _read_line(line)
    except (EOFError, OSError, zlib.error, ValueError, TypeError) as error:
        raise InputError(f"{path}: line {number}: expected a record ({error})") from error


def _read_line(line: bytes) -> Record:
    fields = json.loads(line)
    if not isinstance(fields, dict) or not fields.keys() <= _FIELDS:
        raise ValueError(f"expected an object with the fields {', '.join(sorted(_FIELDS))}")
    return Record(**fields)
