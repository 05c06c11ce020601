"""A task: all that the training loop knows of what is learned.

The loop takes steps, saves checkpoints and keeps a log. A task says what a batch is, what is descended, which
stages a run has, and which parameters learn at what rate in each. Pretraining is one task
(`xformer.pretraining.task`); tests/training/tiny_classifier.py is another, in thirty lines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from xformer.runs.checkpoint import TrainingState
from xformer.training.batch import Batch
from xformer.training.optimizer import AdamWithTables
from xformer.training.schedule import Span
from xformer.training.tally import Tally


@dataclass(frozen=True)
class Stage:
    """What a step does, and how fast it learns.

    Attributes:
        name: of the stage of the run that the step belongs to.
        lr_factors: what the learning rate of each parameter group is multiplied by, by the group's name.
    """

    name: str
    lr_factors: Mapping[str, float]


class Task(ABC):
    """What is learned in a run.

    Attributes:
        model: whose weights are trained and saved.
        losses: the losses as one module that holds the model, since DDP and FSDP2 hook into a module's call:
            `(batch, name of the stage)` to the weighted sum that is descended, a scalar, and a
            `xformer.training.losses.Loss` by name.
        categories: names of what items' losses are counted under in the log.
        width: of the model's matrices, for which `auto` precision is measured.
        max_grad_norm: largest gradient norm of each parameter group; 0 for no clipping.
        held_out: a batch of held-out examples, whose loss tells which checkpoint is the best; None for none.
    """

    model: nn.Module
    losses: nn.Module
    categories: Sequence[str]
    width: int
    max_grad_norm: float
    held_out: Batch | None = None

    @abstractmethod
    def batch(self, step: int, stage: str) -> Batch:
        """This process's batch of a step, on the host: a pure function of the settings and its arguments.

        It is called in a thread of its own, one step ahead.

        Args:
            step: from 0.
            stage: name of the stage.

        Raises:
            InputError: the data cannot be read any more.
        """

    @abstractmethod
    def stage(self, state: TrainingState, span: Span) -> Stage:
        """The stage of the step that follows `state`, in a run of length `span`."""

    @abstractmethod
    def optimizer(self) -> AdamWithTables:
        """The optimizer, over the model's parameters as they are now: sharded, where they are."""

    @abstractmethod
    def tally(self, state: Mapping[str, tuple[float, ...]]) -> Tally:
        """What counts the steps of a line of the log; `state` is that of the tally it goes on from."""

    def complete(self, batch: Batch, add_up: Callable[[Tensor], Tensor]) -> Batch:
        """A batch with what can only be known together, where many processes share a step.

        Args:
            batch: from `batch`.
            add_up: sums a tensor over processes; all of them call this method.
        """
        return batch

    def blocks(self) -> Sequence[nn.Module]:
        """Parts of the model that FSDP2 shards one by one."""
        return ()

    def fingerprints(self) -> Mapping[str, str | None]:
        """Hashes of the data, which must not change when a run goes on: `text`, `tokenizer`, or none."""
        return {}
