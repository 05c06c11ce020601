"""The languages of files, from their names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, uncompressed_name
from xformer.errors import InputError

_LANGUAGE_LIKE = re.compile(r"[a-z]{2,3}([-_@][A-Za-z0-9]{2,8})*")
# Ends of file names that look like three-letter language codes but are not.
_NO_LANGUAGE = frozenset({"csv", "hyp", "out", "raw", "ref", "sgm", "src", "tgt", "trg", "tsv", "txt", "xml"})


def language_of(
    path: FilePath, language: str | None, endings: Sequence[str] = (), notes: ImportNotes | None = None
) -> str:
    """The language of a file: `language` if given, else the last part of its name: `train.pt_BR.jsonl.gz`.

    Args:
        path: the file; only its name is used.
        language: the language that the user gave.
        endings: the endings of the format, which are removed first: `(".jsonl",)`.
        notes: remembers how the tag was read.

    Raises:
        InputError: `language` is not a language tag, or is None and the name does not end in one.
    """
    notes = notes or ImportNotes()
    if language is not None:
        return notes.normalize(language)
    stem = uncompressed_name(path)
    for ending in endings:
        stem = stem.removesuffix(ending)
    last = stem.rpartition(".")[2]
    if not _LANGUAGE_LIKE.fullmatch(last) or last in _NO_LANGUAGE:
        raise InputError(
            f"{os.fspath(path)}: the file's name does not give the language: expected an end such as "
            f"'.de{endings[0] if endings else ''}', or the option --languages"
        )
    return notes.normalize(last)


def languages_of(
    paths: Sequence[FilePath],
    languages: Sequence[str] | None,
    endings: Sequence[str] = (),
    notes: ImportNotes | None = None,
) -> list[str]:
    """The language of each of several files, see `language_of`.

    Raises:
        InputError: there are more or fewer `languages` than `paths`, or a name gives no language.
    """
    if languages is None:
        return [language_of(path, None, endings, notes) for path in paths]
    if len(languages) != len(paths):
        raise InputError(f"expected one language for each of {len(paths)} files, got {len(languages)}")
    notes = notes or ImportNotes()
    return [notes.normalize(language) for language in languages]
