"""Indexes on disk: whole or absent, grown, damaged. Covers `part`."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xformer.embedding.search.exact import search
from xformer.embedding.search.folder import Block, IndexFolder, Stamp, add_to_index, make_index
from xformer.errors import InputError

MADE = Stamp("runs/demo", 12, 1, "f" * 64)
TEXTS = ["one", "", "drei\nLinien", "τέσσερα", "🙂"]


def blocks(vectors: np.ndarray, name: str = "a.txt", at_once: int = 2) -> Iterator[Block]:
    for start in range(0, len(vectors), at_once):
        yield name, TEXTS[start : start + at_once], vectors[start : start + at_once]


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    found = rng.standard_normal((5, 3))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def made(tmp_path: Path, vectors: np.ndarray) -> Path:
    make_index(tmp_path / "i", MADE, 3, blocks(vectors))
    return tmp_path / "i"


def test_what_was_written_is_read(made: Path, vectors: np.ndarray) -> None:
    index = IndexFolder(made, verify=True)
    assert [index.text(row) for row in range(len(index))] == TEXTS
    assert [index.place(row) for row in (0, 4)] == [("a.txt", 1), ("a.txt", 5)]
    np.testing.assert_array_equal(index.vectors[0].vectors, vectors)
    assert index.info.model == MADE


def test_parts_are_searched_as_one(made: Path, vectors: np.ndarray) -> None:
    add_to_index(made, blocks(-vectors, "b.txt", 3))
    add_to_index(made, blocks(vectors, "a.txt"))
    index = IndexFolder(made)
    assert (len(index), len(index.vectors)) == (15, 3)
    assert [index.place(row) for row in (4, 5, 9, 10)] == [
        ("a.txt", 5),
        ("b.txt", 1),
        ("b.txt", 5),
        ("a.txt", 1),
    ]
    assert index.text(12) == TEXTS[2]
    found = search(vectors, index.vectors, 2)
    # Each vector stands there twice, with equal scores; the first comes first.
    np.testing.assert_array_equal(found.rows[:, 0] + 10, found.rows[:, 1])


def test_adding_nothing_changes_nothing(made: Path) -> None:
    before = (made / "index.json").read_bytes()
    add_to_index(made, iter(()))
    assert (made / "index.json").read_bytes() == before
    assert len(list(made.iterdir())) == 5


def test_an_error_leaves_nothing(made: Path, vectors: np.ndarray, tmp_path: Path) -> None:
    def broken() -> Iterator[Block]:
        yield from blocks(vectors)
        raise KeyboardInterrupt

    before = sorted(path.name for path in made.iterdir())
    with pytest.raises(KeyboardInterrupt):
        add_to_index(made, broken())
    with pytest.raises(KeyboardInterrupt):
        make_index(tmp_path / "new", MADE, 3, broken())
    assert sorted(path.name for path in made.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_a_part_that_a_kill_left_behind_is_no_part(made: Path, vectors: np.ndarray) -> None:
    (made / "00001.vectors").write_bytes(b"half")
    assert len(IndexFolder(made)) == 5
    add_to_index(made, blocks(vectors))
    assert len(IndexFolder(made, verify=True)) == 10


def test_one_process_adds_at_a_time(made: Path, vectors: np.ndarray) -> None:
    lock = os.open(made, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another process is adding"):
        add_to_index(made, blocks(vectors))
    os.close(lock)


def test_refused(made: Path, tmp_path: Path, vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="already exists"):
        make_index(made, MADE, 3, blocks(vectors))
    with pytest.raises(InputError, match="expected texts, got none"):
        make_index(tmp_path / "none", MADE, 3, iter(()))
    with pytest.raises(InputError, match="expected an index"):
        IndexFolder(tmp_path)
    with pytest.raises(InputError, match="expected an index"):
        add_to_index(tmp_path, blocks(vectors))
    vectors[3] = np.nan
    with pytest.raises(InputError, match="runs/demo: its model at step 12: expected finite"):
        make_index(tmp_path / "nan", MADE, 3, blocks(vectors))
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


@pytest.mark.parametrize("name", ["00000.vectors", "00000.codes", "00000.texts", "00000.ends"])
def test_damage_is_found(made: Path, name: str) -> None:
    data = bytearray((made / name).read_bytes())
    data[0] ^= 1
    (made / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name}: damaged"):
        IndexFolder(made, verify=True)
    (made / name).write_bytes(data[:-1])
    with pytest.raises(InputError, match=f"{name}: expected .* bytes"):
        IndexFolder(made)
    (made / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing"):
        IndexFolder(made)


def test_a_changed_list_is_found(made: Path) -> None:
    content = json.loads((made / "index.json").read_text(encoding="utf-8"))
    content["dim"] = 4
    (made / "index.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="changed since it was written"):
        IndexFolder(made)
