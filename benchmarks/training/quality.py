"""The evaluation of all models, by the functions of `xformer evaluate`.

Shapes: E texts, T tokens, B sequences, S hidden tokens, C vector width, V vocabulary, N length with specials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.data.shards import TokenShards
from xformer.embedding.encode import SentenceEncoder, encode_tokens, evaluation_mode
from xformer.errors import InputError
from xformer.evaluation.bits_per_byte import HiddenTokens, Surprisal, bits_per_byte
from xformer.evaluation.parallel_texts import language_number, one_text_per_group, text_numbers
from xformer.evaluation.retrieval import retrieval
from xformer.model.packed import Packed
from xformer.objectives import MaskedBatch
from xformer.tokenizer.special import BOS_ID, EOS_ID, PAD_ID

_BATCH_TOKENS = 4_096
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Quality:
    """Bits per byte and retrieval's mean top-1 of a model; None where it has none."""

    bits_per_byte: float | None
    mean_top1: float | None


@dataclass(frozen=True)
class QuestionSize:
    """The size of the evaluation; None for everything there is.

    Attributes:
        messages: of retrieval; those in most languages first.
        languages: of retrieval, beside the pivot; those with most messages first.
        tokens: about how many tokens of text for bits per byte.
    """

    messages: int | None = None
    languages: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Questions:
    """What every model is evaluated on.

    Attributes:
        hidden: texts with hidden tokens.
        byte_lengths: (V,) bytes of text of each token.
        texts: whole texts for retrieval, one per message and language.
        pivot: number of the pivot language.
        device: of the models.
    """

    hidden: HiddenTokens
    byte_lengths: NDArray[np.integer]
    texts: TokenShards
    pivot: int
    device: torch.device

    @classmethod
    def of(
        cls,
        held_out: TokenShards,
        byte_lengths: NDArray[np.integer],
        pivot: str,
        size: QuestionSize,
        device: torch.device,
    ) -> Questions:
        """Draw the texts: the same for the same split and size.

        Raises:
            InputError: no text is in the pivot language.
        """
        number = language_number(held_out, pivot)
        order = np.random.default_rng(0).permutation(len(held_out))
        if size.tokens is not None:
            upto = np.cumsum(np.asarray(held_out.n_tokens)[order], dtype=np.int64)
            order = order[: int(np.searchsorted(upto, size.tokens)) + 1]
        hidden = HiddenTokens(held_out.subset(order), batch_tokens=_BATCH_TOKENS)
        return cls(hidden, byte_lengths, _texts(held_out, number, size), number, device)

    def examine(
        self, encoder: SentenceEncoder, surprisal: Surprisal | None, n_layers: int | None = None
    ) -> Quality:
        """Evaluate a model.

        Args:
            encoder: the sentence vectors of the model.
            surprisal: the bits of hidden tokens, for a model with an output layer.
            n_layers: number of the encoder's layers to use; None for all.
        """
        bits = bits_per_byte(surprisal, self.hidden, self.byte_lengths).overall if surprisal else math.nan
        return Quality(bits if math.isfinite(bits) else None, self.top1(encoder, n_layers))

    def top1(self, encoder: SentenceEncoder, n_layers: int | None = None) -> float | None:
        """Retrieval's mean top-1; None if no language has enough messages."""
        sequences = [self.texts[example] for example in range(len(self.texts))]
        vectors = encode_tokens(
            encoder, sequences, batch_tokens=_BATCH_TOKENS, n_layers=n_layers, device=self.device
        )
        group, language, numbers = self.texts.group, self.texts.language, text_numbers(sequences)
        fewest = max(1, min(100, int((language == self.pivot).sum()) // 2))
        found = retrieval(vectors, group, language, self.pivot, text=numbers, min_messages=fewest).mean_top1
        return found if math.isfinite(found) else None


def _texts(held_out: TokenShards, pivot: int, size: QuestionSize) -> TokenShards:
    """Whole texts of the messages and languages for retrieval."""
    rows = one_text_per_group(held_out)
    rows = rows[np.isin(held_out.group[rows], held_out.group[rows[held_out.language[rows] == pivot]])]
    if not len(rows):
        raise InputError("data.pivot: expected held-out texts in the pivot language, found none")
    groups, counts = np.unique(held_out.group[rows], return_counts=True)
    chosen = groups[np.argsort(-counts, kind="stable")][: size.messages]
    rows = rows[np.isin(held_out.group[rows], chosen)]
    counts = np.bincount(held_out.language[rows], minlength=len(held_out.languages))
    counts[pivot] = 0
    languages = np.argsort(-counts, kind="stable")[: size.languages]
    return held_out.subset(rows[np.isin(held_out.language[rows], [pivot, *languages])])


class Bert(nn.Module):
    """Hugging Face's BERT, evaluated on texts in the form of its training: `<s>` text `</s>`, padded."""

    def __init__(self, encoder: nn.Module, head: nn.Module | None) -> None:
        """Take the parts of the model.

        Args:
            encoder: a `BertModel`.
            head: hidden states to logits, if it has one.
        """
        super().__init__()
        self.encoder, self.head = encoder, head

    def hidden(self, batch: Packed) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states (B, N, C), mask (B, N), and each token's row (T,)."""
        rows = batch.sequence_ids()
        ids, mask = padded(batch.tokens, rows, batch.positions, batch.lengths)
        return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask, rows

    def sentence_vectors(self, batch: Packed, *, n_layers: int | None = None) -> Tensor:
        """Unit vectors (B, C): the mean over all tokens that are not padding."""
        if n_layers is not None:
            raise ValueError(f"n_layers: expected None, all of BERT's, got {n_layers}")
        hidden, mask, _ = self.hidden(batch)
        weight = mask.to(hidden.dtype)[..., None]
        return F.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)

    def surprisal(self, batch: MaskedBatch) -> NDArray[np.float64]:
        """The bits (S,) of hidden tokens."""
        if self.head is None:
            raise ValueError("Bert: expected one with an output layer")
        losses, batch = [], batch.to(next(self.parameters()).device)
        with evaluation_mode(self):
            hidden, _, rows = self.hidden(batch.inputs)
            chosen = hidden[rows[batch.selected], batch.inputs.positions[batch.selected] + 1]
            parts = zip(chosen.split(_ROWS_AT_ONCE), batch.targets.split(_ROWS_AT_ONCE), strict=True)
            for states, targets in parts:
                losses.append(F.cross_entropy(self.head(states).float(), targets, reduction="none"))
        return torch.cat(losses).cpu().numpy().astype(np.float64) / math.log(2)


def padded_texts(texts: Sequence[NDArray[np.integer]]) -> tuple[Tensor, Tensor, list[int]]:
    """Token ids of texts in the form of Hugging Face's models: ids and mask of `padded`, and the lengths."""
    lengths = [len(text) for text in texts]
    rows = torch.arange(len(texts)).repeat_interleave(torch.tensor(lengths))
    positions = torch.cat([torch.arange(length) for length in lengths])
    tokens = torch.from_numpy(np.concatenate(texts).astype(np.int64))
    return *padded(tokens, rows, positions, tuple(lengths)), lengths


def padded(
    tokens: Tensor, rows: Tensor, positions: Tensor, lengths: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Sequences in the form of Hugging Face's models.

    Args:
        tokens: (T,) of B sequences, without special tokens.
        rows: (T,) each token's sequence.
        positions: (T,) its place in there.
        lengths: the B lengths.

    Returns:
        Ids (B, N), N = longest + 2, each `<s>` text `</s>` `<pad>` …; and the mask (B, N), 0 at pads.
    """
    ends = torch.tensor(lengths, dtype=torch.int64, device=tokens.device) + 1
    ids = torch.full((len(lengths), max(lengths) + 2), PAD_ID, device=tokens.device)
    ids[:, 0] = BOS_ID
    ids[rows, positions + 1] = tokens
    ids[torch.arange(len(lengths), device=tokens.device), ends] = EOS_ID
    return ids, (ids != PAD_ID).long()
