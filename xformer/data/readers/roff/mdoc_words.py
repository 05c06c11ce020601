"""The words of a line of mdoc(7): macros that call others among their arguments, and punctuation.

Source: mdoc(7) of mandoc, groff_mdoc(7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_OPENING, _CLOSING = frozenset("(["), frozenset(".,:;)]?!")
_DELIMITERS = _CLOSING | {"|"}
# Enclosures: up to the end of the line, and up to a macro of their own.
_ENCLOSE = {
    "Aq": "<>",
    "Bq": "[]",
    "Brq": "{}",
    "Dq": "“”",
    "Op": "[]",
    "Pq": "()",
    "Ql": "‘’",
    "Qq": '""',
    "Sq": "‘’",
}
_OPEN = {
    "Ao": "<",
    "Bo": "[",
    "Bro": "{",
    "Do": "“",
    "Oo": "[",
    "Po": "(",
    "Qo": '"',
    "So": "‘",
    "Eo": "",
    "Xo": "",
}
_CLOSE = {
    "Ac": ">",
    "Bc": "]",
    "Brc": "}",
    "Dc": "”",
    "Oc": "]",
    "Pc": ")",
    "Qc": '"',
    "Sc": "’",
    "Ec": "",
    "Xc": "",
}
_DEFAULTS = {"Ar": "file ...", "Pa": "~", "Mt": "~", "Li": "", "Fl": "-"}
_SYSTEMS = {
    "Ux": "UNIX",
    "Bx": "BSD",
    "Fx": "FreeBSD",
    "Nx": "NetBSD",
    "Ox": "OpenBSD",
    "Dx": "DragonFly",
    "Bsx": "BSD/OS",
}
_INLINE = (
    frozenset(
        {"Ad", "An", "Cd", "Cm", "Dv", "Em", "Er", "Ev", "Fa", "Fr", "Ft", "Ic", "Lb", "Li", "Ms", "Mt"}
    )
    | {"Nm", "No", "Pa", "Sx", "Sy", "Ta", "Tg", "Tn", "Va", "Vt"}
    | {"Ar", "At", "Fl", "Fn", "In", "Lk", "St", "Xr"}
    | _SYSTEMS.keys()
)
_STANDARDS = {"-ansiC": "ANSI X3.159-1989 (“ANSI C89”)", "-isoC": "ISO/IEC 9899:1990 (“ISO C90”)"}
_STANDARDS |= {"-isoC-99": "ISO/IEC 9899:1999 (“ISO C99”)", "-isoC-2011": "ISO/IEC 9899:2011 (“ISO C11”)"}
CALLABLE = _INLINE | _ENCLOSE.keys() | _OPEN.keys() | _CLOSE.keys() | {"Ns", "Ap", "Pf", "Nd"}


@dataclass(slots=True)
class MdocWords:
    """Writes words, each with a space before it unless something says otherwise.

    Attributes:
        name: of the page's program or function: `Nm` without an argument.
        text: what is written.
    """

    name: str = ""
    text: str = ""
    _is_glued: bool = True

    def line(self, macro: str, arguments: Sequence[str]) -> str:
        """The text of a line that begins with a macro, and with a space unless it belongs to what is before.

        Args:
            macro: one of `CALLABLE`; `No` for plain words.
            arguments: the rest of the line, divided.
        """
        self.text, self._is_glued = "", False
        self._write([macro, *arguments])
        return self.text

    @property
    def goes_on(self) -> bool:
        """Whether the next line belongs to the last word, as after an opening bracket."""
        return self._is_glued

    def _word(self, word: str, *, glued: bool = False) -> None:
        self.text += word if glued or self._is_glued else f" {word}"
        self._is_glued = False

    def _write(self, words: Sequence[str]) -> None:
        """Write words in which macros may be; enclosures that are open end with the line."""
        ends: list[str] = []
        place = 0
        while place < len(words):
            word = words[place]
            place += 1
            if word in _ENCLOSE:
                self._word(_ENCLOSE[word][0])
                self._is_glued = True
                ends.append(_ENCLOSE[word][1])
            elif word in _OPEN:
                if _OPEN[word]:
                    self._word(_OPEN[word])
                    self._is_glued = True
            elif word in _CLOSE:
                self._word(_CLOSE[word], glued=True)
            elif word == "Ns":
                self._is_glued = True
            elif word == "Ap":
                self._word("'", glued=True)
                self._is_glued = True
            elif word == "Pf":
                self._word("".join(words[place : place + 1]))
                self._is_glued = True
                place += 1
            elif word == "Nd":
                self._word("-")
            elif word in _INLINE:
                place = self._inline(word, words, place)
            else:
                self._punctuated(word)
        # Punctuation at the end of the line stands outside of what it closes.
        tail = ""
        while ends and self.text and self.text[-1] in _CLOSING and self._ends_in_word(words, len(tail)):
            tail, self.text = self.text[-1] + tail, self.text[:-1]
        for end in reversed(ends):
            self._word(end, glued=True)
        self.text += tail

    def _ends_in_word(self, words: Sequence[str], back: int) -> bool:
        return back < len(words) and words[-1 - back] in _CLOSING

    def _punctuated(self, word: str) -> None:
        self._word(word, glued=word in _CLOSING)
        self._is_glued = word in _OPENING

    def _inline(self, macro: str, words: Sequence[str], place: int) -> int:
        """Write a macro that has words of its own, up to the next macro; returns where that is."""
        while True:
            own: list[str] = []
            while place < len(words) and words[place] in _OPENING:
                self._punctuated(words[place])
                place += 1
            while place < len(words) and words[place] not in CALLABLE | _DELIMITERS:
                own.append(words[place])
                place += 1
            for word in self._forms(macro, own):
                self._word(word)
            after = place
            while after < len(words) and words[after] in _DELIMITERS:
                self._word(words[after], glued=words[after] != "|")
                after += 1
            # After punctuation the macro holds for the words that follow.
            if after == place or after == len(words) or words[after] in CALLABLE:
                return after
            place = after

    def _forms(self, macro: str, own: list[str]) -> list[str]:
        first, *others = own or [""]
        if not own:
            found = self.name if macro == "Nm" else _SYSTEMS.get(macro, _DEFAULTS.get(macro, ""))
            return [found] if found else []
        match macro:
            case "Fl":
                return [f"-{word}" for word in own]
            case "Xr":
                return [f"{first}({others[0]})" if others else first]
            case "Fn":
                return [f"{first}({', '.join(others)})"]
            case "In":
                return [f"<{first}>"]
            case "Lk":
                return [" ".join(others) or first]
            case "St":
                return [_STANDARDS.get(first, first.removeprefix("-").upper())]
            case "At":
                return [f"Version {first[1:]} AT&T UNIX" if first.startswith("v") else f"AT&T UNIX {first}"]
            case "Bx":
                return [f"{first}BSD", *others]
            case "Tg":
                return []
            case "An" if first in ("-split", "-nosplit"):
                return []
            case _ if macro in _SYSTEMS:
                return [_SYSTEMS[macro], *own]
            case "Nm" if not self.name:
                self.name = first
        return own
