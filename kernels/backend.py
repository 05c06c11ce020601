"""The backends that compute an operation."""

from __future__ import annotations

from typing import Literal

Backend = Literal["triton", "torch", "reference"]
"""Fused Triton kernels; PyTorch's kernels; the definition in plain PyTorch. All compute the same."""
