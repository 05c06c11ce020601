"""Which texts belong together: sets joined by links."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from hashlib import blake2b
from itertools import combinations, pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_JOINED = 64  # groups; whatever evidence says, no more than this become one
MAX_PAIRED = 16  # groups that share one text and are compared each with each

Key = TypeVar("Key", bound=Hashable)


def group_number(name: str) -> int:
    """A number for a group that needs no table of names: 63 bits of its BLAKE2b hash.

    It is the same in every split, shard and process. Two of n names collide with probability n² / 2⁶⁴: one in
    two thousand for a hundred million groups.
    """
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


class DisjointSets(Generic[Key]):
    """Sets that only ever grow together (union-find, Tarjan 1975): union by size, path halving, no recursion.

    Args:
        max_size: a union whose result would have more members than this is refused; None for no limit.
    """

    def __init__(self, max_size: int | None = None) -> None:
        if max_size is not None and max_size < 1:
            raise ValueError(f"max_size: expected at least 1, got {max_size}")
        self._max_size = max_size
        self._number: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._parent: list[int] = []
        self._size: list[int] = []

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: Key) -> bool:
        return key in self._number

    def add(self, key: Key) -> None:
        """Make `key` known, alone in a set of its own if it is new."""
        self._root(key)

    def union(self, first: Key, second: Key) -> bool:
        """Join the sets of two keys.

        Returns:
            Whether they are in one set now; False only when `max_size` forbids it.
        """
        large, small = self._root(first), self._root(second)
        if large == small:
            return True
        total = self._size[large] + self._size[small]
        if self._max_size is not None and total > self._max_size:
            return False
        if self._size[large] < self._size[small]:
            large, small = small, large
        self._parent[small] = large
        self._size[large] = total
        return True

    def union_all(self, keys: Iterable[Key]) -> None:
        """Join the sets of all `keys` with that of the first of them."""
        iterator = iter(keys)
        for first in iterator:
            self.add(first)
            for key in iterator:
                self.union(first, key)

    def find(self, key: Key) -> Key:
        """The member that stands for the set of `key`: the same for all its members.

        Raises:
            KeyError: when `key` is unknown.
        """
        return self._keys[self._climb(self._number[key])]

    def size(self, key: Key) -> int:
        """How many members the set of `key` has.

        Raises:
            KeyError: when `key` is unknown.
        """
        return self._size[self._climb(self._number[key])]

    def sets(self) -> list[list[Key]]:
        """All sets; members and sets in the order in which their keys were first seen."""
        members: dict[int, list[Key]] = {}
        for number, key in enumerate(self._keys):
            members.setdefault(self._climb(number), []).append(key)
        return list(members.values())

    def _root(self, key: Key) -> int:
        number = self._number.setdefault(key, len(self._keys))
        if number == len(self._keys):
            self._keys.append(key)
            self._parent.append(number)
            self._size.append(1)
        return self._climb(number)

    def _climb(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number


def join_groups(
    group: NDArray[np.uint64], language: NDArray[np.integer], key: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Find groups that say the same thing though no link says so: "E-mail address" and "Email address".

    Two groups are joined when more than half of the languages that both have hold the same text in both. One
    shared text is not enough, because short words mean many things: in the embedded gettext corpus (4,652
    groups, 109 languages) joining at any shared text chains 969 groups into one ("Open", "Status", "Ja"),
    which could only go to one split whole, whereas joining at the majority leaves none larger than 8. What
    stays apart and is still alike is removed by the leak guard (`xformer.data.deduplicate`). Pairs are joined
    strongest evidence first, and no set grows beyond `MAX_JOINED` groups.

    Args:
        group: (R,) the number of each record's group.
        language: (R,) the number of its language.
        key: (R,) the number of its text's key.

    Returns:
        (R,) the number of the smallest group that each record's group was joined with (its own if with none).
        Memory: some 60 bytes per record.
    """
    order = np.lexsort((language, key, group))
    rows = np.stack([group[order], key[order], language[order].astype(np.uint64)], axis=1)
    rows = rows[_starts(rows)]
    groups, first_row = np.unique(rows[:, 0], return_index=True)
    bounds = np.append(first_row, len(rows))
    place = np.repeat(np.arange(len(groups)), np.diff(bounds))

    def texts(number: int) -> set[tuple[int, int]]:
        return set(map(tuple, rows[bounds[number] : bounds[number + 1], 1:].tolist()))

    weighed: list[tuple[float, int, int]] = []
    for first, second in sorted(_candidates(rows, place)):
        ours, theirs = texts(first), texts(second)
        common = {tag for _, tag in ours} & {tag for _, tag in theirs}
        share = len({tag for _, tag in ours & theirs}) / len(common)
        if share > 0.5:
            weighed.append((-share, first, second))
    sets = DisjointSets[int](max_size=MAX_JOINED)
    for _, first, second in sorted(weighed):
        sets.union(first, second)
    joined = groups.copy()
    for members in sets.sets():
        joined[members] = groups[min(members)]
    return joined[np.searchsorted(groups, group)]


def _candidates(rows: NDArray[np.uint64], place: NDArray[np.integer]) -> set[tuple[int, int]]:
    """Pairs of groups, by place, that share a text in a language: all of few, neighbours only of many."""
    order = np.lexsort((place, rows[:, 2], rows[:, 1]))
    starts = np.flatnonzero(_starts(rows[order, 1:]))
    ends = np.append(starts[1:], len(rows))
    shared = ends - starts > 1
    pairs: set[tuple[int, int]] = set()
    for start, end in zip(starts[shared], ends[shared], strict=True):
        members = place[order[start:end]].tolist()
        pairs.update(combinations(members, 2) if len(members) <= MAX_PAIRED else pairwise(members))
    return pairs


def _starts(rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Where a run of equal rows begins."""
    first = np.ones(min(len(rows), 1), dtype=np.bool_)
    return np.concatenate([first, np.any(rows[1:] != rows[:-1], axis=1)])
