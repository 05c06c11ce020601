"""Stretches of records: all of them, in order, and not too many at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xformer.data.batches import Batch, batches, stretches
from xformer.data.record import Record


def _records(lengths: list[int]) -> list[Record]:
    return [Record("x" * length, "en", f"g{place}", "s") for place, length in enumerate(lengths)]


@given(st.lists(st.sampled_from([1, 30, 5_000, 200_000]), max_size=200))
def test_all_records_come_in_their_order(lengths: list[int]) -> None:
    records = _records(lengths)
    parts = list(stretches(iter(records)))
    assert [record for part in parts for record in part] == records
    assert all(sum(len(record.text) for record in part[:-64]) < 1 << 17 for part in parts)
    assert list(batches(records)) == [Batch.of(part) for part in parts]


def test_short_records_come_by_the_thousand() -> None:
    assert [len(part) for part in stretches(_records([9] * 10_000))] == [4096, 4096, 1808]
