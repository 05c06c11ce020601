"""Texts in groups that say the same thing, and the pairs of them that a translator learns from.

Shapes: E texts, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from xformer.data.translated.direction import Direction
from xformer.errors import InputError

MOST_IN_GROUP = 4
"""Pairs that a group gives for each direction, at most: a group may say the same in many ways."""

ByLanguage = dict[str, list[int]]
"""Numbers of texts, by their language."""

Texts = TypeVar("Texts", bound="TranslatedTexts")


@dataclass
class TranslatedTexts:
    """Texts, each with its language and its group.

    Attributes:
        texts: E texts, none blank.
        languages: the BCP-47 tag of each.
        groups: the number of each one's group; texts of one group are translations.
        left_out: groups of which a text is blank.
    """

    texts: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    left_out: int = 0

    def add(self, text: str, language: str, group: int) -> None:
        """Add a text."""
        self.texts.append(text)
        self.languages.append(language)
        self.groups.append(group)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(set(self.groups))

    def pairs(self, directions: Sequence[Direction] | None = None) -> DirectedPairs:
        """The pairs in some directions, those of a direction in the order of their groups.

        Args:
            directions: None for all that there are, sorted.

        Raises:
            InputError: there is no pair in one of the directions, or none at all.
        """
        members: dict[int, tuple[ByLanguage, ByLanguage]] = {}
        for number, (language, group) in enumerate(zip(self.languages, self.groups, strict=True)):
            both_roles = zip(members.setdefault(group, ({}, {})), self.roles(number), strict=True)
            for in_role, has_it in both_roles:
                if has_it:
                    in_role.setdefault(language, []).append(number)
        found: dict[Direction, list[tuple[int, int]]] = {one: [] for one in directions or ()}
        for read, written in members.values():
            wanted = list(found) if directions is not None else self.usual_directions(read, written)
            for one in wanted:
                ours, theirs = read.get(one.source, []), written.get(one.target, [])
                both = [(source, target) for source in ours for target in theirs]
                found.setdefault(one, []).extend(both[:MOST_IN_GROUP])
        for one, its in found.items():
            if not its:
                has = ", ".join(sorted(set(self.languages)))
                raise InputError(
                    f"direction {one}: expected texts in both languages; there are texts in {has}"
                )
        if not found:
            raise InputError("expected texts in two languages or more that say the same, found none")
        names = tuple(found) if directions is not None else tuple(sorted(found))
        sizes = [len(found[one]) for one in names]
        pairs = np.array([pair for one in names for pair in found[one]], dtype=np.int64).reshape(-1, 2)
        return DirectedPairs(names, pairs[:, 0], pairs[:, 1], np.repeat(np.arange(len(names)), sizes))

    def roles(self, number: int) -> tuple[bool, bool]:
        """Whether a text may be read, and whether it may be written; each translation may be both."""
        return True, True

    def usual_directions(self, read: ByLanguage, written: ByLanguage) -> list[Direction]:
        """The directions that a group gives where none are named: all between different languages.

        Args:
            read: numbers of its texts that may be read.
            written: of those that may be written.
        """
        return [Direction(a, b) for a in read for b in written if a != b]

    def only(self, groups: set[int]) -> Self:
        """The texts of some groups."""
        found = type(self)()
        for number, group in enumerate(self.groups):
            if group in groups:
                self._copy(number, found)
        return found

    def _copy(self, number: int, to: Self) -> None:
        to.add(self.texts[number], self.languages[number], self.groups[number])


@dataclass(frozen=True)
class DirectedPairs:
    """Pairs of texts by number, each with its direction.

    Attributes:
        directions: their numbers are places in it.
        source: (P,) number of the text that is read.
        target: (P,) number of the text that is written.
        direction: (P,) number of the direction; pairs of one direction lie together.
    """

    directions: tuple[Direction, ...]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    direction: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pairs of each direction."""
        return np.bincount(self.direction, minlength=len(self.directions))

    def select(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> DirectedPairs:
        """Some of the pairs."""
        return DirectedPairs(self.directions, self.source[rows], self.target[rows], self.direction[rows])

    def first_of_each(self, most: int) -> DirectedPairs:
        """The first `most` pairs of each direction."""
        starts = np.cumsum(self.counts) - self.counts
        return self.select(np.arange(len(self)) - starts[self.direction] < most)


def split_groups(texts: Texts, share: float, most: int) -> tuple[Texts, Texts]:
    """Divide at random into groups to learn from and some that are held out, at least one.

    Args:
        texts: with at least two groups.
        share: of the groups that is held out.
        most: groups that are held out.

    Raises:
        InputError: there is only one group.
    """
    groups = sorted(set(texts.groups))
    if len(groups) < 2:
        raise InputError("expected two texts or more, since one is held out, or --dev")
    number = min(most, max(1, round(share * len(groups))))
    order = np.random.default_rng(0).permutation(len(groups))
    held = {groups[place] for place in order[:number].tolist()}
    return texts.only(set(groups) - held), texts.only(held)
