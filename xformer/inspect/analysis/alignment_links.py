"""Word alignments as sets of links: Pharaoh's format, a gold standard with sure and possible links, scores.

A link (i, j) joins word i of the left text with word j of the right one, both counted from 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xformer.data.readers.lines import read_lines
from xformer.errors import InputError

Links = frozenset[tuple[int, int]]
"""Links of one sentence pair."""

MULTI30K_EN_DE = "multi30k-en-de"
"""The gold standard that comes with the package: the first 50 pairs of Multi30k's test_2016_flickr. Only its
line numbers and links are here; the text is that of the dataset."""

_LINK = re.compile(r"(\d+)([-p])(\d+)")


@dataclass(frozen=True)
class Gold:
    """What annotators say of one pair.

    Attributes:
        line: the pair's line in both texts, from 1.
        sure: links that any annotator would draw.
        possible: links that one may draw; the sure ones among them.
        words: number of words left and right; None where the file does not say.
    """

    line: int
    sure: Links
    possible: Links
    words: tuple[int, int] | None = None


@dataclass(frozen=True)
class AlignmentScores:
    """Scores of an alignment, over all links of all pairs (Och and Ney 2003, section 5).

    With links A, sure links S and possible links P ⊇ S:
    precision |A∩P| / |A|, recall |A∩S| / |S|, AER 1 − (|A∩S| + |A∩P|) / (|A| + |S|).

    Attributes:
        precision: of the links found, the share that is possible; 1 where none was found.
        recall: of the sure links, the share that was found; 1 where there are none.
        aer: alignment error rate, from 0 (best) to 1.
        links: number of links found.
    """

    precision: float
    recall: float
    aer: float
    links: int

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def alignment_scores(pairs: Iterable[tuple[Links, Gold]]) -> AlignmentScores:
    """Score the links of several pairs together, each link with the same weight."""
    found = sure = hit_sure = hit_possible = 0
    for links, gold in pairs:
        found += len(links)
        sure += len(gold.sure)
        hit_sure += len(links & gold.sure)
        hit_possible += len(links & gold.possible)
    return AlignmentScores(
        precision=hit_possible / found if found else 1.0,
        recall=hit_sure / sure if sure else 1.0,
        aer=1 - (hit_sure + hit_possible) / (found + sure) if found + sure else 0.0,
        links=found,
    )


def alignment_error_rate(links: Links, sure: Links, possible: Links = frozenset()) -> float:
    """AER of one pair's links; `possible` is taken to include `sure` (Och and Ney 2003, equation 22)."""
    return alignment_scores([(links, Gold(1, sure, possible | sure))]).aer


def to_pharaoh(links: Links, possible: Links = frozenset()) -> str:
    """Write links as `0-0 1-2`, in order; those of `possible` that are not in `links` as `3p4`."""
    marked = [(*link, "-") for link in links] + [(*link, "p") for link in possible - links]
    return " ".join(f"{left}{mark}{right}" for left, right, mark in sorted(marked))


def from_pharaoh(line: str, place: str = "line") -> tuple[Links, Links]:
    """Read `0-0 1-2 3p4`.

    Returns:
        The sure links, and the possible links with the sure ones among them.

    Raises:
        InputError: something is not a link; the message begins with `place`.
    """
    sure, possible = set(), set()
    for part in line.split():
        if (found := _LINK.fullmatch(part)) is None:
            raise InputError(f"{place}: expected links as 0-0 (sure) or 0p0 (possible), got {part!r}")
        link = int(found[1]), int(found[3])
        possible.add(link)
        if found[2] == "-":
            sure.add(link)
    return frozenset(sure), frozenset(possible)


def read_gold(path: str | os.PathLike[str]) -> list[Gold]:
    """Read a gold standard.

    Lines that begin with `#` are comments. Others are either Pharaoh's links, the n-th line for the n-th
    pair, or `LINE⇥WORDS WORDS⇥LINKS` with the pair's line number and its numbers of words, left and right.

    Args:
        path: a file, or the name of a standard that comes with the package: `multi30k-en-de`.

    Raises:
        InputError: a line is neither, a link lies outside the words, or nothing is there.
    """
    if os.fspath(path) == MULTI30K_EN_DE:
        path = Path(__file__).with_name(f"{MULTI30K_EN_DE}.gold")
    found = list(_read(path))
    if not found:
        raise InputError(f"{path}: expected links, got no line of them")
    return found


def _read(path: str | os.PathLike[str]) -> Iterator[Gold]:
    count = 0
    for number, line in enumerate(read_lines(path), 1):
        if line.startswith("#"):
            continue
        count += 1
        place = f"{path}:{number}"
        at, words = count, None
        if "\t" in line:
            fields = line.split("\t")
            sizes = fields[1].split()
            if len(fields) != 3 or len(sizes) != 2 or not all(map(str.isdecimal, [fields[0], *sizes])):
                raise InputError(f"{place}: expected line⇥words words⇥links, got {line[:80]!r}")
            at, words, line = int(fields[0]), (int(sizes[0]), int(sizes[1])), fields[2]
        sure, possible = from_pharaoh(line, place)
        gold = Gold(at, sure, possible, words)
        if words is not None:
            check_links(possible, words, place)
        yield gold


def check_links(links: Links, words: tuple[int, int], place: str) -> None:
    """Check that links join words that exist.

    Raises:
        InputError: one does not; the message begins with `place`.
    """
    for left, right in sorted(links):
        if left >= words[0] or right >= words[1]:
            raise InputError(
                f"{place}: link {left}-{right} lies outside of {words[0]} and {words[1]} words, from 0"
            )
