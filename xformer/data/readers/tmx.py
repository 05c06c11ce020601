"""The reader of TMX, the translation memory exchange format."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, input_errors, open_bytes
from xformer.data.readers.tmx_codes import divides, join_around_codes
from xformer.data.readers.xml_stream import XmlStream
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

# A longer unit is an attack or a mistake: stop before it fills the memory.
_LONGEST_UNIT = 2**24
# These contain formatting code, not language (TMX 1.4b, "Content markup"). <hi> and <sub> contain text, but a
# <sub> is a separate text (a footnote, an alternative text) inside the code.
_CODE = frozenset({"bpt", "ept", "it", "ph", "ut"})
_ELEMENTS = frozenset({"tmx", "header", "body", "tu", "tuv", "seg"})
_ASIDE = frozenset({"note", "prop", "ude"})  # text about a unit


def read_tmx(
    path: FilePath, *, languages: Collection[str] | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the translation units of a TMX file, plain, `.gz`, `.bz2` or `.xz`; each unit is one group.

    Highlighted text is kept, and formatting code is removed; a code that divides words, such as a line end,
    leaves a space (`tmx_codes`). All versions of TMX, and all encodings that Python reads, are supported.
    Nothing outside the file is read. Entities that the file declares are refused, because a few lines of them
    can fill the memory.

    Args:
        path: the file.
        languages: keep only these; `pt` also keeps `pt-BR`. None: all.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the file is missing, damaged, not well-formed, not TMX or unsafe, its encoding is not
            known, a variant has no language, or text is where TMX has none; the message names the line.
    """
    wanted = None if languages is None else {normalize_language(language) for language in languages}
    notes = notes or ImportNotes()
    with input_errors(path), open_bytes(path) as file:
        for unit in _Units(path, notes).read(file):
            kept = [
                (tag, text, line)
                for tag, text, line in unit.variants
                if wanted is None or tag in wanted or tag.partition("-")[0] in wanted
            ]
            group = content_group(*(text for _, text, _ in kept))
            for tag, text, line in kept:
                yield Record(text, tag, group, f"{Path(path).name}:{line}", id=unit.id)


@dataclass
class _Unit:
    """One <tu>: its id, and (language, text, line) of each variant that has text."""

    id: str | None
    variants: list[tuple[str, str, int]] = field(default_factory=list)


class _Units(XmlStream[_Unit]):
    """The units of a file, as they end."""

    def __init__(self, path: FilePath, notes: ImportNotes) -> None:
        super().__init__(path)
        self._notes = notes
        self._depth = 0
        self._unit: _Unit | None = None
        self._language: str | None = None
        self._line = 0
        self._has_segment = False
        self._text: list[str | None] | None = None  # the text of the open <seg>; None: a code that divides it
        self._code: list[str] = []  # names of open elements of code
        self._code_kind, self._code_text = "", ""
        self._aside = 0  # number of open elements with text about the unit
        self._size = 0  # characters in the open unit

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "tmx":
            raise InputError(f"{self.place}: expected a <tmx> file, got <{name}>")
        if name not in _ELEMENTS and name.lower() in _ELEMENTS:
            raise InputError(f"{self.place}: expected <{name.lower()}>, got <{name}>")
        if name in _ELEMENTS:
            self._check_nesting(name)
        if self._text is not None:
            if name in _CODE:
                if not self._code:
                    self._code_kind, self._code_text = attributes.get("type", ""), ""
                self._code.append(name)
        elif name in _ASIDE or self._aside:
            self._aside += 1
        elif name == "tu":
            self._unit, self._size = _Unit(attributes.get("tuid")), 0
        elif name == "tuv":
            tag = attributes.get("xml:lang") or attributes.get("lang")
            if tag is None:
                raise InputError(f"{self.place}: expected <tuv xml:lang=…>, got no language")
            try:
                self._language, self._line = self._notes.normalize(tag), self.line
            except InputError as error:
                raise InputError(f"{self.place}: {error}") from error
            self._has_segment = False
        elif name == "seg":
            self._text, self._code, self._has_segment = [], [], True

    def _check_nesting(self, name: str) -> None:
        """Refuse an element where its text would be lost."""
        if self._aside:
            inside: str | None = "<note>, <prop> or <ude>"
        elif self._text is not None:
            inside = "<seg>"
        elif self._language is not None:
            inside = None if name == "seg" else "<tuv>"
        elif self._unit is not None:
            inside = None if name == "tuv" else "<tu> without <tuv>" if name == "seg" else "<tu>"
        else:
            inside = "no <tu>" if name in ("tuv", "seg") else None
        if inside is not None:
            raise InputError(f"{self.place}: expected <tu><tuv><seg>, got <{name}> in {inside}")

    def end(self, name: str) -> None:
        self._depth -= 1
        if self._text is not None:
            if name in _CODE:
                self._code.pop()
                if not self._code and divides(name, self._code_kind, self._code_text):
                    self._text.append(None)
            elif name == "seg":
                text = join_around_codes(self._text).strip()
                if text and self._unit is not None and self._language is not None:
                    self._unit.variants.append((self._language, text, self._line))
                else:
                    self._no_text()
                self._text = None
        elif self._aside:
            self._aside -= 1
        elif name == "tuv":
            if not self._has_segment:
                self._no_text()
            self._language = None
        elif name == "tu" and self._unit is not None:
            self.done.append(self._unit)
            self._unit = None

    def _no_text(self) -> None:
        if self._language is not None:
            self._notes.leave_out("no text", self._language, "", f"{Path(self.path).name}:{self._line}")

    def characters(self, text: str) -> None:
        if self._text is not None:
            if self._code:
                self._code_text += text
            else:
                self._text.append(text)
            self._size += len(text)
            if self._size > _LONGEST_UNIT:
                raise InputError(f"{self.place}: expected a unit of at most {_LONGEST_UNIT:,} characters")

        elif self._unit is not None and not self._aside and text.strip():
            place = f"{self.place}"
            raise InputError(f"{place}: expected text in <seg> only, got {text.strip()[:60]!r} outside")
