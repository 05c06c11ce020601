"""The saver: writes checkpoints during training, after it has checked that the run's folder exists."""

from __future__ import annotations

from collections.abc import Callable

import torch

from xformer.errors import InputError
from xformer.runs.checkpoint import TrainingState
from xformer.runs.directory import RunDirectory
from xformer.runs.held_folder import HeldFolder
from xformer.runs.metrics import MetricsLog
from xformer.training.trainer import Trainer

Snapshot = Callable[[], TrainingState]
"""Returns the present state of the run, with the state of the loop."""


class Saver:
    """Writes the checkpoints of one call of `train`."""

    def __init__(
        self,
        trainer: Trainer,
        optimizer: torch.optim.Optimizer,
        keep: int,
        folder: HeldFolder,
        log: MetricsLog,
        on_checkpoint: Callable[[TrainingState], None],
    ) -> None:
        self._trainer, self._optimizer, self._keep = trainer, optimizer, keep
        self._folder, self._log, self._on_checkpoint = folder, log, on_checkpoint

    def save(self, snapshot: Snapshot) -> TrainingState:
        """Write a checkpoint, if this process writes a part of it; return the state that was saved.

        Raises:
            CheckpointError: it cannot be written.
            InputError: as `require_folder`, or the log cannot be written.
        """
        self.require_folder(snapshot)
        return self._write(self._trainer.run, snapshot())

    def require_folder(self, snapshot: Snapshot) -> None:
        """Check that the run's folder exists. A new folder at its path would hide that it was moved.

        Raises:
            InputError: it is missing. If it was moved and this process trains alone, a checkpoint has been
                written at its new path.
        """
        if not self._folder.gone():
            return
        place, gone = self._folder.now(), f"{self._folder.path}: the run's folder is missing"
        if place is None:
            raise InputError(f"{gone}: it was removed, or moved to another disk, during training")
        if self._trainer.processes.world > 1:
            raise InputError(f"{gone}: it was moved to {place}, with its earlier checkpoints")
        self._write(RunDirectory(place), snapshot())
        raise InputError(f"{gone}: it was moved to {place}. The run is saved there; resume it there")

    def _write(self, run: RunDirectory, state: TrainingState) -> TrainingState:
        if self._trainer.saves:
            self._log.flush_to_disk()
            state = self._trainer.save(run, self._optimizer, state, self._keep)
            self._on_checkpoint(state)
        return state
