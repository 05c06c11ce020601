"""Slices of the logits on a GPU, and why they are cut this way.

Shapes: K rows, C width, V vocabulary; a slice is up to R rows by N columns of the logits.

The product with the vocabulary is 2KVC operations forward and twice that backward; designs
differ in what they move and what they compute again. With bf16 on an H100 (800 TFLOP/s and 3 TB/s seen, so a
byte costs what 267 operations cost):

- *Chunks of rows with the whole vocabulary*, gradients in the forward pass: three products. But the weight's
  gradient, (V, C) in fp32, is read and written for each chunk: 8VC bytes, which cost as much as the product
  of a chunk of 1,067 rows. A buffer that holds so many rows is 0.5 GB at V = 250,000, and fp32 sums and saved
  gradients are another 6VC bytes.
- *All in registers*, nothing written: the backward pass needs the logits in two orders, so five products, in
  kernels that reach about two thirds of the library's speed. Gradients are either summed by atomics, in
  another order in each run, or the vocabulary is walked twice.
- *Slices of the vocabulary with (nearly) all rows*, as here: four products, since the
  backward pass computes the logits again. The weight's gradient is finished slice by slice, so that its sums
  in fp32 never leave the cache; the rows' gradient, 8KC bytes a slice, is small beside the slice. Nothing of
  the size of the weight is saved between the passes, and the incoming gradient of each row is known when it
  is needed, whatever the reduction was.

At K = 2,458 (15% of 16,384), V = 250,000, C = 768 that makes 3.8 TFLOP, 4.7 ms at full speed. Slices of fp32
logits and half-precision gradients are written and read in 22 bytes a logit, 13.5 GB or at worst 4.5 ms, if
nothing stayed in the 50 MB of L2; much of a slice of 48 MiB does. All logits of all positions would be 8.2
GB, and 16.4 GB in fp32, before their gradients; here everything but the results is under 100 MB. This is
arithmetic: nothing of it has been timed on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SLICE_ELEMENTS = 1 << 23
MOST_ROWS = 2048
MULTIPLE = 128


@dataclass(frozen=True)
class Slicing:
    """A grid of slices over the logits.

    Attributes:
        n_rows: K.
        n_vocabulary: V.
        rows: R, at most.
        columns: N, at most.
    """

    n_rows: int
    n_vocabulary: int
    rows: int
    columns: int

    def over_rows(self) -> Iterator[slice]:
        """The rows of each slice."""
        return _cut(self.n_rows, self.rows)

    def over_vocabulary(self) -> Iterator[slice]:
        """The columns of each slice."""
        return _cut(self.n_vocabulary, self.columns)


def slicing(n_rows: int, n_vocabulary: int) -> Slicing:
    """Slices of about the same size, none larger than SLICE_ELEMENTS.

    Columns come in multiples of 128, for aligned rows. More than MOST_ROWS rows are cut too, so that a slice
    keeps enough columns: the rows' gradients are read and written once a slice.

    Args:
        n_rows: K, from 1.
        n_vocabulary: V, from 1.
    """
    rows = _even(n_rows, MOST_ROWS, 1)
    return Slicing(n_rows, n_vocabulary, rows, _even(n_vocabulary, SLICE_ELEMENTS // rows, MULTIPLE))


def _even(size: int, most: int, multiple: int) -> int:
    """The length of equal parts of at most `most`, a multiple of `multiple`."""
    most = max(most // multiple, 1) * multiple
    part = -(-size // -(-size // most))
    return -(-part // multiple) * multiple


def _cut(size: int, part: int) -> Iterator[slice]:
    for start in range(0, size, part):
        yield slice(start, min(start + part, size))
