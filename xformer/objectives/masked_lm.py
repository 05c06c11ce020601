"""Masked language modelling (Devlin et al. 2019): predict the hidden tokens of a text.

Shapes: T tokens, B sequences, S hidden tokens, C d_model, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.counter_rng import Bits, fold_in
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack_flat
from xformer.objectives.masking import choose, hide
from xformer.objectives.sampled_softmax import VocabularySample
from xformer.runs.config import MaskingConfig
from xformer.training.losses import Loss


@dataclass(frozen=True)
class MaskedBatch:
    """A batch with hidden tokens, or one process's share of it.

    Attributes:
        inputs: the packed texts, with replacements for the hidden tokens.
        selected: (S,) int64, the rows of the hidden tokens.
        targets: (S,) int64, their ids.
        language: (S,) the language of each, on the host.
        n_hidden: number of hidden tokens in the shares of all processes; None for a whole batch.
        sample: the tokens that the softmax runs over; None for the whole vocabulary.
        sample_targets: (S,) int64, the index of each target in the sample.
    """

    inputs: Packed
    selected: Tensor
    targets: Tensor
    language: NDArray[np.int64]
    n_hidden: int | None = None
    sample: VocabularySample | None = None
    sample_targets: Tensor | None = None

    def to(self, device: torch.device | str) -> MaskedBatch:
        """The same batch on another device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            selected=self.selected.to(device),
            targets=self.targets.to(device),
            sample=self.sample and self.sample.to(device),
            sample_targets=None if self.sample_targets is None else self.sample_targets.to(device),
        )

    def with_sample(self, sample: VocabularySample) -> MaskedBatch:
        """The same batch, on the host, with a sampled softmax; the sample holds all of its targets."""
        # NumPy, because PyTorch would wake threads of its own beside those that compute a step.
        found = np.searchsorted(sample.ids.numpy(), self.targets.numpy())
        return replace(self, sample=sample, sample_targets=torch.from_numpy(found))


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
        keys: (B,) the random key of each (`xformer.data.counter_rng`).
        masking: which tokens are hidden, and what replaces them.
        starts_word: (V,) whether a token begins a word.
    """
    batch = pack_flat(tokens, lengths)
    order, positions, ids = batch.order.numpy(), batch.positions.numpy(), batch.tokens.numpy()
    token_keys = fold_in(np.repeat(keys[order], batch.lengths), positions)
    selected = choose(ids, positions, token_keys, masking, starts_word)
    shown = hide(ids, selected, token_keys, masking, len(starts_word))
    return MaskedBatch(
        inputs=batch.with_tokens(torch.from_numpy(shown)),
        selected=torch.from_numpy(selected),
        targets=torch.from_numpy(ids[selected]),
        language=np.repeat(languages[order], batch.lengths)[selected].astype(np.int64),
    )


def masked_lm_loss(model: MultilingualModel, stream: Tensor, batch: MaskedBatch) -> Loss:
    """Cross-entropy of the hidden tokens, in nats per token. Their logits are never all in memory.

    With a sampled softmax the loss is that of choosing among the sample. It falls when the full loss falls,
    but its values cannot be compared with the full loss.

    Args:
        model: its masked-LM head predicts.
        stream: (T, C), the batch's residual stream after the last block.
        batch: the hidden tokens. For one process's share, the loss is a part: all parts add up to the mean.
    """
    hidden = model.encoder.final_norm(stream.index_select(0, batch.selected))
    embedding, sample = model.encoder.embeddings.tok_embeddings, batch.sample
    if sample is None or batch.sample_targets is None:
        value, items = model.masked_lm.loss(hidden, embedding, batch.targets)
    else:
        corrected = sample.ids, -sample.log_inclusion
        value, items = model.masked_lm.loss(hidden, embedding, batch.sample_targets, corrected)
    if batch.n_hidden is not None:
        value = value * (len(items) / max(1, batch.n_hidden))
    return Loss(value, items, batch.language)
