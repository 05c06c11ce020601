"""`xformer tokenizer train | report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class TokenizerTrain:
    """Train a shared vocabulary on a corpus's training split.

    xformer tokenizer train corpora/mine mine.model --vocabulary-size 32000
    """

    corpus: tyro.conf.Positional[Path]
    """Folder made by `xformer data import`."""
    model: tyro.conf.Positional[Path]
    """The file to write."""
    vocabulary_size: int = 32_768
    """Pieces in all, special and byte pieces included."""
    kind: Literal["unigram", "bpe"] = "unigram"
    """Unigram language model, or byte-pair encoding."""
    normalization: Literal["identity", "nfc", "nfkc"] = "identity"
    """Unicode form of the text; identity loses nothing."""
    alpha: float = 0.3
    """Languages are drawn in proportion to (their bytes)^alpha."""

    def run_command(self) -> int:
        """Train; the exit status."""
        from xformer.data.corpus import open_corpus
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.tokenizer import TokenizerError, TokenizerOptions, train_tokenizer

        corpus = open_corpus(self.corpus)
        try:
            options = TokenizerOptions(
                vocabulary_size=self.vocabulary_size,
                model=self.kind,
                normalization=self.normalization,
                alpha=self.alpha,
            )
            with Progress() as progress:
                tokenizer = train_tokenizer(
                    lambda: ((record.language, record.text) for record in corpus.records("train")),
                    options,
                    self.model,
                    progress=progress,
                )
                progress.say(f"{self.model}: {tokenizer!r}")
        except TokenizerError as error:
            raise InputError(str(error)) from error
        return 0


@dataclass(frozen=True)
class TokenizerReport:
    """How a vocabulary treats each language: subwords per word and byte, parity with a pivot, fallback, loss.

    xformer tokenizer report runs/demo/tokenizer.model runs/demo/corpus --picture fairness.png

    xformer tokenizer report mine.model corpora/mine --json
    """

    model: tyro.conf.Positional[Path]
    """Tokenizer to look at."""
    corpus: tyro.conf.Positional[Path]
    """Folder made by `xformer data import`, or a run's `corpus`."""
    split: Literal["train", "dev", "test"] = "test"
    """Which of its texts."""
    pivot: str = "en"
    """Language whose subword counts on the same messages the others' are divided by."""
    picture: Path | None = None
    """Draw it into this PNG, too."""
    json: bool = False
    """Print one JSON object."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from xformer.data.corpus import open_corpus
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.tokenizer import Tokenizer, TokenizerError, measure_fairness, plot_fairness

        corpus = open_corpus(self.corpus)
        try:
            tokenizer = Tokenizer.load(self.model)
            with Progress() as progress:
                report = measure_fairness(
                    tokenizer,
                    lambda: (
                        (record.language, record.text, record.group) for record in corpus.records(self.split)
                    ),
                    pivot=self.pivot,
                    progress=progress,
                )
        except TokenizerError as error:
            raise InputError(str(error)) from error
        if self.picture is not None:
            plot_fairness(report, self.picture)
        print(report.to_json() if self.json else report.to_text())
        return 0


@dataclass(frozen=True)
class TokenizerCommand:
    """Train a shared vocabulary, and see how fair it is to each language."""

    command: (
        Annotated[TokenizerTrain, tyro.conf.subcommand("train")]
        | Annotated[TokenizerReport, tyro.conf.subcommand("report")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
