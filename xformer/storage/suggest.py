"""Suggestions for names that were spelled wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

_ALIKE = 0.7
"""Least similarity of two names, 1 for equal ones: one wrong letter in three is 0.67, one in four is 0.75."""

_MOST = 3


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`, did you mean …?` with the known names that are most like `given`; nothing if none is."""
    return _question(_best({name: _alike(given, name) for name in known}))


def did_you_mean_setting(given: str, known: Mapping[str, str]) -> str:
    """The same for settings, which have tables and meanings.

    A setting is suggested if its name is like the given one, with its table or without, or if its name or the
    first sentence of its meaning has all words of the given one.

    Args:
        given: `table.key` or `key`.
        known: the meanings of the settings by their full names; tables may be among them.
    """
    return _question(closest_settings(given, known))


def closest_settings(given: str, known: Mapping[str, str]) -> list[str]:
    """At most three full names of settings, as `did_you_mean_setting` suggests them, the likeliest first."""
    given = given.replace("-", "_").lower()
    key = given.rpartition(".")[2]
    if exact := [name for name in known if name.rpartition(".")[2] == key]:
        return exact[:_MOST]
    scores = {}
    for name, meaning in known.items():
        table, _, last = name.rpartition(".")
        # Of two settings with such a key, the one in the given table, which may be misspelt, comes first.
        found = [_alike(key, last) + 0.05 * _alike(table, given.rpartition(".")[0])]
        if set(key.split("_")) <= set(last.split("_")):
            found.append(_ALIKE + 0.1)
        if _says(meaning, key.split("_")):
            found.append(_ALIKE + 0.1)
        scores[name] = max(found)
    return _best(scores)


def _best(scores: Mapping[str, float]) -> list[str]:
    """The names with the highest scores of those that are alike."""
    likely = sorted((name for name in scores if scores[name] >= _ALIKE), key=lambda name: -scores[name])
    # Beside a name that is nearly the given one, those that are a little like it are no help.
    return [name for name in likely if scores[name] > scores[likely[0]] - 0.15][:_MOST]


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower()).ratio()


def _says(meaning: str, words: Iterable[str]) -> bool:
    """Whether each word, or one that is spelled like it, is in the first sentence of a meaning."""
    said = re.findall(r"\w+", re.split(r"[.:;] ", meaning.lower())[0])
    return all(any(_alike(word, one) >= 0.85 for one in said) for word in words)


def _question(names: list[str]) -> str:
    return f", did you mean {' or '.join(names)}?" if names else ""
