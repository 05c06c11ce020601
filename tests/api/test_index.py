"""An index in Python, with the model of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import xformer
from xformer.api import Index, Model
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory

pytestmark = pytest.mark.slow

TEXTS = ["dog sees house", "Hund sieht Haus", "", "σπίτι", "house sees dog", "dog sees house"]


@pytest.fixture(scope="module")
def model(trained: RunDirectory) -> Model:
    return xformer.load(trained.path)


@pytest.fixture
def index(model: Model, tmp_path: Path) -> Index:
    return Index.build(tmp_path / "i", model, {"a.txt": TEXTS[:4], "b.txt": iter(TEXTS[4:])})


def test_results_are_those_of_all_cosines(index: Index, model: Model) -> None:
    cosines = model.similarity(TEXTS[1], TEXTS)[0]
    found = index.search(TEXTS[1], k=9)
    assert [match.row for match in found] == np.argsort(-cosines, kind="stable").tolist()
    np.testing.assert_allclose([match.score for match in found], np.sort(cosines)[::-1], atol=1e-6)
    assert (found[0].text, found[0].source, found[0].line) == (TEXTS[1], "a.txt", 2)
    first = index.search([TEXTS[0], TEXTS[3]], k=2)
    assert [(match.text, match.source, match.line) for match in first[0]] == [
        (TEXTS[0], "a.txt", 1),
        (TEXTS[0], "b.txt", 2),
    ]
    assert index.search([]) == []


def test_it_grows_and_opens_by_itself(index: Index) -> None:
    index.add(["Katze"])
    again = xformer.Index(index.path)
    assert (len(again), len(index)) == (7, 7)
    assert again.search("Katze", k=1) == index.search("Katze", k=1)
    assert index.search("Katze", k=1)[0].source == "texts"
    assert "7 texts" in repr(again)


def test_another_model_is_noticed(index: Index, trained: RunDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained.path, copy)
    assert xformer.Index(index.path, xformer.load(copy)).search("Hund", k=1)  # the same weights elsewhere
    other = xformer.load(copy)
    other._layer = type(other.layer)(other.step, 1 - other.layer.layer, [])
    with pytest.raises(InputError, match=r"its vectors were made by .* cannot be compared.*xformer index"):
        xformer.Index(index.path, other)


def test_refused(index: Index, model: Model, tmp_path: Path) -> None:
    for k in (0, True, "5"):
        with pytest.raises(InputError, match="k: expected a whole number from 1"):
            index.search("Hund", k=k)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"vectors of 192 numbers|expected vectors of"):
        next(index.search_vectors(np.ones((1, 3), np.float32)))
    with pytest.raises(InputError, match="expected texts, got none"):
        Index.build(tmp_path / "none", model, [])
    with pytest.raises(InputError, match=r"texts\[1\]: expected a string"):
        Index.build(tmp_path / "no", model, ["a", 1])  # type: ignore[list-item]
    with pytest.raises(InputError, match="expected an index"):
        xformer.Index(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i"]
