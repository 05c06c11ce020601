"""Readers of translated texts: line-aligned files, rows with two texts, a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from xformer.data.corpus import Corpus
from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.rows import ENDINGS, ending_of, rows_of, two_languages_of
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, read_lines, uncompressed_name
from xformer.data.readers.rows import text_field
from xformer.data.translated.texts import TranslatedTexts
from xformer.errors import InputError


@dataclass(frozen=True)
class RowNames:
    """The names of fields in rows with two texts, dotted where nested; numbers of columns without header.

    Attributes:
        source: the text in the first language that the file's name says.
        target: the text in the second.
    """

    source: str = "source"
    target: str = "target"


def read_translated(paths: Sequence[FilePath], names: RowNames | None = None) -> TranslatedTexts:
    """Read files, in their order.

    `train.en train.de train.fr` are line-aligned, a language each (Moses): files whose names differ in the
    language alone belong together. `train.en-de.tsv`, and CSV, JSON lines and Parquet alike, have rows with
    two texts. All may be compressed. Where a text of a line or row is blank, that text is left out; with
    fewer than two texts the whole line is, and counted.

    Args:
        paths: the files.
        names: of the fields in rows.

    Raises:
        InputError: a file is missing or damaged, its name does not say its language, line-aligned files have
            different numbers of lines, a field is missing, or there is no translated text.
    """
    found, aligned = TranslatedTexts(), dict[str, list[FilePath]]()
    names, group = names or RowNames(), 0
    for path in paths:
        if ending_of(path) not in ENDINGS:
            aligned.setdefault(_stem(path), []).append(path)
    done: set[str] = set()
    for path in paths:
        if ending_of(path) in ENDINGS:
            rows = _rows(path, names)
        elif (stem := _stem(path)) in done:
            continue
        else:
            rows = _aligned(aligned[stem])
            done.add(stem)
        for row in rows:
            filled = [(text, tag) for text, tag in row if text.strip()]
            if len(filled) < 2:
                found.left_out += 1
                continue
            for text, tag in filled:
                found.add(text, tag, group)
            group += 1
    if not found.texts:
        raise InputError(f"{', '.join(map(str, paths))}: expected translated texts, found none")
    return found


def translated_of_corpus(corpus: Corpus, split: str) -> TranslatedTexts:
    """The texts of a split of a corpus that have a translation there.

    Raises:
        InputError: there is no such split, or none of its texts has a translation.
    """
    found, numbers = TranslatedTexts(), dict[str, int]()
    for record in corpus.records(split):
        found.add(record.text, record.language, numbers.setdefault(record.group, len(numbers)))
    languages: dict[int, set[str]] = {}
    for language, group in zip(found.languages, found.groups, strict=True):
        languages.setdefault(group, set()).add(language)
    found = found.only({group for group, its in languages.items() if len(its) > 1})
    if not found.texts:
        raise InputError(f"{corpus.folder}: expected translations in its {split} split, found none")
    return found


def _stem(path: FilePath) -> str:
    """What line-aligned files have in common: the folder, and the name without the language."""
    return str(Path(path).parent / uncompressed_name(path).rpartition(".")[0])


def _aligned(paths: Sequence[FilePath]) -> Iterator[list[tuple[str, str]]]:
    notes = ImportNotes()
    tags = [language_of(path, None, (), notes) for path in paths]
    if len(paths) < 2:
        raise InputError(
            f"{paths[0]}: expected line-aligned files in two languages or more, such as"
            f" {_stem(paths[0])}.en and {_stem(paths[0])}.de, got one"
        )
    if len(set(tags)) < len(tags):
        raise InputError(f"{', '.join(map(str, paths))}: expected files in different languages")
    for number, row in enumerate(zip_longest(*map(read_lines, paths)), 1):
        if None in row:
            short = [str(path) for path, text in zip(paths, row, strict=True) if text is None]
            raise InputError(
                f"expected files with the same number of lines: {', '.join(short)} ends before line"
                f" {number:,}, which others have"
            )
        yield list(zip(row, tags, strict=True))


def _rows(path: FilePath, names: RowNames) -> Iterator[list[tuple[str, str]]]:
    if names.source == names.target:
        raise InputError(f"expected two different fields with texts, got {names.source!r} for both")
    tags = two_languages_of(path, ImportNotes())
    if tags[0] == tags[1]:
        raise InputError(
            f"{path}: expected a name that says two languages, such as train.en-de{ending_of(path)}"
        )
    for place, _, row in rows_of(path, (names.source, names.target)):
        yield list(
            zip((text_field(row, name, place) for name in (names.source, names.target)), tags, strict=True)
        )
