"""Search among texts that lie in memory; similarities are in `test_model.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import xformer
from xformer.api import Index, Match, Model
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow

TEXTS = ["dog sees house", "Hund sieht Haus", "", "σπίτι", "house sees dog", "dog sees house"]


@pytest.fixture(scope="module")
def model(trained: RunDirectory) -> Model:
    return xformer.load(trained.path)


def test_it_finds_what_an_index_finds(model: Model, tmp_path: Path) -> None:
    sources = {"a.txt": TEXTS[:4], "b.txt": TEXTS[4:]}
    index = Index.build(tmp_path / "i", model, sources)
    queries = ["Hund", "house", ""]
    found = model.search(queries, sources, k=9)
    for mine, theirs in zip(found, index.search(queries, k=9), strict=True):
        assert [(match.row, match.source, match.line, match.text) for match in mine] == [
            (match.row, match.source, match.line, match.text) for match in theirs
        ]
        np.testing.assert_allclose([m.score for m in mine], [m.score for m in theirs], atol=1e-6)
    assert [match.row for match in model.search("dog sees house", TEXTS, k=2)] == [0, 5]


def test_texts_and_vectors_may_be_given_in_many_ways(model: Model) -> None:
    vectors = model.encode(TEXTS)
    expected = model.search(["Hund"], TEXTS, k=3)
    assert len(expected[0]) == 3
    assert isinstance(expected[0][0], Match)
    for queries in (iter(["Hund"]), model.encode(["Hund"]), torch.from_numpy(model.encode(["Hund"]))):
        found = model.search(queries, iter(TEXTS), k=3, vectors=vectors)
        assert [match.row for match in found[0]] == [match.row for match in expected[0]]
    assert model.search("Hund", TEXTS, k=3) == expected[0]
    assert model.search("Hund", []) == []
    assert model.search([], TEXTS) == []


def test_refused(model: Model) -> None:
    for k in (0, True, 2.0):
        with pytest.raises(InputError, match="k: expected a whole number from 1"):
            model.search("Hund", TEXTS, k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="texts: expected a list of strings, got one string"):
        model.search("Hund", "Haus")
    with pytest.raises(InputError, match=r"texts\[1\]: expected a string"):
        model.search("Hund", ["Haus", 1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="vectors: expected one for each of 6 texts, got 1"):
        model.search("Hund", TEXTS, vectors=model.encode(["Hund"]))
    with pytest.raises(InputError, match=rf"vectors of {model.dim} numbers"):
        model.search(np.ones((1, 3), np.float32), TEXTS)
    with pytest.raises(InputError, match="top_k: it is spelled k"):
        model.search("Hund", TEXTS, top_k=3)  # type: ignore[call-overload]
