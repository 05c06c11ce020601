"""`xformer finetune pair`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.finetune.top_labels import TopLabelsOptions

if TYPE_CHECKING:
    from xformer.data.labelled import LabelledPair, LeftOut, PairFields
    from xformer.finetuning.config import ClassifierConfig


@dataclass(frozen=True)
class FinetunePair(TopLabelsOptions):
    """Fine-tune the encoder of a run to label pairs of texts, such as translations, or what entails what.

    xformer finetune pair runs/demo --train train.en-de.tsv --dev dev.en-de.tsv --test test.en-fr.tsv
    test.fr-cs.tsv --out runs/pairs

    Fields of other names: xformer finetune pair runs/demo --train xnli.en.tsv --text-field premise
    --text-pair-field hypothesis --test xnli.de.tsv --out runs/entailment

    Files are TSV, CSV, JSON lines or Parquet, maybe compressed. The end of a name says the languages of the
    two texts: test.en-de.tsv, or test.de.tsv where both are German. The same command goes on with a run that
    was interrupted. The folder that it makes is a run: xformer classify runs/pairs pairs.tsv. `xformer data
    pairs` makes such files from translations.
    """

    text_field: str = "text"
    """The field with the first text; in a file without header, the number of its column."""
    text_pair_field: str = "text_pair"
    """The field with the second text."""
    label_field: str = "label"
    """The field with the label."""
    language_field: str | None = None
    """The field with the first text's language. Left out: the end of each file's name."""
    language_pair_field: str | None = None
    """The field with the second text's language."""

    def fields(self) -> PairFields:
        """What the files have where."""
        from xformer.data.labelled import PairFields

        names = self.text_field, self.text_pair_field, self.label_field
        return PairFields(*names, self.language_field, self.language_pair_field)

    def read(self, files: Sequence[Path], left_out: LeftOut) -> list[LabelledPair]:
        """The pairs of files."""
        from xformer.data.labelled import read_pairs

        return read_pairs(files, self.fields(), left_out)

    def classifier(self, labels: tuple[str, ...]) -> ClassifierConfig:
        """The settings of what is predicted."""
        from xformer.finetuning.config import ClassifierConfig

        return ClassifierConfig(
            labels=labels,
            example="pair",
            frozen=self.frozen,
            class_weights="balanced" if self.balanced else "none",
        )

    def usage(self) -> tuple[str, str]:
        """The command that uses the run, and the expression in Python."""
        return f"xformer classify {self.out} PAIRS", f"xformer.load({str(self.out)!r}).classify([(a, b), …])"
