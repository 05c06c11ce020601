"""`xformer finetune`: the group of its commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from xformer.cli.finetune.classify import FinetuneClassify
from xformer.cli.finetune.pair import FinetunePair
from xformer.cli.finetune.summarize import FinetuneSummarize
from xformer.cli.finetune.tag import FinetuneTag
from xformer.cli.finetune.translate import FinetuneTranslate


@dataclass(frozen=True)
class Finetune:
    """Fine-tune the encoder of a run: to label texts, pairs of texts or words, to translate, to summarize.

    Train in some languages, test in others.

    A label for each text: xformer finetune classify runs/demo --train train.en.tsv --test test.de.tsv --out
    runs/topics

    A label for two texts: xformer finetune pair runs/demo --train train.en-de.tsv --test test.en-fr.tsv --out
    runs/pairs

    A label for each word: xformer finetune tag runs/demo --train train.en.conll --test test.de.conll --out
    runs/tags

    A translation of each text: xformer finetune translate runs/demo --train train.en train.de --out runs/mt

    A summary of each text: xformer finetune summarize runs/demo --train train.en.jsonl train.de.jsonl --out
    runs/sum
    """

    command: (
        Annotated[FinetuneClassify, tyro.conf.subcommand("classify")]
        | Annotated[FinetunePair, tyro.conf.subcommand("pair")]
        | Annotated[FinetuneSummarize, tyro.conf.subcommand("summarize")]
        | Annotated[FinetuneTag, tyro.conf.subcommand("tag")]
        | Annotated[FinetuneTranslate, tyro.conf.subcommand("translate")]
    )

    def run_command(self) -> int:
        """Run the subcommand and return the exit status."""
        return self.command.run_command()
