"""Records by the thousand, field by field: what takes a microsecond for each of millions is done for many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from xformer.data.record import Record

_STEP, _MOST_RECORDS, _MOST_CHARACTERS = 64, 4096, 1 << 17


@dataclass(frozen=True, slots=True)
class Batch:
    """Q records in a row, by field; see `Record`."""

    text: list[str]
    language: list[str]
    group: list[str]
    source: list[str]
    id: list[str | None]
    label: list[str | None]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Batch:
        """The fields of some records."""
        return cls(
            [record.text for record in records],
            [record.language for record in records],
            [record.group for record in records],
            [record.source for record in records],
            [record.id for record in records],
            [record.label for record in records],
        )

    def part(self, places: Sequence[int]) -> Batch:
        """The records at some places."""
        fields = (self.text, self.language, self.group, self.source, self.id, self.label)
        return Batch(*([values[place] for place in places] for values in fields))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.text)


def batches(records: Iterable[Record]) -> Iterator[Batch]:
    """Records in their order, in batches; see `stretches`."""
    return map(Batch.of, stretches(records))


def stretches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in their order, as many together as fit into a few megabytes while they are looked at."""
    iterator, waiting, characters = iter(records), list[Record](), 0
    while some := list(islice(iterator, _STEP)):
        waiting += some
        characters += sum([len(record.text) for record in some])
        if len(waiting) >= _MOST_RECORDS or characters >= _MOST_CHARACTERS:
            yield waiting
            waiting, characters = [], 0
    if waiting:
        yield waiting
