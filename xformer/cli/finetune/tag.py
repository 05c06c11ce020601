"""`xformer finetune tag`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.finetune.options import FinetuneOptions

if TYPE_CHECKING:
    from xformer.data.labelled import LabelledWords, LeftOut, WordFields
    from xformer.finetuning.config import ClassifierConfig


@dataclass(frozen=True)
class FinetuneTag(FinetuneOptions):
    """Fine-tune the encoder of a run to label each word: its part of speech, its language, names.

    xformer finetune tag runs/demo --train train.en.conll --dev dev.en.conll --test test.de.conll --out
    runs/tags

    Universal Dependencies: xformer finetune tag runs/demo --train en_ewt-ud-train.en.conllu --tokens-field 2
    --tags-field 4 --test de_gsd-ud-test.de.conllu --out runs/pos

    Lists of words and tags: xformer finetune tag runs/demo --train train.en.jsonl --tags-field ner_tags
    --test test.de.jsonl --out runs/names

    Files of lines (.conll, .conllu, .iob2, .bio, .tsv, .txt) have a word and its tag in each line and a blank
    line after each sentence; rows (.jsonl, .parquet) have lists. They may be compressed. The end of a name
    says the language, of mixed text the languages: test.de+en.conll. The same command goes on with a run
    that was interrupted. The folder that it makes is a run: xformer tag runs/tags texts.txt. `xformer data
    mixed` makes files of mixed text from translations.
    """

    tokens_field: str | None = None
    """The field with the list of words; in files of lines, the number of the words' column. Left out:
    `tokens`, column 1."""
    tags_field: str | None = None
    """The field with the list of tags; in files of lines, the number of the tags' column. Left out: `tags`,
    column 2."""
    language_field: str | None = None
    """In rows, the field with the language, or several with + between. Left out: the end of each file's
    name."""

    def fields(self) -> WordFields:
        """What the files have where."""
        from xformer.data.labelled import WordFields

        return WordFields(self.tokens_field, self.tags_field, self.language_field)

    def read(self, files: Sequence[Path], left_out: LeftOut) -> list[LabelledWords]:
        """The sentences of files."""
        from xformer.data.labelled import read_words

        return read_words(files, self.fields(), left_out)

    def classifier(self, labels: tuple[str, ...]) -> ClassifierConfig:
        """The settings of what is predicted.

        A head for words reads all coordinates: those that translations were made alike in say little of a
        word's form and language.
        """
        from xformer.finetuning.config import ClassifierConfig

        return ClassifierConfig(
            labels=labels,
            example="words",
            coordinates="all",
            frozen=self.frozen,
            class_weights="balanced" if self.balanced else "none",
        )

    def usage(self) -> tuple[str, str]:
        """The command that uses the run, and the expression in Python."""
        return f"xformer tag {self.out} FILE", f"xformer.load({str(self.out)!r}).tag(texts)"
