"""Fill masks: the pieces that a masked LM expects where a text has `<mask>`.

Probabilities are those of the softmax over all pieces of the tokenizer that text can have: rows of the model
beyond its vocabulary and the special pieces are never predicted. A byte piece that is a part of a character
cannot be shown; it keeps its probability and is left out of the results.

Shapes: T tokens of a batch, M masks, V vocabulary, k results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.embedding.encode import evaluation_mode
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.tokenizer.interface import MASK, TextTokenizer

_LOGITS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Filling:
    """A piece that may stand for a mask.

    Attributes:
        piece: as the tokenizer writes it, `▁` for a space.
        probability: that the mask hides it, in [0, 1].
        text: the whole text with it in place of the mask; other masks stay.
    """

    piece: str
    probability: float
    text: str


@dataclass(frozen=True)
class _Mask:
    """A mask of a text.

    Attributes:
        text: number of the text.
        before: what is shown before the piece.
        after: what follows it.
        ids: the tokens around it, at most as many as the model reads.
        place: of the mask in `ids`.
    """

    text: int
    before: str
    after: str
    ids: NDArray[np.int32]
    place: int


@dataclass(frozen=True)
class MaskFiller:
    """Fills masks with a model.

    Attributes:
        model: on `device`, in evaluation mode.
        tokenizer: of the model.
        max_length: of a sequence, in tokens. Of a longer text each mask sees the part around it.
        device: where to compute.
        computing: makes the context in which the model runs.
    """

    model: MultilingualModel
    tokenizer: TextTokenizer
    max_length: int
    device: torch.device
    computing: Callable[[], AbstractContextManager[object]]

    def fill(
        self, texts: Sequence[str], k: int, names: Sequence[str], batch_tokens: int = 16_384
    ) -> list[list[list[Filling]]]:
        """The most probable pieces.

        Args:
            texts: each with a mask or several.
            k: results for each mask; fewer where the vocabulary has fewer.
            names: what errors call each text.
            batch_tokens: most tokens in a batch; a longer text is a batch by itself.

        Returns:
            For each text, for each of its masks, the pieces, most probable first.

        Raises:
            InputError: a text has no mask.
        """
        found: list[list[list[Filling]]] = [[] for _ in texts]
        for masks in self._batches(texts, names, batch_tokens):
            probabilities, ids = self._best(masks, k)
            for mask, row, pieces in zip(masks, probabilities.tolist(), ids.tolist(), strict=True):
                found[mask.text].append(
                    [
                        Filling(
                            self.tokenizer.piece(piece),
                            probability,
                            self.tokenizer.fill(mask.before, piece, mask.after),
                        )
                        for probability, piece in zip(row, pieces, strict=True)
                    ]
                )
        return found

    def _batches(
        self, texts: Sequence[str], names: Sequence[str], batch_tokens: int
    ) -> Iterator[list[_Mask]]:
        """The masks of all texts in order. Each is a sequence of its own, in which the other masks stay."""
        batch: list[_Mask] = []
        n_tokens = 0
        for number, (text, name) in enumerate(zip(texts, names, strict=True)):
            for mask in self._masks(text, number, name):
                if batch and n_tokens + len(mask.ids) > batch_tokens:
                    yield batch
                    batch, n_tokens = [], 0
                batch.append(mask)
                n_tokens += len(mask.ids)
        if batch:
            yield batch

    def _masks(self, text: str, number: int, name: str) -> Iterator[_Mask]:
        # An imported model's own name of a mask means the same.
        parts = (text if (own := self.tokenizer.mask) is None else text.replace(own, MASK)).split(MASK)
        if len(parts) == 1:
            raise InputError(
                f"{name}: expected {MASK} where a piece is hidden, as in 'Open the {MASK}'; got {text[:80]!r}"
            )
        ids = self.tokenizer.encode_masked(text)
        n_before, n_behind = len(self.tokenizer.prefix), len(self.tokenizer.suffix)
        inside, room = ids[n_before : len(ids) - n_behind], self.max_length - n_before - n_behind
        for index, place in enumerate(np.flatnonzero(inside == self.tokenizer.mask_id).tolist()):
            begin = min(max(0, place - room // 2), max(0, len(inside) - room))
            around = (ids[:n_before], inside[begin : begin + room], ids[len(ids) - n_behind :])
            before, after = MASK.join(parts[: index + 1]), MASK.join(parts[index + 1 :])
            yield _Mask(number, before, after, np.concatenate(around), n_before + place - begin)

    def _best(self, masks: Sequence[_Mask], k: int) -> tuple[Tensor, Tensor]:
        """Probabilities and ids of the best pieces of each mask, (M, k) each, on the host."""
        # In the order given, so that the masks of the batch are those of the list.
        batch = pack([mask.ids for mask in masks], self.device, sort=False)
        places = batch.cu_seqlens[:-1].long() + torch.tensor(
            [mask.place for mask in masks], device=self.device
        )
        allowed, shown = self._pieces()
        k = min(k, int(shown.sum()))
        probabilities, ids = [], []
        rows = max(1, _LOGITS_AT_ONCE // self.model.config.rows)
        with evaluation_mode(self.model), self.computing():
            hidden = self.model.encoder(batch)
            embedding = self.model.encoder.token_embedding
            for some in places.split(rows):
                logits = self.model.masked_lm(hidden, some, embedding).float()
                share = logits.masked_fill_(~allowed, -torch.inf).softmax(dim=-1)
                best = share.masked_fill_(~shown, -1.0).topk(k)
                probabilities.append(best.values.cpu())
                ids.append(best.indices.cpu())
        return torch.cat(probabilities), torch.cat(ids)

    def _pieces(self) -> tuple[Tensor, Tensor]:
        """Rows of the model (V,) that text can have, and those of them that can be shown alone."""
        found = []
        for pieces in self.tokenizer.fillable():
            rows = torch.zeros(self.model.config.rows, dtype=torch.bool)
            rows[: len(pieces)] = torch.from_numpy(pieces)
            found.append(rows.to(self.device))
        return found[0], found[1]
