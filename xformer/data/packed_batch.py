"""A batch of records as bytes and back, for a file that only this process reads."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from xformer.data.batches import Batch

_NONE = -1  # the length of what is no text


def packed(batch: Batch) -> bytes:
    """All of a batch but the languages; each source once. Numbers stand first, then all texts in one.

    Raises:
        UnicodeEncodeError: a text cannot be written as UTF-8.
    """
    place = {source: place for place, source in enumerate(dict.fromkeys(batch.source))}
    columns = (batch.text, batch.group, batch.id, batch.label, list(place))
    numbers = array("i", [len(place), *map(place.__getitem__, batch.source)])
    texts: list[str] = []
    for column in columns:
        here = [text for text in column if text is not None] if None in column else column
        texts += here  # type: ignore[arg-type]
        if not here:
            numbers += array("i", [_NONE]) * len(column)
        else:
            numbers.extend([_NONE if text is None else len(text) for text in column])
    return numbers.tobytes() + "".join(texts).encode()


def unpacked(data: bytes, languages: list[str]) -> Batch:
    """The batch that `packed` was given.

    Args:
        data: what it returned.
        languages: (Q,) tags of the records.
    """
    size = len(languages)
    sources = int(np.frombuffer(data, dtype=np.int32, count=1)[0])
    numbers = np.frombuffer(data, dtype=np.int32, count=1 + 5 * size + sources)
    text = data[numbers.nbytes :].decode()
    columns: list[list[str | None]] = []
    begin = 0
    for lengths in np.split(numbers[1 + size :], [size, 2 * size, 3 * size, 4 * size]):
        columns.append(_cut(text, begin, lengths.tolist()))
        begin += int(np.maximum(lengths, 0).sum())
    texts, groups, ids, labels, names = columns
    source = [names[place] for place in numbers[1 : 1 + size].tolist()]
    return Batch(texts, languages, groups, source, ids, labels)  # type: ignore[arg-type]


def _cut(text: str, begin: int, lengths: Sequence[int]) -> list[str | None]:
    """Stretches of so many characters; None for a length of -1."""
    if not lengths or max(lengths) < 0:
        return [None] * len(lengths)
    if min(lengths) >= 0:
        return [text[start:end] for start, end in pairwise(accumulate(lengths, initial=begin))]
    found: list[str | None] = []
    for length in lengths:
        found.append(None if length < 0 else text[begin : begin + length])
        begin += max(length, 0)
    return found
