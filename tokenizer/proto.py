"""The fields of a SentencePiece model file that this package reads and writes.

The file is a protocol buffer (`sentencepiece_model.proto`, `ModelProto`). It is parsed here to avoid a
dependency on protobuf and its version conflicts.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Field numbers in ModelProto and the messages inside it.
_TRAINER_SPEC, _NORMALIZER_SPEC = 2, 3
_MODEL_TYPE, _SUFFIX, _BYTE_FALLBACK = 3, 24, 35
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


def _message(number: int, payload: bytes) -> bytes:
    if len(payload) > 127:
        raise ValueError(f"payload: expected at most 127 bytes, got {len(payload)}")
    return bytes([number << 3 | 2, len(payload)]) + payload


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values: integers for varints, bytes for other types."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"byte {at}: not a protocol buffer field")
        if at + size > len(data):
            raise ValueError(f"byte {at}: a field runs past the end")
        yield key >> 3, data[at : at + size]
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
