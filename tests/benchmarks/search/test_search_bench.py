"""The bench of search: what counts as the same answer, and a small one of each kind.

Covers all of xformer.benchmarks.search.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from xformer.benchmarks.search.bench import BLAS, OURS, PEER, Result, differing, met
from xformer.benchmarks.search.command import SearchBench
from xformer.benchmarks.search.vectors import some_vectors
from xformer.errors import InputError


def test_answers_may_differ_by_rounding_and_in_the_order_of_ties() -> None:
    rows, scores = np.array([[4, 2, 7, 9]]), np.array([[0.9, 0.5, 0.5, 0.3]], dtype=np.float32)
    assert differing(rows, scores, rows[:, [0, 2, 1, 3]], scores + np.float32(1e-7), 1e-6) == 0
    assert differing(rows, scores, np.array([[4, 2, 7, 8]]), scores, 1e-6) == 0  # a tie with what follows?
    assert differing(rows, scores, np.array([[5, 2, 7, 9]]), scores, 1e-6) == 1
    assert differing(rows, scores, rows, scores + np.float32(1e-5), 1e-6) == 1


def test_the_ratio_is_to_the_faster_peer() -> None:
    result = Result(1, {OURS: [1.0, 1.0, 2.0], PEER: [9.0, 9.0, 9.0], BLAS: [3.0, 4.0, 4.0]})
    assert result.ratio == 3
    assert Result(1, {**result.seconds, PEER: [99.0]}).ratio == 3
    assert Result(1, {**result.seconds, PEER: [99.0]}).is_hopeless(PEER)
    assert not any(result.is_hopeless(name) for name in (OURS, PEER, BLAS))
    assert met([result])
    assert not met([result, Result(2, {OURS: [1.0]})])
    assert not met([Result(1, result.seconds, wrong=1)])


def test_vectors_have_length_1_and_come_again() -> None:
    first, again = (np.concatenate(list(some_vectors(20_000, 5, 1))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, rtol=1e-5)
    assert not np.array_equal(first[:9], next(some_vectors(9, 5, 2)))


@pytest.mark.slow
def test_a_small_one_of_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = Path(sys.executable)
    bench = SearchBench(
        vectors=300, dim=8, queries=(1, 3), k=2, rounds=1, faiss_python=python, folder=tmp_path
    )
    object.__setattr__(bench, "out", tmp_path / "search.json")
    assert bench.run_command() in (0, 1)  # which side is faster is not the question
    record = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    assert [len(one["seconds"][OURS]) for one in record["results"]] == [1, 1]
    assert not any(one["wrong"] for one in record["results"])
    object.__setattr__(bench, "mine", 40)
    assert bench.run_command() == 0
    record = json.loads((tmp_path / "search.json").read_text(encoding="utf-8"))
    assert 0 < record["pairs"] <= 40
    assert record["peak"] >= record["before"] > 0
    assert "40 × 300 lines mined" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_refused(tmp_path: Path) -> None:
    for bench in (SearchBench(vectors=0), SearchBench(queries=()), SearchBench(mine=0)):
        with pytest.raises(InputError, match="expected a whole number from 1, got 0"):
            bench.run_command()
    with pytest.raises(InputError, match="there is no"):
        SearchBench(faiss_python=tmp_path / "python").run_command()
