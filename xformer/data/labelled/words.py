"""Sentences with a tag for each word: one word a line, as CoNLL's shared tasks have it, and rows of lists.

A file of lines has a word and its tag in each, with a tab or spaces between, and a blank line after each
sentence (Tjong Kim Sang and De Meulder 2003). Of more columns, such as CoNLL-U's ten, two are named. A JSON
line or a row of Parquet has a list of words and a list of tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.examples import LabelledWords, LeftOut
from xformer.data.labelled.rows import ending_of, mixed_language, require_file, rows_of
from xformer.data.readers.arrow import dataset_name, is_saved_dataset
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath, read_lines, uncompressed_name
from xformer.data.readers.rows import field_value
from xformer.errors import InputError

COLUMN_ENDINGS = (".conll", ".conllu", ".iob", ".iob2", ".bio", ".tsv", ".txt")
LIST_ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow")

_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")
"""In the first of CoNLL-U's ten columns: several words written as one, and words that are not written."""
_CONLLU = 10


@dataclass(frozen=True, slots=True)
class WordFields:
    """Where the words and their tags stand.

    Attributes:
        tokens: the field with the list of words; of a file of lines, the number of the words' column.
        tags: the field with the list of tags; of a file of lines, the number of the tags' column.
        language: of rows, the field with the language; None: the end of the file's name says it. Several
            have `+` between.
    """

    tokens: str | None = None
    tags: str | None = None
    language: str | None = None


def read_words(
    paths: Sequence[FilePath], fields: WordFields, left_out: LeftOut | None = None
) -> list[LabelledWords]:
    """Read the sentences of files, in their order.

    Sentences without words are left out, and counted.

    Args:
        paths: plain or compressed files; the end of a name says the format.
        fields: where words and tags stand.
        left_out: counts what is left out.

    Raises:
        InputError: a file is damaged or of another kind, its language is not known, words and tags differ in
            number, a word has no tag, or a file has no sentence; the message names file and line.
    """
    found: list[LabelledWords] = []
    for path in paths:
        before, ending, saved = len(found), ending_of(path), is_saved_dataset(path)
        if not saved:
            require_file(path)
        if saved or ending in LIST_ENDINGS:
            found += _of_lists(path, fields, left_out or LeftOut())
        elif ending in COLUMN_ENDINGS:
            found += _of_columns(path, fields)
        else:
            endings = ", ".join((*COLUMN_ENDINGS, *LIST_ENDINGS))
            raise InputError(f"{path}: expected a name that ends in {endings}, maybe compressed")
        if len(found) == before:
            raise InputError(f"{path}: expected sentences of words with tags, found none")
    return found


def _of_columns(path: FilePath, fields: WordFields) -> Iterator[LabelledWords]:
    language = _named_language(path, ImportNotes())
    rows: list[tuple[int, str, str]] = []
    columns, tabs = 0, False

    def sentence() -> LabelledWords:
        lines, words, tags = zip(*rows, strict=True)
        return LabelledWords(words, tags, language, str(path), lines[0], lines)

    for number, line in enumerate(read_lines(path), 1):
        place = f"{path}:{number}"
        if not line.strip():
            if rows:
                yield sentence()
                rows = []
            continue
        if not columns:
            tabs = "\t" in line
        cells = line.split("\t") if tabs else re.split(" +", line.strip(" "))
        if line.startswith("#") and len(cells) != columns and "\t" not in line:
            continue  # a comment
        if not columns:
            columns = len(cells)
            word, tag = _columns(fields, columns, place)
        if len(cells) != columns:
            raise InputError(
                f"{place}: expected {columns} columns, as above, got {len(cells)}: {line[:60]!r}"
            )
        if columns == _CONLLU and _NO_WORD.fullmatch(cells[0]):
            continue
        if not cells[tag].strip():
            raise InputError(f"{place}: expected a tag in column {tag + 1}, it is empty")
        rows.append((number, cells[word], cells[tag].strip()))
    if rows:
        yield sentence()


def _columns(fields: WordFields, there: int, place: str) -> tuple[int, int]:
    """Which columns have words and tags, from 0."""
    named = [name for name in (fields.tokens, fields.tags) if name is not None]
    if wrong := [name for name in named if not _NUMBER.fullmatch(name)]:
        raise InputError(f"{place}: columns have numbers here, from 1; got {wrong[0]!r}")
    if there > 2 and len(named) < 2:
        raise InputError(
            f"{place}: expected a word and its tag, got {there} columns; say which with --tokens-field NUMBER"
            " --tags-field NUMBER"
        )
    word, tag = int(fields.tokens or 1), int(fields.tags or 2)
    if max(word, tag) > there:
        raise InputError(f"{place}: expected a word and its tag, got no column {max(word, tag)}")
    return word - 1, tag - 1


def _of_lists(path: FilePath, fields: WordFields, left_out: LeftOut) -> Iterator[LabelledWords]:
    notes = ImportNotes()
    tokens, tags = fields.tokens or "tokens", fields.tags or "tags"
    needed = [tokens, tags, *([fields.language] if fields.language else [])]
    rows = rows_of(path, needed)
    language = None if fields.language else _named_language(path, notes)
    for place, number, row in rows:
        words, labels = _list(row, tokens, place), _list(row, tags, place)
        if wrong := [word for word in words if not isinstance(word, str)]:
            raise InputError(
                f"{place}: field {tokens!r}: expected a list of words, got {wrong[0]!r:.60} in it"
            )
        if len(words) != len(labels):
            raise InputError(
                f"{place}: expected as many tags as words, got {len(labels)} for {len(words)} words"
            )
        for at, label in enumerate(labels, 1):
            if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
                raise InputError(
                    f"{place}: field {tags!r}: expected a tag of text or an integer for word {at}, got"
                    f" {label!r:.60}"
                )
        if not words:
            left_out.counts["without words"] += 1
            continue
        if language is None:
            tag = field_value(row, str(fields.language), place, str, "a language tag")
            of_row = mixed_language(tag, f"{place}: field {fields.language!r}", notes)
        named = tuple(str(label).strip() for label in labels)
        yield LabelledWords(tuple(words), named, language or of_row, str(path), number)


def _list(row: Any, name: str, place: str) -> list[Any]:
    value: list[Any] = field_value(row, name, place, list | None, "a list") or []
    return value


def _named_language(path: FilePath, notes: ImportNotes) -> str:
    """The language that a file's name says; several have `+` between."""
    name = uncompressed_name(dataset_name(path))
    ending = ending_of(name) if ending_of(name) in (*COLUMN_ENDINGS, *LIST_ENDINGS) else ""
    if "+" in (last := name.removesuffix(ending).rpartition(".")[2]):
        return mixed_language(last, str(path), notes)
    try:
        return language_of(name, None, (ending,), notes)
    except InputError as error:
        raise InputError(
            f"{path}: the name does not give the language: expected an end such as '.de{ending}' or"
            f" '.de+en{ending}'"
        ) from error
