"""The strings of a compiled gettext catalogue (`.mo`), as bytes.

A file has up to two pairs of tables. The static one holds strings as they are. The other, since format 0.1,
holds those that depend on the machine: `%<PRIu64>` in C, and the flag of `%Id`, which asks for the language's
own digits. They are lists of pieces, each a stretch of bytes and the name of what stands behind it.

Format: GNU gettext manual, "The Format of GNU MO Files"; the second pair of tables is described in the file
`gmo.h` of GNU gettext only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from xformer.errors import InputError

_MAGIC = 0x950412DE
_HEADER, _LONG_HEADER = 20, 48  # bytes; the long one since format 0.1 and 1.1
_LAST = 0xFFFFFFFF  # instead of a name: the piece that ends a string


def mo_strings(data: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    r"""Stream the source and the translation of each message, in the order of the file.

    Args:
        data: the file's bytes, of either byte order.
        name: its name in error messages.

    Yields:
        Bytes without the final `\0`. Names of what depends on the machine are written as in a `.po`: in angle
        brackets (`%<PRIu64>`), or as they are if they have one letter (`%Id`).

    Raises:
        InputError: not a `.mo` file, truncated, or damaged.
    """
    for order in "<>":
        if len(data) >= _HEADER and struct.unpack(f"{order}I", data[:4])[0] == _MAGIC:
            break
    else:
        raise InputError(f"{name}: expected a gettext .mo file, this begins with {data[:4].hex(' ')}")
    revision, count, ids_at, texts_at = struct.unpack(f"{order}4I", data[4:_HEADER])
    if revision >> 16 > 1:
        raise InputError(f"{name}: expected .mo format 0 or 1, got {revision >> 16}")
    if max(ids_at, texts_at) + 8 * count > len(data):
        raise InputError(f"{name}: truncated: {len(data)} bytes do not hold the tables of {count} messages")
    id_table = struct.unpack_from(f"{order}{2 * count}I", data, ids_at)
    text_table = struct.unpack_from(f"{order}{2 * count}I", data, texts_at)

    def string(table: tuple[int, ...], index: int) -> bytes:
        length, start = table[2 * index : 2 * index + 2]
        if start + length > len(data):
            raise InputError(f"{name}: truncated: message {index + 1} of {count} ends after the file")
        return data[start : start + length]

    for index in range(count):
        yield string(id_table, index), string(text_table, index)
    if revision & 0xFFFF:
        yield from _ComposedStrings(data, name, order).messages()


class _ComposedStrings:
    """The strings that depend on the machine."""

    def __init__(self, data: bytes, name: str, order: str) -> None:
        self._data, self._name, self._order = data, name, order
        if len(data) < _LONG_HEADER:
            raise InputError(f"{name}: truncated: {len(data)} bytes do not hold the header of format 0.1")
        n_names, names_at, self._count, self._ids_at, self._texts_at = self._numbers(28, 5)
        table = self._numbers(names_at, 2 * n_names)
        # Their lengths count the final \0.
        self._names = [
            self._bytes(start, length).removesuffix(b"\0")
            for length, start in zip(table[::2], table[1::2], strict=True)
        ]

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        ids = self._numbers(self._ids_at, self._count)
        texts = self._numbers(self._texts_at, self._count)
        for id_at, text_at in zip(ids, texts, strict=True):
            yield self._compose(id_at), self._compose(text_at)

    def _compose(self, at: int) -> bytes:
        """The string whose list of pieces begins at byte `at`: where its bytes begin, then the pieces."""
        (start,) = self._numbers(at, 1)
        parts: list[bytes] = []
        while True:
            at += 4 if not parts else 8
            size, number = self._numbers(at, 2)
            parts.append(self._bytes(start, size))
            start += size
            if number == _LAST:
                return b"".join(parts).removesuffix(b"\0")
            if number >= len(self._names):
                raise InputError(
                    f"{self._name}: damaged: byte {at + 4} names string {number + 1} of {len(self._names)}"
                )
            name = self._names[number]
            parts[-1] += b"<" + name + b">" if len(name) > 1 else name

    def _numbers(self, at: int, count: int) -> tuple[int, ...]:
        if at + 4 * count > len(self._data):
            raise InputError(f"{self._name}: truncated: expected {count} numbers at byte {at}")
        return struct.unpack_from(f"{self._order}{count}I", self._data, at)

    def _bytes(self, at: int, length: int) -> bytes:
        if at + length > len(self._data):
            raise InputError(f"{self._name}: truncated: expected {length} bytes at byte {at}")
        return self._data[at : at + length]
