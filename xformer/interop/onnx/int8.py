"""A graph whose tables and linear layers of blocks are kept in 8-bit integers.

Each row of a table has a scale, each output of a layer has one, and so has each token as it comes: a vector
stays a property of its text alone. Weights have 7 bits, so that CPUs that add two products in 16 bits (AVX2
without VNNI) lose nothing.

Shapes: V rows, C inputs, F outputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.interop.network.operations import Weight
from xformer.interop.onnx.graph import OnnxOperations

_TABLE_LIMIT, _WEIGHT_LIMIT, _TOKEN_LIMIT = 127, 63, 127
_SMALLEST = 1e-30
"""Scale of a row of zeros."""


class Int8Operations(OnnxOperations):
    """Writes MatMulInteger for linear layers, and gathers rows of integers."""

    def embed(self, name: str, table: Weight, ids: str) -> str:
        """Gather of integers and of their scales."""
        rounded, scale = _rounded(table, _TABLE_LIMIT)
        rows = self.cast(self.rows(self.stored(f"{name}.int8", rounded), ids), "float")
        return self.multiply(rows, self.rows(self.weight(f"{name}.scale", scale), ids))

    def linear(self, name: str, x: str, weight: Weight, bias: Weight | None) -> str:
        """MatMulInteger of rounded tokens and rounded weights, times both scales."""
        from onnx import TensorProto

        rounded, scale = _rounded(weight, _WEIGHT_LIMIT)
        size = self.node("ReduceMax", self.absolute(x), self.constant([-1], "integer"))
        step = self.multiply(self.maximum(size, self.constant(_SMALLEST)), self.constant(1 / _TOKEN_LIMIT))
        # Unsigned, as the fast kernels have it: 128 is zero.
        places = self.add(self.node("Round", self.divide(x, step)), self.constant(128.0))
        tokens, zero = (
            self.node("Cast", places, to=TensorProto.UINT8),
            self.array(np.array(128, dtype=np.uint8)),
        )
        product = self.node("MatMulInteger", tokens, self.stored(f"{name}.int8", rounded.T), zero)
        y = self.multiply(self.cast(product, "float"), step)
        y = self.multiply(y, self.weight(f"{name}.scale", scale[:, 0]))
        return y if bias is None else self.add(y, self.weight(f"{name}.bias", bias))


def _rounded(matrix: Weight, limit: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Integers, and the scale (rows, 1) of each row."""
    scale = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), _SMALLEST) / limit
    return np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32)
