"""The reader of rows with a text and its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.rows import ENDINGS, ending_of, rows_of
from xformer.data.readers.languages import language_of
from xformer.data.readers.lines import FilePath
from xformer.data.readers.rows import field_value, text_field
from xformer.data.summarized.texts import SummarizedTexts
from xformer.errors import InputError


@dataclass(frozen=True)
class SummaryNames:
    """The names of fields, dotted where nested; numbers of columns without header.

    Attributes:
        text: the text.
        summary: its summary.
        id: rows with equal values say the same, in whatever language. None: each row stands for itself.
    """

    text: str = "text"
    summary: str = "summary"
    id: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Those that are asked for."""
        return (self.text, self.summary, *(() if self.id is None else (self.id,)))


def read_summarized(paths: Sequence[FilePath], names: SummaryNames | None = None) -> SummarizedTexts:
    """Read files such as `train.de.jsonl`, whose names say their language, in their order.

    A row of which the text or the summary is blank is left out, and counted.

    Args:
        paths: TSV, CSV, JSON lines or Parquet, maybe compressed.
        names: of the fields.

    Raises:
        InputError: a file is missing or damaged, its name does not say its language, a field is missing, two
            fields are one, or there is no text with a summary.
    """
    names = names or SummaryNames()
    if names.text == names.summary:
        raise InputError(f"expected two different fields, got {names.text!r} for the text and its summary")
    found, groups = SummarizedTexts(), dict[str, int]()
    for path in paths:
        language = _language(path)
        for place, _, row in rows_of(path, names.all):
            text, summary = (text_field(row, name, place) for name in (names.text, names.summary))
            if not text.strip() or not summary.strip():
                found.left_out += 1
                continue
            # A row without an id of its own stands for itself.
            key = place if names.id is None else _id(row, names.id, place)
            group = groups.setdefault(key, len(groups))
            found.add(text, language, group)
            found.add_summary(summary, language, group)
    if not found.texts:
        raise InputError(f"{', '.join(map(str, paths))}: expected texts with summaries, found none")
    return found


def _language(path: FilePath) -> str:
    try:
        return language_of(path, None, ENDINGS, ImportNotes())
    except InputError as error:
        raise InputError(
            f"{path}: its name does not give the language: expected an end such as '.de{ending_of(path)}'"
        ) from error


def _id(row: Mapping[str, Any], name: str, place: str) -> str:
    value = field_value(row, name, place, str | int | None, "text or an integer")
    if value is None or value == "":
        raise InputError(
            f"{place}: field {name!r}: expected what names the text in all languages, it is empty"
        )
    return str(value)
