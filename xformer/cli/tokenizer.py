"""`xformer tokenizer train | report | trim | extend`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from xformer.cli.data import CorpusFolder, TokenizerModel
from xformer.cli.vocabulary import TokenizerExtend, TokenizerTrim


@dataclass(frozen=True)
class TokenizerTrain:
    """Train a shared subword vocabulary on the training split of a corpus.

    xformer tokenizer train corpora/mine mine.model --vocabulary-size 32000
    """

    corpus: CorpusFolder
    """A folder made by `xformer data import`."""
    model: TokenizerModel
    """The file to write: a SentencePiece model."""
    vocabulary_size: int | None = None
    """Number of subwords, with the special ones and the 256 bytes. Left out: 65,536, or fewer for a text that
    is too small to teach so many."""
    kind: Literal["unigram", "bpe"] = "unigram"
    """Unigram language model, or byte-pair encoding (BPE)."""
    normalization: Literal["identity", "nfc", "nfkc"] = "identity"
    """Unicode normalization of the text. `identity` changes nothing."""
    alpha: float = 0.7
    """The share of a language in the training text is proportional to (its bytes)^alpha."""

    def run_command(self) -> int:
        """Train the vocabulary and return the exit status."""
        from xformer.data.corpus import open_corpus
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_file
        from xformer.tokenizer import TokenizerError, TokenizerOptions, train_tokenizer

        check_output_file(self.model)
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
    """Compare the cost of a vocabulary for each language: subwords per message, per word and per byte.

    With a picture: xformer tokenizer report runs/demo/tokenizer.model runs/demo/corpus --picture fairness.png

    For another program: xformer tokenizer report mine.model corpora/mine --json
    """

    model: TokenizerModel
    """A SentencePiece model made by `xformer tokenizer train`."""
    corpus: CorpusFolder
    """A folder made by `xformer data import`, or the `corpus` folder of a run."""
    split: Literal["train", "dev", "test"] = "test"
    """The split to measure on."""
    pivot: str = "en"
    """The language that the others are compared with, on the same messages."""
    picture: Path | None = None
    """Also draw the report into this PNG file."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Measure the vocabulary and return the exit status."""
        from xformer.data.corpus import open_corpus
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_file
        from xformer.tokenizer import Tokenizer, TokenizerError, measure_fairness, plot_fairness

        if self.picture is not None:
            check_output_file(self.picture)
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
    """Train a shared vocabulary, compare its cost for each language, and change that of a run."""

    command: (
        Annotated[TokenizerTrain, tyro.conf.subcommand("train")]
        | Annotated[TokenizerReport, tyro.conf.subcommand("report")]
        | Annotated[TokenizerTrim, tyro.conf.subcommand("trim")]
        | Annotated[TokenizerExtend, tyro.conf.subcommand("extend")]
    )

    def run_command(self) -> int:
        """Run the subcommand and return the exit status."""
        return self.command.run_command()
