"""How many texts from outside stand in a run's training corpus, exactly or nearly.

A score on text that was trained on says nothing about other text. So what is found is said beside the scores.
`xformer data import --decontaminate` leaves such text out of a corpus before training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from xformer.data.batches import batches
from xformer.data.dedup_keys import DedupKeys
from xformer.data.near_duplicates import NearDuplicates
from xformer.data.record import Record
from xformer.data.reporting import ProgressCallback, reported
from xformer.evaluation.outside.report import Overlap

THRESHOLD = 0.7
"""Smallest Jaccard overlap of the trigrams of near duplicates: that of an import."""


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
    key_of = DedupKeys()
    tag_of: dict[tuple[str, str], str] = {}
    for batch in batches(records):
        for key, language in zip(key_of.of(batch.text), batch.language, strict=True):
            tag = tags.get(language, language)
            tag_of.setdefault((_primary(tag), key), tag)
    place_of = {text: place for place, text in enumerate(tag_of)}
    label_of = {primary: label for label, primary in enumerate({primary: 0 for primary, _ in tag_of})}
    labels = np.array([label_of[primary] for primary, _ in tag_of], dtype=np.int64)
    index = NearDuplicates([key for _, key in tag_of], labels, THRESHOLD)
    compared, exact, near = 0, set[int](), set[int]()
    for batch in batches(reported(training, "compare with the training corpus", total, progress)):
        primary = [_primary(tag) for tag in batch.language]
        labels = np.array([label_of.get(language, -1) for language in primary], dtype=np.int64)
        compared += int(np.count_nonzero(labels >= 0))
        keys = key_of.of(batch.text)
        exact.update(place_of[text] for text in zip(primary, keys, strict=True) if text in place_of)
        near.update(index.find(keys, labels)[1].tolist())
    found = Counter(tag for place, tag in enumerate(tag_of.values()) if place in exact or place in near)
    return Overlap(
        texts=len(tag_of),
        exact=len(exact),
        near=len(near - exact),
        by_language=dict(sorted(found.items())),
        training_texts=compared,
    )


def _primary(tag: str) -> str:
    return tag.partition("-")[0]
