"""Every condition with every seed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

import torch

from xformer.progress import Progress

from .batches import Maker
from .elements import Elements, conditions
from .languages import Texts
from .measure import measure
from .outcomes import Run
from .train import TrainingSize, tiny_model, train


def run_every(
    texts: Texts,
    size: TrainingSize,
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    jobs: int,
    progress: Progress,
) -> list[Run]:
    """Train and measure a model for each condition and seed, `jobs` at a time, one core each.

    A run depends on its condition, seed and texts only, not on what runs beside it.

    Args:
        texts: of both languages.
        size: of the models, and how long each learns.
        seeds: one run each.
        names: of conditions.
        jobs: processes.
        progress: shows the runs done.

    Returns:
        The runs, by seed, then in the order of the names.
    """
    wanted = [(name, seed) for seed in seeds for name in names]
    found = []
    # Fork would copy a process that has threads of torch in it.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(run_one, texts, size, name, seed) for name, seed in wanted]
        try:
            for done, one in enumerate(as_completed(waiting), 1):
                found.append(one.result())
                progress("models", done, len(wanted), found[-1].condition)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sorted(found, key=lambda one: wanted.index((one.condition, one.seed)))


def run_one(texts: Texts, size: TrainingSize, name: str, seed: int) -> Run:
    """Measure a model on one core, before it is trained and after."""
    torch.set_num_threads(1)
    elements: Elements = conditions()[name]
    began = time.process_time()
    maker = Maker(texts, elements, size=size.texts, seed=seed)
    untrained = measure(tiny_model(maker.twins.vocab_size, size, seed).eval(), maker, size.middle)
    outcome = measure(train(maker, size, seed), maker, size.middle)
    return Run(name, seed, outcome, untrained, time.process_time() - began)
