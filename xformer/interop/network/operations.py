"""The operations that a model is written in, for any runtime: ONNX writes nodes, TensorFlow computes.

Values are what the runtime has: names of a graph, or tensors. Shapes broadcast as in NumPy.

Shapes: B sequences, N positions, H heads, D head size, C coordinates, V rows, F outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")
Weight = NDArray[np.floating]
Kind = Literal["float", "integer"]
"""float32 or int64."""

Plain = Literal[
    "matmul", "add", "subtract", "multiply", "divide", "modulo", "exclusive_or", "maximum", "greater", "both",
    "where", "absolute", "square_root", "sigmoid", "tanh", "relu", "softmax", "mean", "total", "rows",
]  # fmt: skip
"""Operations that every runtime has under some name and that need no settings."""


class Operations(ABC, Generic[Value]):
    """What a runtime can do."""

    @abstractmethod
    def weight(self, name: str, value: Weight) -> Value:
        """A trained array; given again under the same name, it is the same one."""

    @abstractmethod
    def constant(self, value: object, kind: Kind = "float") -> Value:
        """A small array or a number that is not trained."""

    @abstractmethod
    def embed(self, name: str, table: Weight, ids: Value) -> Value:
        """Rows of a trained table (V, C), which may be kept in fewer bits."""

    @abstractmethod
    def linear(self, name: str, x: Value, weight: Weight, bias: Weight | None) -> Value:
        """Products with a trained matrix (F, C), which may be kept in fewer bits, and a bias."""

    @abstractmethod
    def plain(self, name: Plain, *values: Value) -> Value:
        """One of the plain operations, each of which is a method below."""

    @abstractmethod
    def cast(self, x: Value, kind: Kind) -> Value:
        """Numbers or truth values as numbers of a kind."""

    @abstractmethod
    def gelu(self, x: Value, approximate: Literal["none", "tanh"]) -> Value:
        """GELU (Hendrycks & Gimpel 2016), exactly or by its tanh approximation."""

    @abstractmethod
    def layer_norm(self, x: Value, weight: Value, bias: Value | None, epsilon: float) -> Value:
        """Layer normalisation (Ba et al. 2016) along the last axis."""

    @abstractmethod
    def running_total(self, x: Value) -> Value:
        """Sums (B, N) of the elements up to each, itself included, of integers."""

    @abstractmethod
    def cut(self, x: Value, begin: int, end: int) -> Value:
        """Coordinates `begin` to `end` of the last axis."""

    @abstractmethod
    def shift(self, x: Value, by: Literal[1, -1]) -> Value:
        """Moved by one position along the second axis, with zeros at the free end."""

    @abstractmethod
    def join(self, parts: list[Value]) -> Value:
        """Put side by side, along the last axis."""

    @abstractmethod
    def positions(self, ids: Value) -> Value:
        """The numbers (N,) of the positions of (B, N), from 0, int64."""

    @abstractmethod
    def unsqueeze(self, x: Value, *axes: int) -> Value:
        """With new axes of one element, by their places in the result."""

    @abstractmethod
    def squeeze(self, x: Value, axis: int) -> Value:
        """Without an axis of one element."""

    @abstractmethod
    def split_last(self, x: Value, parts: int, width: int) -> Value:
        """From (B, N, parts · width) to (B, N, parts, width)."""

    @abstractmethod
    def merge_last(self, x: Value, width: int) -> Value:
        """From (B, N, H, D) to (B, N, width)."""

    @abstractmethod
    def transpose(self, x: Value, *axes: int) -> Value:
        """The axes in another order."""

    def matmul(self, a: Value, b: Value) -> Value:
        """Products of the last two axes."""
        return self.plain("matmul", a, b)

    def add(self, a: Value, b: Value) -> Value:
        """The sum."""
        return self.plain("add", a, b)

    def subtract(self, a: Value, b: Value) -> Value:
        """The difference a - b."""
        return self.plain("subtract", a, b)

    def multiply(self, a: Value, b: Value) -> Value:
        """The product of each two elements."""
        return self.plain("multiply", a, b)

    def divide(self, a: Value, b: Value) -> Value:
        """The quotient a / b; of integers that are not negative, rounded down."""
        return self.plain("divide", a, b)

    def modulo(self, a: Value, b: Value) -> Value:
        """The rest of a / b, of integers that are not negative."""
        return self.plain("modulo", a, b)

    def exclusive_or(self, a: Value, b: Value) -> Value:
        """Bits that a and b do not share, of integers."""
        return self.plain("exclusive_or", a, b)

    def maximum(self, a: Value, b: Value) -> Value:
        """The larger one."""
        return self.plain("maximum", a, b)

    def greater(self, a: Value, b: Value) -> Value:
        """Whether a > b."""
        return self.plain("greater", a, b)

    def both(self, a: Value, b: Value) -> Value:
        """Whether a and b, of truth values."""
        return self.plain("both", a, b)

    def where(self, condition: Value, a: Value, b: Value) -> Value:
        """Elements of a where the truth value holds, else of b."""
        return self.plain("where", condition, a, b)

    def absolute(self, x: Value) -> Value:
        """The size of a number."""
        return self.plain("absolute", x)

    def square_root(self, x: Value) -> Value:
        """The square root."""
        return self.plain("square_root", x)

    def sigmoid(self, x: Value) -> Value:
        """The logistic function."""
        return self.plain("sigmoid", x)

    def tanh(self, x: Value) -> Value:
        """The hyperbolic tangent."""
        return self.plain("tanh", x)

    def relu(self, x: Value) -> Value:
        """The larger of x and 0."""
        return self.plain("relu", x)

    def softmax(self, x: Value) -> Value:
        """Along the last axis."""
        return self.plain("softmax", x)

    def mean(self, x: Value) -> Value:
        """Of the last axis, which stays with one element."""
        return self.plain("mean", x)

    def total(self, x: Value) -> Value:
        """The sum of the last axis, which stays with one element."""
        return self.plain("total", x)

    def rows(self, table: Value, ids: Value) -> Value:
        """Rows of a table by integers of any shape."""
        return self.plain("rows", table, ids)

    def split_heads(self, x: Value, n_heads: int, d_head: int) -> Value:
        """From (B, N, H·D) to (B, H, N, D)."""
        return self.transpose(self.split_last(x, n_heads, d_head), 0, 2, 1, 3)

    def join_heads(self, x: Value, width: int) -> Value:
        """From (B, H, N, D) to (B, N, H·D)."""
        return self.merge_last(self.transpose(x, 0, 2, 1, 3), width)
