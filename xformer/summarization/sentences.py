"""Sentences of a text, in any script.

A sentence ends at a line with nothing on it, or behind the marks that Unicode calls `Sentence_Terminal` and
what closes quotes and brackets after them (Unicode Standard Annex 29, rules SB8 to SB11). In scripts with
spaces a space must follow, and no small letter or digit; so "3.5 mm" and "e.g. this" are no ends.
"""

from __future__ import annotations

import re
import unicodedata

_CLOSE = r"(?:[\"'”’»›)\]}」』】〉》）］｣\u0f3b\u0f3d]|[\u00a0\u202f ]»)*"
_SPACED = (
    r"[.!?…‽⁇⁈⁉\u0589\u061d-\u061f\u06d4\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b"
    r"\u1362\u1367\u1368\u166e\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c"
    r"\u1c7e\u1c7f\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb]+"
)
_UNSPACED = r"[。！？．｡]+"
"""Ends a sentence whatever follows: Chinese and Japanese put no space behind it."""
_END = re.compile(rf"{_UNSPACED}{_CLOSE}\s*|{_SPACED}{_CLOSE}(?:\s+|$)")
_BLANK = re.compile(r"\n[ \t]*\n\s*")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, in order, without white space at their ends; none is empty.

    >>> split_sentences("It costs 3.5 M. That is much, e.g. for us. 高い。本当？")
    ['It costs 3.5 M.', 'That is much, e.g. for us.', '高い。', '本当？']
    """
    found: list[str] = []
    for paragraph in _BLANK.split(text):
        begin = 0
        for match in _END.finditer(paragraph):
            if not _goes_on(paragraph[begin : match.end()].rstrip(), paragraph[match.end() :]):
                found.append(paragraph[begin : match.end()])
                begin = match.end()
        found.append(paragraph[begin:])
    return [sentence for part in found if (sentence := part.strip())]


def _goes_on(sentence: str, rest: str) -> bool:
    """Whether a full stop is one of an abbreviation: a small letter follows, or it stands behind initials."""
    if not rest or not sentence.endswith("."):
        return False
    if unicodedata.category(rest[0]) == "Ll":
        return True
    *before, last = sentence.split()
    return bool(_INITIALS.fullmatch(last)) and (not before or before[-1][0].isupper())
