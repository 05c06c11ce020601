"""Words of a text in any script, and which tokens make up each."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

Span = tuple[int, int]
"""Start and end in characters of the text, the end not included."""

_JOINERS = "\u200c\u200d"  # zero-width: they join what stands around them, in Persian and in emoji


def split_words(text: str) -> tuple[Span, ...]:
    """Split at spaces and around punctuation.

    Letters, numbers and connectors (`_`) in a row are one word; a Chinese character is a word of its own, and
    so is any other sign. Marks belong to what precedes them, and zero-width joiners join both sides: no
    grapheme is split. So `Mann's Hut.` is `Mann`, `'`, `s`, `Hut`, `.`; Thai and kana, written without
    spaces, stay whole between signs.
    """
    spans: list[Span] = []
    base, joined = (
        "space",
        False,
    )  # kind of the last sign that is no mark or joiner; whether a joiner follows it
    for at, sign in enumerate(text):
        kind = _kind(sign)
        if kind == "space":
            base, joined = kind, False
            continue
        attached = kind in ("mark", "joiner")
        if base != "space" and (attached or joined or kind == base == "letter"):
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
        joined = kind == "joiner" or (joined and kind == "mark")
        if not attached:
            base = kind
        elif base == "space":
            base = "sign"
    return tuple(spans)


def words_of_spans(tokens: Sequence[Span], words: Sequence[Span]) -> tuple[int, ...]:
    """The word of each token: the one it shares most characters with; -1 where it shares none.

    Args:
        tokens: a span for each token; special tokens have empty ones.
        words: as from `split_words`, in order.
    """
    found = []
    for start, end in tokens:
        shared = [min(end, stop) - max(start, begin) for begin, stop in words]
        best = max(shared, default=0)
        found.append(shared.index(best) if best > 0 else -1)
    return tuple(found)


def _kind(sign: str) -> str:
    if sign.isspace():
        return "space"
    if sign in _JOINERS:
        return "joiner"
    category = unicodedata.category(sign)
    if category[0] == "M":
        return "mark"
    if unicodedata.name(sign, "").startswith("CJK "):
        return "sign"
    return "letter" if category[0] in "LN" or category == "Pc" else "sign"
