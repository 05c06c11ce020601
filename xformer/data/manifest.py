"""The manifest of a corpus (manifest.json): its files with hashes, sources, licences, options and counts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, read_checksummed, write_checksummed
from xformer.storage.files import sha256_of

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Source:
    """A file or a web address that a corpus was made from.

    Attributes:
        name: for people: a file name, a wheel, an address.
        licence: an SPDX expression or a sentence; may be "unknown", but not empty.
        sha256: hash of the file; of a folder, of the lines "hash, two spaces, name" of its files, as
            `sha256sum` writes them, sorted by name. None if the source is neither.
        size: bytes of the file or files; None if the source is neither.
    """

    name: str
    licence: str
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        for field_name in ("name", "licence"):
            if not getattr(self, field_name).strip():
                raise ValueError(
                    f"source {field_name}: expected a text, got an empty one; 'unknown' is allowed"
                )

    @classmethod
    def of(cls, path: str | os.PathLike[str], licence: str) -> Source:
        """Describe a file by its name, hash and size.

        Raises:
            InputError: there is no such file.
        """
        if Path(path).is_dir():
            raise InputError(f"{path}: expected a file, this is a folder")
        if not Path(path).is_file():
            raise InputError(f"{path}: missing; expected a source file")
        entry = FileEntry.of(Path(path))
        return cls(entry.name, licence, entry.sha256, entry.size)

    @classmethod
    def of_folder(
        cls, folder: str | os.PathLike[str], files: Iterable[str | os.PathLike[str]], licence: str
    ) -> Source:
        """Describe some files of a folder together, by its name, their names and hashes, and their size.

        Files that may not be read count by their names alone.
        """
        names = {Path(file).relative_to(folder).as_posix(): Path(file) for file in files}
        total, digest = 0, hashlib.sha256()
        for name, file in sorted(names.items()):
            try:
                line, size = f"{sha256_of(file)}  {name}\n", file.stat().st_size
            except OSError:
                line, size = f"{name}\n", 0
            digest.update(line.encode("utf-8", "surrogateescape"))
            total += size
        return cls(Path(folder).absolute().name or str(folder), licence, digest.hexdigest(), total)


@dataclass(frozen=True)
class Counts:
    """An amount of text: records, characters (code points), UTF-8 bytes."""

    records: int = 0
    chars: int = 0
    bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.records + other.records, self.chars + other.chars, self.bytes + other.bytes)


@dataclass(frozen=True)
class SplitEntry:
    """One split of a corpus.

    Attributes:
        file: the file with its records, gzipped JSON lines.
        groups: number of groups.
        languages: counts by language tag, without languages that the split does not have.
        translated: number of groups with texts in two languages or more; None in corpora made before 0.3.
        sources: texts and their bytes in UTF-8, by the source's name and the language. A source's name is one
            of the manifest, or `other`. Empty in corpora made before 0.3.
    """

    file: FileEntry
    groups: int
    languages: dict[str, Counts]
    translated: int | None = None
    sources: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    @property
    def total(self) -> Counts:
        """The counts of all languages together."""
        return sum(self.languages.values(), Counts())


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json, written by `import_corpus`.

    Attributes:
        tool: name and version of the program that made the corpus.
        seed: selects the groups that are held out.
        options: every option of the import, by name.
        sources: where the text came from, with licences.
        languages: every language of the corpus, sorted; its place here is its number in token shards.
        splits: by name: `train`, `dev`, `test`.
        removed: number of records left out, by reason and language.
        unpaired: number of texts that stay although their translations were left out, by language.
        tags: language tags that were read as others, with what they were read as: `deu`, `de`.
        not_read: files of a folder or an archive that were left out as a whole, each with the reason.
        merged: languages joined into another because they had few texts: the other's tag, then the number of
            their texts by their tags.
        test_sets: what the corpus is kept apart from: by name the number of its `texts`, and of those that
            were left out because they repeat it: `exact`, `near`, `n-gram`.
        joined: number of `groups`, number of `sets` they were joined to, and groups in the `largest` set.
        format: version of this file format.
    """

    tool: str
    seed: int
    options: dict[str, Any]
    sources: tuple[Source, ...]
    languages: tuple[str, ...]
    splits: dict[str, SplitEntry]
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    unpaired: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    merged: dict[str, dict[str, int]] = field(default_factory=dict)
    test_sets: dict[str, dict[str, int]] = field(default_factory=dict)
    format: Literal[1] = 1

    def split(self, name: str) -> SplitEntry:
        """The entry of one split.

        Raises:
            InputError: there is no such split; the message names the splits.
        """
        if name not in self.splits:
            raise InputError(f"split: expected one of {', '.join(sorted(self.splits))}, got {name!r}")
        return self.splits[name]

    def write(self, folder: Path) -> None:
        """Write `folder/manifest.json`."""
        write_checksummed(folder / MANIFEST_NAME, self)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Manifest:
        """Read and check `folder/manifest.json`.

        Raises:
            InputError: it is missing, changed, or of another format.
        """
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: expected the folder of a corpus; 'xformer data import' makes one")
        return read_checksummed(Path(folder) / MANIFEST_NAME, cls)
