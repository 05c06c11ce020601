"""Gated linear units and the squared ReLU."""

from .op import glu, squared_relu

__all__ = ["glu", "squared_relu"]
