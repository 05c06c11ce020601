"""The reader of bilingual dictionaries in the DICT format: an `.index`, and a `.dict` or `.dict.dz`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.dict_entry import senses_of
from xformer.data.readers.dict_file import DictFile
from xformer.data.readers.dictionary import Sense, languages_of_dictionary, licence_in
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import Member, check_any_read, open_members
from xformer.data.record import Record
from xformer.errors import InputError

_ENDINGS = (".dict", ".dict.dz", ".index")
"""Of a text that is there twice the first is read."""


def is_dict_file(path: str) -> bool:
    """Whether a file belongs to a dictionary, by its name."""
    return path.endswith(_ENDINGS)


def read_dict(
    paths: Iterable[FilePath], *, languages: Sequence[str] | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the senses of dictionaries; the texts of a sense are one group.

    A group has the words of the entry, and their translations. Each example with a translation is a group of
    its own. Pronunciation, parts of speech, notes, definitions and references are removed
    (`xformer.data.readers.dict_entry`). Examples without a translation are left out.

    Memory holds the index of one dictionary, 200 bytes for each headword, and its text as it is compressed.

    Args:
        paths: `.dict`, `.dict.dz` or `.index` files, each with the other beside it, or folders, zips, tars or
            Debian packages that hold them.
        languages: of the words and of the translations, in all dictionaries. None: the title of each, or its
            name (`freedict-deu-eng.index`), gives them.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or holds no dictionary; or one that is named in `paths`, or
            each of a folder or archive, is damaged, has one file only, or nothing gives its languages.
    """
    notes = notes or ImportNotes()
    read = 0
    for path in paths:
        with _open_dictionaries(path) as found:
            for stem, files in found.items():
                first = next(iter(files.values()))
                try:
                    dictionary = _Dictionary.open(stem, files, languages, notes)
                except InputError as error:
                    first.refuse(error, notes)
                    continue
                read += 1
                yield from dictionary.records(notes)
    check_any_read(notes, read, "dictionaries")


def dict_licence(path: FilePath) -> str | None:
    """The sentences of the dictionaries at a path that state their licences, each once; None if none does.

    Raises:
        InputError: as of `read_dict`.
    """
    found: dict[str, None] = {}
    with _open_dictionaries(path) as dictionaries:
        for files in dictionaries.values():
            try:
                file, data = _parse(files)
                licence = licence_in(file.describe("info", data))
            except InputError:
                continue  # `read_dict` names it
            if licence:
                found[licence] = None
    return " ".join(found) or None


def dict_files(path: Path) -> list[Path]:
    """A file of a dictionary, and the other that belongs to it.

    Raises:
        InputError: the other is not there.
    """
    with _open_dictionaries(path) as found:
        return [Path(member.path) for files in found.values() for member in files.values()]


@dataclass(frozen=True)
class _Dictionary:
    """A dictionary that can be read to its end.

    Attributes:
        label: of its text, for records.
        file: its index.
        data: its text, as it is.
        languages: of the words and of the translations.
    """

    label: str
    file: DictFile
    data: bytes
    languages: tuple[str, str]

    @classmethod
    def open(
        cls, stem: str, files: Mapping[str, Member], languages: Sequence[str] | None, notes: ImportNotes
    ) -> _Dictionary:
        """Read it once to its end.

        Raises:
            InputError: as of `read_dict`.
        """
        file, data = _parse(files)
        title = file.describe("short", data)
        tags = languages_of_dictionary(PurePosixPath(stem).name, title, languages, notes)
        if tags is None:
            raise InputError(
                f"{file.name}: nothing gives the languages: expected a name such as freedict-deu-eng.dict, "
                "or --languages with those of words and of translations"
            )
        for _ in file.entries(data):
            pass
        label = next(member.label for ending, member in files.items() if ending != ".index")
        return cls(label, file, data, tags)

    def records(self, notes: ImportNotes) -> Iterator[Record]:
        """Stream its senses."""
        for entry in self.file.entries(self.data):
            for words, translations in senses_of(entry.text, entry.keys):
                texts = [(self.languages[0], word) for word in words if word]
                others = [(self.languages[1], text) for text in translations if text]
                yield from Sense((*texts, *others), len(texts)).records(f"{self.label}:{entry.start}", notes)


def _parse(files: Mapping[str, Member]) -> tuple[DictFile, bytes]:
    """The index of a dictionary, and its text as it is.

    Raises:
        InputError: one of the two is not there or damaged.
    """
    index = files.get(".index")
    text = next((files[ending] for ending in _ENDINGS[:2] if ending in files), None)
    if index is None or text is None:
        there = next(iter(files.values()))
        missing = "a .dict or .dict.dz file" if text is None else "its .index"
        raise InputError(f"{there.name}: expected {missing} of the same name beside it")
    return DictFile.parse(index.read(), index.name, text.name), text.read()


@contextmanager
def _open_dictionaries(path: FilePath) -> Iterator[dict[str, dict[str, Member]]]:
    """The files of each dictionary at a path by their endings, under the name without them, sorted."""
    with ExitStack() as stack:
        kind = "dictionaries (.index, .dict, .dict.dz)"
        members = stack.enter_context(open_members(path, is_dict_file, kind))
        if members[0].is_given:
            stem, ending = _divided(members[0].path)
            if not ending:
                raise InputError(f"{path}: expected an end of its name such as {', '.join(_ENDINGS)}")
            others = [f"{stem}{other}" for other in _ENDINGS if other != ending]
            for other in filter(os.path.isfile, others if ending == ".index" else [f"{stem}.index"]):
                members += stack.enter_context(open_members(other, is_dict_file, kind))
        found: dict[str, dict[str, Member]] = {}
        for member in members:
            stem, ending = _divided(member.path)
            found.setdefault(stem, {})[ending] = member
        yield found


def _divided(path: str) -> tuple[str, str]:
    """A path without its ending, and that; "" if it is none of a dictionary."""
    ending = next((ending for ending in sorted(_ENDINGS, key=len, reverse=True) if path.endswith(ending)), "")
    return path.removesuffix(ending), ending
