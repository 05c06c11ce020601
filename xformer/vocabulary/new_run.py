"""A run with another vocabulary, written as a whole: settings, data, tokenizer, weights, and its origin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from xformer.data.corpus import Corpus, open_corpus
from xformer.data.embedded import is_embedded
from xformer.data.shared_groups import has_translations
from xformer.data.source_rules import SourceRule, require_matches
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.load import load_model
from xformer.pretraining.prepare import prepare
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState, verified_checkpoint, write_tensors
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.kind import settle_task, task_of
from xformer.runs.sentence_layer import SentenceLayer, record_layer
from xformer.storage.toml import save_toml
from xformer.tokenizer import Tokenizer
from xformer.vocabulary.rows import with_rows
from xformer.vocabulary.source import Source


@dataclass(frozen=True)
class NewVocabulary:
    """What takes the place of a run's vocabulary.

    Attributes:
        tokenizer: K pieces.
        weights: makes the rows (K, …) of the weights out of a parameter's name and its rows before (V, …).
        moments: the same of the optimizer's moments.
    """

    tokenizer: Tokenizer
    weights: Callable[[str, Tensor], Tensor]
    moments: Callable[[str, Tensor], Tensor]


def write_run(
    source: Source,
    folder: Path,
    out: Path,
    new: NewVocabulary,
    corpus: Corpus | None,
    layer: int | None,
    progress: Progress,
) -> RunDirectory:
    """Write a run with another vocabulary, but for what says where it comes from.

    The state of training goes on: steps, schedule, moments of the optimizer. What belongs to the texts and
    the log of the run before begins anew: sums since the last line, losses on held-out texts.

    Args:
        source: the run before.
        folder: where to write; it is `out` in the end.
        out: the path that the run will have.
        new: the vocabulary.
        corpus: what pretraining goes on with; None for a run that was fine-tuned.
        layer: number of blocks after which sentence vectors are taken; None for a run that was fine-tuned.
        progress: where to report.

    Raises:
        InputError: the texts serve no objective of the run.
    """
    run = RunDirectory(folder)
    settle_task(run, task_of(source.run))
    new.tokenizer.save(run.tokenizer)
    config = replace(source.config, model=replace(source.config.model, vocab_size=new.tokenizer.vocab_size))
    state = source.checkpoint.state
    if isinstance(config, RunConfig):
        if corpus is not None:
            config = _prepared(run, config, corpus, out, progress)
        state = replace(state, held_out=None, evaluations=())
    save_toml(run.config, config)
    rows = source.config.model.rows
    weights = with_rows(source.checkpoint.whole("model"), rows, new.weights)
    moments = with_rows(source.optimizer(), rows, new.moments)
    write_tensors(run.checkpoints, {"model": weights, "optimizer": moments}, _begun(state))
    if source.run.calibration.is_file():  # of a run that was fine-tuned; outputs stay as they are
        shutil.copyfile(source.run.calibration, run.calibration)
    if layer is not None:
        record_layer(run, SentenceLayer(state.step, layer, []))
    return run


def newest_model(run: RunDirectory) -> MultilingualModel:
    """The pretrained model of a run that was written."""
    (newest,) = checkpoint_folders(run.checkpoints)
    return load_model(run.load_config(), verified_checkpoint(newest, ["model"]))


def sizes(source: Source, run: RunDirectory) -> tuple[tuple[int, int], tuple[int, int]]:
    """Parameters, and bytes of weights, before and after."""
    (newest,) = checkpoint_folders(run.checkpoints)
    both = [source.checkpoint.whole("model"), verified_checkpoint(newest, ["model"]).whole("model")]
    counts = [sum(tensor.numel() for tensor in one.values()) for one in both]
    n_bytes = [sum(tensor.nbytes for tensor in one.values()) for one in both]
    return (counts[0], counts[1]), (n_bytes[0], n_bytes[1])


def _begun(state: TrainingState) -> TrainingState:
    """The state of training without what belongs to the texts, the log and the machine of the run before."""
    return replace(
        state, data_digest="", tally={}, lines=None, recent=(), fingerprints={}, threads=None, spikes=0
    )


def _prepared(
    run: RunDirectory, config: RunConfig, corpus: Corpus, out: Path, progress: Progress
) -> RunConfig:
    """The settings for a corpus, after its shards were written into the run."""
    inside = corpus.folder == run.corpus
    own = is_embedded(config.data.corpus)
    if own and not inside and corpus.folder.name == run.corpus.name:
        _link_folder(corpus.folder, run.corpus)
        corpus, inside = open_corpus(run.corpus), True
    data = replace(config.data, tokenizer=None, shards=None, sources=_rules(config, corpus))
    if not (own and inside):
        data = replace(data, corpus=os.fspath(corpus.folder))
    size = replace(config.tokenizer, vocabulary_size=config.model.vocab_size)
    config = replace(_learning(config, corpus), data=data, tokenizer=size)
    config = prepare(run, config, _Quiet(progress))
    if inside and not own:
        config = replace(config, data=replace(config.data, corpus=os.fspath(RunDirectory(out).corpus)))
    return config


def _learning(config: RunConfig, corpus: Corpus) -> RunConfig:
    """The settings without objectives that need translations, where there are none."""
    objectives = config.objectives
    if not (objectives.alignment_tokens or objectives.translation_lm_tokens) or has_translations(
        corpus, "train"
    ):
        return config
    if not objectives.masked_lm_tokens:
        raise InputError(
            f"{corpus.folder}: the run learns from translations alone (objectives.masked_lm_tokens is 0), and"
            " these texts have none; expected texts in two languages with translations"
        )
    return replace(config, objectives=replace(objectives, alignment_tokens=0, translation_lm_tokens=0))


def _rules(config: RunConfig, corpus: Corpus) -> tuple[SourceRule, ...]:
    """The rules about sources that the corpus still has."""
    train = corpus.manifest.split("train")
    kept: tuple[SourceRule, ...] = ()
    for rule in config.data.sources:
        try:
            require_matches((*kept, rule), list(train.sources), train.languages, corpus.folder)
        except InputError:
            continue
        kept = (*kept, rule)
    return kept


def _link_folder(folder: Path, here: Path) -> None:
    here.mkdir()
    for file in folder.iterdir():
        try:
            os.link(file, here / file.name)
        except OSError:  # another disk, or a file system without hard links
            shutil.copy2(file, here / file.name)


class _Quiet(Progress):
    """Shows progress, and keeps to itself what a run that is made under a temporary name says."""

    def __init__(self, shown: Progress) -> None:
        super().__init__(shown.console)
        self._shown = shown

    def __call__(self, *arguments: object, **options: object) -> None:
        self._shown(*arguments, **options)  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """Nothing."""
