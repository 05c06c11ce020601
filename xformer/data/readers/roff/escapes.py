"""The escape sequences of roff, from a backslash to their end, and the characters that they stand for.

Source: groff(7), "Escape sequences".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from xformer.data.readers.roff.glyphs import character, glyph

_NAME = r"(?:\[[^\]]*\]|\(..|[^\[(])"
_SIZE = r"(?:\[[^\]]*\]|\(..|[0-9])"
ESCAPE = re.compile(
    rf"""\\(?:
      (?P<sign>[*nfFgkmMOVY])(?P<name>(?:(?<=n)[+-])?{_NAME})    # a string, a register, a font, …
    | s(?:[+-]?{_SIZE}|[+-]?'[^']*'|(?=[^+-]))   # a size of type
    | (?P<quoted>[AbBCDhHlLNoRSvwxXZ])(?P<quote>[^\w\s\\]|\\.)(?P<content>.*?)(?:(?P=quote)|$)
    | \[(?P<long>[^\]]*)\]
    | \((?P<two>..)
    | \$(?P<argument>[*@^]|{_NAME})
    | z(?=.)
    | (?P<one>.)
    | $
    )""",
    re.VERBOSE | re.DOTALL,
)
# One character after the backslash: those that stand for others, and those that print nothing. All others
# print themselves, as in groff.
_ONE = {" ": " ", "~": " ", "0": " ", "t": " ", "p": " ", "e": "\\", "\\": "\\", "'": "´"}
_NOTHING = frozenset("&)/,|^%:{}!?#\nacdru")
_COMMENT = re.compile(r"((?:[^\\]|\\[^\"#])*)\\[\"#].*", re.DOTALL)
_DEPTH = 8


def without_comment(line: str) -> str:
    r"""A line up to `\"` or `\#`."""
    if "\\" not in line or (found := _COMMENT.match(line)) is None:
        return line
    return found[1]


def is_continued(line: str) -> bool:
    """Whether a line ends in a backslash of its own, and so goes on in the next."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def expand(line: str, lookup: Callable[[str, str], str]) -> str:
    r"""Replace strings (`\*x`), registers (`\n[x]`), arguments (`\$1`) and widths (`\w'x'`).

    Args:
        line: of which other escapes stay as they are.
        lookup: gets the sign (`*`, `n`, `$`, `w`) and the name or content, and gives the text.
    """

    def replace(found: re.Match[str]) -> str:
        if found["sign"] and found["sign"] in "*n":
            return lookup(found["sign"], bare_name(found["name"]))
        if found["argument"]:
            return lookup("$", bare_name(found["argument"]))
        if found["quoted"] == "w":
            return lookup("w", found["content"])
        return found[0]

    return ESCAPE.sub(replace, line) if "\\" in line else line


def bare_name(name: str) -> str:
    """A name without what shows its length: `x`, `(xx` → `xx`, `[xxx]` → `xxx`; and without a sign."""
    name = name[1:] if len(name) > 1 and name[0] in "+-" else name
    return name[1:-1] if name.startswith("[") else name.removeprefix("(")


def plain(text: str, depth: int = 0) -> str:
    r"""The characters that a text stands for, without fonts, sizes and motions.

    Args:
        text: after `expand`: what is left of strings and registers prints nothing.
        depth: how many escapes with contents are around it.
    """
    if "\\" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        if (one := found["one"]) is not None:
            if one in _ONE:
                return _ONE[one]
            return "" if one in _NOTHING else one
        if (name := found["long"] or found["two"]) is not None:
            return glyph(name) or (name if len(name) == 1 else "")
        if quoted := found["quoted"]:
            return _of_quoted(quoted, found["content"], depth)
        return ""

    return ESCAPE.sub(replace, text.replace("\\E", "\\"))


def _of_quoted(letter: str, content: str, depth: int) -> str:
    if letter == "C":
        return glyph(content) or ""
    if letter == "N":
        return character(int(content)) if content.isdecimal() and len(content) < 8 else ""
    if letter == "Z":
        return plain(content, depth + 1) if depth < _DEPTH else ""
    if letter == "o":  # characters on top of one another: the first is the letter
        return plain(content, depth + 1)[:1] if depth < _DEPTH else ""
    if letter == "h":  # a motion to the right is a space, a small or a backward one is none
        return " " if re.match(r"[1-9]\d*([nm]|$)", content) else ""
    return ""
