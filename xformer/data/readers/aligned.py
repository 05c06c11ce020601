"""Line-aligned files, as in the Moses format and in the training files of IWSLT."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import PurePath

from xformer.data.readers.lines import FilePath
from xformer.data.record import Record, content_group
from xformer.errors import InputError


@dataclass(frozen=True, slots=True)
class Side:
    """One language of an aligned text.

    Attributes:
        path: the file, for error messages and for the `source` of records.
        language: normalised tag.
        lines: (line number, text), in aligned order.
    """

    path: FilePath
    language: str
    lines: Iterable[tuple[int, str]]


def align(sides: Sequence[Side]) -> Iterator[Record]:
    """Stream the lines at the same place of every side as one group.

    A blank line yields no record, but counts as a line.

    Raises:
        InputError: the sides have different numbers of lines; this is known only at the end.
    """
    if len(sides) < 2:
        raise InputError(f"expected two files or more, one per language, got {len(sides)}")
    repeated = {side.language for side in sides if sum(side.language == each.language for each in sides) > 1}
    if repeated:
        raise InputError(f"expected files in different languages, got {', '.join(sorted(repeated))} twice")
    rows = enumerate(zip_longest(*(side.lines for side in sides)))
    for count, row in rows:
        if None in row:
            counts = [count + (line is not None) for line in row]
            for _, rest in rows:
                counts = [total + (line is not None) for total, line in zip(counts, rest, strict=True)]
            said = ", ".join(f"{side.path} has {n}" for side, n in zip(sides, counts, strict=True))
            raise InputError(f"expected files with the same number of lines: {said}")
        group = content_group(*(text for _, text in row))
        for side, (number, text) in zip(sides, row, strict=True):
            if text.strip():
                yield Record(text, side.language, group, f"{PurePath(side.path).name}:{number}")
