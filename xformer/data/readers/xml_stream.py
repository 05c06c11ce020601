"""XML, read piece by piece: safe, in any encoding that Python reads, with errors that name file and line.

Nothing outside the file is read. Entities that the file declares are refused, because a few lines of them can
fill the memory.
"""

from __future__ import annotations

import codecs
import html.entities
import io
import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, Generic, TypeVar
from xml.parsers import expat

from xformer.data.readers.lines import FilePath
from xformer.errors import InputError

_CHUNK = 2**16
_HEAD = 2**10  # bytes, in which the declaration stands
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([^\"'>]*)[\"']")
_EXPAT_READS = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})

Item = TypeVar("Item")


class XmlStream(Generic[Item]):
    """A parser of one file; a subclass says what its elements mean, and appends to `done` what is complete.

    Attributes:
        done: what is complete and not yet yielded.
        path: the file, for error messages.
    """

    def __init__(self, path: FilePath) -> None:
        self.path = os.fspath(path)
        self.done: list[Item] = []
        self._expat = expat.ParserCreate()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def characters(self, text: str) -> None:
        """Text; that of one element may come in several pieces."""

    @property
    def line(self) -> int:
        """The line that is being read."""
        return self._expat.CurrentLineNumber

    @property
    def byte(self) -> int:
        """The byte that is being read, as UTF-8."""
        return self._expat.CurrentByteIndex

    @property
    def place(self) -> str:
        """File and line, for error messages."""
        return f"{self.path}:{self.line}"

    def read(self, file: IO[bytes] | io.BufferedIOBase) -> Iterator[Item]:
        """Stream what is complete; wrap the reading in `input_errors`.

        Args:
            file: bytes; closed by the caller.

        Raises:
            InputError: the file is not well-formed or unsafe, or its encoding is not known.
        """
        head = file.read(_HEAD)
        decoder = self._decoder(head)
        self._expat = expat.ParserCreate(None if decoder is None else "utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self.start
        self._expat.EndElementHandler = self.end
        self._expat.CharacterDataHandler = self.characters
        self._expat.EntityDeclHandler = self._refuse_entity
        self._expat.SkippedEntityHandler = self._skipped_entity
        while True:
            chunk, head = (head[:_CHUNK], head[_CHUNK:]) if head else (file.read(_CHUNK), b"")
            self._feed(chunk, decoder)
            done, self.done = self.done, []
            yield from done
            if not chunk:
                return

    def _feed(self, chunk: bytes, decoder: codecs.IncrementalDecoder | None) -> None:
        """Parse some bytes; none end the file."""
        try:
            data = chunk if decoder is None else decoder.decode(chunk, not chunk).encode()
            self._expat.Parse(data, not chunk)
        except UnicodeError as error:
            raise InputError(f"{self.place}: not in the encoding that the file declares: {error}") from error
        except InputError:  # of the handlers; it is a ValueError, too
            raise
        except (LookupError, ValueError) as error:  # of a file in UTF-16 that declares another encoding
            raise InputError(f"{self.place}: the file declares an unknown encoding: {error}") from error
        except expat.ExpatError as error:
            raise InputError(f"{self.path}:{error.lineno}: not well-formed XML: {error}") from error

    def _decoder(self, head: bytes) -> codecs.IncrementalDecoder | None:
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
            raise InputError(f"{self.path}:1: the file declares an unknown encoding, {name!r}") from error

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise InputError(f"{self.place}: the file declares an entity, &{name};, which is refused as unsafe")

    def _skipped_entity(self, name: str, is_parameter_entity: bool) -> None:
        """Replace an HTML entity, which a DTD outside the file would declare; raise for an unknown one."""
        if is_parameter_entity:
            return
        character = html.entities.html5.get(f"{name};")
        if character is None:
            raise InputError(f"{self.place}: unknown entity &{name};")
        self.characters(character)
