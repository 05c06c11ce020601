"""The front door in Python: `xformer.load` and the `Model` that it gives."""

from xformer.api.model import Model, Vectors
from xformer.api.opening import load

__all__ = ["Model", "Vectors", "load"]
