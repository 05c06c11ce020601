"""What a kind of example needs: its inputs and its head. A new kind is one more entry here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xformer.finetuning.config import ExampleKind, FinetuningConfig
from xformer.finetuning.heads.head import Head
from xformer.finetuning.heads.library import LibraryHead
from xformer.finetuning.heads.pair import PairHead
from xformer.finetuning.heads.text import TextHead
from xformer.finetuning.heads.words import WordHead
from xformer.finetuning.inputs.interface import Inputs
from xformer.finetuning.inputs.pairs import TokenPairs
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.inputs.words import TokenWords
from xformer.tokenizer.interface import TextTokenizer

Tokenise = Callable[[Sequence[Any], TextTokenizer, int, int], Inputs]
"""Makes inputs of what examples contain: `(contents, tokenizer, max_tokens, max_length)`."""


@dataclass(frozen=True)
class Kind:
    """The parts that belong to a kind of example.

    Attributes:
        tokenise: from contents to token ids.
        head: class of the head.
        command: of `xformer finetune`.
        examples: what several of them are called.
        units: what those are called that get a label.
    """

    tokenise: Tokenise
    head: type[Head]
    command: str
    examples: str
    units: str


def kind_of(example: ExampleKind) -> Kind:
    """The parts of a kind of example."""
    kinds: dict[ExampleKind, Kind] = {
        "text": Kind(TokenTexts.of, TextHead, "classify", "texts", "texts"),
        "pair": Kind(TokenPairs.of, PairHead, "pair", "pairs", "pairs"),
        "words": Kind(TokenWords.of, WordHead, "tag", "sentences", "words"),
    }
    return kinds[example]


def head_of(config: FinetuningConfig, width: int) -> Head:
    """A head with its first weights.

    Args:
        config: settings of the run.
        width: coordinates that it reads.
    """
    classifier = config.classifier
    if classifier.head != "own":
        return LibraryHead(config)
    return kind_of(classifier.example).head(
        width, len(classifier.labels), classifier.hidden, classifier.dropout, config.model.init_std
    )


def inputs_of(contents: Sequence[Any], config: FinetuningConfig, tokenizer: TextTokenizer) -> Inputs:
    """The token ids of what examples contain, as the settings of a run say.

    Args:
        contents: texts, pairs of texts, or sentences of words.
        config: settings of the run.
        tokenizer: of the run.
    """
    classifier = config.classifier
    tokenise = kind_of(classifier.example).tokenise
    return tokenise(contents, tokenizer, classifier.max_tokens, config.base.max_length)
