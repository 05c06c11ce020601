"""Which texts belong together: sets joined by links."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from hashlib import blake2b
from typing import Generic, TypeVar

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
