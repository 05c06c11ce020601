"""Test sets by name: corpora, and files and folders as test sets are handed around.

Of these, every text is read whatever it stands beside: what is kept out of training needs no groups. Names
that tell the language do: `test_2016_flickr.de`, `tatoeba.deu-eng.eng`, `newstest.de.txt`. Near duplicates
are looked for among texts of one language, so of texts whose language nothing tells only exact ones
and n-grams are found.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from xformer.data.corpus import open_corpus
from xformer.data.import_notes import ImportNotes
from xformer.data.languages import language_name
from xformer.data.manifest import MANIFEST_NAME
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import decode_lines, open_zip, read_lines, uncompressed_name
from xformer.data.readers.tmx import read_tmx
from xformer.data.record import Record
from xformer.errors import InputError

UNKNOWN = "und"
"""The language of texts whose language nothing tells."""

_SHORTEST_FIELD = 4
"""Fields of rows with fewer letters, all of them ASCII, are codes and numbers, and no texts."""


def read_test_sets(
    paths: Sequence[Path], notes: ImportNotes | None = None
) -> Iterator[tuple[str, Iterator[Record]]]:
    """Stream test sets, as `Decontaminator` takes them.

    Args:
        paths: of each test set: the folder of a corpus, of which all splits are read; another folder, of
            which all files of texts are read, in those below, too; or one file. Files are lines of text
            (`.txt`, or a name that ends in a language), rows (`.tsv`, `.csv`, `.jsonl`), `.tmx`, or `.zip`
            files that hold such; the first three also with `.gz`, `.bz2`, `.xz`.
        notes: gets the number of texts of each, once they are read, and the files that are none.

    Yields:
        The name of each, that of its file or folder (two of one name: the path), and its records.

    Raises:
        InputError: a path is missing or damaged, or has no texts.
    """
    notes = notes or ImportNotes()
    named = {path.absolute(): path.absolute().name or str(path) for path in paths}
    for path in paths:
        name = named[path.absolute()]
        unique = name if list(named.values()).count(name) == 1 else str(path)
        yield unique, counted_texts(unique, _records(path, notes), notes, str(path))


def counted_texts(
    name: str, records: Iterable[Record], notes: ImportNotes, place: str | None = None
) -> Iterator[Record]:
    """Stream the records that have text; afterwards, `notes` has their number.

    Args:
        name: of the test set.
        records: of the test set.
        notes: gets the number.
        place: where it lies, for the message; None for its name.

    Raises:
        InputError: no record has text.
    """
    count = 0
    for record in records:
        if record.text.strip():
            count += 1
            yield record
    if not count:
        raise InputError(
            f"{place or name}: expected a test set, found no text: a corpus, or files of lines or rows"
            " (.txt, .tsv, .csv, .jsonl, .tmx, .zip, or names that end in a language, such as test.de)"
        )
    notes.test_sets[name] = count


def _records(path: Path, notes: ImportNotes) -> Iterator[Record]:
    if not path.is_dir():
        if not path.is_file():
            raise InputError(f"{path}: no such file or folder; expected a test set")
        yield from _of_file(path, notes, given=True)
    elif (path / MANIFEST_NAME).is_file():
        corpus = open_corpus(path)
        yield from chain.from_iterable(map(corpus.records, corpus.manifest.splits))
    else:
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield from _of_file(file, notes, given=False)


def _of_file(path: Path, notes: ImportNotes, *, given: bool) -> Iterator[Record]:
    if path.suffix == ".tmx":
        yield from read_tmx(path, notes=ImportNotes())
    elif path.suffix == ".zip":
        with open_zip(path) as archive:
            for member in sorted(archive.namelist()):
                if member.endswith("/") or (how := _how(member)) is None:
                    continue
                with archive.open(member) as file:
                    yield from _texts(f"{path}:{member}", how, decode_lines(file, f"{path}:{member}"))
    elif how := _how(path.name) or (_whole_lines if given else None):
        yield from _texts(str(path), how, read_lines(path))
    else:
        notes.not_read[f"{path.parent.name}/{path.name}"] = "no file of texts that a test set could have"


_Split = Callable[[Iterable[str]], Iterator[list[str]]]


def _texts(name: str, how: _Split, lines: Iterable[str]) -> Iterator[Record]:
    language, number = _language(name), 0
    try:
        for texts in how(lines):
            number += 1
            for text in texts:
                yield Record(text, language, "", f"{name}:{number}")
    except (ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}:{number + 1}: cannot be read: {error}") from error


def _how(name: str) -> _Split | None:
    """How a file's lines become texts, by its name; None if it is no file of texts."""
    plain = uncompressed_name(name)
    suffix = Path(plain).suffix
    known: dict[str, _Split] = {".txt": _tabbed, ".tsv": _tabbed, ".csv": _commas, ".jsonl": _json}
    if suffix in known:
        return known[suffix]
    language, pair = _language(plain), Path(plain).stem.rpartition(".")[2]
    # README.md ends in no language; of a pair, deu-eng.eng, any code does.
    is_one = language_name(language) != language or suffix[1:] in pair.split("-")
    return _whole_lines if language != UNKNOWN and is_one else None


def _language(name: str) -> str:
    endings = (".txt", ".tsv", ".csv", ".jsonl")
    try:
        return language_of(name, None, endings)
    except InputError:
        return UNKNOWN


def _whole_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    return ([line] for line in lines)


def _tabbed(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        fields = line.split("\t")
        yield fields if len(fields) == 1 else _without_codes(fields)


def _commas(lines: Iterable[str]) -> Iterator[list[str]]:
    return map(_without_codes, csv.reader(f"{line}\n" for line in lines))


def _json(lines: Iterable[str]) -> Iterator[list[str]]:
    for line in lines:
        row = json.loads(line) if line.strip() else []
        values = row.values() if isinstance(row, dict) else row if isinstance(row, list) else [row]
        yield _without_codes([value for value in values if isinstance(value, str)])


def _without_codes(fields: Iterable[str]) -> list[str]:
    """The fields that may be texts: not numbers, names of languages or other short codes."""
    return [
        field
        for field in fields
        if any(letter.isalpha() for letter in field)
        and (not field.isascii() or sum(map(str.isalpha, field)) >= _SHORTEST_FIELD)
    ]
