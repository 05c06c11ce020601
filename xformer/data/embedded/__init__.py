"""Corpora that are part of the program by name alone: their text lies in packages of public registries."""

from typing import Final, Literal, TypeGuard, get_args

EmbeddedName = Literal["gettext", "broad", "declaration"]

TEST_CORPUS: Final = "declaration"
"""The corpus whose text is in no other one: what models of the others can be tested on."""


def is_embedded(name: str) -> TypeGuard[EmbeddedName]:
    """Whether a name is that of an embedded corpus, and not a folder's."""
    return name in get_args(EmbeddedName)
