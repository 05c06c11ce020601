r"""The messages of a compiled Qt catalogue (`.qm`).

After 16 bytes of magic a file has sections, each a tag, a length and bytes. One holds a table of hashes and
places of messages, another the messages: fields with a tag each, to a tag that ends them. All numbers are
big-endian. A catalogue that was stripped has no source texts: of them there is only a hash. One of messages
with ids (`lrelease -idbased`) has these in their place, and empty contexts.

Format: `qmake/lrelease`'s writer and reader in Qt's own sources, qttools/src/linguist/shared/qm.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from xformer.errors import InputError

_MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
_HASHES, _MESSAGES, _NUMERUS, _LANGUAGE = 0x42, 0x69, 0x88, 0xA7
_END, _SOURCE16, _TRANSLATION, _CONTEXT16, _HASH, _SOURCE, _CONTEXT, _COMMENT, _OBSOLETE = range(1, 10)
_NULL = 0xFFFFFFFF  # instead of a length
# Bytes of rules for plural forms: a comparison, what is compared, and what joins comparisons.
_EQUAL, _LESS, _AT_MOST, _BETWEEN = 1, 2, 3, 4
_NOT, _MOD_10, _MOD_100, _LEAD_1000 = 0x08, 0x10, 0x20, 0x40
_AND, _OR, _NEW_RULE = 0xFD, 0xFE, 0xFF


@dataclass(frozen=True, slots=True)
class QmMessage:
    """A message.

    Attributes:
        hash: of its source text and comment, or of its id.
        source: the source text, or the id; None if the file does not have it.
        context: the name of the class that it is in; None if the file does not have it.
        comment: what tells it from messages with the same source text; None if the file does not have it.
        texts: the translation, one string per plural form; None for one that is not translated.
    """

    hash: int
    source: str | None
    context: str | None
    comment: str | None
    texts: tuple[str | None, ...]


@dataclass(frozen=True)
class QmFile:
    """A catalogue, with its sections checked; the messages are read one by one.

    Attributes:
        name: of the file, for error messages.
        sections: the bytes of each section, by its tag.
    """

    name: str
    sections: Mapping[int, bytes]

    @classmethod
    def parse(cls, data: bytes, name: str) -> QmFile:
        """Find the sections of a file.

        Raises:
            InputError: not a `.qm` file, or truncated.
        """
        if not data.startswith(_MAGIC):
            raise InputError(f"{name}: expected a Qt .qm file, this begins with {data[:4].hex(' ')}")
        sections: dict[int, bytes] = {}
        at = len(_MAGIC)
        while at < len(data):
            if at + 5 > len(data):
                # Old versions of lrelease end a file with a byte 0.
                if data[at] == 0:
                    break
                raise InputError(f"{name}: truncated: expected the head of a section at byte {at}")
            tag, length = struct.unpack_from(">BI", data, at)
            at += 5
            if tag == 0:
                break
            if at + length > len(data):
                raise InputError(
                    f"{name}: truncated: section {tag:#x} of {length} bytes at byte {at} ends after the file"
                )
            sections[tag] = data[at : at + length]
            at += length
        if len(sections.get(_HASHES, b"")) % 8:
            raise InputError(f"{name}: damaged: the table of messages has {len(sections[_HASHES])} bytes")
        return cls(name, sections)

    @property
    def language(self) -> str | None:
        """The locale that newer files name; None if this one doesn't."""
        return self.sections.get(_LANGUAGE, b"").decode("ascii", "replace") or None

    def messages(self) -> Iterator[QmMessage]:
        """Stream the messages, in the order of their hashes.

        Raises:
            InputError: a message is damaged, or not in Unicode.
        """
        data = self.sections.get(_MESSAGES, b"")
        for number, at in struct.iter_unpack(">II", self.sections.get(_HASHES, b"")):
            yield self._message(data, number, at)

    def plural_form(self, n: int) -> int | None:
        """The plural form for a number, by the file's rules; None if it has none.

        Raises:
            InputError: the rules are damaged.
        """
        rules = self.sections.get(_NUMERUS)
        if not rules:
            return None
        # Rules are tried in turn; each is some comparisons joined by OR, and AND binds tighter.
        for form, rule in enumerate(_split(rules, _NEW_RULE, self.name)):
            for alternative in _split(rule, _OR, self.name):
                if all(_holds(part, n) for part in _split(alternative, _AND, self.name)):
                    return form
        return len(_split(rules, _NEW_RULE, self.name))

    def _message(self, data: bytes, number: int, at: int) -> QmMessage:
        fields: dict[int, str | None] = {}
        texts: list[str | None] = []
        begins = at
        truncated = InputError(f"{self.name}: truncated: the message at byte {begins} ends after its section")
        while at < len(data) and (tag := data[at]) != _END:
            at += 1
            if tag == _OBSOLETE:
                at += 1
                continue
            if tag == _HASH:
                at += 4
                continue
            if tag not in (_SOURCE16, _TRANSLATION, _CONTEXT16, _SOURCE, _CONTEXT, _COMMENT):
                raise InputError(f"{self.name}: damaged: unknown field {tag} in the message at byte {begins}")
            if at + 4 > len(data):
                raise truncated
            (length,) = struct.unpack_from(">I", data, at)
            at += 4
            if length == _NULL:
                texts += [None] if tag == _TRANSLATION else []
                continue
            raw, at = data[at : at + length], at + length
            if at > len(data):
                raise truncated
            text = self._decoded(raw, tag in (_SOURCE16, _TRANSLATION, _CONTEXT16), begins)
            if tag == _TRANSLATION:
                texts.append(text)
            else:
                fields[{_SOURCE16: _SOURCE, _CONTEXT16: _CONTEXT}.get(tag, tag)] = text
        if at >= len(data):
            raise truncated
        return QmMessage(
            number, fields.get(_SOURCE), fields.get(_CONTEXT), fields.get(_COMMENT), tuple(texts)
        )

    def _decoded(self, raw: bytes, is_wide: bool, place: int) -> str:
        charset = "utf-16-be" if is_wide else "utf-8"
        try:
            return raw.decode(charset)
        except UnicodeDecodeError as error:
            if not is_wide:  # Qt 4 wrote sources in Latin-1
                return raw.decode("latin-1")
            raise InputError(f"{self.name}: the message at byte {place} is not {charset}: {error}") from error


def _split(rules: bytes, separator: int, name: str) -> list[bytes]:
    """The parts of rules between the bytes that join them; a comparison has two or three bytes of its own."""
    parts, begins, at = [], 0, 0
    while at < len(rules):
        if rules[at] in (_AND, _OR, _NEW_RULE):
            if rules[at] == separator:
                parts.append(rules[begins:at])
                begins = at + 1
            at += 1
            continue
        at += 3 if rules[at] & 7 == _BETWEEN else 2
        if at > len(rules):
            raise InputError(f"{name}: damaged: the rules for plural forms end within a comparison")
    return [*parts, rules[begins:]]


def _holds(comparison: bytes, n: int) -> bool:
    if not comparison:
        return False
    kind, value, *top = comparison
    if kind & _MOD_10:
        n %= 10
    elif kind & _MOD_100:
        n %= 100
    elif kind & _LEAD_1000:
        while n >= 1000:
            n //= 1000
    held = {
        _EQUAL: n == value,
        _LESS: n < value,
        _AT_MOST: n <= value,
        _BETWEEN: bool(top) and value <= n <= top[0],
    }.get(kind & 7, False)
    return held != bool(kind & _NOT)
