"""The reader of TMX, the translation memory exchange format."""

from __future__ import annotations

import codecs
import html.entities
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath, input_errors, open_bytes
from xformer.data.readers.tmx_codes import divides, join_around_codes
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_CHUNK = 2**16
_HEAD = 2**10  # bytes, in which the declaration stands
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"'>]*)[\"']")
_EXPAT_READS = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})
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
        head = file.read(_HEAD)
        parser = _Parser(path, notes, _decoder(head, path))
        while True:
            chunk, head = (head[:_CHUNK], head[_CHUNK:]) if head else (file.read(_CHUNK), b"")
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


def _decoder(head: bytes, path: FilePath) -> codecs.IncrementalDecoder | None:
    """The decoder for the encoding that a file declares; None if expat reads it by itself."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return codecs.getincrementaldecoder("utf-32")()
    if head.startswith(codecs.BOM_UTF8):  # decides, whatever is declared
        return codecs.getincrementaldecoder("utf-8-sig")()
    match = _DECLARED.search(head)
    if match is None or match[1].lower().decode("latin-1") in _EXPAT_READS:
        return None
    name = match[1].decode("latin-1")
    try:
        "".encode(name)  # refuses codecs that are no encodings of text
        return codecs.getincrementaldecoder(name)()
    except (LookupError, ValueError) as error:
        raise InputError(f"{os.fspath(path)}:1: the file declares an unknown encoding, {name!r}") from error


@dataclass
class _Unit:
    """One <tu>: its id, and (language, text, line) of each variant that has text."""

    id: str | None
    variants: list[tuple[str, str, int]] = field(default_factory=list)


class _Parser:
    """A parser that takes bytes and returns complete units."""

    def __init__(
        self, path: FilePath, notes: ImportNotes, decoder: codecs.IncrementalDecoder | None = None
    ) -> None:
        self._path, self._notes, self._decoder = os.fspath(path), notes, decoder
        self._expat = expat.ParserCreate(None if decoder is None else "utf-8")
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
        self._has_segment = False
        self._text: list[str | None] | None = None  # the text of the open <seg>; None: a code that divides it
        self._code: list[str] = []  # names of open elements of code
        self._code_kind, self._code_text = "", ""
        self._aside = 0  # number of open elements with text about the unit
        self._size = 0  # characters in the open unit

    def feed(self, chunk: bytes) -> list[_Unit]:
        """The units that end within `chunk`; an empty one ends the file."""
        try:
            if self._decoder is None:
                self._expat.Parse(chunk, not chunk)
            else:
                text = self._decoder.decode(chunk, not chunk)
                self._expat.Parse(text.encode(), not chunk)
        except UnicodeError as error:
            raise InputError(
                f"{self._place()}: not in the encoding that the file declares: {error}"
            ) from error
        except (LookupError, ValueError) as error:  # of a file in UTF-16 that declares another encoding
            raise InputError(f"{self._place()}: the file declares an unknown encoding: {error}") from error
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
        if name not in _ELEMENTS and name.lower() in _ELEMENTS:
            raise InputError(f"{self._place()}: expected <{name.lower()}>, got <{name}>")
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
                raise InputError(f"{self._place()}: expected <tuv xml:lang=…>, got no language")
            try:
                self._language, self._line = self._notes.normalize(tag), self._expat.CurrentLineNumber
            except InputError as error:
                raise InputError(f"{self._place()}: {error}") from error
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
            raise InputError(f"{self._place()}: expected <tu><tuv><seg>, got <{name}> in {inside}")

    def _end(self, name: str) -> None:
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
            self._done.append(self._unit)
            self._unit = None

    def _no_text(self) -> None:
        if self._language is not None:
            self._notes.leave_out("no text", self._language, "", f"{Path(self._path).name}:{self._line}")

    def _characters(self, text: str) -> None:
        if self._text is not None:
            if self._code:
                self._code_text += text
            else:
                self._text.append(text)
            self._size += len(text)
            if self._size > _LONGEST_UNIT:
                raise InputError(f"{self._place()}: expected a unit of at most {_LONGEST_UNIT:,} characters")

        elif self._unit is not None and not self._aside and text.strip():
            place = f"{self._place()}"
            raise InputError(f"{place}: expected text in <seg> only, got {text.strip()[:60]!r} outside")

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
