"""The translations of a corpus as rows: the texts of each group in some languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xformer.data.corpus import open_corpus
from xformer.errors import InputError

Group = dict[str, str]
"""A text in each of several languages, all of which say the same."""


def translations(
    corpus: Path, split: str, languages: Sequence[str], least: int, most: int | None, seed: int
) -> list[Group]:
    """The groups of a split that have texts in enough of some languages, in a random order.

    Of several texts of a group in one language the first is taken.

    Args:
        corpus: a folder made by `xformer data import`.
        split: `train`, `dev` or `test`.
        languages: tags of the corpus.
        least: number of languages that a group must have.
        most: number of groups that are kept; None for all.
        seed: of the order.

    Raises:
        InputError: there is no corpus, it lacks a language, or no group has enough.
    """
    opened = open_corpus(corpus)
    there = opened.manifest.split(split).languages
    if missing := [tag for tag in languages if tag not in there]:
        raise InputError(
            f"{corpus}: no texts in {missing[0]} in the split {split}; there are {', '.join(sorted(there))}"
        )
    wanted = set(languages)
    groups: dict[str, Group] = {}
    for record in opened.records(split):
        if record.language in wanted:
            groups.setdefault(record.group, {}).setdefault(record.language, record.text)
    found = [group for _, group in sorted(groups.items()) if len(group) >= least]
    if not found:
        raise InputError(
            f"{corpus}: expected texts with translations in {', '.join(languages)} in the split {split},"
            " found none"
        )
    order = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[at] for at in order.tolist()]
