"""The plan of an import: for every record its split, its group, and the reason if it is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from xformer.data.groups import distinct_rows, join_groups
from xformer.data.kin import SmallLanguages
from xformer.data.leaks import names_of_groups, remove_leaks
from xformer.data.lost_pairs import find_lost_pairs, rejoin
from xformer.data.record_index import RecordIndex
from xformer.data.reporting import ProgressCallback
from xformer.data.split import TRAIN, SplitSizes, assign_splits

REASONS = (
    "",
    "rare language",
    "duplicate",
    *(
        f"{what} {split}"
        for split in ("test", "dev")
        for what in ("exact duplicate of", "near duplicate of", "says the same as")
    ),
)


@dataclass(frozen=True)
class ImportOptions:
    """How records are made into a corpus.

    Attributes:
        splits: how many groups to hold out.
        seed: selects the groups that are held out.
        near_threshold: smallest trigram overlap of near duplicates, see `NearDuplicates`. In the gettext
            corpus 0.7 finds inflections and one-word changes in a sentence; 0.6 also finds other messages.
        min_language_records: languages with fewer records are small.
        small_languages: `drop`: small languages are left out; `join`: their texts are those of their nearest
            kin (`xformer.data.kin`), and what has none, or is still small, is left out.
    """

    splits: SplitSizes = field(default_factory=SplitSizes)
    seed: int = 0
    near_threshold: float = 0.7
    min_language_records: int = 1
    small_languages: SmallLanguages = "drop"

    def __post_init__(self) -> None:
        if not 0 < self.near_threshold <= 1:
            raise ValueError(f"near_threshold: expected above 0 and at most 1, got {self.near_threshold}")
        if self.min_language_records < 1:
            raise ValueError(f"min_language_records: expected at least 1, got {self.min_language_records}")
        if self.small_languages not in get_args(SmallLanguages):
            raise ValueError(f"small_languages: expected drop or join, got {self.small_languages!r}")


@dataclass(frozen=True)
class ImportPlan:
    """What happens to each of the R records of a `RecordIndex`.

    Attributes:
        split: (R,) uint8, places in `SPLITS`, also for records that are left out.
        reason: (R,) uint8, places in `REASONS`; 0 for a record that stays.
        group: (R,) uint64, `group_hash` of its group after groups are joined.
        unpaired: (R,) bool, whether it stays without the translations that it came with, because these were
            left out as duplicates or repeat held-out text.
        names: names of the groups that others were joined to, by hash.
        joined: number of `groups`, number of `sets` they were joined to, and groups in the `largest` set.
    """

    split: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    group: NDArray[np.uint64]
    unpaired: NDArray[np.bool_]
    names: dict[int, str]
    joined: dict[str, int]


def plan_import(
    index: RecordIndex, options: ImportOptions, progress: ProgressCallback | None = None
) -> ImportPlan:
    """Decide about every record. Each step works on the records that the steps before it left.

    1. Languages with few records are left out.
    2. Groups that say the same thing are joined (`join_groups`).
    3. Every group is assigned to a split by its hash (`assign_splits`).
    4. Of equal texts of one language in a split, only the first stays. In train, texts are equal if their
       characters are; in dev and test, if their deduplication keys are: a retrieval question with two answers
       that look alike is a bad question.
    5. Records that repeat held-out text, exactly or nearly, and groups that say the same are left out
       (`HeldOut`): from train where they repeat dev or test, from dev where they repeat test. So training
       text never changes the test split.
    6. Groups of train that lost their translations as duplicates are joined with those that have them
       (`lost_pairs`).

    Memory holds the arrays of the index, about 60 bytes per record while groups are joined, and the texts of
    dev and test. Deduplication keys are read twice.

    Raises:
        InputError: too few groups can be held out.
    """
    reason = np.zeros(len(index), dtype=np.uint8)
    rare = np.bincount(index.language, minlength=len(index.languages)) < options.min_language_records
    reason[rare[index.language]] = REASONS.index("rare language")

    here = reason == 0
    group = index.group.copy()
    group[here] = join_groups(index.group[here], index.language[here], index.key[here])
    languages_of = _LanguagesOfGroups(group[here], index.language[here], index.languages)
    longest = np.zeros(len(languages_of.groups), dtype=np.uint32)
    place = np.searchsorted(languages_of.groups, group[here])
    np.maximum.at(longest, place, index.chars[here])

    split = np.full(len(index), TRAIN, dtype=np.uint8)
    of_groups = assign_splits(languages_of.groups, languages_of.counts, longest, options.splits, options.seed)
    split[here] = of_groups[place]

    same = np.where(split == TRAIN, index.exact, index.key)
    rows, repeats = np.flatnonzero(here), here.copy()
    repeats[rows[distinct_rows(split[rows], same[rows])]] = False
    reason[repeats] = REASONS.index("duplicate")

    train = split == TRAIN
    lost = find_lost_pairs(group, index.language, index.exact, train & (reason == 0), train & repeats)
    remove_leaks(index, split, reason, group, languages_of, options.near_threshold, REASONS, progress)
    group = rejoin(lost, group, index.exact, reason == 0)
    names = names_of_groups(index, np.unique(group[(group != index.group) & (reason == 0)]), progress)
    _, sizes = np.unique(group[np.unique(index.group, return_index=True)[1]], return_counts=True)
    joined = {"groups": int(sizes.sum()), "sets": len(sizes), "largest": int(sizes.max(initial=0))}
    unpaired = _unpaired(group, index.language, here, reason == 0)
    return ImportPlan(split, reason, group, unpaired, names, joined)


def _unpaired(
    group: NDArray[np.uint64],
    language: NDArray[np.uint16],
    here: NDArray[np.bool_],
    stays: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(R,) whether a record stays, but of its translations, which it had among those `here`, none does."""
    _, place = np.unique(group, return_inverse=True)

    def translated(rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        first = distinct_rows(place[rows], language[rows])
        return np.bincount(place[rows][first], minlength=int(place.max(initial=-1)) + 1)[place] > 1

    return stays & translated(here) & ~translated(stays)


class _LanguagesOfGroups:
    """The languages of every group.

    Attributes:
        groups: (G,) hashes of the groups, ascending.
        counts: (G,) number of languages of each.
    """

    def __init__(
        self, group: NDArray[np.uint64], language: NDArray[np.uint16], tags: tuple[str, ...]
    ) -> None:
        order = distinct_rows(group, language)
        self._tags = tags
        self._language = language[order]
        self.groups, self._first, self.counts = np.unique(group[order], return_index=True, return_counts=True)

    def __call__(self, group: int) -> list[str]:
        """The language tags of one group, by its hash."""
        place = int(np.searchsorted(self.groups, np.uint64(group)))
        start = int(self._first[place])
        return [self._tags[tag] for tag in self._language[start : start + int(self.counts[place])]]
