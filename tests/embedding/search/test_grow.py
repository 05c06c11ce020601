"""Texts that are added to an index: all or none, few parts, and nobody is disturbed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.embedding.search import folder as reading
from xformer.embedding.search import grow
from xformer.embedding.search.codes import Rounding
from xformer.embedding.search.exact import search
from xformer.embedding.search.folder import Block, IndexFolder, IndexInfo, Stamp, make_index
from xformer.embedding.search.grow import LARGE, add_to_index, count_to_join
from xformer.embedding.search.part import PartEntry
from xformer.errors import InputError

MADE = Stamp("runs/demo", 12, 1, "f" * 64)


def some(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def blocks(vectors: np.ndarray, name: str = "a.txt", at_once: int = 2) -> Iterator[Block]:
    for start in range(0, len(vectors), at_once):
        rows = range(start, min(start + at_once, len(vectors)))
        yield name, [f"{name} {row + 1} ✓" for row in rows], vectors[rows.start : rows.stop]


def entry(texts: int) -> PartEntry:
    return PartEntry(0, texts, Rounding(), Rounding(), ())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    make_index(tmp_path / "i", MADE, 3, blocks(some(5)))
    return tmp_path / "i"


def test_parts_are_searched_as_one(made: Path) -> None:
    add_to_index(made, blocks(-some(3), "b.txt", 3))
    add_to_index(made, blocks(some(1), "a.txt"))
    index = IndexFolder(made, verify=True)
    assert (len(index), [len(part) for part in index.parts]) == (9, [5, 3, 1])
    assert [index.place(row) for row in (4, 5, 7, 8)] == [
        ("a.txt", 5),
        ("b.txt", 1),
        ("b.txt", 3),
        ("a.txt", 1),
    ]
    assert index.text(7) == "b.txt 3 ✓"
    found = search(some(1), index.vectors, 2)
    # That vector stands there twice, with equal scores; the first comes first.
    assert found.rows.tolist() == [[0, 8]]


def test_many_small_additions_are_few_parts(made: Path) -> None:
    vectors = some(60, seed=1)
    for number, vector in enumerate(vectors):
        add_to_index(made, blocks(vector[None], f"{number}.txt"))
    index = IndexFolder(made, verify=True)
    assert len(index) == 65
    assert len(index.parts) <= 7
    assert len(list(made.iterdir())) == 6 * len(index.parts) + 1
    assert [index.text(row) for row in range(5, 65)] == [f"{number}.txt 1 ✓" for number in range(60)]
    assert index.place(64) == ("59.txt", 1)
    everything = np.concatenate([some(5), vectors])
    np.testing.assert_array_equal(np.concatenate([one.vectors for one in index.vectors]), everything)
    found = search(everything, index.vectors, 1)
    assert found.rows[:, 0].tolist() == list(range(65))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=200))
def test_parts_shrink_by_half_or_more(sizes: list[int]) -> None:
    """So there are no more than the logarithm of the number of texts, and one more."""
    parts: list[PartEntry] = []
    for size in sizes:
        count = count_to_join(parts, entry(size))
        kept = parts[: len(parts) - count]
        parts = [*kept, entry(size + sum(part.texts for part in parts[len(kept) :]))]
    assert sum(part.texts for part in parts) == sum(sizes)
    assert len(parts) <= 1 + np.log2(sum(sizes))


def test_large_parts_are_left_alone() -> None:
    assert count_to_join([entry(10 * LARGE), entry(LARGE + 1)], entry(3 * LARGE)) == 0
    assert count_to_join([entry(10 * LARGE), entry(LARGE), entry(5)], entry(LARGE)) == 2


def test_who_has_it_open_goes_on(made: Path) -> None:
    before = IndexFolder(made)
    add_to_index(made, blocks(some(9, seed=2), "b.txt"))
    assert len(IndexFolder(made).parts) == 1
    assert not (made / "00000.vectors").exists()
    assert (len(before), before.text(4)) == (5, "a.txt 5 ✓")
    assert search(some(5), before.vectors, 1).rows[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_who_opens_it_just_then_sees_the_new_one(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are joined between reading the list and opening the files."""
    real, calls = reading.read_info, 0

    def late(path: Path) -> IndexInfo:
        nonlocal calls
        info, calls = real(path), calls + 1
        if calls == 1:
            add_to_index(made, blocks(some(9, seed=2), "b.txt"))
        return info

    monkeypatch.setattr(reading, "read_info", late)
    assert (len(IndexFolder(made)), calls) == (14, 2)
    (made / "00002.texts").unlink()
    with pytest.raises(InputError, match=r"00002\.texts: missing"):
        IndexFolder(made)


def test_adding_nothing_changes_nothing(made: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    add_to_index(made, iter(()))
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_an_error_leaves_nothing(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Block]:
        yield from blocks(some(5))
        raise KeyboardInterrupt

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    before = {path.name: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(KeyboardInterrupt):
        add_to_index(made, broken())
    monkeypatch.setattr(grow, "_joined", full)
    with pytest.raises(OSError, match="no space"):
        add_to_index(made, blocks(some(5)))
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


def test_what_a_kill_left_behind_is_no_part(made: Path) -> None:
    (made / "00001.vectors").write_bytes(b"half")
    (made / "00007.int8").write_bytes(b"half")
    (made / "notes.texts").write_text("not ours", encoding="utf-8")
    assert len(IndexFolder(made)) == 5
    add_to_index(made, blocks(some(2)))
    assert len(IndexFolder(made, verify=True)) == 7
    assert not (made / "00007.int8").exists()
    assert (made / "notes.texts").exists()


def test_one_process_adds_at_a_time(made: Path, tmp_path: Path) -> None:
    lock = os.open(made, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another process is adding"):
        add_to_index(made, blocks(some(5)))
    os.close(lock)
    with pytest.raises(InputError, match="expected an index"):
        add_to_index(tmp_path, blocks(some(5)))
