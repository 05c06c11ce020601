"""A translation run from its first step to its last.

Covers `task`, `dev`, `model`, `load`, `setup` and `config`, and xformer.runs.copied_tokenizer.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.translation.conftest import DIRECTIONS, tiny_settings
from xformer.errors import InputError
from xformer.interop.huggingface.marian import require_marian
from xformer.pretraining.pretrained import open_pretrained
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.training.verify_resume.compare_runs import compare_runs
from xformer.translation.encoded import Vocabulary
from xformer.translation.load import open_translation
from xformer.translation.model import new_model
from xformer.translation.setup import Length, settings_for
from xformer.translation.train import (
    TranslationTexts,
    dev_scores,
    never_generated,
    train_translator,
    with_rows,
)

Listening = Callable[..., Any]


def test_it_learns_logs_and_saves(translator_run: Path) -> None:
    run, opened = RunDirectory(translator_run), open_translation(translator_run)
    lines = read_metrics(run.metrics)
    assert lines[-1]["loss"]["translation"] < 0.5 * lines[0]["loss"]["translation"]
    found = dev_scores(run)
    assert [one["step"] for one in found] == [50, 100, 150]
    assert set(found[-1]["chrf"]) == set(map(str, DIRECTIONS))
    best = max(found, key=lambda one: sum(one["chrf"].values()))
    assert opened.state.step == best["step"]
    assert 100 - (opened.state.held_out or 0) == pytest.approx(sum(best["chrf"].values()) / 3)
    assert min(best["chrf"].values()) > 30


def test_what_translates_is_the_mean_of_the_weights(translator_run: Path) -> None:
    opened, newest = (
        open_translation(translator_run, "newest"),
        newest_checkpoint(RunDirectory(translator_run).checkpoints),
    )
    assert newest is not None
    moments, name = newest.whole("optimizer"), "decoder.layers.0.mlp.Wi.weight"
    weight = dict(opened.model.named_parameters())[name]
    assert torch.equal(weight, moments[f"average.{name}"])
    assert not torch.equal(weight, newest.whole("model")[name])


def test_a_start_from_nothing_stays_on_the_road_to_marian(translator_run: Path) -> None:
    opened = open_translation(translator_run)
    require_marian(opened.model)
    rows = opened.model.config.encoder.rows
    assert rows == opened.tokenizer.vocab_size + 3
    never = never_generated(opened.tokenizer, opened.vocabulary)
    assert set(never) == {0, 1, 3, 4, rows - 3, rows - 2, rows - 1}


def test_it_goes_on_to_the_same_bits_wherever_it_was_interrupted(
    parallel: TranslationTexts, listening: Listening, tmp_path: Path
) -> None:
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    settings = tiny_settings(whole.path, 9, "translation.r_drop=1.0", "translation.dev_pairs=2")
    assert train_translator(whole.path, settings, parallel, listening())
    interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 5 else None)
    assert not train_translator(stopped.path, settings, parallel, interrupt)
    assert train_translator(stopped.path, settings, parallel, listening())
    assert [row for row in compare_runs(whole, stopped) if row.differences] == []
    ours, theirs = (dev_scores(run) for run in (whole, stopped))
    assert [one["chrf"] for one in ours] == [one["chrf"] for one in theirs]
    assert set(read_metrics(whole.metrics)[-1]["loss"]) == {"translation", "r_drop"}


def test_it_begins_from_a_pretrained_run_and_then_needs_it_no_more(
    trained: RunDirectory, parallel: TranslationTexts, listening: Listening, tmp_path: Path
) -> None:
    base, new = tmp_path / "base", tmp_path / "new"
    shutil.copytree(trained.path, base)
    settings = tiny_settings(new, 2, "translation.dev_pairs=1", base=base)
    opened = open_pretrained(base)
    encoder, base_pieces = opened.network.encoder, opened.tokenizer.vocab_size
    vocabulary = Vocabulary.of(opened.tokenizer, ("de", "en", "fr"))
    model = new_model(with_rows(settings, vocabulary.rows), vocabulary)
    ours, theirs = model.encoder.state_dict(), encoder.state_dict()
    assert {name for name in theirs if name not in ours} == {"embeddings.bigram_embeddings.weight"}
    for name, weight in theirs.items():
        if name not in ours:
            continue
        rows = base_pieces if name.endswith("tok_embeddings.weight") else len(weight)
        assert torch.equal(ours[name][:rows], weight[:rows])
    block = "layers.0.mlp.Wi.weight"
    assert torch.equal(model.decoder.state_dict()[block], theirs[block])
    assert train_translator(new, settings, parallel, listening())
    shutil.rmtree(base)
    longer = tiny_settings(new, 3, "translation.dev_pairs=1", base=base)
    assert train_translator(new, longer, parallel, listening())
    with pytest.raises(InputError, match="this run began from"):
        tiny_settings(new, 3, base=tmp_path / "other")


def test_wrong_settings_are_refused(trained: RunDirectory, tmp_path: Path) -> None:
    for changes, expected in (
        (["training.steps=3"], "this is what --steps says"),
        (["training.sharding=full"], "training.sharding: expected none"),
        (["translation.averaging=1"], "translation.averaging: expected"),
        (["encoder.d_model=64"], "decoder.d_model: expected the encoder's, 64"),
    ):
        with pytest.raises(InputError, match=expected):
            settings_for(None, tmp_path / "new", DIRECTIONS, Length(), changes=changes)
    with pytest.raises(InputError, match="--vocabulary: the vocabulary is that of"):
        settings_for(trained.path, tmp_path / "new", DIRECTIONS, Length(), vocabulary=500)
    with pytest.raises(InputError, match="expected a run that translates, it is one of pretraining"):
        open_translation(trained.path)
