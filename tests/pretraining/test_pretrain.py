"""A run from nothing: what it learns, what it leaves, what it refuses.

Covers xformer.pretraining.task, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.pretraining.load import load_run
from xformer.pretraining.pretrain import pretrain
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.runs.model_card import write_model_card
from xformer.tokenizer import Tokenizer

pytestmark = pytest.mark.slow

Begin = Callable[[RunConfig], RunDirectory]
Listening = Callable[..., Progress]


def _with(config: RunConfig, table: str, **changes: Any) -> RunConfig:
    return replace(config, **{table: replace(getattr(config, table), **changes)})


@pytest.fixture(scope="module")
def learning(config: RunConfig) -> RunConfig:
    """Settings under which the synthetic languages are learned in a few seconds."""
    plain = {"dropout": 0.0, "attention_dropout": 0.0, "zero_init_residual": False, "init_std": 0.1}
    config = _with(config, "model", d_model=32, d_ff=32, **plain)
    sizes = {"masked_lm_tokens": 384, "translation_lm_tokens": 384}
    weights = {"masked_lm_weight": 1.0, "translation_lm_weight": 1.0, "alignment_weight": 0.05}
    config = _with(config, "objectives", **sizes, **weights)
    rates = dict.fromkeys(("lr", "embedding_lr", "full_embedding_lr", "vector_lr"), 0.01)
    config = _with(config, "objectives", embedding_warmup_share=0.1)
    return _with(_with(config, "optimizer", **rates), "training", steps=150)


@pytest.fixture(scope="module")
def finished(
    learning: RunConfig, listening: Listening, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, str]:
    """A run from nothing, and what was said."""
    run = RunDirectory(tmp_path_factory.mktemp("finished") / "deep" / "run")
    progress = listening()
    assert pretrain(run.path, learning, progress)
    return run, progress.console.export_text()


def test_every_objective_s_loss_falls(finished: tuple[RunDirectory, str]) -> None:
    lines = [line["loss"] for line in read_metrics(finished[0].metrics)]
    for name in ("masked_lm", "translation_lm", "alignment"):
        losses = [loss[name] for loss in lines if name in loss]
        assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:5]), name


def test_the_log_has_every_step_and_each_language(
    finished: tuple[RunDirectory, str], learning: RunConfig
) -> None:
    lines = read_metrics(finished[0].metrics)
    assert [line["step"] for line in lines] == list(range(1, 151))
    assert [line["stage"] for line in lines] == ["embedding_warmup"] * 15 + ["full"] * 135
    assert set(lines[0]["loss"]) == {"bag_alignment"}
    blocks = {"masked_lm", "translation_lm", "alignment", "bag_alignment", "distillation"}
    assert set(lines[-1]["loss"]) == blocks
    assert all(line["gradient_norm"] > 0 and line["skipped"] == 0 for line in lines)
    assert np.all(np.diff([line["tokens"] for line in lines]) > 0)
    assert np.all(np.diff([line["elapsed"] for line in lines]) >= 0)
    for group in ("matrices", "embedding", "vectors"):
        assert max(line["lr_factor"][group] for line in lines) == 1.0
        assert lines[-1]["lr_factor"][group] < 0.1
    for line in lines:
        assert set(line["languages"]) == {"de", "el", "en"}
        for part in ("asked", "drawn", "tokens"):
            assert sum(row[part] for row in line["languages"].values()) == pytest.approx(1, abs=1e-5)


def test_shares_drawn_agree_with_the_shares_asked_for(finished: tuple[RunDirectory, str]) -> None:
    full = [line for line in read_metrics(finished[0].metrics) if line["stage"] == "full"]
    for language in ("de", "el", "en"):
        rows = [line["languages"][language] for line in full]
        asked, drawn = (np.mean([row[part] for row in rows]) for part in ("asked", "drawn"))
        texts = 30 * len(full)  # at least so many in a step
        assert abs(asked - drawn) < 4 * (asked * (1 - asked) / texts) ** 0.5
    assert full[0]["languages"]["el"]["asked"] < full[0]["languages"]["de"]["asked"]


def test_the_run_directory_explains_itself(
    finished: tuple[RunDirectory, str], learning: RunConfig, corpus: Path
) -> None:
    run, said = finished
    assert run.load_config() == learning
    assert run.manifest.read_bytes() == (corpus / "manifest.json").read_bytes()
    assert run.loss_plot.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000150"]
    for split in ("train", "dev", "test"):
        assert len(TokenShards.open(run.shards(split))) > 0
    card = run.model_card.read_text(encoding="utf-8")
    for part in (
        "| de |",
        "| el |",
        "| en |",
        "synthetic",
        "CC0-1.0",
        "150 steps",
        "loss.png",
        "360 subwords",
    ):
        assert part in card
    assert "Not evaluated yet" in card
    assert "encode train" in said
    assert "training: done at step 150" in said
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_the_card_shows_the_evaluation_once_there_is_one(
    finished: tuple[RunDirectory, str], tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "copy")
    shutil.copytree(finished[0].path, run.path)
    run.evaluation_table.write_text("| language | top-1 |\n", encoding="utf-8")
    run.retrieval_plot.write_bytes(b"")
    write_model_card(run)
    card = run.model_card.read_text(encoding="utf-8")
    assert "| language | top-1 |" in card
    assert "retrieval.png" in card
    assert "Not evaluated yet" not in card


@pytest.mark.usefixtures("_no_picture")
def test_what_is_there_is_reused_and_that_is_said(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    run, progress = begin(config), listening()
    assert pretrain(run.path, config, progress)
    said = progress.console.export_text()
    assert f"tokenizer: reusing {run.tokenizer}" in said
    assert "encode" not in said


@pytest.mark.usefixtures("_no_picture")
def test_other_settings_are_refused_by_name_once_training_began(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    run = begin(config)
    assert pretrain(run.path, config, listening())
    changed = _with(_with(config, "model", d_model=32), "optimizer", lr=0.5)
    with pytest.raises(InputError) as caught:
        pretrain(run.path, changed, listening())
    assert "model.d_model was 16, not 32; optimizer.lr was 0.0015, not 0.5" in str(caught.value)
    with pytest.raises(InputError, match=r"training\.seed was 0, not 1"):
        pretrain(run.path, _with(config, "training", seed=1), listening())
    free = {
        "checkpoint_every": 7.0,
        "keep_checkpoints": 5,
        "log_every": 1.0,
        "non_finite": "skip",
        "steps": 9,
    }
    assert pretrain(run.path, _with(config, "training", **free), listening())
    assert run.load_config().training.keep_checkpoints == 5


@pytest.mark.usefixtures("_no_picture")
def test_a_first_call_that_failed_binds_nobody(
    config: RunConfig, listening: Listening, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputError, match="nowhere"):
        pretrain(run, _with(config, "data", corpus=str(tmp_path / "nowhere")), listening())
    with pytest.raises(
        InputError, match="vocabulary_size: 262 cannot hold a piece for each frequent character"
    ):
        pretrain(run, _with(config, "tokenizer", vocabulary_size=262), listening())
    assert pretrain(run, config, listening())
    with pytest.raises(InputError, match=r"tokenizer\.vocabulary_size was 320, not 5000"):
        pretrain(run, _with(config, "tokenizer", vocabulary_size=5000), listening())


@pytest.mark.usefixtures("_no_picture")
def test_sizes_that_are_left_open_follow_the_text(
    config: RunConfig, listening: Listening, tmp_path: Path
) -> None:
    run, progress = RunDirectory(tmp_path / "run"), listening()
    open_sizes = _with(_with(config, "model", vocab_size=None), "tokenizer", vocabulary_size=None)
    assert pretrain(run.path, open_sizes, progress)
    pieces = Tokenizer.load(run.tokenizer).vocab_size
    written = run.load_config()
    assert (written.model.vocab_size, written.tokenizer.vocabulary_size) == (pieces, pieces)
    assert written.model == replace(config.model, vocab_size=pieces)
    _, _, model, _ = load_run(run.path)
    assert len(model.encoder.token_embedding) == pieces
    assert f"tokenizer: {pieces:,} pieces" in progress.console.export_text()
    # Left open or given as resolved, the run is the same; another size is another run.
    longer = _with(open_sizes, "training", steps=9)
    assert pretrain(run.path, longer, listening())
    assert pretrain(run.path, written, listening())
    with pytest.raises(InputError, match=rf"model\.vocab_size was {pieces}, not 9000"):
        pretrain(run.path, _with(open_sizes, "model", vocab_size=9000), listening())


@pytest.mark.usefixtures("_no_picture")
def test_a_vocabulary_that_the_text_cannot_fill_is_made_smaller(
    config: RunConfig, listening: Listening, tmp_path: Path
) -> None:
    run, progress = RunDirectory(tmp_path / "run"), listening()
    many = _with(_with(config, "model", vocab_size=None), "tokenizer", vocabulary_size=5000)
    assert pretrain(run.path, many, progress)
    pieces = Tokenizer.load(run.tokenizer).vocab_size
    assert run.load_config().model.vocab_size == pieces < 5000
    assert f"tokenizer: {pieces:,} pieces, the text can fill no more" in progress.console.export_text()
    assert pretrain(run.path, _with(many, "training", steps=9), listening())


def test_another_corpus_is_refused(
    begin: Begin, config: RunConfig, listening: Listening, corpus: Path, tmp_path: Path
) -> None:
    run = begin(config)
    moved = tmp_path / "corpus"
    shutil.copytree(corpus, moved)
    there = _with(config, "data", corpus=str(moved))
    with pytest.raises(InputError, match=r"data\.corpus was"):
        pretrain(run.path, there, listening())
    run = begin(there)
    manifest = json.loads((moved / "manifest.json").read_text())
    (moved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest\.json"):
        pretrain(run.path, there, listening())
    (moved / "manifest.json").write_bytes((corpus / "manifest.json").read_bytes())
    train = moved / "train.jsonl.gz"
    train.write_bytes(train.read_bytes()[:-9] + b"012345678")
    with pytest.raises(InputError, match=r"train\.jsonl\.gz: damaged"):
        pretrain(run.path, there, listening())


def test_a_corpus_made_anew_is_refused(
    begin: Begin, config: RunConfig, listening: Listening, make_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_corpus(tmp_path / "other", seed=1)
    there = _with(config, "data", corpus=str(other))
    run = begin(there)
    with pytest.raises(InputError, match="expected the corpus that this run began with"):
        pretrain(run.path, there, listening())
    run.manifest.unlink()
    with pytest.raises(InputError, match="made from another corpus"):
        pretrain(run.path, there, listening())


def test_a_folder_of_something_else_is_left_alone(
    config: RunConfig, listening: Listening, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a run or an empty folder, found other files"):
        pretrain(tmp_path, config, listening())
    with pytest.raises(InputError, match="found a file"):
        pretrain(tmp_path / "notes.txt", config, listening())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_there_is_nothing_to_load_before_training(begin: Begin, config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run made by `xformer pretrain`"):
        load_run(tmp_path)
    with pytest.raises(InputError, match="expected a checkpoint, found none"):
        load_run(begin(config).path)
