"""The front door in Python: `xformer.load` and the `Model` that it gives, and `Index`."""

from xformer.api.comparing import Match
from xformer.api.index import Index
from xformer.api.model import Model, Vectors
from xformer.api.opening import load

__all__ = ["Index", "Match", "Model", "Vectors", "load"]
