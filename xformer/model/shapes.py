"""Sizes that come back.

On a CPU, products in half precision go through oneDNN, which compiles a kernel for each shape that it has not
seen: some 20 ms, where the product itself takes one. Batches of whole texts have a new number of tokens
nearly every time. So a few rows are added that nobody looks at, up to the next multiple of `STEP`.

Shapes: T tokens.
"""

from __future__ import annotations

import torch

STEP = 128


def rows_to_add(n_rows: int, device: torch.device) -> int:
    """How many rows bring `n_rows` to a size that comes back; 0 where that gains nothing.

    Args:
        n_rows: of a matrix that is to be multiplied now, under the autocast that holds now.
        device: where.
    """
    return -n_rows % STEP if device.type == "cpu" and torch.is_autocast_enabled("cpu") else 0
