"""A run with another vocabulary beside the run before: what it computes, and what it says of its origin.

Shapes: V pieces before, K after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import Corpus
from xformer.errors import InputError
from xformer.finetuning.load import open_finetuned
from xformer.pretraining.load import load_model
from xformer.progress import Progress
from xformer.runs.checkpoint import weights_hash
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.origin import Origin
from xformer.tokenizer import Tokenizer
from xformer.vocabulary.measure import output_difference, top1_retrieval
from xformer.vocabulary.new_run import newest_model
from xformer.vocabulary.source import Source, Texts

_LARGEST_DIFFERENCE = 1e-5
"""Of outputs, as a share of the largest: rounding of products with more or fewer columns."""


def compare_models(
    source: Source,
    run: RunDirectory,
    old_ids: NDArray[np.int64],
    alike: Iterable[str] | None,
    corpus: Corpus | None,
    layer: int | None,
    progress: Progress,
) -> tuple[float | None, tuple[float, float] | None]:
    """Compare the model of a run with that of the run before.

    Args:
        source: the run before.
        run: the new one.
        old_ids: (K,) the row before of each row; -1 for a new one.
        alike: texts that both cut alike; None where there are none at hand.
        corpus: its test split shows retrieval; None for no retrieval.
        layer: number of blocks after which sentence vectors are taken; None for a run that was fine-tuned,
            which is only opened.
        progress: where to report.

    Returns:
        The largest difference of outputs as a share of the largest (`output_difference`), and mean top-1
        retrieval before and after. None for what was not measured.

    Raises:
        InputError: outputs differ by more than rounding.
    """
    if not isinstance(source.config, RunConfig) or layer is None:
        open_finetuned(run.path)
        return None, None
    config, models = source.config, (load_model(source.config, source.checkpoint), newest_model(run))
    cuts, length = (source.tokenizer, Tokenizer.load(run.tokenizer)), config.data.max_length
    difference = None
    if alike is not None:
        difference = output_difference(*models, cuts, old_ids, alike, length)
        if difference is not None:
            require_alike(difference)
    if corpus is None or not corpus.manifest.split("test").total.records:
        return difference, None
    top1 = [
        top1_retrieval(model, cut, corpus.folder, config.data.pivot, layer, length, progress)
        for model, cut in zip(models, cuts, strict=True)
    ]
    return difference, None if top1[0] is None or top1[1] is None else (top1[0], top1[1])


def require_alike(difference: float) -> None:
    """Check that outputs differ by rounding alone.

    Args:
        difference: the largest, as a share of the largest value; NaN is none that will do.

    Raises:
        InputError: it is larger.
    """
    if not difference <= _LARGEST_DIFFERENCE:
        raise InputError(
            f"outputs on texts with the same pieces differ by {difference:.1e} of the largest value,"
            f" expected at most {_LARGEST_DIFFERENCE:.0e}. Nothing was written"
        )


def origin_of(
    source: Source, made_by: str, texts: Texts, pieces: tuple[int, int], measured: Mapping[str, object]
) -> Origin:
    """What the new run says about where it comes from; numbers that are None are left out."""
    return Origin(
        made_by,
        str(source.run.path),
        source.checkpoint.state.step,
        weights_hash(source.checkpoint.path),
        source.tokenizer.fingerprint(),
        *pieces,
        (texts.name,),
        texts.languages,
        {name: value for name, value in measured.items() if value is not None},
    )
