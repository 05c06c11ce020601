"""How often each text of token shards is drawn: rules about sources, and languages of too few texts.

Shapes: E examples, L languages, S sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.groups import distinct_rows
from xformer.data.shards import TokenShards
from xformer.data.source_rules import SourceRule, rules_of
from xformer.data.strata import Weights
from xformer.errors import InputError


@dataclass(frozen=True)
class TextWeights:
    """What rules make of the texts of shards.

    Attributes:
        weights: of each example; None where all have the same, so that nothing is changed.
        small: languages left out because they have too few texts, each with its number of texts.
    """

    weights: Weights | None
    small: dict[str, int]

    @classmethod
    def of(cls, shards: TokenShards, rules: Sequence[SourceRule], min_texts: int = 1) -> TextWeights:
        """Apply rules to the texts of a training split.

        Memory while this runs: about 20 bytes per example; afterwards one byte.

        Args:
            shards: the split.
            rules: of several that fit a source, the first holds; sources that none fits have weight 1.
            min_texts: languages with fewer texts, after the rules, are left out.

        Raises:
            InputError: the shards do not know the sources of their texts, or no text is left.
        """
        weight = np.ones(len(shards), dtype=np.float64)
        if rules:
            weight = _by_rules(shards, rules)
        small: dict[str, int] = {}
        if min_texts > 1:
            language, whole = np.asarray(shards.language), _first_of_text(shards)
            size = len(shards.languages)
            counts = np.bincount(language[whole & (weight > 0)], minlength=size)
            rare = (counts > 0) & (counts < min_texts)
            small = {shards.languages[place]: int(counts[place]) for place in np.flatnonzero(rare)}
            weight[rare[language]] = 0.0
        if not (weight > 0).any():
            floor = f" and data.min_sampled_texts={min_texts:,}" if small else ""
            named = "data.sources" if rules else "data"
            raise InputError(f"{named}{floor}: expected to leave some texts to train on; all are left out")
        found = None if (weight == weight[0]).all() else Weights.of(weight)
        return cls(found, small)


def _by_rules(shards: TokenShards, rules: Sequence[SourceRule]) -> NDArray[np.float64]:
    """(E,) weights by the rules alone."""
    if shards.source is None or shards.n_chars is None:
        raise InputError(
            "data.sources: these shards do not know the sources of their texts, because an earlier version"
            " made them; remove their folder, or make them again"
        )
    of_source = rules_of(rules, shards.sources)
    # Sources that no rule fits are under the number after the last.
    number = np.array([len(rules) if one is None else one for one in of_source])
    of_text = number[np.asarray(shards.source)]
    weight = np.array([*(rule.weight for rule in rules), 1.0])[of_text]
    n_chars, language = np.asarray(shards.n_chars), np.asarray(shards.language)
    translations = None
    for place, rule in enumerate(rules):
        mine = of_text == place
        out = n_chars < rule.min_chars
        if rule.max_chars is not None:
            out |= n_chars > rule.max_chars
        if rule.languages:
            out |= ~np.array([rule.admits(tag) for tag in shards.languages])[language]
        if rule.min_translations:
            translations = _translations(shards) if translations is None else translations
            out |= translations < rule.min_translations
        weight[mine & out] = 0.0
    return weight


def _translations(shards: TokenShards) -> NDArray[np.int64]:
    """(E,) number of other languages in the group of each example."""
    group, language = np.asarray(shards.group), np.asarray(shards.language)
    groups, place = np.unique(group, return_inverse=True)
    rows = distinct_rows(place, language)
    return (np.bincount(place[rows], minlength=len(groups)) - 1)[place]


def _first_of_text(shards: TokenShards) -> NDArray[np.bool_]:
    """(E,) whether an example is a text, or the first chunk of one."""
    record = np.asarray(shards.record)
    first = np.ones(len(record), dtype=bool)
    first[1:] = record[1:] != record[:-1]
    return first


@dataclass(frozen=True)
class SourceShare:
    """What is drawn of a source.

    Attributes:
        name: of the source.
        texts: number of its texts, with those that are left out.
        drawn_from: number of its texts that are not left out.
        share: its share of what is drawn.
    """

    name: str
    texts: int
    drawn_from: int
    share: float


def texts_by_source(
    shards: TokenShards, weights: Weights | None, shares: NDArray[np.float64]
) -> tuple[SourceShare, ...]:
    """The sources that have texts, in their order.

    Args:
        shards: the training split, whose sources are known.
        weights: of its examples; None where all have the same.
        shares: (S,) of the sources in what is drawn.
    """
    source = np.asarray(shards.source)
    size, texts = len(shards.sources), _first_of_text(shards)
    drawn = texts if weights is None else texts & weights.positive
    counts = np.bincount(source[texts], minlength=size).tolist()
    kept = np.bincount(source[drawn], minlength=size).tolist()
    rows = zip(shards.sources, counts, kept, shares.tolist(), strict=True)
    return tuple(SourceShare(*row) for row in rows if row[1])


def expected_by_source(
    shards: TokenShards,
    weights: Weights | None,
    language_shares: NDArray[np.float64],
    among: NDArray[np.integer] | None = None,
) -> NDArray[np.float64]:
    """(S,) shares of the sources in what is drawn.

    Args:
        shards: the training split, whose sources are known.
        weights: of its examples; None where all have the same.
        language_shares: (L,) shares of the languages in what is drawn.
        among: the examples that are drawn; None for all of positive weight.
    """
    if shards.source is None:
        raise ValueError("shards: expected such as know the sources of their texts")
    rows: slice | NDArray[np.integer] = slice(None) if among is None else among
    source, language = np.asarray(shards.source)[rows], np.asarray(shards.language)[rows]
    size, languages = len(shards.sources), len(shards.languages)
    values = None if weights is None else weights.values[weights.of_example[rows]]
    pairs = language.astype(np.int64) * size + source
    mass = np.bincount(pairs, weights=values, minlength=languages * size).reshape(languages, size)
    total = mass.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = language_shares @ np.divide(
        mass, total, out=np.zeros_like(mass, dtype=np.float64), where=total > 0
    )
    return found
