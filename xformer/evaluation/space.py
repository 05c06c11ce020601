"""The space that a model maps texts to, layer by layer and language by language.

Shapes: T tokens, E texts, B sequences of one batch, C vector width, L languages, D blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.shards import TokenShards
from xformer.embedding.encode import Progress, evaluation_mode, length_batches
from xformer.errors import InputError
from xformer.evaluation.geometry import alignment, anisotropy, centroid_gap, hubness
from xformer.evaluation.retrieval import one_text_a_group, retrieval
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack

_NEIGHBOURS = 10


@dataclass(frozen=True)
class Space:
    """What was measured of one model on one split.

    Attributes:
        pivot: tag of the language that the others are compared with.
        texts: how many.
        top1: retrieval by language tag, mean of both directions.
        alignment: of each language with the pivot, by tag.
        hubness: among the pivot's texts for queries in each language, by tag.
        alignment_by_layer: mean over languages, after the embedding and after each block (D+1).
        anisotropy_by_layer: (D+1).
        centroid_gap_by_layer: (D+1).
    """

    pivot: str
    texts: int
    top1: dict[str, float]
    alignment: dict[str, float]
    hubness: dict[str, float]
    alignment_by_layer: tuple[float, ...]
    anisotropy_by_layer: tuple[float, ...]
    centroid_gap_by_layer: tuple[float, ...]


@dataclass(frozen=True)
class ParallelTexts:
    """Texts of a split with at most one in each group and language, and their way to the pivot's.

    Attributes:
        shards: where they are.
        examples: (E,) which they are.
        group: (E,).
        language: (E,).
        pivot: number of the pivot.
        languages: numbers of those with enough texts that are also in the pivot.
    """

    shards: TokenShards
    examples: NDArray[np.int64]
    group: NDArray[np.int64]
    language: NDArray[np.int64]
    pivot: int
    languages: tuple[int, ...]

    @classmethod
    def of(cls, shards: TokenShards, pivot: str, most: int | None = None, least: int = 10) -> ParallelTexts:
        """Choose whole texts of a split, those of the pivot and their translations.

        Args:
            shards: the split.
            pivot: tag of the language that the others are compared with.
            most: groups to take, spread evenly over the split; None for all.
            least: a language with fewer texts is left out.

        Raises:
            InputError: the pivot is not there, or no language has enough texts beside it.
        """
        if pivot not in shards.languages:
            raise InputError(f"data.pivot: expected one of {', '.join(shards.languages)}; got {pivot!r}")
        number = shards.languages.index(pivot)
        whole = np.flatnonzero(np.asarray(shards.n_chunks) == 1)
        group, language = np.asarray(shards.group)[whole], np.asarray(shards.language)[whole]
        groups = np.unique(group[language == number])
        if most is not None and len(groups) > most:
            groups = groups[np.linspace(0, len(groups) - 1, most).astype(np.int64)]
        inside = np.isin(group, groups)
        whole, group, language = whole[inside], group[inside], language[inside]
        chosen = one_text_a_group(group, language, np.asarray(shards.record)[whole])
        whole, group, language = whole[chosen], group[chosen], language[chosen].astype(np.int64)
        counts = np.bincount(language, minlength=len(shards.languages))
        languages = tuple(n for n in range(len(counts)) if n != number and counts[n] >= max(2, least))
        if not languages:
            raise InputError(
                f"data.pivot: expected a language with {least} texts or more, also in {pivot!r}, in the"
                f" {shards.info.split} split, found none"
            )
        kept = np.isin(language, (number, *languages))
        return cls(shards, whole[kept], group[kept], language[kept], number, languages)

    def with_pivot(self, language: int) -> tuple[Tensor, Tensor]:
        """Rows of a language's texts (P,), and of the pivot's that say the same (P,)."""
        theirs = np.flatnonzero(self.language == language)
        ours = np.flatnonzero(self.language == self.pivot)
        _, left, right = np.intersect1d(self.group[theirs], self.group[ours], return_indices=True)
        return torch.from_numpy(theirs[left]), torch.from_numpy(ours[right])

    def tag(self, language: int) -> str:
        """A language's name."""
        return self.shards.languages[language]


def layer_vectors(
    model: MultilingualModel,
    texts: ParallelTexts,
    *,
    n_layers: int | None = None,
    batch_tokens: int = 16_384,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> list[Tensor]:
    """Sentence vectors after the embedding and after each block: D+1 tensors (E, C) of unit vectors.

    Args:
        model: lies on `device`.
        texts: what to encode.
        n_layers: D, run the first so many blocks; None for all.
        batch_tokens: most tokens in a batch.
        device: where to compute.
        progress: called with ("layers", texts done, texts in all).
    """
    depth = 1 + (model.config.n_layers if n_layers is None else n_layers)
    vectors = [torch.empty(len(texts.examples), model.config.d_sentence) for _ in range(depth)]
    lengths, done = np.asarray(texts.shards.n_tokens)[texts.examples], 0
    with evaluation_mode(model):
        for rows in length_batches(lengths, batch_tokens):
            batch = pack(texts.shards.take(texts.examples[rows]), device)
            for layer, hidden in enumerate(model.encoder.hidden_states(batch, n_layers=n_layers)):
                unit = batch.unsort(model.pool(hidden, batch))
                vectors[layer][torch.from_numpy(rows)] = unit.float().cpu()
            done += len(rows)
            if progress:
                progress("layers", done, len(texts.examples))
    return vectors


def measure_space(texts: ParallelTexts, layers: list[Tensor]) -> Space:
    """Measure what `layer_vectors` gave; the last layer's vectors are the model's own."""
    last = layers[-1]
    found = retrieval(last, texts.group, texts.language, texts.pivot, min_messages=1)
    pivots = last[torch.from_numpy(np.flatnonzero(texts.language == texts.pivot))]
    neighbours = min(_NEIGHBOURS, len(pivots))
    pairs = {number: texts.with_pivot(number) for number in texts.languages}
    aligned = [
        {number: alignment(vectors[left], vectors[right]) for number, (left, right) in pairs.items()}
        for vectors in layers
    ]
    return Space(
        pivot=texts.tag(texts.pivot),
        texts=len(texts.examples),
        top1={texts.tag(one.language): one.top1 for one in found.languages},
        alignment={texts.tag(number): value for number, value in aligned[-1].items()},
        hubness={
            texts.tag(number): hubness(last[left], pivots, neighbours) for number, (left, _) in pairs.items()
        },
        alignment_by_layer=tuple(sum(layer.values()) / len(layer) for layer in aligned),
        anisotropy_by_layer=tuple(anisotropy(vectors) for vectors in layers),
        centroid_gap_by_layer=tuple(centroid_gap(vectors, texts.language) for vectors in layers),
    )
