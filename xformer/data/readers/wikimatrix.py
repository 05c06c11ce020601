"""The reader of WikiMatrix: sentence pairs with a score."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, read_lines, uncompressed_name
from xformer.data.record import Record, content_group
from xformer.errors import InputError

MIN_SCORE = 1.04
"""The margin from which on the authors of WikiMatrix train (Schwenk and others, 2021)."""

_NAME = re.compile(r"(?:.*\.)?([a-z_]{2,})-([a-z_]{2,})(?:\.tsv)?")


def read_wikimatrix(
    path: FilePath,
    *,
    languages: Sequence[str] | None = None,
    min_score: float = MIN_SCORE,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream a file of WikiMatrix: lines of a score, a sentence, and its translation, between tabs.

    Args:
        path: `WikiMatrix.de-en.tsv.gz`, compressed or plain.
        languages: of the two sentences. None: the file's name.
        min_score: least score (a margin: how much nearer the two are than their neighbours). Pairs with a
            lower one are left out. The files begin with 1.02.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the file is missing or damaged, its name gives no languages, or a line has not a score and
            two fields more.
    """
    notes = notes or ImportNotes()
    if languages is None:
        match = _NAME.fullmatch(uncompressed_name(path))
        if match is None:
            raise InputError(
                f"{os.fspath(path)}: the file's name does not give two languages: expected one such as "
                "WikiMatrix.de-en.tsv.gz, or the option --languages"
            )
        languages = match.groups()
    if len(languages) != 2:
        raise InputError(f"{os.fspath(path)}: expected two languages, got {len(languages)}")
    # Wikipedias are named by older rules: `nds_nl`, and `simple` for easy English.
    tags = ["en-simple" if code == "simple" else notes.normalize(code) for code in languages]
    name = Path(path).name
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        score, *texts = line.split("\t")
        if len(texts) < 2 or (margin := _score(score)) is None:
            place = f"{os.fspath(path)}:{number}"
            raise InputError(f"{place}: expected score, sentence and translation, got {line[:60]!r}")
        source = f"{name}:{number}"
        for tag, text in zip(tags, texts, strict=False):
            if margin < min_score:
                notes.leave_out("low score", tag, text, source)
            elif text.strip():
                yield Record(text, tag, content_group(*texts[:2]), source)
            else:
                notes.leave_out("no text", tag, "", source)


def _score(text: str) -> float | None:
    try:
        score = float(text)
    except ValueError:
        return None
    return score if math.isfinite(score) else None
