"""The model that is pretrained: an encoder, its masked-LM head and its pooling.

Shapes: T tokens, B sequences, S selected tokens, C d_model, D width of a sentence's vector, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from xformer.kernels.backend import Backend
from xformer.model.config import ModelConfig
from xformer.model.cpu import rows_to_add
from xformer.model.encoder import Encoder
from xformer.model.heads import MaskedLMHead, Pooling, PoolingKind
from xformer.model.packed import Packed, join
from xformer.model.projection import Projection


class MultilingualModel(nn.Module):
    """An encoder with a head for tokens and a pooling for sentences.

    Attributes:
        config: the architecture.
        encoder: tokens to hidden states.
        masked_lm: hidden states to vocabulary, at selected tokens.
        pooling: hidden states to one vector a sequence.
        projections: layers behind it; none in a model that was trained here.
    """

    def __init__(
        self,
        config: ModelConfig,
        pooling: PoolingKind = "weighted",
        projections: Iterable[Projection] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.masked_lm = MaskedLMHead(config)
        self.pooling = Pooling(config.pooled_dim, pooling)
        self.projections = nn.Sequential(*projections)

    @property
    def vector_dim(self) -> int:
        """D: width of a sentence's vector."""
        last = self.projections[-1] if len(self.projections) else None
        return last.out_features if isinstance(last, Projection) else self.config.pooled_dim

    def reset_parameters(self) -> None:
        """Initialise again; see `Encoder.reset_parameters`."""
        self.encoder.reset_parameters()
        self.masked_lm.reset_parameters()
        self.pooling.reset_parameters()

    def token_logits(
        self, batch: Packed, selected: Tensor, *, n_layers: int | None = None, backend: Backend | None = None
    ) -> Tensor:
        """Logits (S, V) at the tokens `selected` (S,)."""
        hidden = self.encoder(batch, n_layers=n_layers, backend=backend)
        return self.masked_lm(hidden, selected, self.encoder.token_embedding)

    def residual_streams(
        self, batches: Sequence[Packed], *, n_layers: int | None = None, backend: Backend | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Each batch's residual stream (T, C) before the first block and after the last, from one pass.

        One pass over all batches costs less than several small ones: it has fewer calls of attention, and
        matrix products of more rows.
        """
        if not batches:
            return []
        n_tokens, device = sum(batch.n_tokens for batch in batches), batches[0].tokens.device
        joined, rows = join(batches, filler=rows_to_add(n_tokens, device))
        states = self.encoder.hidden_states(joined, n_layers=n_layers, backend=backend)
        before, after = states[0], states[-1]
        return [(before.index_select(0, its), after.index_select(0, its)) for its in rows]

    def sentence_vectors(
        self,
        batch: Packed,
        *,
        n_layers: int | None = None,
        backend: Backend | None = None,
        normalise: bool = True,
    ) -> Tensor:
        """Vectors (B, D), one a sequence, in the packed order; D is `vector_dim`.

        They are pooled from the first D coordinates of each token's state, after the final norm or before it
        (`config.pool_after_norm`). After the norm a token weighs in the mean by the share of its length that
        lies in these coordinates; before it, by its length in the residual stream.

        Args:
            batch: B packed sequences.
            n_layers: number of blocks to run; None for all.
            backend: of `xformer.kernels.attention`; None for the device's best.
            normalise: scale each vector to unit length.
        """
        hidden = self.encoder(batch, n_layers=n_layers, backend=backend, final_norm=False)
        return self.pool(hidden, batch, normalise=normalise)

    def pool(self, hidden: Tensor, batch: Packed, *, normalise: bool = True) -> Tensor:
        """Sentence vectors (B, D) of a residual stream (T, C), by default of unit length."""
        vectors: Tensor = self.projections(self.pooled(hidden, batch))
        return F.normalize(vectors, dim=-1) if normalise else vectors

    def pooled(self, hidden: Tensor, batch: Packed) -> Tensor:
        """The first coordinates of the tokens of a residual stream (T, C), as one vector a sequence."""
        if self.config.pool_after_norm:
            hidden = self.encoder.final_norm(hidden)
        pooled: Tensor = self.pooling(hidden[:, : self.config.pooled_dim], batch)
        return pooled
