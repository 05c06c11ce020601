"""Pairs of texts with a class label, from the same rows as texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xformer.data.import_notes import ImportNotes
from xformer.data.labelled.examples import LabelledPair, LeftOut
from xformer.data.labelled.rows import one_label, rows_of, two_languages_of
from xformer.data.readers.lines import FilePath
from xformer.data.readers.rows import language_value, text_field
from xformer.errors import InputError


@dataclass(frozen=True, slots=True)
class PairFields:
    """Which fields of a row have the two texts and their label.

    Attributes:
        text: the field with the first text; in a file without header, the number of its column, from 1.
        text_pair: the field with the second text.
        label: the field with the label.
        language: the field with the language of the first text; None: the end of the file's name says both,
            as in `train.en-de.tsv`.
        language_pair: the field with that of the second text.
    """

    text: str = "text"
    text_pair: str = "text_pair"
    label: str = "label"
    language: str | None = None
    language_pair: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        every = (self.text, self.text_pair, self.label, self.language, self.language_pair)
        return tuple(name for name in every if name is not None)


def read_pairs(
    paths: Sequence[FilePath], fields: PairFields, left_out: LeftOut | None = None
) -> list[LabelledPair]:
    """Read the pairs of files, in their order.

    Pairs of which a text is blank are left out, and counted.

    Args:
        paths: plain or compressed files; the end of a name says the format.
        fields: what the rows have.
        left_out: counts what is left out.

    Raises:
        InputError: as `read_labelled`, or both texts are one field, or one language field alone is given.
    """
    if fields.text == fields.text_pair:
        raise InputError(f"expected two different fields with texts, got {fields.text!r} for both")
    if (fields.language is None) != (fields.language_pair is None):
        raise InputError("--language-field, --language-pair-field: expected both or none")
    found: list[LabelledPair] = []
    for path in paths:
        before = len(found)
        found += _of_file(path, fields, left_out or LeftOut())
        if len(found) == before:
            raise InputError(f"{path}: expected pairs of texts with labels, found none")
    return found


def _of_file(path: FilePath, fields: PairFields, left_out: LeftOut) -> Iterator[LabelledPair]:
    notes = ImportNotes()
    rows = rows_of(path, fields.names)
    named = None if fields.language else two_languages_of(path, notes)
    for place, _, row in rows:
        texts = text_field(row, fields.text, place), text_field(row, fields.text_pair, place)
        labels = one_label(row, fields.label, place)
        if not all(text.strip() for text in texts):
            left_out.counts["of which a text is empty"] += 1
            continue
        tags = named or (
            language_value(row, str(fields.language), place, notes),
            language_value(row, str(fields.language_pair), place, notes),
        )
        yield LabelledPair(*texts, labels, tags, place)
