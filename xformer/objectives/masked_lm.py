"""Masked language modelling (Devlin et al. 2019): predict hidden tokens, and nothing else.

Shapes: T tokens, B sequences, S selected tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.model import MultilingualModel
from xformer.objectives.candidates import Candidates, CandidateSampler
from xformer.objectives.loss import Loss
from xformer.objectives.masking import choose, hide
from xformer.packed import Packed, pack
from xformer.run_config import MaskingConfig


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with hidden tokens.

    Attributes:
        inputs: what the model is shown.
        selected: (S,) int64, the rows to predict at.
        targets: (S,) int64, the ids that were there.
        language: (S,) the language of each target, on the host.
        candidates: the pieces that targets are told from; None for the whole vocabulary.
    """

    inputs: Packed
    selected: Tensor
    targets: Tensor
    language: NDArray[np.int64]
    candidates: Candidates | None = None

    def to(self, device: torch.device | str) -> MaskedBatch:
        """The same batch on another device."""
        selected, targets = self.selected.to(device), self.targets.to(device)
        candidates = self.candidates and self.candidates.to(device)
        return MaskedBatch(self.inputs.to(device), selected, targets, self.language, candidates)

    def among(self, sampler: CandidateSampler, rng: np.random.Generator) -> MaskedBatch:
        """The same batch, on the host, with candidates."""
        return replace(self, candidates=sampler.draw(self.targets.numpy(), rng))


def masked_lm_batch(
    sequences: Sequence[NDArray[np.int32]],
    languages: NDArray[np.integer],
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
    rng: np.random.Generator,
) -> MaskedBatch:
    """Pack sequences and hide some of their tokens.

    Args:
        sequences: B sequences of ids.
        languages: (B,) the language of each.
        masking: which tokens, and behind what.
        starts_word: (V,) whether a token begins a word.
        rng: the source of chance.
    """
    per_token = [np.full(len(ids), language) for ids, language in zip(sequences, languages, strict=True)]
    return hide_tokens(pack(sequences), per_token, masking, starts_word, rng)


def hide_tokens(
    batch: Packed,
    languages: Sequence[NDArray[np.integer]],
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
    rng: np.random.Generator,
) -> MaskedBatch:
    """Hide tokens of a packed batch.

    Args:
        batch: B packed sequences.
        languages: B arrays, in the order before packing: the language of each token.
        masking: which tokens, and behind what.
        starts_word: (V,) whether a token begins a word.
        rng: the source of chance.
    """
    tokens, positions = batch.tokens.numpy(), batch.positions.numpy()
    selected = choose(tokens, positions, masking, starts_word, rng)
    shown = hide(tokens, selected, masking, len(starts_word), rng)
    language = np.concatenate([languages[row] for row in batch.order.tolist()] or [np.zeros(0)])
    return MaskedBatch(
        inputs=batch.with_tokens(torch.from_numpy(shown)),
        selected=torch.from_numpy(selected),
        targets=torch.from_numpy(tokens[selected]),
        language=language[selected].astype(np.int64),
    )


def masked_lm_loss(model: MultilingualModel, stream: Tensor, batch: MaskedBatch) -> Loss:
    """Cross-entropy of the hidden tokens, in nats a token. Their logits are never all in memory.

    With candidates it is the cross-entropy of telling a token from those: it falls as the other does, and
    is not of its size.

    Args:
        model: whose head predicts.
        stream: (T, C), the batch's residual stream after the last block.
        batch: what was hidden.
    """
    hidden = model.encoder.final_norm(stream.index_select(0, batch.selected))
    embedding, among = model.encoder.embeddings.tok_embeddings, batch.candidates
    if among is None:
        value, items = model.masked_lm.loss(hidden, embedding, batch.targets)
    else:
        pieces = among.ids, -among.log_chance
        value, items = model.masked_lm.loss(hidden, embedding, among.places, pieces)
    return Loss(value, items, batch.language)
