"""What a model is fine-tuned on: an example has a label, several labels, or a label for each of its words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its labels.

    Attributes:
        text: the text, not blank.
        labels: its labels, sorted; one, unless a text may have several.
        language: BCP-47 tag.
        place: where it stands, for messages: file and line.
    """

    text: str
    labels: tuple[str, ...]
    language: str
    place: str

    @property
    def content(self) -> str:
        """What the model reads."""
        return self.text

    @property
    def answers(self) -> tuple[tuple[str, ...], ...]:
        """The labels of each thing that gets some: the text."""
        return (self.labels,)

    def place_of(self, number: int) -> str:
        """Where the labels of the thing with this number stand."""
        return self.place


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two texts and the label of the pair.

    Attributes:
        text: the first text, not blank.
        text_pair: the second one, not blank.
        labels: the label.
        languages: BCP-47 tags of both texts.
        place: as in `LabelledText`.
    """

    text: str
    text_pair: str
    labels: tuple[str, ...]
    languages: tuple[str, str]
    place: str

    @property
    def language(self) -> str:
        """The languages as one name, by which scores are counted: `en+de`, or `en` where both are English."""
        return joined_languages(self.languages)

    @property
    def content(self) -> tuple[str, str]:
        """What the model reads."""
        return self.text, self.text_pair

    @property
    def answers(self) -> tuple[tuple[str, ...], ...]:
        """The labels of each thing that gets some: the pair."""
        return (self.labels,)

    def place_of(self, number: int) -> str:
        """Where the labels of the thing with this number stand."""
        return self.place


@dataclass(frozen=True, slots=True)
class LabelledWords:
    """The words of a sentence, each with its tag.

    Attributes:
        words: as they stand in the file; they may be empty.
        tags: the tag of each word.
        language: a BCP-47 tag, or several with `+` between.
        path: the file.
        line: where the sentence begins.
        lines: that of each word, where each has one of its own; otherwise none.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    language: str
    path: str
    line: int
    lines: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """Where the sentence begins."""
        return f"{self.path}:{self.line}"

    @property
    def content(self) -> tuple[str, ...]:
        """What the model reads."""
        return self.words

    @property
    def answers(self) -> tuple[tuple[str, ...], ...]:
        """The labels of each thing that gets some: of each word its tag."""
        return tuple((tag,) for tag in self.tags)

    def place_of(self, number: int) -> str:
        """Where the tag of a word stands."""
        return f"{self.path}:{self.lines[number]}" if self.lines else f"{self.place}: word {number + 1}"


Example: TypeAlias = LabelledText | LabelledPair | LabelledWords


@dataclass
class LeftOut:
    """What was not read: counts by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """The counts in words; empty if nothing was left out."""
        return ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.counts.items()))


def joined_languages(tags: tuple[str, ...]) -> str:
    """Several languages as one name: their tags in the order given, each once, with `+` between."""
    return "+".join(dict.fromkeys(tags))
