"""A kernel as it would be launched, for those who compile it without launching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Launch:
    """One kernel in one configuration.

    Attributes:
        kernel: its name in tables, such as `attention_forward`.
        configuration: what it is compiled for, such as `D=64 fp16 causal`.
        function: the `triton.jit` function.
        types: Triton's type of each argument that is not a constant: `*fp16`, `*i32`, `i32`, `fp32` …
        constants: values of the arguments that are, strides of 1 and absent tensors (None) among them.
        aligned: names of pointers and integers that are multiples of 16.
        num_warps: of a program.
        num_stages: of software pipelining.
        options: further compile options, by Triton's names.
    """

    kernel: str
    configuration: str
    function: Any
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    aligned: frozenset[str]
    num_warps: int
    num_stages: int
    options: Mapping[str, Any] = field(default_factory=dict)
