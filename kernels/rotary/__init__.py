"""Rotary position embedding of packed queries and keys."""

from .op import rotary

__all__ = ["rotary"]
