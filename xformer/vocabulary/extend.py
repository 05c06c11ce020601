"""Extend a run for new languages: pieces for their texts, and rows that start from the pieces before.

Shapes: V pieces before, A added, K = V + A.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.corpus import Corpus
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card
from xformer.runs.origin import Origin
from xformer.storage.checksummed import atomic_folder
from xformer.tokenizer import Tokenizer, TokenizerError
from xformer.tokenizer.extend import Extended, extend_tokenizer
from xformer.vocabulary.check import compare_models, origin_of
from xformer.vocabulary.measure import (
    Segmentation,
    compare_cuts,
    counted,
)
from xformer.vocabulary.new_run import NewVocabulary, sizes, write_run
from xformer.vocabulary.source import Source, Texts

MADE_BY = "xformer tokenizer extend"


@dataclass(frozen=True)
class ExtendedRun:
    """A run after it was extended, beside the run before.

    Attributes:
        run: path of the new run.
        languages: tags of the new texts; empty where they have none.
        pieces: before and after.
        parameters: before and after.
        weight_bytes: of the checkpoint's weights, before and after.
        unseen: cuts of new texts that the vocabulary was not fitted to.
        earlier: cuts of the test split of the run's corpus before; None where that is not at hand.
        output_difference: largest difference of hidden states and logits on texts of that split that are cut
            alike, as a share of the largest value; None without such texts, and of a run for other tasks.
        top1: mean top-1 retrieval on the test split of the new texts' corpus before and after; None where it
            has no translations.
        left: languages of the run's corpus before that the new run's corpus lacks.
    """

    run: Path
    languages: tuple[str, ...]
    pieces: tuple[int, int]
    parameters: tuple[int, int]
    weight_bytes: tuple[int, int]
    unseen: Segmentation
    earlier: Segmentation | None
    output_difference: float | None
    top1: tuple[float, float] | None
    left: tuple[str, ...]


def extend_run(
    source: Source, texts: Texts, out: Path, progress: Progress, pieces: int | None = None
) -> ExtendedRun:
    """Make a run that has pieces for more texts.

    The row of a new piece is the mean of the rows of the pieces that it was cut into before (Gee et al. 2022,
    "Fast Vocabulary Transfer for Language Model Compression"), and so are its moments in the optimizer.
    Pretraining can go on in the new run, and fine-tuning start from it.

    Args:
        source: the run, which is only read.
        texts: what the new pieces are for. Texts of a corpus make this the new run's corpus, with all its
            languages.
        out: the new run; a new folder.
        progress: where to report.
        pieces: the largest number of new pieces; see `extend_tokenizer`.

    Raises:
        InputError: there are no texts, they need no new piece, a text is no Unicode, or `out` exists. Nothing
            is written.
    """
    try:
        with atomic_folder(out) as folder:
            made = _extend(source, texts, folder, out, progress, pieces)
    except TokenizerError as error:
        raise InputError(f"{texts.name}: {error}") from error
    run = RunDirectory(out)
    if isinstance(source.config, RunConfig) and run.manifest.is_file():
        write_model_card(run)
    return made


def _extend(
    source: Source, texts: Texts, folder: Path, out: Path, progress: Progress, pieces: int | None
) -> ExtendedRun:
    before, own = source.tokenizer, source.corpus()
    corpus = texts.corpus or own
    found = extend_tokenizer(before, texts.labelled, pieces, progress)
    after, old_ids = found.tokenizer, _old_ids(before.vocab_size, len(found.parts))
    unseen = compare_cuts(texts.unseen(), before, after, old_ids, counted(progress, "compare cuts"))
    earlier = None
    if own is not None:
        earlier = compare_cuts(_test_texts(own), before, after, old_ids, counted(progress, "compare cuts"))
    layer = source.sentence_layer(progress)
    vocabulary = NewVocabulary(after, _Rows(found), _Rows(found))
    run = write_run(source, folder, out, vocabulary, corpus, layer, progress)
    cuts = (before, after)
    alike = None if own is None else (text for text in _test_texts(own) if _alike(cuts, text))
    difference, top1 = compare_models(source, run, old_ids, alike, texts.corpus, layer, progress)
    made = ExtendedRun(
        out,
        texts.languages,
        (before.vocab_size, after.vocab_size),
        *sizes(source, run),
        unseen,
        earlier,
        difference,
        top1,
        _left(own, corpus),
    )
    _origin(source, texts, made).save(run)
    return made


class _Rows:
    """Makes rows (K, …) out of (V, …): those before, and behind them the mean of each new piece's parts."""

    def __init__(self, extended: Extended) -> None:
        self._before = extended.tokenizer.vocab_size - len(extended.parts)  # a run may have rows beyond
        self._parts = [torch.from_numpy(ids).long() for ids in extended.parts]

    def __call__(self, name: str, rows: Tensor) -> Tensor:
        means = [rows[ids].double().mean(0).to(rows.dtype) for ids in self._parts]
        return torch.cat([rows[: self._before], torch.stack(means)])


def _old_ids(before: int, added: int) -> NDArray[np.int64]:
    return np.concatenate([np.arange(before), np.full(added, -1)])


def _test_texts(corpus: Corpus) -> Iterator[str]:
    return (record.text for record in corpus.records("test"))


def _alike(cuts: tuple[Tokenizer, Tokenizer], text: str) -> bool:
    before, after = (cut.encode(text) for cut in cuts)
    return np.array_equal(before, after)


def _left(own: Corpus | None, corpus: Corpus | None) -> tuple[str, ...]:
    """Languages of the corpus before that the new one lacks."""
    if own is None or corpus is None:
        return ()
    return tuple(sorted(set(own.manifest.languages) - set(corpus.manifest.languages)))


def _origin(source: Source, texts: Texts, made: ExtendedRun) -> Origin:
    measured: dict[str, object] = {
        "parameters before and after": list(made.parameters),
        "pieces of unseen new texts before and after": [made.unseen.tokens_before, made.unseen.tokens],
        "share of earlier texts with the same pieces": made.earlier.share if made.earlier else None,
        "largest difference of outputs": made.output_difference,
    }
    if made.top1 is not None:
        measured["top-1 retrieval before and after"] = list(made.top1)
    return origin_of(source, MADE_BY, texts, made.pieces, measured)
