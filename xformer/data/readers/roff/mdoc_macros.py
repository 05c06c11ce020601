"""The macros of mdoc(7): their calls become blocks. Source: mdoc(7) of mandoc, groff_mdoc(7)."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.data.readers.roff.blocks import BlockWriter, Kind
from xformer.data.readers.roff.mdoc_words import CALLABLE, MdocWords

_PARAGRAPHS, _BREAKS = frozenset({"Pp", "Lp", "sp"}), frozenset({"br", "ti", "in", "ce"})
_LINES = frozenset({"Dl", "D1"})  # examples of one line
_TAGGED = frozenset({"-tag", "-hang", "-ohang", "-inset", "-diag"})
_DRAWN = frozenset({"TS", "EQ", "PS", "GS"})
KEPT_BY_MDOC = CALLABLE | _PARAGRAPHS | {"Sh", "Ss", "Bl", "El", "It", "Bd", "Ed", "Dl", "D1"}
MDOC_STRINGS = {
    "Lq": "“",
    "Rq": "”",
    "lq": "“",
    "rq": "”",
    "Le": "≤",
    "Ge": "≥",
    "Ne": "≠",
    "Lt": "<",
    "Gt": ">",
    "Pm": "±",
    "If": "∞",
    "Pi": "π",
    "Na": "NaN",
    "Ba": "|",
    "Am": "&",
    "q": '"',
    "ua": "↑",
    "aa": "´",
    "ga": "`",
    "R": "®",
}


class MdocMacros:
    """The macros of mdoc(7), and the lists and displays that are open.

    Attributes:
        out: where blocks are written.
    """

    def __init__(self, out: BlockWriter) -> None:
        self.out = out
        self._words = MdocWords()
        self._lists: list[str] = []
        self._displays: list[bool] = []  # whether they are verbatim
        self._is_glued = self._is_reference = self._is_tag = False
        self._open = 0  # extended tags: It Xo … Xc

    def line(self, text: str) -> None:
        """Take in a line of text."""
        if not text.strip():
            self.out.begin(Kind.PARAGRAPH)
        elif not self._is_silent:
            self.out.add(text, glued=self._is_glued)
            self._is_glued = False

    @property
    def _is_silent(self) -> bool:
        return any(self._displays) or "-column" in self._lists or self._is_reference

    def call(self, name: str, arguments: Sequence[str]) -> None:
        """Take in the call of a macro."""
        if name in ("Sh", "Ss"):
            self._lists, self._displays, self._is_reference, self._open = [], [], False, 0
            self.out.begin(Kind.SECTION if name == "Sh" else Kind.SUBSECTION)
            self._print("No", arguments)
            self.out.begin(Kind.PARAGRAPH)
        elif name == "Bd":
            self._displays.append(bool({"-literal", "-unfilled"} & set(arguments)))
            self.out.mark(Kind.VERBATIM if self._displays[-1] else Kind.INDENT)
        elif name == "Ed":
            is_verbatim = self._displays.pop() if self._displays else True
            self.out.begin(Kind.PARAGRAPH) if is_verbatim else self.out.mark(Kind.OUTDENT)
        elif name == "Bl":
            self._lists.append(next((word for word in arguments if word.startswith("-")), "-item"))
            self.out.mark(Kind.DRAWN if self._lists[-1] == "-column" else Kind.INDENT)
        elif name == "El":
            kind = self._lists.pop() if self._lists else ""
            self.out.begin(Kind.PARAGRAPH) if kind == "-column" else self.out.mark(Kind.OUTDENT)
        elif name in ("Rs", "Re"):
            self._is_reference = name == "Rs"
        elif self._is_silent:
            return
        elif name == "It":
            self._item(arguments)
        elif name in _PARAGRAPHS or name in _BREAKS:
            self.out.begin(Kind.PARAGRAPH if name in _PARAGRAPHS else Kind.LINE)
        elif name in _LINES:
            self.out.mark(Kind.VERBATIM)
        elif name in _DRAWN:
            self.out.mark(Kind.DRAWN)
        elif name in CALLABLE:
            self._print(name, arguments)
            self._close_tag((name, *arguments))

    def _item(self, arguments: Sequence[str]) -> None:
        if not self._lists or self._lists[-1] not in _TAGGED:
            self.out.begin(Kind.ITEM)
            return
        self.out.begin(Kind.TAG)
        self._is_tag, self._open = True, 0
        self._print("No", arguments)
        self._close_tag(arguments)

    def _close_tag(self, words: Sequence[str]) -> None:
        if self._is_tag:
            self._open += words.count("Xo") - words.count("Xc")
            if self._open <= 0:
                self._is_tag = False
                self.out.begin(Kind.PARAGRAPH)

    def _print(self, macro: str, arguments: Sequence[str]) -> None:
        text = self._words.line(macro, arguments)
        self.out.add(text.lstrip(), glued=self._is_glued or (bool(text) and not text.startswith(" ")))
        self._is_glued = self._words.goes_on
