"""manifest.json: what a corpus holds, where it came from, how it was made, and whether it is unchanged."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry, read_sealed, write_sealed

MANIFEST_NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Source:
    """A file or a place that a corpus was made from.

    Attributes:
        name: what it is, for people: a file name, a wheel, an address.
        licence: its licence as an SPDX expression, or a sentence; "unknown" is an answer, an empty one is
            not.
        sha256: hash of the file, where it is one.
        size: its bytes, where it is one.
    """

    name: str
    licence: str
    sha256: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        for field_name in ("name", "licence"):
            if not getattr(self, field_name).strip():
                raise ValueError(
                    f"source {field_name}: expected a text, got an empty one; say 'unknown' if it is"
                )

    @classmethod
    def of(cls, path: str | os.PathLike[str], licence: str) -> Source:
        """Describe a file that exists by its name, hash and size.

        Raises:
            InputError: when there is no such file.
        """
        if not Path(path).is_file():
            raise InputError(f"{path}: missing; expected a source file")
        entry = FileEntry.of(Path(path))
        return cls(entry.name, licence, entry.sha256, entry.size)


@dataclass(frozen=True)
class Counts:
    """How much text: records, characters (code points), bytes (of UTF-8)."""

    records: int = 0
    chars: int = 0
    bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.records + other.records, self.chars + other.chars, self.bytes + other.bytes)


@dataclass(frozen=True)
class SplitEntry:
    """One split of a corpus.

    Attributes:
        file: the file with its records, JSON lines under gzip.
        groups: how many different groups it holds.
        languages: counts by language tag; only languages that the split has.
    """

    file: FileEntry
    groups: int
    languages: dict[str, Counts]

    @property
    def total(self) -> Counts:
        """The counts of all languages together."""
        return sum(self.languages.values(), Counts())


@dataclass(frozen=True)
class Manifest:
    """What `import_corpus` writes beside the text.

    Attributes:
        tool: name and version of what made the corpus.
        seed: decides which groups are held out.
        options: every option the corpus was made with, by name.
        sources: where the text came from, with licences.
        languages: every language of the corpus, sorted; a language's number in token shards is its place in
            here.
        splits: by name: `train`, `dev`, `test`.
        removed: records left out, by reason and language.
        joined: how many `groups` there were, how many `sets` they were joined to, how many the `largest` has.
        format: version of this layout.
    """

    tool: str
    seed: int
    options: dict[str, Any]
    sources: tuple[Source, ...]
    languages: tuple[str, ...]
    splits: dict[str, SplitEntry]
    removed: dict[str, dict[str, int]] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT

    def split(self, name: str) -> SplitEntry:
        """The entry of one split.

        Raises:
            InputError: when the corpus has no such split; names those it has.
        """
        if name not in self.splits:
            raise InputError(f"split: expected one of {', '.join(sorted(self.splits))}, got {name!r}")
        return self.splits[name]

    def write(self, folder: Path) -> None:
        """Write `folder/manifest.json`."""
        write_sealed(folder / MANIFEST_NAME, self)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Manifest:
        """Read and check `folder/manifest.json`.

        Raises:
            InputError: when it is missing, changed, or of another format.
        """
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: expected the folder of a corpus; 'xformer data import' makes one")
        manifest = read_sealed(Path(folder) / MANIFEST_NAME, cls)
        if manifest.format != FORMAT:
            raise InputError(f"{folder}/{MANIFEST_NAME}: expected format {FORMAT}, found {manifest.format}")
        return manifest

    def verify(self, folder: str | os.PathLike[str], content: bool = True) -> None:
        """Compare every file in `folder` with its recorded size, and with its hash if `content`.

        Raises:
            InputError: naming the first file that is missing or differs, with what was expected and found.
        """
        for entry in self.splits.values():
            entry.file.verify(Path(folder), content)
