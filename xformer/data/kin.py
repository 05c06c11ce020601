"""Languages of few texts, and the kin that they are joined into."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from xformer.data.languages import canonical_language, likely_script

SmallLanguages = Literal["drop", "join"]
"""What becomes of languages of few texts in an import."""


def join_small(counts: Mapping[str, int], least: int) -> dict[str, str]:
    """Join languages of few texts into their nearest kin, the smallest first.

    Kin have the same language and the same script. The nearest is what is left of the tag without its last
    parts: `sr-Latn-ijekavsk` joins `sr-Latn`, `de-AT` joins `de`. Where the corpus has none of these, it is
    the one with most texts: `de-AT` joins `de-DE`. Two that are small may become one that is not.

    Args:
        counts: number of texts by language tag.
        least: languages with fewer are small.

    Returns:
        The tag that each joined language becomes. Small languages without kin are not in it; nor are those
        that became large enough, or are still small, by what joined them.
    """
    sizes, becomes = dict(counts), dict[str, str]()
    while True:
        small = sorted((size, tag) for tag, size in sizes.items() if size < least)
        joined = next(((tag, kin) for _, tag in small if (kin := nearest_kin(tag, sizes))), None)
        if joined is None:
            return becomes
        tag, kin = joined
        sizes[kin] += sizes.pop(tag)
        becomes = {old: kin if new == tag else new for old, new in becomes.items()} | {tag: kin}


def nearest_kin(tag: str, sizes: Mapping[str, int]) -> str | None:
    """The nearest kin of a language among others; None if it has none.

    Args:
        tag: of the language.
        sizes: number of texts by language tag; may have the language itself.
    """
    script = likely_script(tag)
    primary = canonical_language(tag).partition("-")[0]
    kin = {
        other
        for other in sizes
        if other != tag
        and canonical_language(other).partition("-")[0] == primary
        and likely_script(other) == script
    }
    for shorter in _shorter(tag, script):
        if shorter in kin:
            return shorter
    return _largest(kin, sizes)


def _shorter(tag: str, script: str | None) -> Iterator[str]:
    """The tag without its last part, without its last two, …; then the language with its script."""
    parts = tag.split("-")
    for count in range(len(parts) - 1, 0, -1):
        yield "-".join(parts[:count])
    if script:
        yield f"{parts[0]}-{script}"


def _largest(tags: Collection[str], sizes: Mapping[str, int]) -> str | None:
    return min(tags, key=lambda tag: (-sizes[tag], tag), default=None)
