"""The blocks of a page: headings, paragraphs and tags of lists in their order, and the text in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xformer.data.readers.roff.escapes import plain

_BULLET = re.compile(r"[•·∘○●▪◦]\s*")


class Kind(StrEnum):
    """What a block is."""

    SECTION = "S"
    SUBSECTION = "s"
    PARAGRAPH = "p"
    LINE = "b"  # what follows a break inside of a paragraph
    ITEM = "i"  # of a list of which the items have no tags, only a mark or a number
    TAG = "t"  # what stands before an item: an option, a word
    VERBATIM = "v"  # examples, and what is laid out by spaces; without its text
    DRAWN = "T"  # a table or a drawing, without its text
    INDENT = ">"
    OUTDENT = "<"


TEXTS = frozenset({Kind.SECTION, Kind.SUBSECTION, Kind.PARAGRAPH, Kind.LINE, Kind.ITEM})
_MARKS = frozenset({Kind.VERBATIM, Kind.DRAWN, Kind.INDENT, Kind.OUTDENT})


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Attributes:
        kind: what it is.
        text: in one line; empty where the kind has none.
    """

    kind: Kind
    text: str = ""


class BlockWriter:
    """Joins lines to blocks.

    Attributes:
        blocks: those that are complete.
    """

    def __init__(self, translation: Mapping[int, str]) -> None:
        """Begin a page; `translation` has characters that are printed for others, and may still grow."""
        self.blocks: list[Block] = []
        self._translation = translation
        self._kind, self._text, self._is_glued = Kind.PARAGRAPH, "", False

    @property
    def is_empty(self) -> bool:
        """Whether the block that was begun has no text yet."""
        return not self._text.strip()

    def begin(self, kind: Kind) -> None:
        """End the block before, and begin another; it counts if text follows.

        A line after a break begins nothing new where the block before is still empty.
        """
        if self.is_empty and kind is Kind.LINE:
            return
        self._end()
        self._kind = kind

    def mark(self, kind: Kind) -> None:
        """End the block before, and put one without text; several of the same are one."""
        self._end()
        if kind in (Kind.INDENT, Kind.OUTDENT) or not self.blocks or self.blocks[-1].kind is not kind:
            self.blocks.append(Block(kind))

    def add(self, text: str, *, glued: bool = False) -> None:
        r"""Add a line's text; `glued` joins it to what stands before, as `\c` at the end of that does."""
        goes_on = text.rstrip().endswith("\\c")
        words = plain(text).translate(self._translation) if self._translation else plain(text)
        is_glued = glued or self._is_glued
        self._text = self._text + words if is_glued else join_lines(self._text, words)
        self._is_glued = goes_on

    def finish(self) -> list[Block]:
        """All blocks of the page."""
        self._end()
        return self.blocks

    def _end(self) -> None:
        text = " ".join(self._text.split())
        if self._kind in (Kind.PARAGRAPH, Kind.LINE) and (bullet := _BULLET.match(text)):
            text = text[bullet.end() :]
        if text:
            self.blocks.append(Block(self._kind, text))
        self._kind, self._text, self._is_glued = Kind.PARAGRAPH, "", False


def join_lines(one: str, other: str) -> str:
    """Two lines as one: with a space between, except where neither side's script has spaces."""
    one, other = one.rstrip(), other.lstrip()
    if not one or not other:
        return one + other
    return f"{one}{'' if _is_dense(one[-1]) and _is_dense(other[0]) else ' '}{other}"


def _is_dense(character: str) -> bool:
    """Whether it is of a script without spaces: Chinese and Japanese; Korean has some."""
    is_wide = unicodedata.east_asian_width(character) in ("W", "F")
    return is_wide and not "\u1100" <= character <= "\u11ff" and not "\uac00" <= character <= "\ud7af"
