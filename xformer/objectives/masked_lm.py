"""Masked language modelling (Devlin et al. 2019): predict hidden tokens, and nothing else.

Shapes: T tokens, B sequences, S selected tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.counter_rng import Bits, fold
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack_flat
from xformer.objectives.candidates import Candidates
from xformer.objectives.loss import Loss
from xformer.objectives.masking import choose, hide
from xformer.runs.config import MaskingConfig


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with hidden tokens, or a process's share of one.

    Attributes:
        inputs: what the model is shown.
        selected: (S,) int64, the rows to predict at.
        targets: (S,) int64, the ids that were there.
        language: (S,) the language of each target, on the host.
        n_hidden: hidden tokens of all shares; None where this is all.
        candidates: the pieces that targets are told from; None for the whole vocabulary.
        places: (S,) int64, where each target stands among the candidates.
    """

    inputs: Packed
    selected: Tensor
    targets: Tensor
    language: NDArray[np.int64]
    n_hidden: int | None = None
    candidates: Candidates | None = None
    places: Tensor | None = None

    def to(self, device: torch.device | str) -> MaskedBatch:
        """The same batch on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            selected=self.selected.to(device),
            targets=self.targets.to(device),
            candidates=self.candidates and self.candidates.to(device),
            places=None if self.places is None else self.places.to(device),
        )

    def among(self, candidates: Candidates) -> MaskedBatch:
        """The same batch, on the host, its targets told from candidates, which have them all."""
        # By NumPy: an operation of PyTorch would wake threads of its own beside those that compute a step.
        places = np.searchsorted(candidates.ids.numpy(), self.targets.numpy())
        return replace(self, candidates=candidates, places=torch.from_numpy(places))


def masked_lm_batch(
    tokens: NDArray[np.integer],
    lengths: NDArray[np.integer],
    languages: NDArray[np.integer],
    keys: Bits,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
) -> MaskedBatch:
    """Pack sequences and hide some of their tokens.

    Args:
        tokens: (T,) ids of B sequences, end to end.
        lengths: (B,) of the sequences.
        languages: (B,) the language of each.
        keys: (B,) what chance in each sequence depends on (`xformer.data.counter_rng`).
        masking: which tokens, and behind what.
        starts_word: (V,) whether a token begins a word.
    """
    batch = pack_flat(tokens, lengths)
    order = batch.order.numpy()
    per_token = np.repeat(languages[order], batch.lengths)
    return hide_tokens(batch, per_token, keys[order], masking, starts_word)


def hide_tokens(
    batch: Packed,
    languages: NDArray[np.integer],
    keys: Bits,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
) -> MaskedBatch:
    """Hide tokens of a packed batch.

    Args:
        batch: B packed sequences.
        languages: (T,) the language of each token.
        keys: (B,) what chance in each packed sequence depends on.
        masking: which tokens, and behind what.
        starts_word: (V,) whether a token begins a word.
    """
    tokens, positions = batch.tokens.numpy(), batch.positions.numpy()
    chance = fold(np.repeat(keys, batch.lengths), positions)
    selected = choose(tokens, positions, chance, masking, starts_word)
    shown = hide(tokens, selected, chance, masking, len(starts_word))
    return MaskedBatch(
        inputs=batch.with_tokens(torch.from_numpy(shown)),
        selected=torch.from_numpy(selected),
        targets=torch.from_numpy(tokens[selected]),
        language=languages[selected].astype(np.int64),
    )


def masked_lm_loss(model: MultilingualModel, stream: Tensor, batch: MaskedBatch) -> Loss:
    """Cross-entropy of the hidden tokens, in nats a token. Their logits are never all in memory.

    With candidates it is the cross-entropy of telling a token from those: it falls as the other does, and
    is not of its size.

    Args:
        model: whose head predicts.
        stream: (T, C), the batch's residual stream after the last block.
        batch: what was hidden. Of a share, the loss is its part of that of all: their sum is the mean.
    """
    hidden = model.encoder.final_norm(stream.index_select(0, batch.selected))
    embedding, among = model.encoder.embeddings.tok_embeddings, batch.candidates
    if among is None or batch.places is None:
        value, items = model.masked_lm.loss(hidden, embedding, batch.targets)
    else:
        pieces = among.ids, -among.log_chance
        value, items = model.masked_lm.loss(hidden, embedding, batch.places, pieces)
    if batch.n_hidden is not None:
        value = value * (len(items) / max(1, batch.n_hidden))
    return Loss(value, items, batch.language)
