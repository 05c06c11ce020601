"""Indexes on disk: whole or absent, damaged, of another format. Covers `part`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xformer.embedding.search.folder import Block, IndexFolder, Stamp, make_index, read_info
from xformer.errors import InputError
from xformer.storage.checksummed import write_checksummed

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


def test_refused(made: Path, tmp_path: Path, vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="already exists"):
        make_index(made, MADE, 3, blocks(vectors))
    with pytest.raises(InputError, match="expected texts, got none"):
        make_index(tmp_path / "none", MADE, 3, iter(()))
    with pytest.raises(InputError, match="expected an index"):
        IndexFolder(tmp_path)
    vectors[3] = np.nan
    with pytest.raises(InputError, match="runs/demo: its model at step 12: expected finite"):
        make_index(tmp_path / "nan", MADE, 3, blocks(vectors))
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


@pytest.mark.parametrize("kind", ["vectors", "bf16", "int8", "scales", "texts", "ends"])
def test_damage_is_found(made: Path, kind: str) -> None:
    name = f"00000.{kind}"
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


def test_another_format_is_named(made: Path) -> None:
    info = read_info(made)
    write_checksummed(made / "index.json", replace(info, format=1))
    with pytest.raises(InputError, match=r"format 2, it is of 1; make it again by `xformer index`"):
        IndexFolder(made)


def test_an_error_leaves_nothing(vectors: np.ndarray, tmp_path: Path) -> None:
    def broken() -> Iterator[Block]:
        yield from blocks(vectors)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_index(tmp_path / "new", MADE, 3, broken())
    assert not list(tmp_path.iterdir())
