"""What repeats held-out text is left out: the last part of an import's plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.data.deduplicate import EXACT, NEAR, HeldOut, KeyedTexts
from xformer.data.record_index import RecordIndex
from xformer.data.reporting import ProgressCallback
from xformer.data.split import DEV, TEST, TRAIN


def names_of_groups(
    index: RecordIndex, wanted: NDArray[np.uint64], progress: ProgressCallback | None
) -> dict[int, str]:
    """The names of some groups, by hash.

    Args:
        index: the records.
        wanted: hashes of groups; those that no record has are left out.
        progress: called with ("read names of groups", records done, records in all).
    """
    rows = np.flatnonzero(np.isin(index.group, wanted))
    _, first = np.unique(index.group[rows], return_index=True)
    here = np.zeros(len(index), dtype=np.bool_)
    here[rows[first]] = True
    names: dict[int, str] = {}
    for start, batch in index.batches(here):
        if progress:
            progress("read names of groups", start, len(index))
        for place in np.flatnonzero(here[start : start + len(batch)]).tolist():
            names[int(index.group[start + place])] = batch.group[place]
    return names


def remove_leaks(
    index: RecordIndex,
    split: NDArray[np.uint8],
    reason: NDArray[np.uint8],
    group: NDArray[np.uint64],
    languages_of: Callable[[int], list[str]],
    threshold: float,
    reasons: Sequence[str],
    progress: ProgressCallback | None,
) -> None:
    """Set `reason`, a place in `reasons`, where held-out text is repeated.

    Args:
        index: R records.
        split: (R,) places in `SPLITS`.
        reason: (R,) 0 for the records that stay so far; changed in place.
        group: (R,) hashes of the joined groups.
        languages_of: gives the languages of a group by its hash.
        threshold: of `NearDuplicates`.
        reasons: where "exact duplicate of test" and so on stand.
        progress: called with the stage, records done, and records in all.
    """
    tags = index.languages

    def texts(keys: list[str], rows: NDArray[np.intp]) -> KeyedTexts:
        return KeyedTexts(keys, [tags[number] for number in index.language[rows].tolist()], group[rows])

    def read(wanted: NDArray[np.bool_], stage: str) -> Iterator[tuple[list[str], NDArray[np.intp]]]:
        """The keys of the wanted records, and their rows, batch by batch."""
        for start, keys in index.keys(wanted):
            if progress:
                progress(stage, start, len(index))
            places = np.flatnonzero(wanted[start : start + len(keys)])
            yield [keys[place] for place in places.tolist()], start + places

    def compare(keys: list[str], rows: NDArray[np.intp], held_out: HeldOut, name: str) -> None:
        how = held_out.compare(texts(keys, rows))
        for found, what in ((NEAR, "near"), (EXACT, "exact")):
            repeats = rows[(how == found) & (reason[rows] == 0)]
            reason[repeats] = reasons.index(f"{what} duplicate of {name}")

    def drop_groups(held_out: HeldOut, name: str, where: NDArray[np.bool_]) -> None:
        repeated = np.array(sorted(held_out.repeated_groups(languages_of)), dtype=np.uint64)
        reason[where & (reason == 0) & np.isin(group, repeated)] = reasons.index(f"says the same as {name}")

    keys: dict[int, list[str]] = {TEST: [], DEV: []}
    for part, rows in read((reason == 0) & (split != TRAIN), "collect held-out text"):
        for place, key in zip(split[rows].tolist(), part, strict=True):
            keys[place].append(key)
    rows_of = {place: np.flatnonzero((reason == 0) & (split == place)) for place in (TEST, DEV)}
    test = HeldOut(texts(keys[TEST], rows_of[TEST]), threshold)
    compare(keys[DEV], rows_of[DEV], test, "test")
    drop_groups(test, "test", split == DEV)
    stays = reason[rows_of[DEV]] == 0
    left = [key for key, here in zip(keys[DEV], stays.tolist(), strict=True) if here]
    dev = HeldOut(texts(left, rows_of[DEV][stays]), threshold)
    del keys, left
    for part, rows in read((reason == 0) & (split == TRAIN), "compare with held-out text"):
        compare(part, rows, test, "test")
        compare(part, rows, dev, "dev")
    drop_groups(test, "test", split == TRAIN)
    drop_groups(dev, "dev", split == TRAIN)
