"""Which task made a run: a name in the run's folder, by which a reader knows what it opens."""

from __future__ import annotations

from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write

PRETRAINING = "pretraining"
"""The task of `xformer pretrain`, and of every run that has no name: earlier versions had no other task."""

CLASSIFICATION = "classification"
"""The task of `xformer finetune classify`."""

TRANSLATION = "translation"
"""The task of `xformer finetune translate`."""

SUMMARIZATION = "summarization"
"""The task of `xformer finetune summarize`."""

IMPORTED = "import"
"""The task of `xformer import`: the model of another library."""


def task_of(run: RunDirectory) -> str:
    """The name of the task that made a run."""
    try:
        return run.task.read_text(encoding="utf-8").strip() or PRETRAINING
    except FileNotFoundError:
        return PRETRAINING


def settle_task(run: RunDirectory, name: str) -> None:
    """Write the task's name into a new run; compare it with that of a run that exists.

    Raises:
        InputError: another task made the run.
    """
    if run.config.is_file() and (made := task_of(run)) != name:
        raise InputError(f"{run.path}: expected a run of {name}, it is one of {made}; choose another folder")
    if not run.task.is_file():
        with atomic_write(run.task) as file:
            file.write(f"{name}\n")
