"""What a graph in 8-bit integers loses: cosines of vectors, largest differences, labels that change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xformer.errors import InputError
from xformer.interop.export.agreement import Compute, batches_of, feed
from xformer.interop.export.portable import PortableRun


@dataclass(frozen=True)
class Int8Loss:
    """How far its outputs are from those of the run.

    Attributes:
        sequences: that were compared, of the same batches as in float32.
        mean_cosine: of sentence vectors with those of the run; None where there are none.
        least_cosine: the smallest of these.
        same_label: share of sequences whose most probable label is the same; None where there are no labels.
    """

    sequences: int
    mean_cosine: float | None
    least_cosine: float | None
    same_label: float | None

    def said(self) -> str:
        """A line for readers."""
        parts = [f"int8: {self.sequences:,} sequences"]
        if self.mean_cosine is not None:
            parts.append(
                f"cosine of vectors {self.mean_cosine:.4f} on average, {self.least_cosine:.4f} at least"
            )
        if self.same_label is not None:
            parts.append(f"the same label in {self.same_label:.1%}")
        return ", ".join(parts)


def int8_loss(source: PortableRun, compute: Compute) -> Int8Loss:
    """Compare the graph with the run.

    Raises:
        InputError: an output is not a number.
    """
    cosines: list[float] = []
    same: list[bool] = []
    for texts, others, in_front in batches_of(source):
        given = compute(feed(source, texts, others, in_front=in_front))
        for name, value in source.compute(texts, others).items():
            if not np.isfinite(given[name]).all():
                raise InputError(f"int8: {name}: expected numbers. Nothing was written")
            if name == "sentence_embedding":
                ours, theirs = value.numpy(), given[name]
                lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
                products = (ours * theirs).sum(1)
                cosines += (products[lengths > 0] / lengths[lengths > 0]).tolist()
            if name == "probabilities" and value.ndim == given[name].ndim:
                same += (value.numpy().argmax(1) == given[name].argmax(1)).tolist()
    return Int8Loss(
        max(len(cosines), len(same)),
        float(np.mean(cosines)) if cosines else None,
        min(cosines) if cosines else None,
        float(np.mean(same)) if same else None,
    )
