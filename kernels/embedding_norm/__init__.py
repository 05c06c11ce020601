"""What enters an encoder: embedding rows of the tokens, normalised."""

from .op import embedding_norm

__all__ = ["embedding_norm"]
