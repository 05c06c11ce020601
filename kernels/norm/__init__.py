"""LayerNorm and RMSNorm over packed tokens, with the residual sum that comes before them."""

from .layer_norm import layer_norm
from .rms_norm import rms_norm

__all__ = ["layer_norm", "rms_norm"]
