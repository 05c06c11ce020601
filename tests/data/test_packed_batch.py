"""Batches of records become bytes and the same batches again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.batches import Batch
from xformer.data.packed_batch import packed, unpacked
from xformer.data.record import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("aé保𝄞\0\n"), max_size=5)
RECORDS = st.lists(
    st.builds(
        Record, TEXT, st.sampled_from(["en", "de"]), TEXT, st.sampled_from(["s:1", "ß"]), st.none() | TEXT,
        st.none() | TEXT,
    )
)  # fmt: skip


@given(RECORDS)
def test_a_batch_comes_back_as_it_was(records: list[Record]) -> None:
    batch = Batch.of(records)
    assert unpacked(packed(batch), batch.language) == batch


@pytest.mark.parametrize("record", [Record("\ud800", "en", "g", "s"), Record("a", "en", "g", "s", "\udc00")])
def test_half_a_character_is_refused(record: Record) -> None:
    with pytest.raises(UnicodeEncodeError):
        packed(Batch.of([record]))
