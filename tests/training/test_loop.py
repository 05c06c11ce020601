"""The loop's stages, its clock, and losses that are not finite.

Covers xformer.training.bad_step, meter and trainer.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards
from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining import task
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.load import load_run
from xformer.pretraining.pretrain import build_model, pretrain
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.pretraining.step_losses import StepLosses, total_loss
from xformer.pretraining.task import PretrainingTask
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState, best_checkpoint, newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.training import bad_step, loop
from xformer.training.losses import Loss
from xformer.training.trainer import Trainer
from xformer.training.verify_resume.compare_runs import compare_runs

pytestmark = pytest.mark.usefixtures("_no_picture")

Begin = Callable[[RunConfig], RunDirectory]
Listening = Callable[..., Progress]


def _training(config: RunConfig, **changes: Any) -> RunConfig:
    return replace(config, training=replace(config.training, **changes))


def _objectives(config: RunConfig, **changes: Any) -> RunConfig:
    return replace(config, objectives=replace(config.objectives, **changes))


@pytest.fixture
def after_the_bag(
    begin: Begin, config: RunConfig, listening: Listening
) -> tuple[RunConfig, MultilingualModel, MultilingualModel, StepBatches]:
    """Settings, a model at its start, the model at the end of the bag stage, and their batches."""
    config = _objectives(config, embedding_warmup_share=1.0)
    run = begin(config)
    assert pretrain(run.path, config, listening())
    shards = TokenShards.open(run.shards("train"))
    starts_word = torch.zeros(360, dtype=torch.bool).numpy()
    return (
        config,
        build_model(config, count_tokens(shards)),
        load_run(run.path)[2],
        StepBatches(shards, config, starts_word),
    )


Bag = tuple[RunConfig, MultilingualModel, MultilingualModel, StepBatches]


def test_the_bag_stage_trains_the_embedding_and_no_block(after_the_bag: Bag) -> None:
    _, start, end, _ = after_the_bag
    before, after = dict(start.named_parameters()), dict(end.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    embeddings = ("tok_embeddings", "bigram_embeddings", "norm")
    assert changed == {f"encoder.embeddings.{name}.weight" for name in embeddings}


def test_when_the_blocks_join_nothing_jumps(after_the_bag: Bag) -> None:
    config, _, model, batches = after_the_bag
    batch = batches.make(50)
    with torch.no_grad():
        (_, bag), (_, full) = (
            StepLosses(model, config.objectives)(batch, stage) for stage in (EMBEDDING_WARMUP, FULL)
        )
    assert set(bag) == {"masked_lm", "translation_lm", "alignment", "bag_alignment", "distillation"}
    for name in bag:
        # A mean over tokens to each of which the mean was added is twice the mean: the same, up to rounding.
        torch.testing.assert_close(bag[name].items, full[name].items, rtol=0, atol=1e-4, msg=name)


def test_without_alignment_there_is_no_bag(begin: Begin, config: RunConfig, listening: Listening) -> None:
    alone = _objectives(config, alignment_tokens=0, translation_lm_tokens=0)
    run = begin(alone)
    assert pretrain(run.path, alone, listening())
    lines = read_metrics(run.metrics)
    assert [line["stage"] for line in lines] == ["full"] * 8
    assert lines[1]["lr_factor"]["matrices"] == 1.0


def test_the_total_is_the_weighted_sum(config: RunConfig) -> None:
    objectives = replace(
        config.objectives, masked_lm_weight=0.5, translation_lm_weight=2.0, alignment_weight=3.0
    )

    def loss(value: float) -> Loss:
        return Loss(torch.tensor(value), torch.tensor([value]), torch.zeros(1, dtype=torch.int64).numpy())

    losses = {"masked_lm": loss(1.0), "translation_lm": loss(10.0), "alignment": loss(100.0)}
    assert float(total_loss(losses, objectives)) == 0.5 + 20.0 + 300.0
    assert float(total_loss({"alignment": loss(1.0)}, objectives)) == 3.0


def test_vectors_after_the_blocks_are_held_near_those_before(after_the_bag: Bag) -> None:
    """And those before learn nothing from it: with a block's output at zero there is nothing to learn."""
    config, _, model, batches = after_the_bag
    model = copy.deepcopy(model)
    objectives = replace(config.objectives, masked_lm_weight=0.0, translation_lm_weight=0.0)
    objectives = replace(objectives, alignment_weight=0.0, distillation_weight=2.0)
    batch = batches.make(50)
    inputs = batch.pairs["alignment"].inputs
    with torch.no_grad():
        for block in model.encoder.layers:
            block.mlp.Wo.weight.normal_(std=20.0)  # type: ignore[union-attr, operator]
        before = model.sentence_vectors(inputs, n_layers=0)
        after = model.sentence_vectors(inputs)
    total, losses = StepLosses(model, objectives)(batch, FULL)
    expected = 1.0 - (before * after).sum(dim=-1)
    assert expected.min() > 0.01
    torch.testing.assert_close(losses["distillation"].items.sort().values, expected.sort().values)
    torch.testing.assert_close(total.detach(), 2.0 * expected.mean())
    for block in model.encoder.layers:
        torch.nn.init.zeros_(block.mlp.Wo.weight)  # type: ignore[union-attr, arg-type]
    # The vector after such blocks is the one before: both are held to what it is, and neither is moved.
    total, _ = StepLosses(model, objectives)(batch, FULL)
    total.backward()
    assert total.detach().abs() < 1e-5
    assert model.encoder.token_embedding.grad is not None
    assert model.encoder.token_embedding.grad.abs().max() < 1e-4
    off = StepLosses(model, replace(objectives, distillation_weight=0.0))(batch, FULL)[1]
    assert "distillation" not in off


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves a second each time it is looked at."""
    ticks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(ticks))))


@pytest.mark.usefixtures("clock")
def test_a_budget_counts_the_seconds_of_steps(begin: Begin, config: RunConfig, listening: Listening) -> None:
    timed = _training(
        config, steps=None, budget="12s", log_every=6.0, checkpoint_every=9.0, keep_checkpoints=9
    )
    run, progress = begin(timed), listening()
    assert pretrain(run.path, timed, progress)
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert (checkpoint.state.step, checkpoint.state.elapsed) == (12, 12.0)  # each step sees one tick
    lines = read_metrics(run.metrics)
    assert [line["step"] for line in lines] == [3, 6, 9, 12]
    assert [line["stage"] for line in lines] == ["embedding_warmup", "full", "full", "full"]
    steps = [int(path.name.removeprefix("step-")) for path in run.checkpoints.iterdir()]
    assert sorted(steps) == [5, 10, 12]  # two ticks a step, one a checkpoint
    assert "training: complete at step 12" in _said_again(run, timed, listening)


def _said_again(run: RunDirectory, config: RunConfig, listening: Listening) -> str:
    progress = listening()
    assert pretrain(run.path, config, progress)
    return progress.console.export_text()


def _spoil(monkeypatch: pytest.MonkeyPatch, steps: set[int], kind: str) -> None:
    """Make the loss, or only its gradient, not finite in the steps of these numbers, from 0; or large."""
    calls = itertools.count()

    class Spoilt(StepLosses):
        def forward(self, *arguments: Any) -> tuple[torch.Tensor, dict[str, Loss]]:
            total, losses = super().forward(*arguments)
            if self.model.training and next(calls) in steps:
                if kind == "gradient":
                    return total.detach() + torch.sqrt(total - total.detach()), losses
                factor = 1e4 if kind == "spike" else float("nan")
                loss = losses["bag_alignment"]
                return total * factor, losses | {"bag_alignment": replace(loss, value=loss.value * factor)}
            return total, losses

    monkeypatch.setattr(task, "StepLosses", Spoilt)


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_loss_that_is_not_finite_stops_with_its_batch_saved(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = begin(_training(config, checkpoint_every=1e-9))
    _spoil(monkeypatch, {5}, kind)
    with pytest.raises(InputError, match=r"step 5: loss or gradient is not finite .*bad-batch\.safetensors"):
        pretrain(run.path, run.load_config(), listening())
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    assert checkpoint.state.step == 5
    shards = TokenShards.open(run.shards("train"))
    batch = StepBatches(shards, config, torch.zeros(360, dtype=torch.bool).numpy()).make(5)
    saved = load_file(run.bad_batch)
    assert torch.equal(saved["alignment.tokens"], batch.pairs["alignment"].inputs.tokens)
    assert torch.equal(saved["masked_lm.targets"], batch.masked["masked_lm"].targets)
    parts = {"masked_lm", "translation_lm", "alignment"}
    assert {name.split(".")[0] for name in saved} == parts

    # What the message advises works.
    going_on = _training(run.load_config(), non_finite="skip")
    _spoil(monkeypatch, {0}, kind)
    assert pretrain(run.path, going_on, listening())
    assert load_run(run.path)[3].skipped == 1


@pytest.mark.slow
def test_what_was_done_before_a_run_stops_at_a_bad_step_is_saved(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `skip` it then resumes with the same bits as a run that had `skip` from the start."""
    run, other = begin(config), begin(_training(config, non_finite="skip"))
    _spoil(monkeypatch, {5}, "loss")
    with pytest.raises(
        InputError, match=r"step 5: .* the same command without it .* comes to this batch again"
    ):
        pretrain(run.path, config, listening())
    saved = newest_checkpoint(run.checkpoints)
    assert saved is not None
    assert (saved.state.step, saved.state.lines, saved.state.skipped) == (5, 5, 0)
    _spoil(monkeypatch, {0}, "loss")
    assert pretrain(run.path, other.load_config(), listening())
    _spoil(monkeypatch, {5}, "loss")
    assert pretrain(other.path, other.load_config(), listening())
    assert [row.what for row in compare_runs(run, other) if row.differences] == []


def test_a_held_out_loss_that_is_no_number_is_not_the_lowest(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "_held_out_total", lambda *_: float("nan"))
    run = begin(config)
    assert pretrain(run.path, config, listening())
    assert best_checkpoint(run.checkpoints) is None


def test_a_step_that_is_not_finite_may_be_skipped(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipping = _training(config, non_finite="skip", log_steps=100)
    run = begin(skipping)
    _spoil(monkeypatch, {3, 7}, "loss")
    assert pretrain(run.path, skipping, listening())
    _, _, model, state = load_run(run.path)
    assert (state.step, state.skipped) == (8, 2)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert run.bad_batch.is_file()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (line,) = [json.loads(text, parse_constant=refuse) for text in run.metrics.read_text().splitlines()]
    assert line["skipped"] == 2
    assert all(value > 0 for value in line["loss"].values())


def test_steps_that_are_skipped_are_said_and_too_many_in_a_row_end_the_run(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad_step, "MAX_IN_A_ROW", 3)
    calls, bad = itertools.count(), {1, 3, 4, 6, 7, 8}

    class Spoilt(StepLosses):
        def forward(self, *arguments: Any) -> tuple[torch.Tensor, dict[str, Loss]]:
            total, losses = super().forward(*arguments)
            if not self.model.training:  # on held-out texts
                return total, losses
            number = next(calls)
            if number == 6:
                signal.raise_signal(signal.SIGINT)
            return (total * float("nan") if number in bad else total), losses

    monkeypatch.setattr(task, "StepLosses", Spoilt)
    skipping = _training(config, steps=12, non_finite="skip", checkpoint_every=1e-9, keep_checkpoints=9)
    run, progress = begin(skipping), listening()
    assert not pretrain(run.path, skipping, progress)
    said = progress.console.export_text()
    for step in range(8):
        assert (f"step {step}: skipped, loss or gradient is not finite (" in said) == (step in {1, 3, 4, 6})
    # How many there were in a row is not forgotten; and what such a step leaves is no checkpoint.
    with pytest.raises(InputError, match=r"step 8: .*nor was it in the 2 steps before.*checkpoints"):
        pretrain(run.path, skipping, listening())
    assert {path.name for path in run.checkpoints.iterdir()} == {
        f"step-{step:08}"
        for step in (1, 3, 6, 7)  # the last is that of the interruption
    }


def test_a_skipped_step_changes_nothing(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipping = _training(config, non_finite="skip", steps=1)
    run = begin(skipping)
    _spoil(monkeypatch, {0}, "loss")
    assert pretrain(run.path, skipping, listening())
    start = build_model(skipping, count_tokens(TokenShards.open(run.shards("train"))))
    for name, value in load_run(run.path)[2].state_dict().items():
        assert torch.equal(value, start.state_dict()[name]), name


@pytest.mark.slow
def test_spikes_are_left_out_and_said_to_be_and_resuming_keeps_their_measure(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = _training(config, steps=22, spike_factor=20.0)
    watching = _objectives(watching, embedding_warmup_share=0.0)
    whole, progress = begin(watching), listening()
    with monkeypatch.context() as patch:
        _spoil(patch, {2, 18, 20}, "spike")  # too early to tell, for the first
        assert pretrain(whole.path, watching, progress)
    said = progress.console.export_text()
    assert [f"step {step}: skipped, a spike: loss" in said for step in (2, 18, 20)] == [False, True, True]
    state = load_run(whole.path)[3]
    assert (state.step, state.spikes, state.skipped) == (22, 2, 0)
    lines = read_metrics(whole.metrics)
    assert [line["step"] for line in lines] == [*range(1, 19), 20, 22]
    assert [line["spikes"] for line in lines[-3:]] == [0, 1, 2]

    stopped = begin(watching)
    with monkeypatch.context() as patch:
        _spoil(patch, {2}, "spike")
        interrupt = listening(lambda step: signal.raise_signal(signal.SIGINT) if step == 17 else None)
        assert not pretrain(stopped.path, watching, interrupt)
    with monkeypatch.context() as patch:
        _spoil(patch, {1, 3}, "spike")
        assert pretrain(stopped.path, watching, listening())
    assert [row for row in compare_runs(stopped, whole) if row.differences] == []


def test_checkpoints_are_announced_once_they_are_on_disk(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    often = _training(config, checkpoint_every=1e-9)
    run = begin(often)
    shards = TokenShards.open(run.shards("train"))
    batches = StepBatches(shards, often, torch.zeros(360, dtype=torch.bool).numpy())
    learned = PretrainingTask(often, build_model(often, count_tokens(shards)), batches, shards)
    trainer = Trainer(learned, OneProcess(torch.device("cpu")), "fp32", run)
    announced: list[TrainingState] = []

    def on_checkpoint(state: TrainingState) -> None:
        checkpoint = newest_checkpoint(run.checkpoints)
        assert checkpoint is not None
        assert checkpoint.state == state
        announced.append(state)

    training = loop.Training(run, often.training, trainer, learned.optimizer())
    state, interrupted = loop.train(training, TrainingState(), listening(), on_checkpoint)
    assert [seen.step for seen in announced] == list(range(1, 9))
    assert announced[-1] == state
    assert not interrupted


@pytest.mark.slow
def test_shards_that_are_cut_short_end_a_run_that_is_saved(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    config = _training(config, steps=30)
    run = begin(config)
    file = run.shards("train") / "tokens-00000.bin"
    whole = file.read_bytes()

    def cut(model: MultilingualModel, state: TrainingState) -> None:
        if state.step == 3:
            os.truncate(file, len(whole) - 1)  # to nothing, reading would be SIGBUS

    # By then, the next batch may be made already.
    with pytest.raises(
        InputError, match=r"tokens-00000\.bin: expected .* bytes, found .*\. Training is saved at step [34]$"
    ):
        pretrain(run.path, config, listening(), make_callback=lambda *_: cut)
    saved = newest_checkpoint(run.checkpoints)
    assert saved is not None
    assert saved.state.step in (3, 4)
    file.write_bytes(whole)
    assert pretrain(run.path, config, listening())
