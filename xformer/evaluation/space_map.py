"""A map of the space: texts of several languages in two dimensions, with their translations.

Shapes: E texts of the split, N texts on the map, C vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.languages import likely_script
from xformer.data.shards import TokenShards
from xformer.embedding.encode import encode_tokens
from xformer.errors import InputError
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.model.multilingual import MultilingualModel

LANGUAGES, MESSAGES = 7, 12
"""The largest numbers of languages, the pivot included, and of messages on a map."""

Decode = Callable[[Sequence[Any]], str]
"""Text of token ids."""

_SHORTEST, _LONGEST = 12, 48
"""Characters of a message in the pivot language; shorter and longer ones are taken if there are no others."""


@dataclass(frozen=True)
class MapText:
    """A text on the map.

    Attributes:
        language: its tag.
        group: number of its message on the map.
        text: the text.
        x: place along the first principal component, in units of the vectors' length.
        y: place along the second.
    """

    language: str
    group: int
    text: str
    x: float
    y: float


@dataclass(frozen=True)
class SpaceMap:
    """Texts in two dimensions, and how far translations are apart in all of them.

    Attributes:
        pivot: tag of the language that lines lead to.
        texts: the texts, by message, the pivot's first.
        variance: share of the variance of these texts that two dimensions show.
        translations: mean cosine distance of a text and its translation in the pivot language.
        others: that of a text and the pivot's other texts.
        pairs: number of translation pairs that the two means are of: all of the split in these languages.
    """

    pivot: str
    texts: tuple[MapText, ...]
    variance: float
    translations: float
    others: float
    pairs: int

    @property
    def languages(self) -> list[str]:
        """Tags of the languages, the pivot first."""
        return list(dict.fromkeys(one.language for one in self.texts))


@dataclass(frozen=True)
class MapChoice:
    """Which texts are on a map.

    Attributes:
        languages: numbers of the languages, the pivot first.
        rows: (N,) places among the `ParallelTexts`.
        group: (N,) number of each text's message on the map.
    """

    languages: tuple[int, ...]
    rows: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def of(cls, texts: ParallelTexts, decode: Decode) -> MapChoice:
        """Choose languages with most messages, of different scripts first, and messages in all of them.

        Of the messages that most of these languages have, some are taken evenly, whatever the model makes of
        them.

        Args:
            texts: the held-out texts.
            decode: token ids to text.
        """
        counts = {number: int((texts.language == number).sum()) for number in texts.languages}
        ranked = sorted(counts, key=lambda number: (-counts[number], texts.tag(number)))
        scripts = [likely_script(texts.tag(number)) for number in ranked]
        first = {script: number for script, number in zip(scripts[::-1], ranked[::-1], strict=True)}
        new = [number for number in ranked if number in first.values()]
        others = [number for number in ranked if number not in new]
        half = (LANGUAGES - 1) // 2 + 1
        chosen = (new[:half] + others + new[half:])[: LANGUAGES - 1]
        languages = (texts.pivot, *sorted(chosen, key=texts.tag))

        shown = np.flatnonzero(np.isin(texts.language, languages))
        groups, place = np.unique(texts.group[shown], return_inverse=True)
        held = np.bincount(place)
        in_pivot = shown[texts.language[shown] == texts.pivot]
        own = dict(zip(texts.group[in_pivot].tolist(), in_pivot.tolist(), strict=True))
        lengths = [len(text_of(texts, own[group], decode)) for group in groups.tolist()]
        legible = [_SHORTEST <= length <= _LONGEST for length in lengths]
        order = np.lexsort((-np.asarray(legible, dtype=np.int64), -held))
        alike = order[(held[order] == held[order[0]]) & np.asarray(legible)[order]]
        best = alike if len(alike) >= MESSAGES else order
        spread = np.linspace(0, len(alike) - 1, MESSAGES).astype(np.int64)
        taken = best[spread] if len(alike) >= MESSAGES else best[:MESSAGES]
        rows: list[int] = []
        number: list[int] = []
        for count, group in enumerate(groups[np.sort(taken)].tolist()):
            members = shown[texts.group[shown] == group].tolist()
            members.sort(key=lambda row: languages.index(int(texts.language[row])))
            rows += members
            number += [count] * len(members)
        return cls(languages, np.array(rows), np.array(number))

    def needed(self, texts: ParallelTexts) -> NDArray[np.int64]:
        """Places of all texts in these languages: those whose vectors `space_map` needs."""
        return np.flatnonzero(np.isin(texts.language, self.languages))


def measure_map(
    model: MultilingualModel,
    dev: TokenShards,
    pivot: str,
    layer: int,
    decode: Decode,
    *,
    device: torch.device | str = "cpu",
) -> SpaceMap | None:
    """The map of a model's space, of texts of the dev split.

    Args:
        model: lies on `device`.
        dev: the split.
        pivot: tag of the language that lines lead to.
        layer: number of blocks after which vectors are taken.
        decode: token ids to text.
        device: where to compute.

    Returns:
        None where the split has no translations to show.
    """
    try:
        texts = ParallelTexts.of(dev, pivot)
    except InputError:
        return None
    choice = MapChoice.of(texts, decode)
    rows = choice.needed(texts)
    vectors = torch.zeros(len(texts.examples), model.vector_dim)
    sequences = texts.shards.take(texts.examples[rows])
    vectors[torch.from_numpy(rows)] = encode_tokens(model, sequences, n_layers=layer, device=device)
    return space_map(texts, choice, vectors, decode)


def space_map(texts: ParallelTexts, choice: MapChoice, vectors: Tensor, decode: Decode) -> SpaceMap:
    """Project the chosen texts to the two directions in which they differ most.

    These are the principal components, which for unit vectors are also the classical scaling of their cosine
    distances (Gower 1966).

    Args:
        texts: the held-out texts.
        choice: those on the map.
        vectors: (E, C) unit vectors; only the rows of `choice.needed` are used.
        decode: token ids to text.
    """
    places, variance = principal_plane(vectors[torch.from_numpy(choice.rows)].double().numpy())
    shown = tuple(
        MapText(
            language=texts.tag(int(texts.language[row])),
            group=int(group),
            text=text_of(texts, row, decode),
            x=float(x),
            y=float(y),
        )
        for row, group, (x, y) in zip(choice.rows, choice.group, places, strict=True)
    )
    apart, others, pairs = [], [], 0
    for number in choice.languages[1:]:
        left, right = texts.with_pivot(number)
        a, b = vectors[left].double(), vectors[right].double()
        own, count = float((a * b).sum()), len(a)
        pairs += count
        apart.append(1 - own / count)
        others.append(1 - (float(a.sum(dim=0) @ b.sum(dim=0)) - own) / max(1, count * (count - 1)))
    return SpaceMap(
        pivot=texts.tag(texts.pivot),
        texts=shown,
        variance=variance,
        translations=float(np.mean(apart)),
        others=float(np.mean(others)),
        pairs=pairs,
    )


def text_of(texts: ParallelTexts, row: int, decode: Decode) -> str:
    """One of the texts, decoded."""
    return decode(texts.shards[int(texts.examples[row])].tolist()).strip()


def principal_plane(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """The two first principal components.

    Args:
        vectors: (N, C), at least two.

    Returns:
        (N, 2) places, whose mean is 0 and whose largest value along each component is positive; and the share
        of the variance that they have.
    """
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2))
    places[:, : min(2, len(size))] = (left * size)[:, :2]
    largest = np.abs(places).argmax(axis=0)
    places *= np.where(places[largest, [0, 1]] < 0, -1.0, 1.0)
    total = float((size**2).sum())
    return places, float((size[:2] ** 2).sum() / total) if total else 1.0
