"""Which paragraphs of two pages say the same: those at the same place of sections that are built alike.

Tools such as po4a translate paragraph by paragraph and keep the macros between. So where a section of a
translation has the macros of the original's in their order, its paragraphs are translations one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from xformer.data.readers.roff.blocks import TEXTS, Block, Kind

# What is the same in all languages: options, other pages, paths and numbers.
LITERAL = re.compile(
    r"(?<![\w-])--?[A-Za-z0-9][\w-]*|[\w.+:-]+\(\d\w*\)|(?<!\w)/[\w./-]+|\d+(?:[.,]\d+)*|[A-Za-z]\w*_\w+"
)

_ADDRESS = re.compile(r"\w+://\S+|\S+@\S+")
_LEAST_ALIKE = 0.75  # of the sections
# How much longer or shorter a translation may be than those of its page, and by how many characters more.
_RATIO, _SLACK = 2.2, 20


def sections(blocks: Sequence[Block], kind: Kind = Kind.SECTION) -> list[list[Block]]:
    """Divide blocks before each heading of a kind; what stands before the first is the first part."""
    parts: list[list[Block]] = [[]]
    for block in blocks:
        if block.kind is kind:
            parts.append([])
        parts[-1].append(block)
    return parts


def pair_pages(
    original: Sequence[Block], translation: Sequence[Block]
) -> tuple[list[tuple[Block, Block]], list[Block], list[Block]]:
    """Pair the blocks of a translation with those of the original.

    Nothing is paired unless most sections are built alike: else the pages are of two versions, and what is
    alike is so by chance. Single pairs are left out whose literals or lengths do not fit.

    Returns:
        Pairs of an original and a translation; blocks of the translation without a partner; the blocks of a
        last section that only the translation has, in which translators name themselves.
    """
    ours, theirs = sections(original), sections(translation)
    if len(theirs) - len(ours) not in (0, 1):
        return [], list(translation), []
    added = theirs.pop() if len(theirs) > len(ours) else []
    alike = sum(_shape(one) == _shape(other) for one, other in zip(ours, theirs, strict=True))
    if alike < _LEAST_ALIKE * len(ours):
        return [], [block for part in theirs for block in part], added
    found: list[tuple[Block, Block]] = []
    alone: list[Block] = []
    for one, other in _parts(ours, theirs):
        part = list(zip(one, other, strict=False))
        if _shape(one) == _shape(other) and _agree(part):
            found += part
        else:
            alone += other
    ratio = sum(len(other.text) for _, other in found) / max(1, sum(len(one.text) for one, _ in found))
    pairs: list[tuple[Block, Block]] = []
    for pair in found:
        if _fits(*pair, ratio):
            pairs.append(pair)
        else:
            alone.append(pair[1])
    return pairs, alone, added


def _parts(
    ours: Sequence[list[Block]], theirs: Sequence[list[Block]]
) -> Iterator[tuple[list[Block], list[Block]]]:
    """Sections with each other; of those built otherwise the subsections, if they are equally many."""
    for one, other in zip(ours, theirs, strict=True):
        parts = [sections(blocks, Kind.SUBSECTION) for blocks in (one, other)]
        if _shape(one) != _shape(other) and len(parts[0]) == len(parts[1]):
            yield from zip(*parts, strict=True)
        else:
            yield one, other


def _shape(blocks: Sequence[Block]) -> str:
    return "".join(block.kind for block in blocks)


def _agree(pairs: Sequence[tuple[Block, Block]]) -> bool:
    """Whether what is the same in all languages is the same in most blocks of a section that have any."""
    same = compared = 0
    for pair in pairs:
        one, other = map(_literals, pair)
        if one or other:
            compared += 1
            same += 2 * len(one & other) >= len(one | other)
    return 3 * same >= 2 * compared


def _fits(one: Block, other: Block, ratio: float) -> bool:
    """Whether two blocks may say the same: they share a literal, if they have some, and are as long.

    Args:
        one: the original.
        other: the translation.
        ratio: of lengths, in the whole page.
    """
    literals = _literals(one), _literals(other)
    if not literals[0] & literals[1] and max(map(len, literals)) > (0 if all(literals) else 1):
        return False
    if not one.text or not ratio:
        return True
    slack = _SLACK / len(one.text)
    return 1 / _RATIO - slack < len(other.text) / len(one.text) / ratio < _RATIO + slack


def _literals(block: Block) -> set[str]:
    return set(LITERAL.findall(block.text))


def is_prose(block: Block) -> bool:
    """Whether a block has words, not only names, options, numbers and signs."""
    if block.kind not in TEXTS:
        return False
    rest = LITERAL.sub(" ", _ADDRESS.sub(" ", block.text))
    letters = sum(character.isalpha() or bool(unicodedata.combining(character)) for character in rest)
    if block.kind in (Kind.SECTION, Kind.SUBSECTION):
        return letters > 1
    if 2 * letters < len("".join(rest.split())):
        return False
    words = re.findall(r"[^\W\d_]{2,}", rest)
    dense = sum(unicodedata.east_asian_width(character) == "W" for character in rest)
    return dense > 2 or (len(words) > 1 and not all(map(str.isupper, words)))
