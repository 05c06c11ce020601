"""The training loop: a step is forward, backward, check, update; all around it is keeping record.

Whatever decides what comes next is in `TrainingState`, and so in every checkpoint. In a run that is measured
in steps the clock decides nothing but when checkpoints are written, and those change nothing: that is why
such a run ends with the same bits, however often it was stopped.

Shapes: none here; batches carry their own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import BatchesAhead, StepBatches
from xformer.pretraining.step_losses import StepLosses, StepSums
from xformer.pretraining.tally import Tally
from xformer.progress import Progress
from xformer.runs.checkpoint import CheckpointError, TrainingState, save_checkpoint
from xformer.runs.checkpoint_files import random_state, set_random_state
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.held_folder import Whereabouts
from xformer.runs.metrics import MetricsLog
from xformer.runs.trackers import Trackers
from xformer.training.bad_step import leave_out
from xformer.training.interrupts import interruptible
from xformer.training.memory import give_back_memory
from xformer.training.optimizer import AdamWithTables, clip_gradients, set_learning_rates
from xformer.training.precision import autocast
from xformer.training.schedule import Span, group_factors
from xformer.training.spikes import SpikeWatch

if TYPE_CHECKING:
    from xformer.training.distributed_trainer import Team


Watch = Callable[[MultilingualModel, TrainingState], None]
"""Looks at the model and how far the run is, and changes neither."""


@dataclass(frozen=True)
class Training:
    """All that a run's loop needs, made by `pretrain`.

    Attributes:
        run: where its files go.
        config: its settings.
        model: what is trained, on its device.
        optimizer: over the model's parameters.
        batches: makes each step's batch.
        shards: the training split.
        precision: settled, not `auto`.
        held_out: the loss on held-out texts, given the model and how many blocks to run; None is no measure.
        watch: called after each step; what it takes is not training time. None for nobody.
        team: the other processes that train the same model; None for a process that trains alone.
    """

    run: RunDirectory
    config: RunConfig
    model: MultilingualModel
    optimizer: AdamWithTables
    batches: StepBatches
    shards: TokenShards
    precision: Literal["fp32", "bf16"]
    held_out: Callable[[MultilingualModel, int | None], float | None] = lambda model, n_layers: None
    watch: Watch | None = None
    team: Team | None = None


def train(
    training: Training,
    state: TrainingState,
    progress: Progress,
    on_checkpoint: Callable[[TrainingState], None] = lambda state: None,
) -> tuple[TrainingState, bool]:
    """Train from `state` to the end of the run's span.

    Ctrl-C (or SIGTERM, or SIGHUP where it is not ignored) lets the step in hand finish and saves; a second
    Ctrl-C breaks off at once. Where nobody reads on, the same, and where a batch cannot be made. In the
    middle of a run, a checkpoint that cannot be written is reported, and tried again when the next is due.

    Args:
        training: model, data and settings.
        state: how far the run is already.
        progress: where to show what happens.
        on_checkpoint: called after each checkpoint is on disk.

    Returns:
        How far the run is now, and whether it was interrupted before its end.

    Raises:
        InputError: a loss or gradient is not finite and the settings say to stop: the batch has been saved,
            and the weights from before it. Or the log, or the last checkpoint, cannot be written. Or the
            shards were damaged meanwhile, in this process or another: what was done is saved. Or the run's
            folder is gone: where it was only moved, and this process trains alone, all is saved there.
        BrokenPipeError: nobody reads on; what was done is saved.
    """
    config, device, team = training.config, next(training.model.parameters()).device, training.team
    span, options = Span.of(config.training), config.training
    # The bag learns by alignment alone: without it there is no such stage, and the blocks begin at once.
    bag_share = options.bag_share if training.batches.aligns else 0.0
    training.model.train()
    step_losses = StepLosses(training.model, config.objectives)
    for table in training.model.encoder.embeddings.tables:
        # Many processes add up dense gradients; a GPU would wait for the host.
        table.sparse = team is None and device.type == "cpu"
    tally = Tally(training.shards.languages, state.tally)
    spikes = SpikeWatch(options.spike_factor, state.recent)
    tally_start, tally_tokens, tally_waited = time.monotonic(), state.tokens, 0.0
    saved = logged = time.monotonic()
    last_saved = state.step
    # One process speaks for all.
    names = options.trackers if team is None or team.is_first else ()
    name = training.run.path.resolve().name
    trackers = Trackers(names, training.run.events, name, state.step, progress.say)
    expected = state.lines if team is None or team.is_first else None
    with (
        progress.to_the_end() as unread,
        MetricsLog(training.run.metrics, state.step, trackers, expected) as log,
        Whereabouts(training.run.path) as home,
        BatchesAhead(training.batches) as batches,
        interruptible() as interrupted,
    ):

        def write_into(run: RunDirectory) -> TrainingState:
            """Write a checkpoint of now; what is in it."""
            log.flush_to_disk()
            loss = training.held_out(training.model, None if state.joined else 0)
            if loss is not None and not math.isfinite(loss):
                loss = None  # the worst there is, and no number
            now = replace(state, tally=tally.state(), lines=log.lines, recent=spikes.recent, held_out=loss)
            if team is None:
                save_checkpoint(run.checkpoints, training.model, training.optimizer, now, options.keep)
            else:
                team.save(training.optimizer, now, options.keep)
            on_checkpoint(now)
            return now

        def stay() -> None:
            """Raise if the run's folder is gone: to make its path again would hide that."""
            if not home.gone():
                return
            place, gone = home.now(), f"{training.run.path}: the run's folder is gone"
            if place is None:
                raise InputError(f"{gone}: it was removed, or moved to another disk, while it was trained")
            if team is not None:
                raise InputError(f"{gone}: it was moved to {place}, which has the checkpoints up to now")
            write_into(RunDirectory(place))
            raise InputError(
                f"{gone}: it was moved to {place}. All that was done is saved there; go on there"
            )

        def save_now() -> TrainingState:
            """Write a checkpoint of now, if that is this process's to do; what is in it."""
            if team is not None and not team.saves:
                return state
            stay()
            return write_into(training.run)

        failure: InputError | None = None
        while (share := span.progress(state.step, state.elapsed)) < 1.0:
            stay()
            chance = random_state() if options.non_finite == "stop" else {}
            start = time.monotonic()
            # In a run made longer, blocks that have joined stay and keep their schedule.
            joins = min(bag_share, span.progress(*state.joined_at)) if state.joined else bag_share
            bag = share < joins
            depth = 0 if bag else None
            try:
                batch = batches.take(state.step, bag=bag)
            except InputError as error:
                failure = error
            ends = failure is not None or interrupted() or unread()
            # Asked after the batch is there: where one process has none, all stop before the step.
            if ends if team is None else team.any(ends):
                break
            factors = group_factors(share, joins, config.optimizer)
            set_learning_rates(training.optimizer, factors)
            data_digest = batch.plan.digest(state.data_digest)
            training.optimizer.zero_grad(set_to_none=True)
            if team is None:
                with autocast(training.precision, device):
                    loss, losses = step_losses(batch.to(device), depth)
                loss.backward()
            else:
                hidden = team.sum(torch.from_numpy(training.batches.hidden(batch)))
                batch = training.batches.complete(batch, hidden.numpy())
                loss, losses = team.backward(batch, depth, training.precision)
            norm = float(clip_gradients(training.optimizer, config.optimizer.clip))
            sums = StepSums.of(loss, losses, len(training.shards.languages))
            if team is not None:
                sums = sums.added_up(team.sum)
            finite, spike = math.isfinite(sums.total) and math.isfinite(norm), None
            if not (bag or state.joined):
                spikes.forget()
            if not finite:
                if options.non_finite == "stop" and state.step > last_saved:
                    # The step never was, nor did it draw on chance: the weights are those from before it.
                    set_random_state(chance)
                    try:
                        last_saved = save_now().step
                    except CheckpointError as error:
                        progress.say(str(error))
                progress.say(leave_out(training, batch, state, sums, norm))
            elif spike := spikes.check(sums.total, norm):
                progress.say(f"step {state.step}: left out, a spike: {spike}")
            else:
                training.optimizer.step()
                tally.add(sums, batch.plan, norm)
            now = time.monotonic()
            elapsed = state.elapsed + now - start
            since_saved = now - saved
            if team is not None:  # what ends a run, or calls for a checkpoint, must do so for all
                elapsed, since_saved = team.agree(elapsed, since_saved)
            state = replace(
                state,
                step=state.step + 1,
                elapsed=elapsed,
                tokens=state.tokens + batch.plan.n_tokens,
                skipped=state.skipped + (not finite),
                skipped_in_a_row=0 if finite else state.skipped_in_a_row + 1,
                spikes=state.spikes + (spike is not None),
                data_digest=data_digest,
                joined=not bag,
                joined_at=state.joined_at if bag or state.joined else (state.step, state.elapsed),
            )
            done = span.progress(state.step, state.elapsed) >= 1.0
            if options.steps is not None:
                due = state.step % options.log_steps == 0
            else:
                due = now - logged >= options.log_every
            if (due or done) and tally.means():
                rate = (state.tokens - tally_tokens) / (now - tally_start)
                waited = (batches.waited - tally_waited) / (now - tally_start)
                log.write(_line(state, tally, rate, waited, factors, bag))
                _show(progress, span, state, rate, tally)
                give_back_memory()
                tally, tally_start = Tally(training.shards.languages), now
                tally_tokens, tally_waited = state.tokens, batches.waited
                logged = now
            if training.watch is not None:
                before = time.monotonic()
                training.watch(training.model, state)
                tally_start += time.monotonic() - before
            # Weights that make nothing finite any more would take the place of some that do.
            if since_saved >= options.checkpoint_every and not done and finite:
                try:
                    state, last_saved = save_now(), state.step
                except CheckpointError as error:
                    progress.say(f"{error}. Training goes on; this is tried again when the next one is due")
                saved = time.monotonic()
        if state.step > last_saved or not state.step:
            state = save_now()
        with nullcontext() if team is None else team.all_or_none():
            if failure is not None:
                raise InputError(f"{failure}. Training is saved at step {state.step:,}") from failure
        return state, span.progress(state.step, state.elapsed) < 1.0


def _line(
    state: TrainingState, tally: Tally, rate: float, waited: float, factors: dict[str, float], bag: bool
) -> dict[str, Any]:
    return {
        "step": state.step,
        "elapsed": round(state.elapsed, 3),
        "tokens": state.tokens,
        "tokens_per_s": round(rate, 1),
        "data_wait": round(waited, 5),
        "lr_factor": {name: round(factor, 6) for name, factor in factors.items()},
        "stage": "bag" if bag else "full",
        "gradient_norm": round(tally.norm, 5),
        "skipped": state.skipped,
        "spikes": state.spikes,
        "loss": {name: round(value, 5) for name, value in tally.means().items()},
        "languages": tally.by_language(),
    }


def _show(progress: Progress, span: Span, state: TrainingState, rate: float, tally: Tally) -> None:
    means = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in tally.means().items())
    note = f"step {state.step:,}, {rate:,.0f} tokens/s, {means}"
    if span.steps is not None:
        progress("train", state.step, span.steps, note)
    else:
        budget = round(span.budget or 0)
        progress("train", min(round(state.elapsed), budget), budget, note, seconds=True)
