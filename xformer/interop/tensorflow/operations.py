"""The operations in TensorFlow, on variables that a module owns.

Shapes: B sequences, N positions, H heads, D head size, C inputs, F outputs, V rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from xformer.interop.network.operations import Kind, Operations, Plain, Weight


class TensorFlowOperations(Operations[Any]):
    """Computes with TensorFlow, or is traced by `tf.function`.

    Attributes:
        variables: what is trained, by name.
    """

    def __init__(self) -> None:
        import tensorflow as tf

        self.tf = tf
        self.variables: dict[str, Any] = {}

    def weight(self, name: str, value: Weight) -> Any:
        """A variable in float32."""
        if name not in self.variables:
            # Outside of what is being traced, so that all functions share it.
            with self.tf.init_scope():
                self.variables[name] = self.tf.Variable(
                    np.ascontiguousarray(value, dtype=np.float32), name=name.replace(".", "_")
                )
        return self.variables[name]

    def constant(self, value: object, kind: Kind = "float") -> Any:
        """A constant."""
        return self.tf.constant(value, self._dtype(kind))

    def embed(self, name: str, table: Weight, ids: Any) -> Any:
        """A gather."""
        return self.plain("rows", self.weight(name, table), ids)

    def linear(self, name: str, x: Any, weight: Weight, bias: Weight | None) -> Any:
        """One product of matrices: with a batch of them, each would be multiplied by itself."""
        tf, matrix = self.tf, self.weight(f"{name}.weight", weight.T)
        rows = tf.matmul(tf.reshape(x, (-1, weight.shape[1])), matrix)
        product = tf.reshape(rows, tf.concat((tf.shape(x)[:-1], (weight.shape[0],)), 0))
        return product if bias is None else product + self.weight(f"{name}.bias", bias)

    def plain(self, name: Plain, *values: Any) -> Any:
        """The function of this name."""
        found: dict[Plain, Callable[..., Any]] = self._plain()
        return found[name](*values)

    def cast(self, x: Any, kind: Kind) -> Any:
        """A cast."""
        return self.tf.cast(x, self._dtype(kind))

    def gelu(self, x: Any, approximate: Literal["none", "tanh"]) -> Any:
        """`tf.nn.gelu`."""
        return self.tf.nn.gelu(x, approximate=approximate == "tanh")

    def layer_norm(self, x: Any, weight: Any, bias: Any, epsilon: float) -> Any:
        """`tf.nn.batch_normalization` with the moments of the last axis."""
        mean, variance = self.tf.nn.moments(x, axes=[-1], keepdims=True)
        return self.tf.nn.batch_normalization(x, mean, variance, bias, weight, epsilon)

    def running_total(self, x: Any) -> Any:
        """`tf.cumsum`."""
        return self.tf.cumsum(x, axis=1)

    def cut(self, x: Any, begin: int, end: int) -> Any:
        """A slice."""
        return x[..., begin:end]

    def shift(self, x: Any, by: Literal[1, -1]) -> Any:
        """Beside zeros, without what would fall out."""
        free = self.tf.zeros_like(x[:, :1])
        return self.tf.concat((free, x[:, :-1]) if by == 1 else (x[:, 1:], free), 1)

    def join(self, parts: list[Any]) -> Any:
        """`tf.concat`."""
        return self.tf.concat(parts, -1)

    def positions(self, ids: Any) -> Any:
        """`tf.range`."""
        return self.tf.range(self.tf.shape(ids, out_type=self.tf.int64)[1])

    def unsqueeze(self, x: Any, *axes: int) -> Any:
        """`tf.expand_dims`."""
        for axis in axes:
            x = self.tf.expand_dims(x, axis)
        return x

    def squeeze(self, x: Any, axis: int) -> Any:
        """`tf.squeeze`."""
        return self.tf.squeeze(x, axis)

    def split_last(self, x: Any, parts: int, width: int) -> Any:
        """`tf.reshape`."""
        shape = self.tf.shape(x)
        return self.tf.reshape(x, (shape[0], shape[1], parts, width))

    def merge_last(self, x: Any, width: int) -> Any:
        """`tf.reshape`."""
        shape = self.tf.shape(x)
        return self.tf.reshape(x, (shape[0], shape[1], width))

    def transpose(self, x: Any, *axes: int) -> Any:
        """`tf.transpose`."""
        return self.tf.transpose(x, axes)

    def _dtype(self, kind: Kind) -> Any:
        return self.tf.float32 if kind == "float" else self.tf.int64

    def _plain(self) -> dict[Plain, Callable[..., Any]]:
        tf = self.tf
        return {
            "matmul": tf.matmul,
            "add": tf.add,
            "subtract": tf.subtract,
            "multiply": tf.multiply,
            "divide": lambda a, b: a / b if a.dtype.is_floating else a // b,
            "modulo": tf.math.floormod,
            "exclusive_or": tf.bitwise.bitwise_xor,
            "maximum": tf.maximum,
            "greater": tf.greater,
            "both": tf.logical_and,
            "where": tf.where,
            "absolute": tf.abs,
            "square_root": tf.sqrt,
            "sigmoid": tf.sigmoid,
            "tanh": tf.tanh,
            "relu": tf.nn.relu,
            "softmax": tf.nn.softmax,
            "mean": lambda x: tf.reduce_mean(x, -1, keepdims=True),
            "total": lambda x: tf.reduce_sum(x, -1, keepdims=True),
            "rows": tf.gather,
        }
