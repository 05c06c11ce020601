"""Readers: one file format each, streamed as `Record`s."""

from xformer.data.readers.gettext import read_gettext

__all__ = ["read_gettext"]
