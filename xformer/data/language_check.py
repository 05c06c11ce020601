"""Hints that the texts of two languages are swapped, or that a text is in another language than its tag says.

Two signs are used: the script of the letters against the script that a language is mostly written in
(CLDR), and frequent words (`function_words`) for languages of one script. Both are counted in blocks of
lines, so that a part of a file can be found. Where the signs are weak (short or mixed texts, languages that
are not known here, close relatives), nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from xformer.data.batches import stretches
from xformer.data.function_words import words_of
from xformer.data.language_evidence import Evidence, EvidenceCounter, primary
from xformer.data.languages import language_name
from xformer.data.record import Record

_MOST_LINE = 2**62  # so that numbers fit into 64 bits
_LEAST_LINES, _MOST_BLOCKS = 500, 64  # lines that are judged together, and how many times in a file


@dataclass(frozen=True)
class _Side:
    """One language in one file, with the evidence of each block of lines."""

    file: str
    tag: str
    blocks: dict[int, Evidence] = field(default_factory=dict)

    @property
    def whole(self) -> Evidence:
        return sum(self.blocks.values(), Evidence())


class LanguageCheck:
    """Watches the records of an import, and says at the end what looks swapped.

    Memory: for every file and language, the counts of at most `_MOST_BLOCKS` blocks of lines; the blocks grow
    with the file.
    """

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], _Side] = {}
        self._counter = EvidenceCounter()
        self._lines = _LEAST_LINES

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, counting what they are written in, many at a time."""
        for some in stretches(records):
            self._count(some)
            yield from some

    def _count(self, records: Sequence[Record]) -> None:
        files, lines = list[str](), list[int]()
        for record in records:
            file, _, number = record.source.rpartition(":")
            files.append(file)
            lines.append(min(max(int(number), 1), _MOST_LINE) if number.isdecimal() else 1)
        line = np.array(lines, dtype=np.int64)
        while int(line.max()) > self._lines * _MOST_BLOCKS:
            self._double()
        numbers = ((line - 1) // self._lines).tolist()
        found: dict[tuple[str, str, int], int] = {}
        parts = [
            found.setdefault((file, record.language, number), len(found))
            for record, file, number in zip(records, files, numbers, strict=True)
        ]
        first, last = np.full(len(found), _MOST_LINE), np.zeros(len(found), dtype=np.int64)
        np.minimum.at(first, parts, line)
        np.maximum.at(last, parts, line)
        blocks = [self._block(*name) for name in found]
        for block, lowest, highest in zip(blocks, first.tolist(), last.tolist(), strict=True):
            block.see(lowest, highest)
        self._counter.count([record.text for record in records], parts, blocks)

    def _block(self, file: str, tag: str, number: int) -> Evidence:
        side = self._sides.setdefault((file, tag), _Side(file, tag))
        return side.blocks.setdefault(number, Evidence())

    def _double(self) -> None:
        """Join every two neighbouring blocks."""
        self._lines *= 2
        for side in self._sides.values():
            halves = dict(side.blocks)
            side.blocks.clear()
            for number, block in halves.items():
                side.blocks[number // 2] = side.blocks.get(number // 2, Evidence()) + block

    def hints(self) -> list[str]:
        """A line for each two languages that look swapped, and for each text in another language of these."""
        sides, lines = list(self._sides.values()), list[str]()
        whole = {(side.file, side.tag): side.whole for side in sides}
        swapped: set[tuple[str, str]] = set()
        for one, other in combinations(sides, 2):
            if one.tag == other.tag:
                continue
            names = (one.file, one.tag), (other.file, other.tag)
            if _swapped(one.tag, whole[names[0]], other.tag, whole[names[1]]):
                swapped.update(names)
                seen = whole[names[0]]
                lines.append(_said(one, other, [(seen.first, seen.last)]))
                continue
            both = sorted(one.blocks.keys() & other.blocks.keys())
            found = [
                (one.blocks[number].first, one.blocks[number].last)
                for number in both
                if _swapped(one.tag, one.blocks[number], other.tag, other.blocks[number])
            ]
            if found:
                swapped.update(names)
                lines.append(_said(one, other, found))
        tags = sorted({side.tag for side in sides})
        for side in sides:
            if (side.file, side.tag) in swapped:
                continue
            seen = whole[side.file, side.tag]
            for tag in tags:
                # Serbian is written in two scripts; its Latin texts are not taken for Croatian.
                shared = words_of(primary(tag)) <= words_of(primary(side.tag))
                if not shared and seen.looks_like(tag, side.tag) and seen.has_words_of(tag):
                    said = f"looks like {language_name(tag)}, not {language_name(side.tag)}"
                    lines.append(f"{side.file}: the text with the tag {side.tag} {said}; is the tag right?")
                    break
        return lines


def _swapped(tag: str, seen: Evidence, other_tag: str, other_seen: Evidence) -> bool:
    """Whether two texts look as if each had the tag of the other."""
    like_other, like_this = seen.looks_like(other_tag, tag), other_seen.looks_like(tag, other_tag)
    if like_other and like_this:
        return True
    # Of a language whose words are not known, only the other's absence can be seen.
    if like_this and not words_of(primary(other_tag)):
        return seen.lacks(tag)
    if like_other and not words_of(primary(tag)):
        return other_seen.lacks(other_tag)
    return False


def _said(one: _Side, other: _Side, found: list[tuple[int, int]]) -> str:
    ranges: list[tuple[int, int]] = []
    for first, last in found:
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
    where = ", ".join(f"{first:,} to {last:,}" for first, last in ranges[:3]) + (" …" if ranges[3:] else "")
    this, that = language_name(one.tag), language_name(other.tag)
    if one.file == other.file:
        looks = f"{one.file}: the {this} texts look like {that} and the {that} texts like {this}"
        what = "languages"
    else:
        looks, what = f"{one.file} looks like {that} and {other.file} like {this}", "files"
    return f"{looks} (lines {where}): are the two {what} swapped?"
