"""Whether labelled examples are what someone meant, and which of their labels are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from xformer.data.labelled.examples import Example, LabelledPair, LabelledText, LabelledWords, LeftOut
from xformer.data.labelled.pairs import PairFields
from xformer.data.labelled.texts import LabelFields
from xformer.data.labelled.words import WordFields
from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

_ENOUGH = 50
"""Of fewer examples, as many labels as examples, or numbers for texts, are nobody's mistake."""

OneLabel = TypeVar("OneLabel", bound=LabelledText | LabelledPair)


@dataclass(frozen=True)
class _Column:
    """What stands in a field: its name, its values, and where each stands."""

    field: str
    values: Sequence[str]
    places: Sequence[str]


def check_columns_mean_classes(
    examples: Sequence[Example], fields: LabelFields | PairFields | WordFields
) -> None:
    """Check that the fields look like texts, or words, and classes, as far as many examples show.

    Raises:
        InputError: nearly each example has a label of its own, nearly all texts are numbers, or all have the
            same label; the message names file and line.
    """
    if not examples:
        raise InputError("expected examples with labels, got none")
    labels = [label for one in examples for answer in one.answers for label in answer]
    different = len(set(labels))
    if different < 2:
        what = "no label at all" if not labels else f"the label {labels[0]!r} alone"
        raise InputError(f"{examples[0].place}: expected at least two classes, found {what} everywhere")
    columns, label_field, noun = _columns(examples, fields)
    if len(columns[0].values) < _ENOUGH:
        return
    for column in columns:
        numbers = [at for at, value in enumerate(column.values) if _is_number(value)]
        if 2 * len(numbers) > len(column.values):
            raise InputError(
                f"{column.places[numbers[0]]}: field {column.field!r}: expected {noun}, found numbers such as"
                f" {column.values[numbers[0]]!r} in {len(numbers):,} of {len(column.values):,}; is the"
                f" {noun[:-1]} in another column?"
            )
    if 2 * different > len(columns[0].values):
        raise InputError(
            f"{columns[0].places[0]}: field {label_field!r}: expected classes, found {different:,} different"
            f" labels in {len(columns[0].values):,} {noun}, such as {labels[0]!r:.60}; is the label in"
            " another column?"
        )


def commonest_labels(examples: Iterable[Example], most: int | None = None) -> tuple[str, ...]:
    """The labels of examples, sorted; only the `most` commonest ones if that is given, ties by name."""
    counts = Counter(label for one in examples for answer in one.answers for label in answer)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    return tuple(sorted(ranked[:most]))


def keep_labels(examples: Iterable[OneLabel], labels: Collection[str], left_out: LeftOut) -> list[OneLabel]:
    """The examples with at least one of some labels, without other labels; the others are counted."""
    known, kept = set(labels), []
    for one in examples:
        of_these = tuple(label for label in one.labels if label in known)
        if of_these or not one.labels:
            kept.append(one if len(of_these) == len(one.labels) else replace(one, labels=of_these))
        else:
            left_out.counts["with another label"] += 1
    return kept


def require_known_labels(examples: Iterable[Example], labels: Sequence[str], advice: str = "") -> None:
    """Check that examples have no other labels.

    Args:
        examples: to check.
        labels: those of the training files.
        advice: ends the message.

    Raises:
        InputError: one has; the message names file, line and label.
    """
    known = set(labels)
    for one in examples:
        for number, answer in enumerate(one.answers):
            for label in answer:
                if label not in known:
                    some = ", ".join(labels[:12]) + (", …" if len(labels) > 12 else "")
                    raise InputError(
                        f"{one.place_of(number)}: the training files never have the label {label!r}"
                        f"{did_you_mean(label, labels) or '.'} They have {some}{advice}"
                    )


def _columns(
    examples: Sequence[Example], fields: LabelFields | PairFields | WordFields
) -> tuple[list[_Column], str, str]:
    """The fields with texts, the name of that with labels, and what the first are called."""
    if isinstance(fields, WordFields):
        words: list[str] = []
        places: list[str] = []
        for one in examples:
            if isinstance(one, LabelledWords):
                words += one.words
                places += [one.place_of(number) for number in range(len(one.words))]
        of_columns = isinstance(examples[0], LabelledWords) and bool(examples[0].lines)
        names = ("1", "2") if of_columns else ("tokens", "tags")
        return [_Column(fields.tokens or names[0], words, places)], fields.tags or names[1], "words"
    places = [one.place for one in examples]
    if isinstance(fields, PairFields):
        contents = [one.content for one in examples if isinstance(one, LabelledPair)]
        return (
            [
                _Column(fields.text, [one for one, _ in contents], places),
                _Column(fields.text_pair, [other for _, other in contents], places),
            ],
            fields.label,
            "texts",
        )
    texts = [one.text for one in examples if isinstance(one, LabelledText)]
    return [_Column(fields.text, texts, places)], fields.label, "texts"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True
