"""The layer after which a run's sentence vectors are taken: chosen on the dev split, kept in the run by step.

What measures it lies in `xformer.evaluation.sentence_layer`. All that takes vectors from a run uses the same
choice: `xformer evaluate` and `xformer.load`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure


@dataclass(frozen=True)
class SentenceLayer:
    """The choice for one checkpoint.

    Attributes:
        step: optimizer steps that the checkpoint had taken.
        layer: number of blocks after which vectors are taken.
        dev_top1_by_layer: mean top-1 retrieval on the dev split after 0, 1, … blocks, which chose `layer`;
            empty where the dev split has nothing to compare, and `layer` is the last one.
    """

    step: int
    layer: int
    dev_top1_by_layer: list[float]


@dataclass(frozen=True)
class _Choices:
    """The file of a run: one choice for each checkpoint that was measured."""

    choices: tuple[SentenceLayer, ...]


def recorded_layer(run: RunDirectory, step: int) -> SentenceLayer | None:
    """The choice for the checkpoint of a step; None if it was never made, or the file cannot be read.

    Runs of earlier versions have it in their evaluation alone.
    """
    for choice in _read(run):
        if choice.step == step:
            return choice
    return _of_evaluation(run, step)


def record_layer(run: RunDirectory, choice: SentenceLayer) -> None:
    """Write a choice into the run, beside those of its other checkpoints.

    Raises:
        OSError: the run cannot be written to.
    """
    steps = {step_of(path) for path in checkpoint_folders(run.checkpoints)} - {choice.step}
    kept = [other for other in _read(run) if other.step in steps]
    choices = _Choices(tuple(sorted([*kept, choice], key=lambda one: one.step)))
    with atomic_write(run.sentence_layer) as file:
        json.dump(asdict(choices), file, indent=2, allow_nan=False)
        file.write("\n")


def _read(run: RunDirectory) -> tuple[SentenceLayer, ...]:
    try:
        return structure(_json(run.sentence_layer.read_text(encoding="utf-8")), _Choices).choices
    except (OSError, ValueError):
        return ()  # it is measured again


def _of_evaluation(run: RunDirectory, step: int) -> SentenceLayer | None:
    try:
        report = _json(run.evaluation.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    scores = report.get("retrieval")
    if report.get("step") != step or not isinstance(scores, Mapping):
        return None
    try:
        found = {name: scores.get(name) for name in ("layer", "dev_top1_by_layer")}
        choice = structure({"step": step, **found}, SentenceLayer)
    except ValueError:
        return None
    return choice if choice.dev_top1_by_layer else None


def _json(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, got {type(found).__name__}")
    return found
