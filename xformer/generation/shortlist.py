"""A lexical shortlist: for each source token the target tokens that translate it.

The output layer is a third of a small translator's work, and nearly all of its rows are of words that have
nothing to do with the source. So only rows of likely translations of the source's tokens, and of the most
frequent target tokens, are multiplied (Jean et al. 2015; Junczys-Dowmunt et al. 2018, "Marian"). The
translation probabilities are those of IBM model 1 (Brown et al. 1993).

Shapes: E entries, one for each pair of tokens that occurs in a pair of texts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.storage.files import atomic_write

Ids = NDArray[np.int64]

_PAIRS_AT_ONCE = 2_000
_NAMES = ("always", "starts", "translations")


@dataclass(frozen=True)
class Shortlist:
    """Which tokens may stand in the target of a source.

    Attributes:
        always: ids that may always, ascending.
        starts: (V+1,) where the translations of each source token begin.
        translations: ids, those of a source token ascending.
    """

    always: Ids
    starts: Ids
    translations: Ids

    def of(self, source: Sequence[int]) -> Ids:
        """The ids that may stand in the target of a source, ascending."""
        parts = (self.translations[self.starts[token] : self.starts[token + 1]] for token in set(source))
        return self.union([self.always, *parts])

    def union(self, lists: Sequence[Ids]) -> Ids:
        """The ids in any of some lists, ascending."""
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *lists]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file."""
        from safetensors.numpy import save

        with atomic_write(path, "wb") as file:
            file.write(save({name: getattr(self, name) for name in _NAMES}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], vocab_size: int) -> Shortlist:
        """Read what `save` wrote.

        Args:
            path: of the file.
            vocab_size: of the model.

        Raises:
            InputError: it is no shortlist, or one of another vocabulary.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            found = load(Path(path).read_bytes())
            always, starts, translations = (found[name] for name in _NAMES)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"{path}: expected a shortlist ({error})") from None
        if len(starts) != vocab_size + 1:
            raise InputError(f"{path}: expected a shortlist of {vocab_size} tokens, got {len(starts) - 1}")
        ids = np.concatenate([always, translations, starts])
        if ids.dtype != np.int64 or (np.diff(starts) < 0).any() or starts[-1] != len(translations):
            raise InputError(f"{path}: expected a shortlist, its numbers do not fit together")
        if len(ids) and (
            ids.min() < 0 or max(always.max(initial=0), translations.max(initial=0)) >= vocab_size
        ):
            raise InputError(f"{path}: expected ids from 0 to {vocab_size - 1}")
        return cls(always, starts, translations)


def make_shortlist(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]],
    vocab_size: int,
    *,
    always: Sequence[int],
    per_token: int = 50,
    frequent: int = 100,
    rounds: int = 4,
) -> Shortlist:
    """Learn which tokens translate which.

    Args:
        pairs: token ids of sources and their targets, as in training.
        vocab_size: V.
        always: ids that may always stand in a target: its end at least.
        per_token: translations of each source token, the likeliest.
        frequent: the most frequent target tokens, which may always stand in a target.
        rounds: of expectation maximisation.
    """
    sources, targets, counts, places = _entries(pairs, vocab_size)
    seen = np.bincount(targets, weights=counts, minlength=vocab_size)
    common = [token for token in np.argsort(-seen, kind="stable")[:frequent] if seen[token] > 0]
    kept = np.unique(np.array([*always, *common], dtype=np.int64))
    if len(kept) and (kept[0] < 0 or kept[-1] >= vocab_size):
        raise ValueError(f"always: expected ids from 0 to {vocab_size - 1}, got {list(always)}")
    likely = np.ones(len(sources))
    for _ in range(rounds):
        expected = np.zeros(len(sources))
        for entry, target, in_source, in_target in places:
            share = likely[entry] * in_source
            # Of each target token of a pair, what the pair's source tokens explain.
            total = np.bincount(target, weights=share)
            np.add.at(expected, entry, in_target * share / total[target])
        mass = np.bincount(sources, weights=expected, minlength=vocab_size)
        likely = expected / mass[sources]
    order = np.lexsort((targets, -likely, sources))
    sources, targets = sources[order], targets[order]
    first = np.searchsorted(sources, np.arange(vocab_size + 1))
    best = np.arange(len(sources)) - first[sources] < per_token
    sources, targets = sources[best], targets[best]
    order = np.lexsort((targets, sources))
    starts = np.searchsorted(sources[order], np.arange(vocab_size + 1))
    return Shortlist(kept, starts.astype(np.int64), targets[order])


def _entries(
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]], vocab_size: int
) -> tuple[Ids, Ids, Ids, list[tuple[Ids, Ids, Ids, Ids]]]:
    """All entries, how often they occur, and where.

    Returns:
        Source and target token (E,), number of occurrences of the target token (E,); and for some pairs of
        texts at a time, of each occurrence its entry, the number of its target token within these pairs, and
        how often its tokens occur in the source and in the target.
    """
    parts: list[tuple[Ids, Ids, Ids, Ids]] = []
    chunk: list[tuple[Ids, Ids, Ids, Ids]] = []

    def close() -> None:
        code, number, left, right = (np.concatenate(part) for part in zip(*chunk, strict=True))
        parts.append((code, number, left, right))
        chunk.clear()

    shift = 0
    for source, target in pairs:
        left, in_source = np.unique(np.asarray(source, dtype=np.int64), return_counts=True)
        right, in_target = np.unique(np.asarray(target, dtype=np.int64), return_counts=True)
        if not len(left) or not len(right):
            continue
        shape = len(left), len(right)
        wide = (shift + np.arange(len(right)), in_source[:, None], in_target)
        number, of_source, of_target = (np.broadcast_to(x, shape).ravel() for x in wide)
        chunk.append(((left[:, None] * vocab_size + right).ravel(), number, of_source, of_target))
        shift += len(right)
        if len(chunk) == _PAIRS_AT_ONCE:
            close()
            shift = 0
    if chunk:
        close()
    entries = reduce(np.union1d, (part[0] for part in parts), np.zeros(0, dtype=np.int64))
    places: list[tuple[Ids, Ids, Ids, Ids]] = [
        (np.searchsorted(entries, code).astype(np.int64), number, of_source, of_target)
        for code, number, of_source, of_target in parts
    ]
    counts = np.zeros(len(entries), dtype=np.int64)
    for entry, _, _, of_target in places:
        np.add.at(counts, entry, of_target)
    return entries // vocab_size, entries % vocab_size, counts, places
