"""Languages as rows of tables and charts show them: the tag with the name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xformer.data.languages import language_name

_LONGEST = 20


def label(tag: str) -> str:
    """A tag and the language's name: `de German`; the tag alone where the name is not known."""
    name = language_name(tag)
    return f"{tag} {name}" if name != tag else tag


def long_names(tags: Iterable[str]) -> dict[str, str]:
    """By tag, the tag and its name."""
    return {tag: label(tag) for tag in tags}


def short_names(tags: Iterable[str]) -> dict[str, str]:
    """By tag, the tag and name in at most 20 letters, for rows of charts and tables; all are different."""
    full = long_names(tags)
    return {
        tag: name if len(name) <= _LONGEST else f"{name[: max(_LONGEST - 1, len(tag))].rstrip()}…"
        for tag, name in full.items()
    }


def some(names: Sequence[str], most: int = 20) -> str:
    """The names, or the first of them and how many more there are."""
    rest = len(names) - most
    return ", ".join(names) if rest < 2 else f"{', '.join(names[:most])} and {rest} more"
