"""How many texts from outside stand in a run's training corpus, exactly or nearly.

A score on text that was trained on says nothing about other text. So what is found is said beside the scores.
`xformer data import --decontaminate` leaves such text out of a corpus before training.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xformer.data.deduplicate import DedupKeys, NearDuplicates, trigrams
from xformer.data.record import Record
from xformer.data.reporting import ProgressCallback, reported
from xformer.evaluation.outside.report import Overlap

THRESHOLD = 0.7
"""Smallest Jaccard overlap of the trigrams of near duplicates: that of an import."""


class _Texts:
    """The texts in one language, and which of them were found.

    Args:
        keys: their deduplication keys, each once.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = list(keys)
        self._place = {key: place for place, key in enumerate(self.keys)}
        self._near = NearDuplicates(self.keys, THRESHOLD)
        self._shortest = THRESHOLD * min(len(trigrams(key)) for key in self.keys)
        self.exact: set[int] = set()
        self.near: set[int] = set()

    def compare(self, key: str) -> None:
        """Find the texts that a training text repeats."""
        if key in self._place:
            self.exact.add(self._place[key])
        # A key has at most as many trigrams as characters; most texts of a corpus are too short to be near.
        if len(key) >= self._shortest:
            self.near.update(self._near.find(key))


def overlap_with(
    records: Iterable[Record],
    tags: Mapping[str, str],
    training: Iterable[Record],
    total: int | None = None,
    progress: ProgressCallback | None = None,
) -> Overlap:
    """Compare texts with those of a training split in the same language, whatever its region or script.

    Equality and nearness are those of an import: without case, punctuation, digits and spaces; near are texts
    that share 70% of their character trigrams.

    Args:
        records: the texts.
        tags: the tag in the training corpus of each of their tags that differs.
        training: the records of the training split.
        total: how many they are, for the progress.
        progress: called with ("compare with the training corpus", texts done, texts in all).
    """
    dedup_key = DedupKeys()
    keys: dict[str, dict[str, str]] = {}
    for record in records:
        tag = tags.get(record.language, record.language)
        keys.setdefault(_primary(tag), {}).setdefault(dedup_key(record.text), tag)
    texts = {language: _Texts(found) for language, found in keys.items()}
    compared = 0
    for record in reported(training, "compare with the training corpus", total, progress):
        if (there := texts.get(_primary(record.language))) is not None:
            compared += 1
            there.compare(dedup_key(record.text))
    by_language: dict[str, int] = {}
    for language, there in texts.items():
        for place in there.exact | there.near:
            tag = keys[language][there.keys[place]]
            by_language[tag] = by_language.get(tag, 0) + 1
    return Overlap(
        texts=sum(len(there.keys) for there in texts.values()),
        exact=sum(len(there.exact) for there in texts.values()),
        near=sum(len(there.near - there.exact) for there in texts.values()),
        by_language=dict(sorted(by_language.items())),
        training_texts=compared,
    )


def _primary(tag: str) -> str:
    return tag.partition("-")[0]
