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
    vocabulary_size: int = 16_384
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
class TokenizerCommand:
    """Train a shared vocabulary, and see how fair it is to each language."""

    command: Annotated[TokenizerTrain, tyro.conf.subcommand("train")]

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
