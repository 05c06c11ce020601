"""The reader of TMX, the translation memory exchange format."""

from __future__ import annotations

import html.entities
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, input_errors, open_bytes
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_CHUNK = 2**16
# A longer unit is an attack or a mistake: stop before it fills the memory.
_LONGEST_UNIT = 2**24
# These contain formatting code, not language (TMX 1.4b, "Content markup"). <hi> and <sub> contain text, but a
# <sub> is a separate text (a footnote, an alternative text) inside the code.
_CODE = frozenset({"bpt", "ept", "it", "ph", "ut"})


def read_tmx(
    path: FilePath, *, languages: Collection[str] | None = None, notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the translation units of a TMX file, plain, `.gz`, `.bz2` or `.xz`; each unit is one group.

    Highlighted text is kept, and formatting code is removed. All versions of TMX, and all encodings that
    expat reads (UTF-8, UTF-16, Latin-1, ASCII), are supported. Nothing outside the file is read. Entities
    that the file declares are refused, because a few lines of them can fill the memory.

    Args:
        path: the file.
        languages: keep only these; `pt` also keeps `pt-BR`. None: all.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: the file is missing, damaged, not well-formed, not TMX or unsafe, or a variant has no
            language; the message names the line.
    """
    wanted = None if languages is None else {normalize_language(language) for language in languages}
    parser = _Parser(path, notes or ImportNotes())
    with input_errors(path), open_bytes(path) as file:
        while True:
            chunk = file.read(_CHUNK)
            for unit in parser.feed(chunk):
                kept = [
                    (tag, text, line)
                    for tag, text, line in unit.variants
                    if wanted is None or tag in wanted or tag.partition("-")[0] in wanted
                ]
                group = content_group(*(text for _, text, _ in kept))
                for tag, text, line in kept:
                    yield Record(text, tag, group, f"{Path(path).name}:{line}", id=unit.id)
            if not chunk:
                return


@dataclass
class _Unit:
    """One <tu>: its id, and (language, text, line) of each variant that has text."""

    id: str | None
    variants: list[tuple[str, str, int]] = field(default_factory=list)


class _Parser:
    """A parser that takes bytes and returns complete units."""

    def __init__(self, path: FilePath, notes: ImportNotes) -> None:
        self._path, self._notes = os.fspath(path), notes
        self._expat = expat.ParserCreate()
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._characters
        self._expat.EntityDeclHandler = self._refuse_entity
        self._expat.SkippedEntityHandler = self._skipped_entity
        self._done: list[_Unit] = []
        self._depth = 0
        self._unit: _Unit | None = None
        self._language: str | None = None
        self._line = 0
        self._text: list[str] | None = None  # the text of the open <seg>
        self._code = 0  # number of open elements of code
        self._size = 0  # characters in the open unit

    def feed(self, chunk: bytes) -> list[_Unit]:
        """The units that end within `chunk`; an empty one ends the file."""
        try:
            self._expat.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            raise InputError(f"{self._path}:{error.lineno}: not well-formed XML: {error}") from error
        done, self._done = self._done, []
        return done

    def _place(self) -> str:
        return f"{self._path}:{self._expat.CurrentLineNumber}"

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "tmx":
            raise InputError(f"{self._place()}: expected a <tmx> file, got <{name}>")
        if self._text is not None:
            self._code += name in _CODE
        elif name == "tu":
            self._unit, self._size = _Unit(attributes.get("tuid")), 0
        elif name == "tuv" and self._unit is not None:
            tag = attributes.get("xml:lang") or attributes.get("lang")
            if tag is None:
                raise InputError(f"{self._place()}: expected <tuv xml:lang=…>, got no language")
            try:
                self._language, self._line = self._notes.normalize(tag), self._expat.CurrentLineNumber
            except InputError as error:
                raise InputError(f"{self._place()}: {error}") from error
        elif name == "seg" and self._language is not None:
            self._text, self._code = [], 0

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._text is not None:
            if name in _CODE:
                self._code -= 1
            elif name == "seg":
                text = "".join(self._text).strip()
                if text and self._unit is not None and self._language is not None:
                    self._unit.variants.append((self._language, text, self._line))
                elif self._language is not None:
                    source = f"{Path(self._path).name}:{self._line}"
                    self._notes.leave_out("no text", self._language, "", source)
                self._text = None
        elif name == "tuv":
            self._language = None
        elif name == "tu" and self._unit is not None:
            self._done.append(self._unit)
            self._unit = None

    def _characters(self, text: str) -> None:
        if self._text is not None and not self._code:
            self._text.append(text)
            self._size += len(text)
            if self._size > _LONGEST_UNIT:
                raise InputError(f"{self._place()}: expected a unit of at most {_LONGEST_UNIT:,} characters")

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise InputError(
            f"{self._place()}: the file declares an entity, &{name};, which is refused as unsafe"
        )

    def _skipped_entity(self, name: str, is_parameter_entity: bool) -> None:
        """Replace an HTML entity, which a DTD outside the file would declare; raise for an unknown one."""
        if is_parameter_entity:
            return
        character = html.entities.html5.get(f"{name};")
        if character is None:
            raise InputError(f"{self._place()}: unknown entity &{name};")
        self._characters(character)
