"""Trim a run to some texts: without the pieces that they do not need, and without these pieces' rows.

Shapes: V pieces before, K after.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from xformer.data.subset import write_subset
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card
from xformer.runs.origin import Origin
from xformer.storage.checksummed import atomic_folder
from xformer.tokenizer import TokenizerError
from xformer.tokenizer.trim import pieces_in, trim_tokenizer
from xformer.vocabulary.check import compare_models, origin_of
from xformer.vocabulary.fit import fit_vocabulary
from xformer.vocabulary.measure import Segmentation
from xformer.vocabulary.new_run import NewVocabulary, sizes, write_run
from xformer.vocabulary.source import Source, Texts

MADE_BY = "xformer tokenizer trim"


@dataclass(frozen=True)
class Trimmed:
    """A run after it was trimmed, beside the run before.

    Attributes:
        run: path of the new run.
        languages: tags of the texts; empty where they have none.
        pieces: before and after.
        parameters: before and after.
        weight_bytes: of the checkpoint's weights, before and after.
        kept_texts: texts whose cuts were compared and are all the same.
        unseen: cuts of texts that the vocabulary was not fitted to.
        output_difference: largest difference of hidden states and logits, as a share of the largest value;
            None for a run that was fine-tuned.
        top1: mean top-1 retrieval on the test split before and after; None where it has no translations.
    """

    run: Path
    languages: tuple[str, ...]
    pieces: tuple[int, int]
    parameters: tuple[int, int]
    weight_bytes: tuple[int, int]
    kept_texts: int
    unseen: Segmentation
    output_difference: float | None
    top1: tuple[float, float] | None


def trim_run(source: Source, texts: Texts, out: Path, progress: Progress) -> Trimmed:
    """Make a run that has the pieces of some texts alone.

    The texts have the same pieces as before, with other ids, and the model computes the same for them.
    Pretraining can go on in the new run, and fine-tuning start from it.

    Args:
        source: the run, which is only read.
        texts: what the vocabulary is to hold. Texts of a corpus become the new run's corpus, without those in
            other languages.
        out: the new run; a new folder.
        progress: where to report.

    Raises:
        InputError: there are no texts, a text is no Unicode, or `out` exists. Nothing is written.
    """
    try:
        with atomic_folder(out) as folder:
            made = _trim(source, texts, folder, out, progress)
    except TokenizerError as error:
        raise InputError(str(error)) from error
    run = RunDirectory(out)
    if isinstance(source.config, RunConfig) and run.manifest.is_file():
        write_model_card(run)
    return made


def _trim(source: Source, texts: Texts, folder: Path, out: Path, progress: Progress) -> Trimmed:
    before, corpus = source.tokenizer, texts.corpus or source.corpus()
    if texts.corpus is not None and set(texts.languages) < set(texts.corpus.manifest.languages):
        place = RunDirectory(folder).corpus
        corpus = write_subset(texts.corpus, texts.languages, place, progress)
        texts = replace(Texts.of_corpus(corpus, texts.languages), name=texts.name)
    fitted = fit_vocabulary(texts, before, pieces_in, trim_tokenizer, progress)
    after, old_ids = fitted.tokenizer, fitted.old_ids
    rows = torch.from_numpy(old_ids)
    vocabulary = NewVocabulary(after, lambda name, tensor: tensor[rows], lambda name, tensor: tensor[rows])
    layer = source.sentence_layer(progress)
    run = write_run(source, folder, out, vocabulary, corpus, layer, progress)
    shown = None if texts.corpus is None else corpus
    measured = compare_models(source, run, old_ids, texts.fitted(), shown, layer, progress)
    made = Trimmed(
        out,
        texts.languages,
        (before.vocab_size, after.vocab_size),
        *sizes(source, run),
        fitted.kept.texts,
        fitted.unseen,
        *measured,
    )
    _origin(source, texts, made).save(run)
    return made


def _origin(source: Source, texts: Texts, made: Trimmed) -> Origin:
    measured: dict[str, object] = {
        "parameters before and after": list(made.parameters),
        "texts with the same pieces": made.kept_texts,
        "share of unseen texts with the same pieces": made.unseen.share,
        "unseen texts": made.unseen.texts,
        "largest difference of outputs": made.output_difference,
    }
    if made.top1 is not None:
        measured["top-1 retrieval before and after"] = list(made.top1)
    return origin_of(source, MADE_BY, texts, made.pieces, measured)
