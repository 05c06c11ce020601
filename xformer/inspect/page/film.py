"""A run's checkpoints as a film: what each head does with the same texts as training goes on.

Letters: n tokens of a text, L layers, H heads, S cells a side of a small map.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.inspect.open import open as open_subject
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.payload import JSON
from xformer.inspect.subject import Subject
from xformer.progress import Progress
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.find import find_run
from xformer.runs.opening import open_checkpoint

MOST_FRAMES = 60
SIDE = 32
STATISTICS = ("entropy", "distance", "largest", "moved")


@dataclass(frozen=True)
class Frame:
    """One checkpoint.

    Attributes:
        step: steps that were done.
        loss: on held-out texts, of all objectives together; None where it was not measured.
        open: opens its model.
    """

    step: int
    loss: float | None
    open: Callable[[], Subject]


def frames_of_run(
    path: str | os.PathLike[str], *, device: str | torch.device | None = None, dtype: str = "auto"
) -> list[Frame]:
    """The checkpoints of a run, as frames; each model is opened when it is read.

    Args:
        path: the run's folder.
        device: where its models compute, as in `xformer.inspect.open`.
        dtype: precision of matrix products.

    Raises:
        InputError: there is no run.
    """
    run = find_run(path)

    def frame(step: int) -> Frame:
        state = open_checkpoint(run, step).state
        return Frame(
            step, state.held_out, lambda: open_subject(path, checkpoint=step, device=device, dtype=dtype)
        )

    return [frame(step_of(folder)) for folder in checkpoint_folders(run.checkpoints)]


def chosen(frames: Sequence[Frame], most: int = MOST_FRAMES) -> list[Frame]:
    """At most `most` frames by step, evenly spread, the first and the last among them.

    Raises:
        InputError: there are fewer than two: a film needs a change.
    """
    ordered = sorted(frames, key=lambda frame: frame.step)
    if len(ordered) < 2:
        some = f"one, of step {ordered[0].step}" if ordered else "none"
        keeps = "training.keep_checkpoints says how many a run keeps"
        raise InputError(f"a film needs two checkpoints, the run has {some}; {keeps}")
    if len(ordered) <= most:
        return ordered
    return [ordered[round(number * (len(ordered) - 1) / (most - 1))] for number in range(most)]


def film(
    frames: Sequence[Frame], texts: Sequence[str], blobs: Blobs, progress: Progress | None = None
) -> list[JSON]:
    """The part `film` of a run, for each text.

    Args:
        frames: of `chosen`.
        texts: what each checkpoint reads.
        blobs: takes the arrays.
        progress: shows how many frames are done.

    Returns:
        For each text `side` S; `statistics`, names of what is measured of each head; and `frames`, each with
        `step`, `loss`, and the blobs `maps` (L, H, S, S) of `smaller` and `statistics` (names, L, H) of
        `measures`, where `moved` tells of the change since the frame before.
    """
    told: list[list[JSON]] = [[] for _ in texts]
    before: list[list[NDArray[np.float32]]] = []
    sides = [0] * len(texts)
    for number, frame in enumerate(frames):
        subject = frame.open()
        layers = range(subject.config.n_layers)
        with subject.trace(list(texts), keep=["layers.*.attn.weights"]) as trace, torch.no_grad():
            now = [
                [trace[f"layers.{layer}.attn.weights"][text].float().cpu().numpy() for layer in layers]
                for text in range(len(texts))
            ]
        for text, (weights, then) in enumerate(zip(now, before or now, strict=True)):
            maps = np.stack([[smaller(head) for head in layer] for layer in weights])
            numbers = [measures(layer, last) for layer, last in zip(weights, then, strict=True)]
            sides[text] = maps.shape[-1]
            statistics = np.stack(numbers, axis=1).astype(np.float32)
            kept = {"maps": blobs.add(maps), "statistics": blobs.add(statistics)}
            told[text].append({"step": frame.step, "loss": frame.loss, **kept})
        before = now
        if progress is not None:
            progress("reading checkpoints", number + 1, len(frames), f"step {frame.step}")
    return [
        {"side": side, "statistics": list(STATISTICS), "frames": one}
        for side, one in zip(sides, told, strict=True)
    ]


def smaller(weights: NDArray[np.float32], side: int = SIDE) -> NDArray[np.uint8]:
    """A head's map (n, n) in few cells, alike in all frames: `255 √w` of the largest weight w in each.

    Square roots, so that a weight of 0.02 is still seen.
    """
    n = len(weights)
    side = min(n, side)
    starts = [cell * n // side for cell in range(side)]
    cells = np.maximum.reduceat(np.maximum.reduceat(weights, starts, axis=0), starts, axis=1)
    return np.rint(255 * np.sqrt(np.clip(cells, 0, 1))).astype(np.uint8)


def measures(now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float64]:
    """Numbers of each head: (H, n, n) twice to (4, H), means over the queries.

    Entropy in nats, distance in tokens, the largest weight, and the share of attention that lies elsewhere
    than before (total variation distance).
    """
    weights = now.astype(np.float64)
    place = np.arange(weights.shape[1])
    logs = np.log(np.where(weights > 0, weights, 1))
    return np.stack(
        [
            -(weights * logs).sum(axis=2).mean(axis=1),
            (weights * np.abs(place - place[:, None])).sum(axis=2).mean(axis=1),
            weights.max(axis=2).mean(axis=1),
            np.abs(weights - before).sum(axis=2).mean(axis=1) / 2,
        ]
    )
