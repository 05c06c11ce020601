"""Texts with their translations, to learn translating from: from files, or from a corpus."""

from xformer.data.translated.direction import Direction, direction_named
from xformer.data.translated.read import RowNames, read_translated, translated_of_corpus
from xformer.data.translated.texts import DirectedPairs, TranslatedTexts, split_groups

__all__ = [
    "DirectedPairs",
    "Direction",
    "RowNames",
    "TranslatedTexts",
    "direction_named",
    "read_translated",
    "split_groups",
    "translated_of_corpus",
]
