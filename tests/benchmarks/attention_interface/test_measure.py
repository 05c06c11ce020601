"""`xformer bench attention-interface`, with a few short texts: the three ways agree, and all are timed.

Covers xformer.benchmarks.attention_interface.command, too.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from xformer.benchmarks.attention_interface import measure as module
from xformer.benchmarks.attention_interface.measure import WAYS, Batch, measure
from xformer.benchmarks.encode import texts
from xformer.cli import main
from xformer.progress import Progress

pytest.importorskip("transformers", minversion="5.0")
ROWS = [np.array([3, 4, 5]), np.array([6]), np.array([], dtype=np.int64), np.array([7, 8])]


def test_a_batch_is_the_same_texts_twice() -> None:
    batch = Batch.of([ROWS[0], ROWS[1]])
    assert batch.ids.tolist() == [[3, 4, 5], [6, 0, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.row.tolist() == [[3, 4, 5, 6]]
    assert batch.positions.tolist() == [[0, 1, 2, 0]]
    assert batch.starts.tolist() == [0, 3, 4]


@pytest.mark.slow
def test_the_ways_agree_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    with Progress() as progress:
        found = measure("modernbert", ROWS, 16, 2, 2, backward=False, progress=progress)
        assert [one.way for one in found] == list(WAYS)
        assert [(one.texts, one.tokens, one.filled) for one in found] == [(3, 6, 6 / 8)] * 3
        assert all(one.right and len(one.seconds) == 2 and one.ratio is not None for one in found)
        assert found[0].ratio == 1
        monkeypatch.setitem(WAYS, "xformer", lambda model, batch: WAYS["sdpa"](model, batch) + 1)
        wrong = measure("modernbert", ROWS, 16, 2, 1, backward=False, progress=progress)[1]
    assert not wrong.right
    assert wrong.ratio is None
    assert wrong.seconds == []


class Words:
    """A tokenizer of words."""

    vocab_size = 9

    def encode_batch(self, texts: list[str]) -> list[np.ndarray]:
        return [np.arange(len(text.split())) for text in texts]


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was asked for reaches the measurement, and its results are printed."""
    asked: list[object] = []

    def measured(*given: object, **more: object) -> list[module.Result]:
        asked.append((*given, more["backward"]))
        return [module.Result("bert", "forward", "sdpa", 0.0, 1, 1, 1.0, [1.0], [2.0], 1.0)]

    monkeypatch.setattr(module, "measure", measured)
    monkeypatch.setattr(texts, "texts_of_file", lambda *_: (["two words"], Words()))
    common = ["bench", "attention-interface", "--text", "lines", "--batch", "5", "--quick"]
    with pytest.raises(SystemExit) as ended:
        main([*common, "--model", "bert", "--json"])
    assert ended.value.code == 0
    assert [str(one) for one in asked] == [
        f"('bert', [array([0, 1])], 9, 5, 3, {backward})" for backward in (False, True)
    ]
    assert [json.loads(line)["ratio"] for line in capsys.readouterr().out.splitlines()] == [1.0, 1.0]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "attention-interface"])
    assert ended.value.code == 2
    assert "expected --run RUN or --text FILE, got neither" in capsys.readouterr().err
