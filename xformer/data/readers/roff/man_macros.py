"""The macros of man(7): their calls become blocks. Source: groff_man(7), man(7) of mandoc."""

from __future__ import annotations

from xformer.data.readers.roff.blocks import BlockWriter, Kind
from xformer.data.readers.roff.escapes import plain

_FONTS = frozenset({"B", "I", "R", "SM", "SB"})
_PAIRS_OF_FONTS = frozenset({"BI", "BR", "IB", "IR", "RB", "RI"})
_PARAGRAPHS = frozenset({"PP", "LP", "P", "HP", "sp"})
_BREAKS = frozenset({"br", "ti", "in", "ce", "fi", "bp", "brp", "EE"})
_VERBATIM, _FILLED = frozenset({"nf", "EX"}), frozenset({"fi", "EE"})
_DRAWN = frozenset({"TS", "EQ", "PS", "GS"})
_LINKS, _WHOLE_LINKS = {"UR": "UE", "MT": "ME"}, frozenset({"URL", "MTO"})
# What a page may define again for systems that lack it; it means the same.
KEPT_BY_MAN = (
    _FONTS | _PAIRS_OF_FONTS | (_PARAGRAPHS - {"sp"}) | _WHOLE_LINKS | {"EX", "EE", "UR", "UE", "MT", "ME"}
) | frozenset({"TH", "SH", "SS", "TP", "TQ", "IP", "RS", "RE", "SY", "YS", "OP", "MR", "PD"})
MAN_STRINGS = {"R": "®", "S": "", "Tm": "™", "lq": "“", "rq": "”"}


class ManMacros:
    """The macros of man(7), and what those before say about the next line.

    Attributes:
        out: where blocks are written.
    """

    def __init__(self, out: BlockWriter) -> None:
        self.out = out
        self._waits: Kind | None = None  # the next line is a heading or a tag
        self._is_verbatim = self._is_synopsis = False
        self._link: str | None = None

    def line(self, text: str) -> None:
        """Take in a line of text."""
        if self._is_verbatim or self._is_synopsis:
            return
        if not text.strip():
            if self._waits is None:
                self.out.begin(Kind.PARAGRAPH)
        elif text[0] in " \t" and self._waits is None:
            self.out.mark(Kind.VERBATIM)
        else:
            self._print(text)

    def call(self, name: str, arguments: tuple[str, ...]) -> None:
        """Take in the call of a macro."""
        if name in ("SH", "SS"):
            self._is_verbatim = self._is_synopsis = False
            self._head(Kind.SECTION if name == "SH" else Kind.SUBSECTION, arguments)
        elif name in _DRAWN:
            self.out.mark(Kind.DRAWN)
        elif self._is_verbatim or self._is_synopsis:
            if name in _FILLED or name == "YS":
                self._is_verbatim = self._is_synopsis = False
                self.out.begin(Kind.PARAGRAPH)
            elif name in ("RS", "RE"):
                self.out.mark(Kind.INDENT if name == "RS" else Kind.OUTDENT)
        elif name in _FONTS:
            self._print(" ".join(arguments))
        elif name in _PAIRS_OF_FONTS:
            self._print("".join(arguments))
        elif name in _PARAGRAPHS:
            self._break(Kind.PARAGRAPH)
        elif name in ("TP", "TQ"):
            self._wait(Kind.TAG)
        elif name == "IP":
            self._item(arguments)
        elif name in ("RS", "RE"):
            self.out.mark(Kind.INDENT if name == "RS" else Kind.OUTDENT)
        elif name in _VERBATIM or name == "SY":
            self._is_verbatim, self._is_synopsis = name != "SY", name == "SY"
            self.out.mark(Kind.VERBATIM)
        elif name in _BREAKS:
            self._break(Kind.LINE)
        else:
            self._reference(name, arguments)

    def _reference(self, name: str, arguments: tuple[str, ...]) -> None:
        if name in _LINKS:
            self._link = arguments[0] if arguments else ""
        elif name in _LINKS.values() and self._link is not None:
            if self._link:
                self._print(self._link)
            self._link = None
            self.out.add("".join(arguments[:1]), glued=True)
        elif name in _WHOLE_LINKS and arguments:
            address, text, after = (*arguments, "", "")[:3]
            self._print((text or address) + after)
        elif name == "MR" and arguments:
            page, section, after = (*arguments, "", "")[:3]
            self._print(f"{page}({section}){after}")

    def _head(self, kind: Kind, arguments: tuple[str, ...]) -> None:
        if not arguments:
            self._wait(kind)
            return
        self.out.begin(kind)
        self.out.add(" ".join(arguments))
        self._break(Kind.PARAGRAPH)

    def _item(self, arguments: tuple[str, ...]) -> None:
        self._waits = None
        tag = plain(arguments[0]).strip() if arguments else ""
        # A mark or a number is no tag: what follows is an item all the same.
        if not any(character.isalpha() for character in tag) or len(tag.strip(".()[]")) < 2:
            self.out.begin(Kind.ITEM)
            return
        self.out.begin(Kind.TAG)
        self.out.add(arguments[0])
        self.out.begin(Kind.PARAGRAPH)

    def _wait(self, kind: Kind) -> None:
        self.out.begin(kind)
        self._waits = kind

    def _break(self, kind: Kind) -> None:
        if self._waits is None or not self.out.is_empty:
            self._waits = None
            self.out.begin(kind)

    def _print(self, text: str) -> None:
        if not text:  # a font without a text is for the next line
            return
        self._link = "" if self._link is not None else None
        self.out.add(text)
        if self._waits is not None and not text.rstrip().endswith("\\c") and not self.out.is_empty:
            self._waits = None
            self.out.begin(Kind.PARAGRAPH)
