"""Advice from the logs of a run that was trained for a few steps."""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from xformer.evaluation.panel import make_panel
from xformer.evaluation.run_advice import closing_advice
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus
from xformer.progress import Progress


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    config = synthetic_config(synthetic_corpus(folder / "corpus"), steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("xformer.pretraining.pretrain.plot_losses", lambda metrics, path: path)
        with Progress(Console(file=StringIO())) as progress:
            assert pretrain(folder / "run", config, progress, make_callback=make_panel)
    return folder / "run"


def test_a_short_run_is_compared_with_a_unigram_model_and_told_what_helps(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "panel.jsonl").read_text(encoding="utf-8").splitlines()]
    # The panel measures the first step, and the last one whatever the clock says.
    assert [line["step"] for line in lines] == [1, 4]
    advice = closing_advice(run)
    assert advice is not None
    (below,) = advice.below
    value = lines[-1]["mean_bits_per_byte"]
    assert below.startswith(f"Worse than its baseline: bits per byte {value:.3f}, above the ")
    assert "a unigram model of each language (on the panel's texts)" in below
    assert f"`xformer pretrain {run} --steps 8` doubles the length" in advice.helps[0]
    assert "no forecast of bits per byte: too few points" in advice.helps[0]


def test_a_panel_that_did_not_see_the_end_says_nothing(run: Path) -> None:
    log = run / "panel.jsonl"
    before = log.read_text(encoding="utf-8")
    log.write_text(before.splitlines(keepends=True)[0], encoding="utf-8")
    assert closing_advice(run) is None
    log.unlink()
    assert closing_advice(run) is None
    log.write_text(before, encoding="utf-8")
