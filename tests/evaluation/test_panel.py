"""The panel: what it measures, that it changes nothing, and what it writes."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from xformer.evaluation.panel import Panel, make_panel
from xformer.evaluation.shares import Shares
from xformer.pretraining.load import load_run
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus
from xformer.progress import Progress
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, RunConfig, str]]:
    """The same run with and without a panel that evaluates after each step; its settings; what was said."""
    folder = tmp_path_factory.mktemp("panel")
    config = synthetic_config(synthetic_corpus(folder / "corpus"), steps=4)
    config = replace(config, training=replace(config.training, panel_every=1e-9))
    objectives = replace(config.objectives, embedding_warmup_share=0.6)
    config = replace(config, objectives=objectives)
    said = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("xformer.pretraining.pretrain.plot_losses", lambda metrics, path: path)
        with Progress(Console(file=said, width=200)) as progress:
            assert pretrain(folder / "with", config, progress, make_callback=make_panel)
        with Progress(Console(file=StringIO())) as progress:
            assert pretrain(folder / "without", config, progress)
        yield folder / "with", folder / "without", config, said.getvalue()


def test_the_panel_changes_nothing(runs: tuple[Path, Path, RunConfig, str]) -> None:
    watched, alone = (newest_checkpoint(run / "checkpoints") for run in runs[:2])
    assert watched is not None
    assert alone is not None
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (watched.path / name).read_bytes() == (alone.path / name).read_bytes()
    assert watched.state.data_digest == alone.state.data_digest


def test_each_evaluation_is_shown_and_written(runs: tuple[Path, Path, RunConfig, str]) -> None:
    lines = read_metrics(runs[0] / "panel.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    for line in lines:
        assert set(line["top1"]) == {"de", "el"}
        assert set(line["bits_per_byte"]) == {"de", "el", "en"}
        assert line["mean_top1"] == pytest.approx(np.mean(list(line["top1"].values())), abs=1e-4)
        bits = list(line["bits_per_byte"].values())
        assert line["mean_bits_per_byte"] == pytest.approx(np.mean(bits), abs=1e-4)
        assert math.isfinite(line["hubness"])
    # Three of four steps are the bag's, the last runs both blocks.
    assert [len(line["alignment_by_layer"]) for line in lines] == [1, 1, 1, 3]
    # The log has a line at each second step, written before the evaluation.
    (first, *_, last), log = lines, read_metrics(runs[0] / "metrics.jsonl")
    assert first["asked"] == first["seen"] == {}
    shares = Shares()
    for entry in log:
        shares.add(entry)
    assert last["asked"] == pytest.approx(shares.of("asked"), abs=1e-5)
    assert last["seen"] == pytest.approx(shares.of("drawn"), abs=1e-5)
    assert runs[3].count("panel: step") == 4
    assert not (runs[1] / "panel.jsonl").exists()


def test_a_run_that_goes_on_forgets_steps_that_never_were(runs: tuple[Path, Path, RunConfig, str]) -> None:
    path = runs[0] / "panel.jsonl"
    before = path.read_text()
    run, config, model, state = load_run(runs[0])
    with Progress(Console(file=StringIO())) as progress:
        panel = Panel(run, config, progress)
        mode = [module.training for module in model.modules()]
        random = torch.get_rng_state()
        panel(model, replace(state, step=3))
        assert [module.training for module in model.modules()] == mode
        assert torch.equal(random, torch.get_rng_state())
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    path.write_text(before)


def test_no_panel_where_none_is_asked_for(runs: tuple[Path, Path, RunConfig, str]) -> None:
    config = replace(runs[2], training=replace(runs[2].training, panel_every=0.0))
    with Progress(Console(file=StringIO())) as progress:
        assert make_panel(RunDirectory(runs[0]), config, progress) is None
        config = replace(runs[2], data=replace(runs[2].data, pivot="xx"))
        assert make_panel(RunDirectory(runs[0]), config, progress) is None


def test_earlier_lines_that_cannot_be_read_stop_nothing(
    runs: tuple[Path, Path, RunConfig, str], tmp_path: Path
) -> None:
    shutil.copytree(runs[0], tmp_path / "run")
    log = tmp_path / "run" / "panel.jsonl"
    log.write_text("no JSON\n", encoding="utf-8")
    output = StringIO()
    run, config, model, state = load_run(tmp_path / "run")
    with Progress(Console(file=output, width=500)) as progress:
        Panel(run, config, progress)(model, state)
    assert "panel.jsonl:1: expected a JSON object" in output.getvalue()
    assert "its earlier lines are left as they are" in output.getvalue()
    first, second = log.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["step"]) == ("no JSON", 4)


def test_in_a_terminal_it_stays_below_the_bars(runs: tuple[Path, Path, RunConfig, str]) -> None:
    output = StringIO()
    run, config, model, state = load_run(runs[0])
    with Progress(Console(file=output, force_terminal=True, width=120)) as progress:
        result = Panel(run, config, progress).evaluate(model, state)
        progress.show(result, "a line that only a log has")
    assert "step 4, dev" in output.getvalue()
    assert "a line that only a log has" not in output.getvalue()
