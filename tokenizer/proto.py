"""The fields of a SentencePiece model file that this package reads and writes.

The file is a protocol buffer (`sentencepiece_model.proto`, `ModelProto`). It is parsed here to avoid a
dependency on protobuf and its version conflicts.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# Field numbers in ModelProto and the messages inside it.
_PIECE, _TRAINER_SPEC, _NORMALIZER_SPEC = 1, 2, 3
_TEXT, _SCORE = 1, 2
_MODEL_TYPE, _VOCAB_SIZE, _SUFFIX, _BYTE_FALLBACK = 3, 4, 24, 35
_NAME, _CHARSMAP, _DUMMY_PREFIX, _EXTRA_WHITESPACE, _ESCAPE = 1, 2, 3, 4, 5

_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}


@dataclass(frozen=True)
class ModelSpec:
    """The specification in a model file, with the defaults of the format.

    Attributes:
        model: its kind.
        normalization: the name of its normaliser.
        rewrites: whether it changes text before cutting it.
        lossless: whether byte fallback, the space prefix and the escaping of spaces are on.
    """

    model: str
    normalization: str
    rewrites: bool
    lossless: bool


def read_spec(model: bytes) -> ModelSpec:
    """Read the specification of a serialised model.

    Raises:
        ValueError: `model` is not a protocol buffer.
    """
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(model):
        if number == _TRAINER_SPEC and isinstance(value, bytes):
            trainer.update(_fields(value))
        elif number == _NORMALIZER_SPEC and isinstance(value, bytes):
            normalizer.update(_fields(value))
    name = normalizer.get(_NAME, b"")
    return ModelSpec(
        model=_MODEL_TYPES.get(int(trainer.get(_MODEL_TYPE, 1)), "unknown"),
        normalization=name.decode() if isinstance(name, bytes) else "",
        rewrites=bool(
            normalizer.get(_CHARSMAP) or normalizer.get(_EXTRA_WHITESPACE, 1) or trainer.get(_SUFFIX)
        ),
        lossless=bool(
            trainer.get(_BYTE_FALLBACK) and normalizer.get(_DUMMY_PREFIX, 1) and normalizer.get(_ESCAPE, 1)
        ),
    )


def with_normalization(model: bytes, name: str) -> bytes:
    """The same model with `name` as its normaliser's name.

    Concatenated messages are merged, and the last value of a field is used. So appending a field replaces it.
    """
    return model + _message(_NORMALIZER_SPEC, _message(_NAME, name.encode()))


def without_dummy_prefix(model: bytes) -> bytes:
    """The same model without the space that is added in front of the text."""
    return model + _message(_NORMALIZER_SPEC, bytes([_DUMMY_PREFIX << 3, 0]))


def with_pieces(model: bytes, kept: Sequence[int], added: Iterable[tuple[str, float]] = ()) -> bytes:
    """The same model with some of its pieces, and new ones behind them.

    Args:
        model: a serialised model.
        kept: ids of the pieces that stay, in their new order.
        added: text of each new piece, with U+2581 for spaces, and its score.
    """
    pieces: list[bytes] = []
    rest: list[bytes] = []
    for number, _, field in _spans(model):
        (pieces if number == _PIECE else rest).append(field)
    new = [
        _message(_PIECE, _message(_TEXT, text.encode()) + bytes([_SCORE << 3 | 5]) + struct.pack("<f", score))
        for text, score in added
    ]
    size = _message(_TRAINER_SPEC, bytes([_VOCAB_SIZE << 3]) + _as_varint(len(kept) + len(new)))
    return b"".join([*(pieces[i] for i in kept), *new, *rest, size])


def with_rounded_scores(model: bytes, step: float) -> bytes:
    """The same model with the scores of all pieces rounded to multiples of `step`."""
    found: list[bytes] = []
    for number, value, field in _spans(model):
        if number == _PIECE and isinstance(value, bytes):
            field = _message(_PIECE, b"".join(_rounded(value, step)))
        found.append(field)
    return b"".join(found)


def _rounded(piece: bytes, step: float) -> Iterator[bytes]:
    for number, value, field in _spans(piece):
        if number == _SCORE and isinstance(value, bytes):
            score = round(struct.unpack("<f", value)[0] / step) * step
            field = field[:1] + struct.pack("<f", score)
        yield field


def _message(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _as_varint(len(payload)) + payload


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values: integers for varints, bytes for other types."""
    return ((number, value) for number, value, _ in _spans(data))


def _spans(data: bytes) -> Iterator[tuple[int, int | bytes, bytes]]:
    """Field numbers, values as in `_fields`, and the bytes of the whole field."""
    at = 0
    while at < len(data):
        begin = at
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield key >> 3, number, data[begin:at]
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"byte {at}: not a protocol buffer field")
        if at + size > len(data):
            raise ValueError(f"byte {at}: a field runs past the end")
        yield key >> 3, data[at : at + size], data[begin : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError(f"byte {at}: not a whole number")
