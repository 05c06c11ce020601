"""`xformer finetune classify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xformer.cli.finetune.top_labels import TopLabelsOptions

if TYPE_CHECKING:
    from xformer.data.labelled import LabelFields, LabelledText, LeftOut
    from xformer.finetuning.config import ClassifierConfig, ConsistencyConfig


@dataclass(frozen=True)
class FinetuneClassify(TopLabelsOptions):
    """Fine-tune the encoder of a run to classify texts; train in some languages, test in others.

    xformer finetune classify runs/demo --train train.en.tsv --dev dev.en.tsv --test test.de.tsv test.fr.tsv
    --out runs/topics

    Baselines learn from labelled texts of the tested languages, the model does not: xformer finetune classify
    runs/demo --train train.en.tsv --test test.de.tsv --within train.de.tsv --out runs/topics --seeds 3

    Texts with translations and without labels, to learn the other languages by: xformer finetune classify
    runs/demo --train train.en.tsv --parallel corpora/mine --test test.de.tsv --out runs/topics

    A probe of the encoder as it is: xformer finetune classify runs/demo --train train.en.tsv --test
    test.de.tsv --out runs/probe --frozen

    Files are TSV, CSV, JSON lines or Parquet, maybe compressed; the end of a name says the language
    (test.pt_BR.jsonl.gz), or --language-field does. The same command goes on with a run that was interrupted.
    The folder that it makes is a run: xformer classify runs/topics texts.txt.
    """

    within: tuple[Path, ...] = ()
    """Labelled texts of the tested languages for the baselines that learn within each language."""
    parallel: Path | None = None
    """A corpus with translations of texts like these, made by `xformer data import`; it needs no labels. The
    model learns to answer the same for a text in the source language and for its translation."""
    text_field: str = "text"
    """The field with the text; in a file without header, the number of its column."""
    label_field: str = "label"
    """The field with the label."""
    language_field: str | None = None
    """The field with the language. Left out: the end of each file's name."""
    multi_label: bool = False
    """A text may have several labels, or none: a list in JSON and Parquet, else with --separator between."""
    separator: str = ","
    """With --multi-label: what stands between labels."""

    def check(self) -> None:
        """Check the options; raise `InputError` for one that is out of range."""
        if self.baselines and self.test:
            from xformer.evaluation.classification.baselines import require_scikit_learn

            require_scikit_learn()
        if self.parallel is not None:
            from xformer.data.corpus import open_corpus

            open_corpus(self.parallel)
        super().check()

    def fields(self) -> LabelFields:
        """What the files have where."""
        from xformer.data.labelled import LabelFields

        separator = self.separator if self.multi_label else None
        return LabelFields(self.text_field, self.label_field, self.language_field, separator)

    def read(self, files: Sequence[Path], left_out: LeftOut) -> list[LabelledText]:
        """The texts of files."""
        from xformer.data.labelled import read_labelled

        return read_labelled(files, self.fields(), left_out)

    def within_files(self) -> tuple[Path, ...]:
        """Files for TF-IDF."""
        return self.within

    def classifier(self, labels: tuple[str, ...]) -> ClassifierConfig:
        """The settings of what is predicted."""
        from xformer.finetuning.config import ClassifierConfig

        return ClassifierConfig(
            labels=labels,
            multi_label=self.multi_label,
            frozen=self.frozen,
            class_weights="balanced" if self.balanced else "none",
        )

    def consistency(self) -> ConsistencyConfig:
        """The settings of translations without labels."""
        import os

        from xformer.finetuning.config import ConsistencyConfig

        return ConsistencyConfig(None if self.parallel is None else os.fspath(self.parallel))

    def usage(self) -> tuple[str, str]:
        """The command that uses the run, and the expression in Python."""
        return f"xformer classify {self.out} FILE", f"xformer.load({str(self.out)!r}).classify(texts)"
