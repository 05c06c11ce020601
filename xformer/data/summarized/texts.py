"""Texts and summaries in groups that say the same thing: a text is read, a summary written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from xformer.data.translated import Direction, TranslatedTexts
from xformer.data.translated.texts import ByLanguage


@dataclass
class SummarizedTexts(TranslatedTexts):
    """Texts and summaries, each with its language and its group.

    A group may have both in several languages: then a text in one has a summary in another.

    Attributes:
        summaries: numbers of those that are summaries.
    """

    summaries: set[int] = field(default_factory=set)

    def add_summary(self, text: str, language: str, group: int) -> None:
        """Add a summary of the texts of a group."""
        self.summaries.add(len(self))
        self.add(text, language, group)

    def roles(self, number: int) -> tuple[bool, bool]:
        """A summary is written, all else is read."""
        return number not in self.summaries, number in self.summaries

    def usual_directions(self, read: ByLanguage, written: ByLanguage) -> list[Direction]:
        """Each language in itself."""
        return [Direction(one, one) for one in read if one in written]

    def _copy(self, number: int, to: Self) -> None:
        add = to.add_summary if number in self.summaries else to.add
        add(self.texts[number], self.languages[number], self.groups[number])
