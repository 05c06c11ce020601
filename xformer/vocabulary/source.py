"""The run whose vocabulary is changed, opened, and the texts that the new vocabulary is fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from xformer.data.corpus import Corpus
from xformer.data.reporting import ProgressCallback
from xformer.errors import InputError
from xformer.evaluation.sentence_layer import sentence_layer_of
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.load import open_finetuned
from xformer.pretraining.load import load_model, open_tokenizer
from xformer.pretraining.prepare import find_corpus
from xformer.runs.checkpoint import Checkpoint, verified_checkpoint
from xformer.runs.checkpoint_files import RNG
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, PRETRAINING, task_of
from xformer.runs.opening import open_checkpoint
from xformer.tokenizer import Tokenizer

_UNSEEN_LINE = 10
"""Of lines without splits every tenth shows what a vocabulary does to text that it has not seen."""


@dataclass(frozen=True)
class Source:
    """A run, opened.

    Attributes:
        run: its folder.
        config: its settings.
        tokenizer: its tokenizer.
        checkpoint: the newest, and of a run that was fine-tuned the best.
    """

    run: RunDirectory
    config: RunConfig | FinetuningConfig
    tokenizer: Tokenizer
    checkpoint: Checkpoint

    @classmethod
    def open(cls, path: Path) -> Source:
        """Open a run.

        Raises:
            InputError: there is none, it has no checkpoint, or its model has a table that depends on ids.
        """
        run = find_run(path)
        config: RunConfig | FinetuningConfig
        if (task := task_of(run)) == CLASSIFICATION:
            opened = open_finetuned(path)
            config, checkpoint = opened.config, open_checkpoint(run, opened.state.step)
        elif task == PRETRAINING:
            config, checkpoint = run.load_config(), open_checkpoint(run)
        else:
            raise InputError(f"{path}: expected a run of {PRETRAINING} or {CLASSIFICATION}, it is of {task}")
        if config.model.bigrams:
            raise InputError(
                f"{path}: model.bigrams: expected 0, got {config.model.bigrams}: rows of bigrams are found by"
                " the ids of two pieces, which would change"
            )
        return cls(run, config, open_tokenizer(run), checkpoint)

    def corpus(self) -> Corpus | None:
        """The run's own corpus; None where it is not at hand.

        Raises:
            InputError: it is damaged.
        """
        if not isinstance(self.config, RunConfig):
            return None
        try:
            return find_corpus(self.run, self.config.data, verify=False)
        except InputError:
            if (Path(self.config.data.corpus) / "manifest.json").exists():
                raise
            return None

    def sentence_layer(self, progress: ProgressCallback) -> int | None:
        """The number of blocks before the run's sentence vectors; None of a run for other tasks."""
        if not isinstance(self.config, RunConfig):
            return None
        model = load_model(self.config, self.checkpoint)
        return sentence_layer_of(self.run, model, self.checkpoint.state.step, progress=progress).layer

    def optimizer(self) -> dict[str, Tensor]:
        """The optimizer's moments and the random state; without a complete file of them, a new random state.

        What only training reads need not be there to use a model.
        """
        try:
            return verified_checkpoint(self.checkpoint.path).whole("optimizer")
        except InputError:
            return {RNG: torch.Generator().manual_seed(self.config.training.seed).get_state()}


@dataclass(frozen=True)
class Texts:
    """Texts that a vocabulary is fitted to, and others that show what it does to text that it has not seen.

    Attributes:
        name: what they are, for people.
        languages: their tags; empty where they have none.
        fitted: starts a new pass over the texts that are fitted to first.
        unseen: starts a new pass over the others.
        kept: whether the others are fitted to as well, after they have been looked at.
        corpus: they are texts of this corpus.
    """

    name: str
    languages: tuple[str, ...]
    fitted: Callable[[], Iterator[str]]
    unseen: Callable[[], Iterator[str]]
    kept: bool
    corpus: Corpus | None = None

    @classmethod
    def of_corpus(cls, corpus: Corpus, languages: tuple[str, ...]) -> Texts:
        """Those of some languages; the test split is not seen."""
        chosen = set(languages)

        def texts(*splits: str) -> Iterator[str]:
            records = chain.from_iterable(corpus.records(split) for split in splits)
            return (record.text for record in records if record.language in chosen)

        return cls(
            str(corpus.folder),
            languages,
            lambda: texts("train", "dev"),
            lambda: texts("test"),
            kept=False,
            corpus=corpus,
        )

    @classmethod
    def of_lines(cls, lines: Iterable[str], name: str) -> Texts:
        """Texts without splits, which can be iterated several times."""
        return cls(
            name,
            (),
            lambda: (line for number, line in enumerate(lines, 1) if number % _UNSEEN_LINE),
            lambda: (line for number, line in enumerate(lines, 1) if not number % _UNSEEN_LINE),
            kept=True,
        )

    def labelled(self) -> Iterator[tuple[str, str]]:
        """Those that are fitted to first, each with its language; lines have the language `und`."""
        if self.corpus is None:
            return (("und", text) for text in self.fitted())
        chosen = set(self.languages)
        records = chain.from_iterable(self.corpus.records(split) for split in ("train", "dev"))
        return ((record.language, record.text) for record in records if record.language in chosen)

    def all(self) -> Iterator[str]:
        """All texts that are fitted to in the end."""
        yield from self.fitted()
        if self.kept:
            yield from self.unseen()
