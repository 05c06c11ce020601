"""Corpora that are part of the program by name alone: their text lies in packages of public registries."""

from typing import Literal, TypeGuard, get_args

EmbeddedName = Literal["gettext", "broad"]


def is_embedded(name: str) -> TypeGuard[EmbeddedName]:
    """Whether a name is that of an embedded corpus, and not a folder's."""
    return name in get_args(EmbeddedName)
