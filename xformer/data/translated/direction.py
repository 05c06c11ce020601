"""Directions, and their names: `en-de`, with a region `pt_BR-en`, and of summaries `de-de`, too."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xformer.data.record import normalize_language
from xformer.errors import InputError

_NAME = re.compile(r"([A-Za-z]{2,8}(?:_[A-Za-z0-9]{2,8})*)-([A-Za-z]{2,8}(?:_[A-Za-z0-9]{2,8})*)")


@dataclass(frozen=True, slots=True, order=True)
class Direction:
    """From a language to another one; of summaries, maybe to the same.

    Attributes:
        source: BCP-47 tag of the language that is read.
        target: of the one that is written.
    """

    source: str
    target: str

    def __str__(self) -> str:
        """The name: `-` within a tag is written `_`, as in the names of files."""
        return "-".join(tag.replace("-", "_") for tag in (self.source, self.target))


def direction_named(name: str, *, same: bool = False) -> Direction:
    """The direction of a name.

    Args:
        name: such as `en-de`.
        same: whether both languages may be the same.

    Raises:
        InputError: it is none, or both languages are the same and may not be.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"direction: expected something like en-de or pt_BR-en, got {name!r}")
    found = Direction(*(normalize_language(tag) for tag in match.groups()))
    if found.source == found.target and not same:
        raise InputError(f"direction {name}: expected two different languages")
    return found
