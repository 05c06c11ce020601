"""Fields of rows (TSV, JSON lines, Parquet) and their conversion to records; languages of files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xformer.data.readers.lines import uncompressed_name
from xformer.data.record import Record, normalize_language
from xformer.errors import InputError

_LANGUAGE_LIKE = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]{2,8})*")
# Ends of file names that look like three-letter language codes but are not.
_NO_LANGUAGE = frozenset({"csv", "hyp", "out", "raw", "ref", "sgm", "src", "tgt", "trg", "tsv", "txt", "xml"})


Row = tuple[str, int, Mapping[str, Any]]
"""A row: its place in error messages, its number in the file, and its fields."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of the fields in rows with one text each.

    A dotted name is a nested field: `translation.de`.

    Attributes:
        text: the text.
        language: its language tag. None: the reader's `language`, or the file's name, gives it for all rows.
        group: rows with equal values say the same thing. None: rows with equal texts are a group.
        id: the row's name in its source.
        label: its class label.
    """

    text: str = "text"
    language: str | None = None
    group: str | None = None
    id: str | None = None
    label: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return _named(self.text, self.language, self.group, self.id, self.label)


@dataclass(frozen=True, slots=True)
class ParallelFields:
    """The names of the fields in rows with one text in several languages.

    Attributes:
        texts: language tag of each text field, for at least two fields.
        group: as in `Fields`. None: rows in which all texts are equal are a group.
        id: the row's name in its source.
        label: its class label.
    """

    texts: Mapping[str, str]
    group: str | None = None
    id: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        if len(self.texts) < 2:
            raise ValueError(f"ParallelFields.texts: expected two fields or more, got {dict(self.texts)!r}")
        tags = {field: normalize_language(tag) for field, tag in self.texts.items()}
        object.__setattr__(self, "texts", tags)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all fields."""
        return _named(*self.texts, self.group, self.id, self.label)


def content_group(*texts: str) -> str:
    """The group of records without a group of their own: a hash of `texts`.

    It does not depend on file names or line numbers. So the splits of groups stay the same when files are
    moved, and equal texts are in one split.
    """
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=12).hexdigest()


def language_of(path: str | os.PathLike[str], language: str | None, endings: Sequence[str] = ()) -> str:
    """The language of a file: `language` if given, else the last part of its name: `train.pt_BR.jsonl.gz`.

    Args:
        path: the file; only its name is used.
        language: the language that the user gave.
        endings: the endings of the format, which are removed first: `(".jsonl",)`.

    Raises:
        InputError: `language` is not a language tag, or is None and the name does not end in one.
    """
    if language is not None:
        return normalize_language(language)
    stem = uncompressed_name(path)
    for ending in endings:
        stem = stem.removesuffix(ending)
    last = stem.rpartition(".")[2]
    if not _LANGUAGE_LIKE.fullmatch(last) or last in _NO_LANGUAGE:
        raise InputError(
            f"{os.fspath(path)}: the file's name does not give the language: expected an end such as "
            f"'.de{endings[0] if endings else ''}', or the option --languages"
        )
    return normalize_language(last)


def languages_of(
    paths: Sequence[str | os.PathLike[str]], languages: Sequence[str] | None, endings: Sequence[str] = ()
) -> list[str]:
    """The language of each of several files, see `language_of`.

    Raises:
        InputError: there are more or fewer `languages` than `paths`, or a name gives no language.
    """
    if languages is None:
        return [language_of(path, None, endings) for path in paths]
    if len(languages) != len(paths):
        raise InputError(f"expected one language for each of {len(paths)} files, got {len(languages)}")
    return [normalize_language(language) for language in languages]


def records_of_rows(
    rows: Iterable[Row],
    path: str | os.PathLike[str],
    fields: Fields | ParallelFields,
    language: str | None,
    endings: Sequence[str],
) -> Iterator[Record]:
    """Stream the records of the rows of a file.

    Args:
        rows: the rows.
        path: the file.
        fields: the meaning of the rows' fields.
        language: of every row, if `fields` names no field for it; None for the end of the file's name.
        endings: as for `language_of`.

    Raises:
        InputError: a field is missing or has the wrong type, or the name of the file gives no language.
    """
    if isinstance(fields, Fields) and fields.language is None:
        language = language_of(path, language, endings)
    for place, number, row in rows:
        yield from _row_records(row, fields, language, place, f"{Path(path).name}:{number}")


def _row_records(
    row: Mapping[str, Any], fields: Fields | ParallelFields, language: str | None, place: str, source: str
) -> Iterator[Record]:
    """The records of one row. A text that is null or blank yields no record."""
    if isinstance(fields, Fields):
        if fields.language is not None:
            language = _language(_field(row, fields.language, place), fields.language, place)
        assert language is not None
        texts = [(_text(row, fields.text, place), language)]
    else:
        texts = [(_text(row, name, place), tag) for name, tag in fields.texts.items()]
    filled = [(text, tag) for text, tag in texts if text.strip()]
    if not filled:
        return
    group = _name(row, fields.group, place) or content_group(*(text for text, _ in texts))
    identity, label = _name(row, fields.id, place), _name(row, fields.label, place)
    for text, tag in filled:
        yield Record(text, tag, group, source, identity, label)


def _named(*names: str | None) -> tuple[str, ...]:
    return tuple(name for name in names if name is not None)


def _field(row: Mapping[str, Any], name: str, place: str) -> Any:
    value: Any = row
    for part in [name] if name in row else name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise InputError(f"{place}: no field {name!r}; there are {', '.join(map(repr, row)) or 'none'}")
        value = value[part]
    return value


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = _field(row, name, place)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{place}: field {name!r}: expected text, got {value!r:.60}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{place}: field {name!r}: half of a surrogate pair is not a character") from error
    return value


def _name(row: Mapping[str, Any], name: str | None, place: str) -> str | None:
    """A group, an id or a label: text or an integer; None if it is null or empty."""
    value = None if name is None else _field(row, name, place)
    if value is None or value == "":
        return None
    if not isinstance(value, str | int):
        raise InputError(f"{place}: field {name!r}: expected text or an integer, got {value!r:.60}")
    return str(value)


def _language(value: Any, name: str, place: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{place}: field {name!r}: expected a language tag, got {value!r:.60}")
    try:
        return normalize_language(value)
    except InputError as error:
        raise InputError(f"{place}: field {name!r}: {error}") from error
