"""The entries of a dictionary in the DICT format: an index, and a text, plain or compressed by dictzip.

A line of the index has a headword, and where its entry begins and how long it is: numbers in base 64, with
the digits of RFC 1421, the highest first. dictzip is gzip with a table of blocks in its header, for random
access. Entries of the database itself have names that begin with `00database` or `00-database`.

Format: RFC 2229, and dictfmt(1), dictzip(1) and dictd(8) of the program dictd.
"""

from __future__ import annotations

import gzip
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xformer.data.readers.lines import decode_lines, input_errors
from xformer.errors import InputError

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_GZIP = b"\x1f\x8b"
# A longer entry is an attack or a mistake: stop before it fills the memory.
_LONGEST_ENTRY = 2**24  # bytes
_STEP = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class DictEntry:
    """An entry.

    Attributes:
        start: its first byte in the text.
        keys: the headwords of the index that lead to it, usually without capitals and punctuation.
        text: as it is shown to people.
    """

    start: int
    keys: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class DictFile:
    """A dictionary whose index is read. Memory: about 200 bytes for each headword.

    Attributes:
        name: of the file with the text, for error messages.
        places: the headwords of each entry, by its first byte and its length.
        about: the places of the database's own entries, by name: `info`, `short`, `utf8`.
    """

    name: str
    places: Mapping[tuple[int, int], tuple[str, ...]]
    about: Mapping[str, tuple[int, int]]

    @classmethod
    def parse(cls, index: bytes, index_name: str, name: str) -> DictFile:
        """Read the index.

        Args:
            index: its bytes.
            index_name: its name, for error messages.
            name: the name of the file with the text.

        Raises:
            InputError: a line is not a headword and two numbers; the message names it.
        """
        places = defaultdict[tuple[int, int], list[str]](list)
        about: dict[str, tuple[int, int]] = {}
        for number, line in enumerate(decode_lines(io.BytesIO(index), index_name), 1):
            if not line:
                continue
            headword, *fields = line.split("\t")
            try:
                start, size = map(_number, fields[:2])
            except (KeyError, ValueError) as error:
                raise InputError(
                    f"{index_name}:{number}: expected a headword and two numbers in base 64, with tabs "
                    f"between, got {line[:60]!r}"
                ) from error
            if headword.startswith(("00database", "00-database")):
                about[headword.replace("-", "").removeprefix("00database")] = start, size
            else:
                places[start, size].append(headword)
        return cls(name, {place: tuple(places[place]) for place in sorted(places)}, about)

    def describe(self, name: str, text: bytes) -> str:
        """One of the database's own entries, without its headword; "" if there is none.

        Args:
            name: `short`, its title, or `info`, who made it and what one may do with it.
            text: the bytes of the file, as they are.

        Raises:
            InputError: as of `entries`.
        """
        if name not in self.about:
            return ""
        with _plain(text) as file:
            start, size = self.about[name]
            entry = self._decoded(_Window(file, self.name).read(start, size), start)
        head, _, rest = entry.partition("\n")
        return rest if head.startswith("00") else entry

    def entries(self, text: bytes) -> Iterator[DictEntry]:
        """Stream the entries in the order of the text, each once. A compressed text is read piece by piece.

        Args:
            text: the bytes of the file, as they are.

        Raises:
            InputError: the text is damaged, not in UTF-8, or ends before an entry does.
        """
        with _plain(text) as file:
            window = _Window(file, self.name)
            for (start, size), keys in self.places.items():
                yield DictEntry(start, keys, self._decoded(window.read(start, size), start))
            with input_errors(self.name):  # of what is compressed, the checksum stands at the end
                while file.read(_STEP):
                    pass

    def _decoded(self, raw: bytes, start: int) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            said = "" if "utf8" in self.about else "; its index does not say that it is (00-database-utf8)"
            raise InputError(
                f"{self.name}: the entry at byte {start} is not UTF-8: {error.reason}{said}"
            ) from error


class _Window:
    """Reads places of a file in ascending order, those that overlap, too."""

    def __init__(self, file: gzip.GzipFile | io.BytesIO, name: str) -> None:
        self._file, self._name = file, name
        self._held, self._begins = b"", 0  # the last bytes that were read, up to where the file stands

    def read(self, start: int, size: int) -> bytes:
        """The bytes of a place.

        Raises:
            InputError: the file is damaged or ends before the place does, or that is too long.
        """
        if size > _LONGEST_ENTRY:
            raise InputError(
                f"{self._name}: expected at most {_LONGEST_ENTRY:,} bytes an entry, got {size:,}"
            )
        self._held = self._held[start - self._begins :]
        with input_errors(self._name):
            if not self._held:
                self._file.seek(start)
            self._begins = start
            if len(self._held) < size:
                self._held += self._file.read(size - len(self._held))
        if len(self._held) < size:
            raise InputError(
                f"{self._name}: truncated: the entry at byte {start} has {size} bytes, the text ends before"
            )
        return self._held[:size]


def _plain(text: bytes) -> gzip.GzipFile | io.BytesIO:
    """The text as a file, decompressed while it is read."""
    file = io.BytesIO(text)
    return gzip.GzipFile(fileobj=file) if text.startswith(_GZIP) else file


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 64 + _VALUES[digit]
    return number
