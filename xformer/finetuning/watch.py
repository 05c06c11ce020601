"""How good a run is in languages that it does not learn, while it trains: for the oracle gap alone.

The checkpoint of a run is chosen on held-out texts of its source languages. What choosing it by other
languages would have added is known only if these are watched. The numbers go to a file of their own, which
training never reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xformer.data.labelled import Example
from xformer.evaluation.classification.metrics import right
from xformer.evaluation.classification.report import OracleGap
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import labelled
from xformer.finetuning.predict import logits_of, probabilities_of
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.training.loop import Callback
from xformer.training.run import MakeCallback

_FILE = "watched.json"


def watch_languages(texts: Sequence[Example], most: int) -> MakeCallback:
    """Make the callback that measures accuracy by language at each evaluation of a run.

    Args:
        texts: test texts of any languages.
        most: texts of each language that are used, drawn at random.
    """
    chosen = _sample(texts, most)

    def make(run: RunDirectory, config: FinetuningConfig, progress: Progress) -> Callback:
        tokenizer = open_text_tokenizer(run)
        data = {tag: labelled(found, config, tokenizer) for tag, found in chosen.items()}
        multi_label = config.classifier.multi_label

        def watch(model: Any, state: TrainingState) -> Mapping[str, float] | None:
            if not state.evaluations or state.evaluations[-1][0] != state.step:
                return None
            found, device = {}, next(model.parameters()).device
            for tag, one in data.items():
                probabilities = probabilities_of(logits_of(model, one.inputs, device), multi_label)
                targets = one.truth(len(config.classifier.labels))
                found[tag] = float(right(probabilities, targets, multi_label).mean())
            _append(run, state.step, found)
            return {f"watched_accuracy/{tag}": value for tag, value in found.items()}

        return watch

    return make


def oracle_gaps(run: RunDirectory, step: int, sizes: Mapping[str, int]) -> dict[str, OracleGap]:
    """What choosing the checkpoint by each language's own texts would have added.

    Args:
        run: a complete run that was watched.
        step: of the checkpoint that was chosen.
        sizes: number of texts that were watched, by language.

    Returns:
        By language; none if the run was not watched at that step.
    """
    watched = watched_so_far(run)
    if step not in watched:
        return {}
    return {
        tag: OracleGap(chosen, max(one[tag] for one in watched.values() if tag in one), sizes.get(tag, 0))
        for tag, chosen in watched[step].items()
    }


def watched_sizes(texts: Sequence[Example], most: int) -> dict[str, int]:
    """Number of texts that are watched, by language."""
    return {tag: len(found) for tag, found in _sample(texts, most).items()}


def _sample(texts: Sequence[Example], most: int) -> dict[str, list[Example]]:
    by_language: dict[str, list[Example]] = {}
    for one in texts:
        by_language.setdefault(one.language, []).append(one)
    rng = np.random.default_rng(0)
    return {
        tag: [found[at] for at in sorted(rng.permutation(len(found))[:most].tolist())]
        for tag, found in sorted(by_language.items())
    }


def _append(run: RunDirectory, step: int, found: dict[str, float]) -> None:
    """Write the numbers of a step; those of later steps, from before the run was stopped, go."""
    watched = {at: one for at, one in watched_so_far(run).items() if at < step} | {step: found}
    with atomic_write(run.path / _FILE) as file:
        json.dump({str(at): one for at, one in watched.items()}, file)


def watched_so_far(run: RunDirectory) -> dict[int, dict[str, float]]:
    """Accuracy by language of each evaluation that was watched, by step; none where none was."""
    path = Path(run.path / _FILE)
    if not path.is_file():
        return {}
    return {int(step): one for step, one in json.loads(path.read_text(encoding="utf-8")).items()}
