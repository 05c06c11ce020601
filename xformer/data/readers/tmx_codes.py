"""What formatting code in a TMX segment is to the text around it: a gap between words, or nothing.

`line one<ph>&lt;br/&gt;</ph>line two` is two lines, `un<bpt i="1">&lt;b&gt;</bpt>believ<ept i="1">&lt;/b&gt;
</ept>able` is one word. TMX removes neither code nor tells which it is. Its content does, or its `type`.
"""

from __future__ import annotations

import re

# What divides text in HTML, DocBook, DITA and the like.
_DIVIDING = re.compile(
    r"""article|aside|blockquote|br|button|caption|cell|colbreak|dd|div|dl|dt|entry|figcaption|figure|footer|form
    |h[1-6]|header|hr|image|img|input|item|lb|li|line|linebreak|listitem|main|nav|newline|ol|option|p|page
    |pagebreak|para|paragraph|pb|pre|row|section|select|simpara|softbreak|tab|table|tbody|td|textarea|th|thead
    |title|tr|ul""",
    re.IGNORECASE | re.VERBOSE,
)
_DIVIDING_TYPES = frozenset({"alt", "cb", "fnote", "enote", "image", "lb", "pb", "struct", "tab"})
_FORMAT_TYPES = frozenset({"bold", "color", "dulined", "font", "italic", "link", "scap", "ulined"})
_TAG = re.compile(r"<\s*/?\s*(?:[\w.-]+:)?([A-Za-z][\w.-]*)")
# Of RTF, TeX and strings of programs.
_DIVIDING_CODE = re.compile(
    r"\\(?:par|line|tab|cell|row|page|n|r|t)(?![a-z])|&(?:nbsp|\#160|\#xa0);", re.IGNORECASE
)
# Hyphens and joiners that are not seen, and marks of keyboard shortcuts.
_INSIDE_WORDS = re.compile(
    r"[&_~\u00ad\u200b-\u200d\u2060\ufeff]|<\s*wbr\s*/?\s*>|\\-|&(?:amp|shy|zwn?j|\#173|\#xad|\#x200[bcd]|\#820[345]);?",
    re.IGNORECASE,
)
_OPENING = "([{«‹“‘„‚¿¡"
_CLOSING = ")]}»›”’.,;:!?…%。、，！？：；"


def divides(element: str, kind: str, content: str) -> bool:
    """Whether a code divides the words on its two sides.

    Args:
        element: its name in TMX: `ph` stands for something of its own, `bpt` and `ept` for the two ends of
            something, `it` for one of these, `ut` for any.
        kind: its attribute `type`, "" if it has none.
        content: the code.
    """
    if kind.lower() in _FORMAT_TYPES or _INSIDE_WORDS.fullmatch(content.strip("\n")):
        return False
    if kind.lower() in _DIVIDING_TYPES or _DIVIDING_CODE.search(content) or (content and content.isspace()):
        return True
    if names := _TAG.findall(content):
        dividing = any(map(_DIVIDING.fullmatch, names))
        return dividing or (element == "ph" and content.rstrip().endswith("/>"))
    return element == "ph"


def join_around_codes(parts: list[str | None]) -> str:
    """Join the text of a segment; None is a code that divides, and becomes a space if there is none."""
    text = ""
    gap = False
    for part in parts:
        if part is None:
            gap = True
        elif part:
            before, after = text[-1:], part[0]
            apart = before.isspace() or after.isspace() or before in _OPENING or after in _CLOSING
            text += f" {part}" if gap and not apart else part
            gap = False
    return text
