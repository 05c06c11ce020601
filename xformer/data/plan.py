"""What becomes of every record of a corpus: its split, its group, and why it is left out if it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xformer.data.deduplicate import HeldOut, HeldOutText
from xformer.data.groups import join_groups
from xformer.data.keys import TextKeys
from xformer.data.record import Record
from xformer.data.split import DEV, TEST, TRAIN, SplitSizes, assign_splits
from xformer.data.spool import Spool

Progress = Callable[[str, int, int | None], None]

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
    """How a corpus is made of records.

    Attributes:
        splits: what to hold out.
        seed: decides which groups are held out.
        near_threshold: trigram overlap from which two texts are near duplicates, see `NearDuplicates`. In the
            gettext corpus 0.7 takes inflections and one-word changes in a sentence; 0.6 takes other messages
            too.
        min_language_records: languages with fewer records are left out.
    """

    splits: SplitSizes = field(default_factory=SplitSizes)
    seed: int = 0
    near_threshold: float = 0.7
    min_language_records: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.near_threshold <= 1:
            raise ValueError(f"near_threshold: expected above 0 and at most 1, got {self.near_threshold}")
        if self.min_language_records < 1:
            raise ValueError(f"min_language_records: expected at least 1, got {self.min_language_records}")


@dataclass(frozen=True)
class Plan:
    """The fate of every record of a spool, R of them.

    Attributes:
        split: (R,) uint8, places in `SPLITS`; of records left out too.
        reason: (R,) uint8, places in `REASONS`; 0 for a record that stays.
        group: (R,) uint64, `group_number` of the group it is in once groups are joined.
        names: names of the joined groups, by number.
        joined: how many groups there were, how many sets they were joined to, how many the largest set has.
    """

    split: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    group: NDArray[np.uint64]
    names: dict[int, str]
    joined: dict[str, int]


def make_plan(spool: Spool, options: ImportOptions, progress: Progress | None = None) -> Plan:
    """Decide about every record. Each step works on what the ones before left.

    1. Languages with few records are left out.
    2. Groups that say the same thing are joined (`join_groups`).
    3. Every group gets a split, by its hash (`assign_splits`).
    4. Inside a split a text stays once per language, its first time: in train the same characters, in dev and
       test the same key, since two answers that look alike make a bad question.
    5. What repeats held-out text goes, exact or near, and what says the same with it (`HeldOut`): from train
    what
       repeats dev or test, from dev what repeats test. So no wish to keep training text shapes the test.

    Memory holds the spool's arrays, about 60 bytes per record while groups are joined, and the texts of dev
    and test. The spool is read twice.

    Raises:
        InputError: when too few groups can be held out.
    """
    reason = np.zeros(len(spool), dtype=np.uint8)
    rare = np.bincount(spool.language, minlength=len(spool.languages)) < options.min_language_records
    reason[rare[spool.language]] = REASONS.index("rare language")

    here = reason == 0
    group = spool.group.copy()
    group[here] = join_groups(spool.group[here], spool.language[here], spool.key[here])
    languages_of = _LanguagesOfGroups(group[here], spool.language[here], spool.languages)
    longest = np.zeros(len(languages_of.groups), dtype=np.uint32)
    place = np.searchsorted(languages_of.groups, group[here])
    np.maximum.at(longest, place, spool.chars[here])

    split = np.full(len(spool), TRAIN, dtype=np.uint8)
    of_groups = assign_splits(languages_of.groups, languages_of.counts, longest, options.splits, options.seed)
    split[here] = of_groups[place]

    same = np.where(split == TRAIN, spool.exact, spool.key)
    reason[here & _repeats(split, same, here)] = REASONS.index("duplicate")

    names = _guard(spool, split, reason, group, languages_of, options.near_threshold, progress)
    _, sizes = np.unique(group[np.unique(spool.group, return_index=True)[1]], return_counts=True)
    joined = {"groups": int(sizes.sum()), "sets": len(sizes), "largest": int(sizes.max(initial=0))}
    return Plan(split, reason, group, names, joined)


class _LanguagesOfGroups:
    """The languages of every group: numbers (G,) ascending, counts (G,); called, the tags of one."""

    def __init__(
        self, group: NDArray[np.uint64], language: NDArray[np.uint16], tags: tuple[str, ...]
    ) -> None:
        order = np.lexsort((language, group))
        group, language = group[order], language[order]
        fresh = np.ones(len(group), dtype=np.bool_)
        fresh[1:] = (group[1:] != group[:-1]) | (language[1:] != language[:-1])
        self._tags = tags
        self._language = language[fresh]
        self.groups, first, self.counts = np.unique(group[fresh], return_index=True, return_counts=True)
        self._first = first

    def __call__(self, number: int) -> list[str]:
        place = int(np.searchsorted(self.groups, np.uint64(number)))
        start = int(self._first[place])
        return [self._tags[tag] for tag in self._language[start : start + int(self.counts[place])]]


def _repeats(
    split: NDArray[np.uint8], same: NDArray[np.uint64], here: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(R,) whether an earlier record, of those `here`, has the same split and the same number."""
    rows = np.flatnonzero(here)
    rows = rows[np.lexsort((rows, same[rows], split[rows]))]
    repeated = np.zeros(len(split), dtype=np.bool_)
    later, earlier = rows[1:], rows[:-1]
    repeated[later] = (same[later] == same[earlier]) & (split[later] == split[earlier])
    return repeated


def _guard(
    spool: Spool,
    split: NDArray[np.uint8],
    reason: NDArray[np.uint8],
    group: NDArray[np.uint64],
    languages_of: Callable[[int], list[str]],
    threshold: float,
    progress: Progress | None,
) -> dict[int, str]:
    """Fill in `reason` where held-out text is repeated; returns joined groups' names, found on the way."""
    make_key = TextKeys()

    def rows(stage: str) -> Iterator[tuple[int, Record]]:
        for row, record in enumerate(spool):
            if progress and row % 1000 == 0:
                progress(stage, row, len(spool))
            yield row, record

    stand_ins = set(group[group != spool.group].tolist())
    names: dict[int, str] = {}
    texts: dict[int, list[tuple[int, HeldOutText]]] = {TEST: [], DEV: []}
    for row, record in rows("collect held-out text"):
        number = int(group[row])
        if number in stand_ins and number == spool.group[row]:
            names[number] = record.group
        if reason[row] == 0 and split[row] != TRAIN:
            text = HeldOutText(make_key(record.text), record.language, number)
            texts[int(split[row])].append((row, text))

    def judge(row: int, text: HeldOutText, held_out: HeldOut, name: str) -> None:
        found = held_out.judge(text.key, text.language, text.group)
        if found and reason[row] == 0:
            reason[row] = REASONS.index(f"{found} duplicate of {name}")

    def drop_groups(held_out: HeldOut, name: str, where: NDArray[np.bool_]) -> None:
        repeated = np.array(sorted(held_out.repeated_groups(languages_of)), dtype=np.uint64)
        reason[where & (reason == 0) & np.isin(group, repeated)] = REASONS.index(f"says the same as {name}")

    test = HeldOut((text for _, text in texts[TEST]), threshold)
    for row, text in texts[DEV]:
        judge(row, text, test, "test")
    drop_groups(test, "test", split == DEV)
    dev = HeldOut((text for row, text in texts[DEV] if reason[row] == 0), threshold)
    for row, record in rows("compare with held-out text"):
        if split[row] == TRAIN and reason[row] == 0:
            text = HeldOutText(make_key(record.text), record.language, int(group[row]))
            judge(row, text, test, "test")
            judge(row, text, dev, "dev")
    drop_groups(test, "test", split == TRAIN)
    drop_groups(dev, "dev", split == TRAIN)
    return names
