"""What a run of the bench comes to, and how trainers are compared.

Covers result, report, quality and prepared of xformer.benchmarks.training.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.benchmarks.training.curves import curve, quiet
from xformer.benchmarks.training import TrainerName, bench
from xformer.benchmarks.training.bench import Options, run_all
from xformer.benchmarks.training.clock import Work, train_by_the_clock
from xformer.benchmarks.training.quality import Quality
from xformer.benchmarks.training.report import draw, headline_table, notes, trainers_table
from xformer.benchmarks.training.result import Outcome, Point, Trained, time_to
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory

HEADLINE = {
    "tokens_per_s_over_padded",
    "tokens_per_s_over_blocks",
    "matrix_rate_share",
    "time_to_bpb_over_blocks",
    "time_to_bpb_over_blocks_from_counts",
    "time_to_retrieval_over_sentence_transformers",
    "time_to_retrieval_over_static_embedding",
    "retrieval_mean_top1",
}

CPU = torch.device("cpu")


def test_time_to_a_quality() -> None:
    one = curve("xformer", (0, 4.0, 0.0), (10, 3.0, 0.5), (20, 3.5, 0.4), (30, 2.0, None))
    assert time_to(one, "bits_per_byte", 3.5) == pytest.approx(5)
    assert time_to(one, "bits_per_byte", 2.5) == pytest.approx(20 + 10 * 2 / 3)
    assert time_to(one, "bits_per_byte", 1.9) is None
    assert time_to(one, "bits_per_byte", 5.0) == 0
    assert time_to(one, "mean_top1", 0.25) == pytest.approx(5)
    assert time_to(one, "mean_top1", 0.51) is None
    assert time_to(one, "mean_top1", None) is None


def test_the_headline() -> None:
    ours = curve(
        "xformer",
        (1, 3.0, 0.0),
        (11, 1.0, 0.5),
        tokens_per_s=50.0,
        flops_per_s=6.0,
        matrix_flops_per_s=8.0,
    )
    blocks = curve("blocks", (0, 5.0, 0.0), (40, 2.0, 0.1), tokens_per_s=10.0)
    theirs = curve("sentence-transformers", (0, None, 0.0), (40, None, 0.25), tokens_per_s=10.0)
    outcome = Outcome({"blocks": blocks, "sentence-transformers": theirs, "xformer": ours}, {})
    assert outcome.headline() == pytest.approx(
        {
            "tokens_per_s_over_padded": None,
            "tokens_per_s_over_blocks": 5.0,
            "matrix_rate_share": 0.75,
            "time_to_bpb_over_blocks": 40 / 6,
            "time_to_bpb_over_blocks_from_counts": None,
            "time_to_retrieval_over_sentence_transformers": 40 / 6,
            "time_to_retrieval_over_static_embedding": None,
            "retrieval_mean_top1": 0.5,
        }
    )
    better = replace(blocks, points=(*blocks.points, Point(50, 0, 0.5, 0.0)))
    assert Outcome({"blocks": better, "xformer": ours}, {}).headline()["time_to_bpb_over_blocks"] is None
    nothing = Outcome({"blocks": Trained("blocks", "absent")}, {}).headline()
    assert set(nothing) == HEADLINE
    assert set(nothing.values()) == {None}


def test_the_clock_stands_still_while_a_model_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    shares = []

    def step(progress: float) -> Work:
        nonlocal now
        shares.append(progress)
        now += 2.0
        return Work(3, 7.0)

    def examine() -> Quality:
        nonlocal now
        now += 100.0
        return Quality(1.0, None)

    timed = train_by_the_clock(step, examine, budget=8.0, marks=2, device=CPU)
    assert [(point.seconds, point.tokens) for point in timed.points] == [(0, 0), (4, 6), (8, 12)]
    assert (timed.seconds, timed.steps, timed.work) == (8.0, 4, Work(12, 28.0))
    assert shares == [0.0, 0.25, 0.5, 0.75]
    assert timed.peak_bytes > 0


def test_who_is_not_installed_is_absent(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "version", lambda name: None)
    run, config = ready
    options = Options(trainers=("padded", "blocks", "sentence-transformers"))
    outcome = run_all(run, config, options, {"device": "a CPU", "commit": "abc1234"}, quiet())
    assert {one.status for one in outcome.trained.values()} == {"absent"}
    shown = json.loads(json.dumps(outcome.to_json()))
    assert shown.keys() >= HEADLINE | {"commit"}
    assert {shown[name] for name in HEADLINE} == {None}
    assert notes(outcome)[0] == "padded: transformers not installed"
    assert draw(outcome, tmp_path / "none.png") is None
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(trainers_table(outcome), headline_table(outcome))
    assert console.export_text().count("absent") == 3


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    trained: dict[TrainerName, Trained] = {
        "xformer": curve("xformer", (0, 3.0, 0.0), (1, 2.0, 0.5)),
        "sentence-transformers": curve("sentence-transformers", (0, None, 0.0), (1, None, 0.2)),
    }
    path = draw(Outcome(trained, {"device": "here", "threads": 2}), tmp_path / "training.png")
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")
