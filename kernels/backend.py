"""Who computes an operation."""

from __future__ import annotations

from typing import Literal

Backend = Literal["triton", "torch", "reference"]
"""Fused kernels; PyTorch's kernels; the definition. All mean the same."""
