"""Stopping at any instant and going on gives the same bits as never stopping.

Covers xformer.training.interrupts and saver.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.pretraining import task
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.load import load_run
from xformer.pretraining.prepare import open_shards
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.stages import FULL
from xformer.pretraining.step_losses import StepLosses
from xformer.pretraining.task import PretrainingTask, held_out_batch
from xformer.progress import Progress
from xformer.runs.checkpoint import CheckpointError, newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import MetricsLog, read_metrics
from xformer.tokenizer import Tokenizer
from xformer.training import precision, precision_trial, trainer

pytestmark = pytest.mark.usefixtures("_no_picture")

Begin = Callable[[RunConfig], RunDirectory]
Listening = Callable[..., Progress]


def _metrics(run: RunDirectory) -> list[dict[str, Any]]:
    """The log, without the clock."""
    timing = ("elapsed", "tokens_per_s", "data_wait")
    return [{k: v for k, v in line.items() if k not in timing} for line in read_metrics(run.metrics)]


def _state(run: RunDirectory) -> dict[str, Any]:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return asdict(replace(checkpoint.state, elapsed=0.0, stage_began=(checkpoint.state.stage_began[0], 0.0)))


def _tensors(run: RunDirectory) -> dict[str, bytes]:
    checkpoint = newest_checkpoint(run.checkpoints)
    assert checkpoint is not None
    return {path.name: path.read_bytes() for path in checkpoint.path.glob("*.safetensors")}


def _assert_same(run: RunDirectory, other: RunDirectory) -> None:
    assert _state(run) == _state(other)
    assert _tensors(run) == _tensors(other)
    assert _metrics(run) == _metrics(other)


def _training(config: RunConfig, **changes: Any) -> RunConfig:
    return replace(config, training=replace(config.training, **changes))


def _interrupting(listening: Listening, stop: int, signum: signal.Signals = signal.SIGINT) -> Progress:
    """Presses Ctrl-C in the middle of a step."""
    return listening(lambda step: signal.raise_signal(signum) if step == stop else None)


@pytest.fixture(scope="module")
def unbroken(begin: Begin, config: RunConfig, listening: Listening, _no_picture: None) -> RunDirectory:
    """The run that never stopped."""
    run = begin(config)
    assert pretrain(run.path, config, listening())
    return run


def test_the_run_has_a_bag_s_and_a_full_stage_and_chance_in_it(
    unbroken: RunDirectory, config: RunConfig
) -> None:
    """Or the tests below would test less than they say."""
    assert [line["stage"] for line in _metrics(unbroken)] == ["embedding_warmup"] * 2 + ["full"] * 6
    assert config.model.dropout > 0
    assert config.model.attention_dropout > 0


@pytest.mark.parametrize("stops", [[1], [2], [7], [1, 3, 5]])
def test_interrupted_runs_end_like_the_unbroken_one(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory, stops: list[int]
) -> None:
    run = begin(config)
    for stop in stops:
        progress = _interrupting(listening, stop)
        assert not pretrain(run.path, config, progress)
        assert f"interrupted and saved at step {stop}" in progress.console.export_text()
        assert _state(run)["step"] == stop
    assert pretrain(run.path, config, listening())
    _assert_same(run, unbroken)


def test_a_polite_kill_is_like_ctrl_c(begin: Begin, config: RunConfig, listening: Listening) -> None:
    run = begin(config)
    assert not pretrain(run.path, config, _interrupting(listening, 3, signal.SIGTERM))
    assert _state(run)["step"] == 3


def test_a_second_ctrl_c_breaks_off_at_once(begin: Begin, config: RunConfig, listening: Listening) -> None:
    def twice(step: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    run = begin(config)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        pretrain(run.path, config, listening(twice))
    assert newest_checkpoint(run.checkpoints) is None
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Crash(Exception):
    """What no one catches."""


@pytest.mark.parametrize("checkpoint_every", [1e-9, 1e6])
def test_a_run_that_crashed_goes_on_from_its_last_checkpoint(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory, checkpoint_every: float
) -> None:
    """Lines written after the checkpoint are written again, not twice."""

    def crash(step: int) -> None:
        if step == 5:
            raise Crash

    often = _training(config, checkpoint_every=checkpoint_every)
    run = begin(often)
    with pytest.raises(Crash):
        pretrain(run.path, often, listening(crash))
    assert [line["step"] for line in _metrics(run)] == [1, 2, 3, 4, 5]
    checkpoint = newest_checkpoint(run.checkpoints)
    assert (checkpoint.state.step if checkpoint else 0) == (4 if checkpoint_every < 1 else 0)
    with open(run.metrics, "a", encoding="utf-8") as file:
        file.write('{"step": 6, "los')  # the crash cut a line short
    assert pretrain(run.path, often, listening())
    _assert_same(run, unbroken)


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    often = _training(config, checkpoint_every=1e-9)
    run = begin(often)
    assert not pretrain(run.path, often, _interrupting(listening, 6))
    damaged = run.checkpoints / "step-00000006" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    progress = listening()
    with pytest.warns(UserWarning, match="going back to the checkpoint before it"):
        assert pretrain(run.path, often, progress)
    assert "resuming from" in progress.console.export_text()
    _assert_same(run, unbroken)


def test_a_run_may_be_made_longer_and_the_blocks_stay(
    begin: Begin, config: RunConfig, listening: Listening
) -> None:
    run = begin(config)
    assert pretrain(run.path, config, listening())
    longer = _training(config, steps=40)
    assert not pretrain(run.path, longer, _interrupting(listening, 12))
    lines = _metrics(run)
    assert [line["stage"] for line in lines] == ["embedding_warmup"] * 2 + ["full"] * 10
    # A fifth of 40 steps is over: blocks are past their warm-up, the embedding stays as slow as they need it.
    rates = longer.optimizer
    settled = {
        "embedding": rates.full_embedding_lr / rates.embedding_lr,
        "bigrams": rates.full_bigram_lr / rates.bigram_lr,
    }
    for line in lines[8:]:
        assert line["lr_factor"] == pytest.approx({"matrices": 1, "vectors": 1} | settled)
    assert run.load_config() == longer


def test_what_auto_precision_came_to_stays(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto = _training(config, precision="auto")
    fast = {"fp32": 1.0, "bf16": 0.1}
    monkeypatch.setattr(precision, "lacks_bf16", lambda device: False)
    monkeypatch.setattr(precision_trial, "_seconds", lambda *others: fast[others[-1]])
    run = begin(auto)
    assert not pretrain(run.path, auto, _interrupting(listening, 4))
    fast["bf16"] = 10.0  # another day, another measurement
    progress = listening()
    assert pretrain(run.path, auto, progress)
    assert "precision: bf16, as the run began" in progress.console.export_text()


def test_what_was_not_logged_yet_is_logged_when_the_run_goes_on(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    rarely = _training(config, log_steps=3)
    whole = begin(rarely)
    assert pretrain(whole.path, rarely, listening())
    calls = 0

    class Interrupting(StepLosses):
        def forward(self, *arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 5:
                signal.raise_signal(signal.SIGINT)
            return super().forward(*arguments)

    monkeypatch.setattr(task, "StepLosses", Interrupting)
    run = begin(rarely)
    assert not pretrain(run.path, rarely, listening())
    assert [line["step"] for line in _metrics(run)] == [3]
    assert _state(run)["tally"].keys() > {"asked", "texts", "tokens", "norm", "sums.alignment"}
    assert pretrain(run.path, rarely, listening())
    assert [line["step"] for line in _metrics(run)] == [3, 6, 8]
    _assert_same(run, whole)


def test_ctrl_c_in_the_last_step_is_too_late_to_interrupt(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    run, progress = begin(config), _interrupting(listening, 8)
    assert pretrain(run.path, config, progress)
    assert "training: done at step 8" in progress.console.export_text()
    _assert_same(run, unbroken)


def test_a_checkpoint_that_cannot_be_written_stops_no_run(
    begin: Begin,
    config: RunConfig,
    listening: Listening,
    unbroken: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    often = _training(config, checkpoint_every=1e-9)
    run, progress, write = begin(often), listening(), trainer.save_checkpoint

    def no_room(*arguments: Any) -> Any:
        if arguments[3].step in (3, 4, 8):
            raise CheckpointError(f"step {arguments[3].step}: no room")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "save_checkpoint", no_room)
        with pytest.raises(InputError, match="step 8: no room"):  # the last one is not tried again
            pretrain(run.path, often, progress)
    said = progress.console.export_text()
    assert "step 3: no room. Training goes on" in said
    assert "step 4: no room. Training goes on" in said
    assert _state(run)["step"] == 7
    assert pretrain(run.path, often, listening())
    _assert_same(run, unbroken)


def test_a_full_disk_for_the_log_stops_and_the_run_goes_on_later(
    begin: Begin,
    config: RunConfig,
    listening: Listening,
    unbroken: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    often = _training(config, checkpoint_every=1e-9)
    run, write = begin(often), MetricsLog.write

    def no_room(log: MetricsLog, line: dict[str, Any]) -> None:
        if line["step"] == 5:
            log._file.write('{"step": 5, "elap')
            raise InputError("metrics.jsonl: no room")
        write(log, line)

    with monkeypatch.context() as patch:
        patch.setattr(MetricsLog, "write", no_room)
        with pytest.raises(InputError, match="no room"):
            pretrain(run.path, often, listening())
    assert _state(run)["step"] == 4
    assert pretrain(run.path, often, listening())
    _assert_same(run, unbroken)


def test_the_checkpoint_with_the_lowest_held_out_loss_is_kept_and_named(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = _training(config, checkpoint_every=1e-9, keep_checkpoints=1)
    losses = iter([5.0, 4.0, 2.0, None, 3.0, 4.0, 5.0, 6.0])
    monkeypatch.setattr(trainer.Trainer, "held_out_loss", lambda trainer, stage: next(losses))
    run, progress = begin(often), listening()
    assert pretrain(run.path, often, progress)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-00000003", "step-00000008"]
    said = progress.console.export_text()
    assert f"was at step 3: {run.checkpoints / 'step-00000003'} is kept" in said


def test_measuring_held_out_texts_leaves_no_trace(
    begin: Begin, config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    """Dropout goes on where it was, and is not part of the measure."""
    tokenizer = Tokenizer.load(unbroken.tokenizer)
    shards = open_shards(unbroken, "dev", tokenizer)
    held_out = held_out_batch(shards, config, tokenizer.starts_word())
    assert held_out is not None
    model = load_run(unbroken.path)[2].train()
    batches = StepBatches(shards, config, tokenizer.starts_word())
    learned = PretrainingTask(config, model, batches, shards, held_out)
    measuring = trainer.Trainer(learned, OneProcess(torch.device("cpu")), "fp32", unbroken)
    before = torch.get_rng_state()
    losses = {measuring.held_out_loss(FULL) for _ in range(3)}
    assert losses == {_state(unbroken)["held_out"]}
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    with torch.no_grad():
        model.encoder.token_embedding.fill_(float("nan"))
    assert measuring.held_out_loss(FULL) is None


def test_a_complete_run_is_reused_and_says_so(
    config: RunConfig, listening: Listening, unbroken: RunDirectory
) -> None:
    before = {path: path.stat().st_mtime_ns for path in unbroken.path.rglob("*.safetensors")}
    progress = listening()
    assert pretrain(unbroken.path, config, progress)
    assert f"complete at step 8, reusing {unbroken.checkpoints}" in progress.console.export_text()
    assert {path: path.stat().st_mtime_ns for path in unbroken.path.rglob("*.safetensors")} == before


def test_a_run_that_was_stopped_before_it_was_described_is_described(
    begin: Begin, config: RunConfig, listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(config)
    with monkeypatch.context() as patch:
        patch.setattr(
            "xformer.pretraining.pretrain.write_model_card", lambda run: signal.raise_signal(signal.SIGINT)
        )
        with pytest.raises(KeyboardInterrupt):
            pretrain(run.path, config, listening())
    assert not run.model_card.exists()
    assert pretrain(run.path, config, listening())
    assert run.model_card.is_file()


def test_the_newest_weights_are_loaded_ready_to_evaluate(unbroken: RunDirectory, config: RunConfig) -> None:
    run, loaded, model, state = load_run(unbroken.path)
    assert (run, loaded, state.step) == (unbroken, config, 8)
    assert not model.training
    embedding = model.encoder.token_embedding
    assert embedding.requires_grad
    assert state.stage == "full"
    assert state.precision == "fp32"
