"""Shortlists: translations that the pairs show, the frequent tokens, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xformer.errors import InputError
from xformer.generation.shortlist import Shortlist, make_shortlist

END, OF = 2, 30
PAIRS = [([10 + n % 7, 10 + n % 5, 9], [OF, 20 + n % 7, 20 + n % 5, END]) for n in range(70)]


def test_translations_are_found_among_all_that_occur_together() -> None:
    """Token 10 + n is translated by 20 + n, beside a word that stands everywhere."""
    found = make_shortlist(PAIRS, 40, always=[END], per_token=1, frequent=2)
    assert found.always.tolist() == [END, OF]
    for n in range(5):
        assert found.of([10 + n]).tolist() == [END, 20 + n, OF]
    assert found.of([10, 14]).tolist() == [END, 20, 24, OF]
    assert found.of([]).tolist() == found.of([39]).tolist() == [END, OF]


def test_it_is_ibm_model_1() -> None:
    """The likeliest two of each source token, by the definition, one pair of texts after another."""
    rng = np.random.default_rng(0)
    pairs = [
        (rng.integers(0, 6, rng.integers(1, 5)).tolist(), rng.integers(0, 6, rng.integers(1, 5)).tolist())
        for _ in range(40)
    ]
    table = np.ones((6, 6))
    for _ in range(3):
        expected = np.zeros((6, 6))
        for source, target in pairs:
            for t in target:
                total = sum(table[s, t] for s in source)
                for s in source:
                    expected[s, t] += table[s, t] / total
        table = expected / expected.sum(1, keepdims=True)
    found = make_shortlist(pairs, 6, always=[], per_token=2, frequent=0, rounds=3)
    for token in range(6):
        assert set(found.of([token]).tolist()) == set(np.argsort(-table[token])[:2].tolist())


def test_files(tmp_path: Path) -> None:
    shortlist = make_shortlist(PAIRS, 40, always=[END])
    shortlist.save(tmp_path / "shortlist")
    again = Shortlist.load(tmp_path / "shortlist", 40)
    assert again.of([10, 9]).tolist() == shortlist.of([10, 9]).tolist()
    with pytest.raises(InputError, match=r"expected a shortlist of 50 tokens, got 40"):
        Shortlist.load(tmp_path / "shortlist", 50)
    Shortlist(np.array([99]), shortlist.starts, shortlist.translations).save(tmp_path / "far")
    with pytest.raises(InputError, match=r"far: expected ids from 0 to 39"):
        Shortlist.load(tmp_path / "far", 40)
    (tmp_path / "other").write_text("nothing", encoding="utf-8")
    for name in ("other", "absent"):
        with pytest.raises(InputError, match=rf"{name}: expected a shortlist"):
            Shortlist.load(tmp_path / name, 40)
    with pytest.raises(ValueError, match=r"^always: expected ids from 0 to 39"):
        make_shortlist(PAIRS, 40, always=[40])
