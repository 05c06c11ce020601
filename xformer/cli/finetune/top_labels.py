"""The option `--top-labels` of the kinds of examples that have one label each: texts, and pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xformer.cli.finetune.options import FinetuneOptions
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.labelled import Example, LeftOut


@dataclass(frozen=True)
class TopLabelsOptions(FinetuneOptions):
    """Options of a kind of example of which only the commonest labels may be wanted."""

    top_labels: int | None = None
    """Only the so many commonest labels of the training files; what has others is left out everywhere."""

    def check(self) -> None:
        """Check the options; raise `InputError` for one that is out of range."""
        if self.top_labels is not None and self.top_labels < 2:
            raise InputError(f"--top-labels: expected a whole number from 2, got {self.top_labels}")
        super().check()

    def labels_of(self, train: Sequence[Example]) -> tuple[str, ...]:
        """The labels that the model learns, sorted."""
        from xformer.data.labelled import commonest_labels

        return commonest_labels(train, self.top_labels)

    def with_labels(
        self, found: Sequence[Example], labels: tuple[str, ...], left_out: LeftOut
    ) -> Sequence[Example]:
        """Examples with these labels: others are refused, or with --top-labels left out.

        Raises:
            InputError: one has another label, and there is no --top-labels.
        """
        from xformer.data.labelled import LabelledWords, keep_labels, require_known_labels

        if self.top_labels is None:
            advice = ". --top-labels N leaves out all but the N commonest labels of the training files"
            require_known_labels(found, labels, advice)
        return keep_labels([one for one in found if not isinstance(one, LabelledWords)], labels, left_out)
