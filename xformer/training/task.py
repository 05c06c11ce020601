"""The task: what is trained, as the training loop sees it.

The loop takes steps, writes checkpoints and a log. A task defines the batches, the losses, the stages of a
run, and the learning rate of each parameter in each stage. Pretraining is one task
(`xformer.pretraining.task`); tests/training/tiny_classifier.py is another, in thirty lines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from xformer.runs.checkpoint import TrainingState
from xformer.training.batch import Batch
from xformer.training.optimizer import AdamWithTables
from xformer.training.schedule import Span
from xformer.training.tally import Tally

B = TypeVar("B", bound=Batch)


@dataclass(frozen=True)
class Stage:
    """The stage of a step, and its learning rates.

    Attributes:
        name: name of the stage.
        lr_factors: factor of the learning rate of each parameter group, by the group's name. With factor 0
            the group's parameters do not change.
    """

    name: str
    lr_factors: Mapping[str, float]


class Task(ABC, Generic[B]):
    """What is trained in a run.

    Attributes:
        model: the model, whose weights are trained and saved.
        losses: a module that holds the model and computes the losses: `(batch, name of the stage)` to the
            total loss, a scalar that is minimised, and a `xformer.training.losses.Loss` by name. DDP and
            FSDP2 wrap this module. It returns at least one loss, and the same names in the same order in
            every process. A metric such as accuracy is a `Loss` that is not part of the total.
        categories: names of the categories that the losses of items are counted under in the log.
        max_grad_norm: largest gradient norm of each parameter group; 0 for no clipping.
        held_out: a batch of held-out examples for `held_out_loss`; None for none. It is the same in every
            process, and is computed without communication.
    """

    model: nn.Module
    losses: nn.Module
    categories: Sequence[str]
    max_grad_norm: float
    held_out: B | None = None

    @abstractmethod
    def batch(self, step: int, stage: str) -> B:
        """This process's batch of a step, on the host: a pure function of the settings and its arguments.

        It is called in a second thread, one step ahead.

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
        """A new optimizer, over the model's parameters as they are now (sharded, under FSDP2)."""

    @abstractmethod
    def tally(self, state: Mapping[str, tuple[float, ...]]) -> Tally[B]:
        """A tally for a line of the log, which continues from the state of another tally."""

    def held_out_loss(self, total_of: Callable[[B], Tensor]) -> float | None:
        """The number by which checkpoints are compared: the lowest is the best. By default, a total loss.

        Args:
            total_of: computes the total loss of a batch, without dropout.

        Returns:
            None if there are no held-out examples.
        """
        return None if self.held_out is None else float(total_of(self.held_out))

    def complete(self, batch: B, add_up: Callable[[Tensor], Tensor]) -> B:
        """Add to a batch what depends on the batches of other processes.

        Args:
            batch: from `batch`.
            add_up: sums a tensor over processes; all of them call this method.
        """
        return batch

    def blocks(self) -> Sequence[nn.Module]:
        """Parts of the model that FSDP2 shards separately."""
        return ()

    def fingerprints(self) -> Mapping[str, str]:
        """Hashes of the training data, by name; a run cannot resume if one of them has changed."""
        return {}
