"""Labelled examples to fine-tune with: texts, pairs of texts, and sentences with a tag for each word."""

from xformer.data.labelled.checks import (
    check_columns_mean_classes,
    commonest_labels,
    keep_labels,
    require_known_labels,
)
from xformer.data.labelled.examples import (
    Example,
    LabelledPair,
    LabelledText,
    LabelledWords,
    LeftOut,
    joined_languages,
)
from xformer.data.labelled.pairs import PairFields, read_pairs
from xformer.data.labelled.texts import LabelFields, label_rows, read_labelled
from xformer.data.labelled.words import WordFields, read_words

__all__ = [
    "Example",
    "LabelFields",
    "LabelledPair",
    "LabelledText",
    "LabelledWords",
    "LeftOut",
    "PairFields",
    "WordFields",
    "check_columns_mean_classes",
    "commonest_labels",
    "joined_languages",
    "keep_labels",
    "label_rows",
    "read_labelled",
    "read_pairs",
    "read_words",
    "require_known_labels",
]
