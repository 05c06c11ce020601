"""Settings of the model, with their units: frozen, and checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from xformer.storage.rules import (
    COUNT,
    COUNT_OR_NONE,
    FROM_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    Rule,
    Rules,
    bounds,
    check,
    one_of,
    require,
)

Positions = Literal["rotary", "sinusoidal", "learned", "alibi", "t5", "none"]
Norm = Literal["layernorm", "rmsnorm"]
Activation = Literal["geglu", "swiglu", "gelu", "relu", "relu2"]
NormPosition = Literal["pre", "post"]
Gelu = Literal["erf", "tanh"]


@dataclass(frozen=True)
class ModelConfig:
    """The encoder, or the decoder of `Seq2SeqConfig`.

    The defaults are ModernBERT's architecture (Warner et al. 2024) at a small size.

    `bert()`, `xlm_r()` and `modernbert()` give the settings under which this is BERT (Devlin et al. 2019),
    XLM-R (Conneau et al. 2020) and ModernBERT, base size unless told otherwise.

    Attributes:
        vocab_size (rows): rows of the embedding, special tokens included. None: as many as the run's
            tokenizer has pieces; a model alone needs a number.
        d_model (coordinates): width of the residual stream, the hidden size.
        n_layers (blocks): number of blocks, the depth of the model.
        n_heads (heads): attention heads; d_model is a multiple of it.
        d_ff (coordinates): width inside the feed-forward, the intermediate size; the gated activations have
            two such projections.
        max_length (tokens): longest sequence, the context length; learned positions have this many rows.
        positions: how a token's position enters: rotary (Su et al. 2021), sinusoidal or learned vectors added
            to the embedding, biases of attention by distance (ALiBi, Press et al. 2022; T5, Raffel et al.
            2020), or not at all.
        rotary_base (tokens): base of the wavelengths of the rotary embedding in global layers: they grow from
            2π to nearly 2π times it.
        rotary_base_local (tokens): base of the wavelengths of the rotary embedding in windowed layers.
        t5_buckets (buckets): number of relative-position buckets (T5).
        t5_max_distance (tokens): distance from which all fall into the last bucket (T5).
        position_offset (rows): row of the learned table for position 0 (XLM-R: 2).
        n_segments (rows): rows of the segment table, of which row 0 is added; 0 for no table (BERT: 2, XLM-R:
            1).
        norm: kind of normalisation: LayerNorm or RMSNorm.
        norm_position: place of the norms: before each sublayer, or after each residual sum.
        norm_eps (variance): added to the variance in each norm.
        scale_embeddings: multiply the token embeddings by √d_model (Vaswani et al. 2017, section 3.4).
        embedding_norm: normalise the sum of the embeddings.
        bigrams (rows per vocabulary row): rows of the table of bigram embeddings (`xformer.model.bigrams`)
            per row of the vocabulary; 0 for no such table.
        skip_first_norm: leave out the attention norm of the first block, which the embedding norm would
            precede (pre-norm models).
        final_norm: normalise the last block's output (pre-norm models).
        activation: the feed-forward's non-linearity; `geglu` and `swiglu` are gated (Shazeer 2020). With
            `relu` it is that of the masked-LM head, too, as in BERT.
        gelu: how GELU is computed wherever it appears: by the exact error function or its tanh approximation.
        bias: biases in linear layers of the blocks, and in norms.
        window (tokens): total width of local attention, half to either side; None for global attention
            everywhere.
        global_every (blocks): with `window`, layers 0, k, 2k, … attend globally.
        global_layers (blocks): with `window`, numbers of those that attend globally; none for each k-th, as
            `global_every` says.
        tie_embeddings: the masked-LM decoder shares the embedding matrix.
        head_activation_norm: dense + activation + norm before the masked-LM decoder, as BERT and ModernBERT
            have.
        decoder_bias: a bias per vocabulary row in the masked-LM decoder.
        dropout (probability): probability that a coordinate is dropped, of the embeddings' sum and of each
            sublayer's output.
        attention_dropout (probability): probability that an attention weight is dropped.
        zero_init_residual: start the two output projections of each block at zero, so that each block begins
            as the identity, and the model as a bag of subwords.
        init_std (standard deviation): standard deviation of the initial weights.
        pooled_dim_fraction (share): share of the coordinates of the residual stream, its first ones, that a
            sentence vector is pooled from. Translations are made alike there; the other coordinates may hold
            what differs, above all the language, without which no masked token can be predicted.
        pool_after_norm: pool a sentence vector from the tokens after the final norm, as other libraries do
            with a model's last hidden state; otherwise from the residual stream before it, where a token's
            length is its weight in the mean.
    """

    vocab_size: int | None = None
    d_model: int = 256
    n_layers: int = 2
    n_heads: int = 4
    d_ff: int = 384
    max_length: int = 512
    positions: Positions = "rotary"
    rotary_base: float = 160_000.0
    rotary_base_local: float = 10_000.0
    t5_buckets: int = 32
    t5_max_distance: int = 128
    position_offset: int = 0
    n_segments: int = 0
    norm: Norm = "layernorm"
    norm_position: NormPosition = "pre"
    norm_eps: float = 1e-5
    scale_embeddings: bool = False
    embedding_norm: bool = True
    bigrams: int = 0
    skip_first_norm: bool = True
    final_norm: bool = True
    activation: Activation = "geglu"
    gelu: Gelu = "erf"
    bias: bool = False
    window: int | None = 128
    global_every: int = 3
    global_layers: tuple[int, ...] | None = None
    tie_embeddings: bool = True
    head_activation_norm: bool = True
    decoder_bias: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    zero_init_residual: bool = True
    init_std: float = 0.02
    pooled_dim_fraction: float = 0.75
    pool_after_norm: bool = True

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        blocks = Rule(
            lambda x: all(layer >= 0 for layer in x or ()),
            "numbers of blocks, from 0, or none",
            {"items": {"type": "integer", "minimum": 0}},
        )
        return [
            (one_of(Positions), "positions"),
            (one_of(Norm), "norm"),
            (one_of(Activation), "activation"),
            (one_of(NormPosition), "norm_position"),
            (one_of(Gelu), "gelu"),
            (COUNT_OR_NONE, "vocab_size"),
            (blocks, "global_layers"),
            (COUNT, "d_model n_heads d_ff max_length global_every"),
            (FROM_ZERO, "n_layers position_offset n_segments bigrams"),
            (bounds("an even number from 4", least=4, multiple_of=2), "t5_buckets"),
            (bounds("a width of at least 2 tokens, or none", least=2, also=[None]), "window"),
            (PROBABILITY, "dropout attention_dropout"),
            (POSITIVE, "norm_eps rotary_base rotary_base_local"),
            (NOT_NEGATIVE, "init_std"),
        ]

    def __post_init__(self) -> None:
        check(self, "model", self.rules())
        whole = self.d_model % self.n_heads == 0
        self._require(whole, "d_model", f"a multiple of n_heads={self.n_heads}")
        even = self.positions != "rotary" or self.d_head % 2 == 0
        self._require(even, "d_model", "an even head size d_model/n_heads for rotary positions")
        even = self.positions != "sinusoidal" or self.d_model % 2 == 0
        self._require(even, "d_model", "an even width for sinusoidal positions")
        far = self.t5_max_distance > self.t5_buckets // 4
        self._require(far, "t5_max_distance", "more than t5_buckets/4")
        some = 0 < self.pooled_dim_fraction <= 1 and self.pooled_dim >= 1
        self._require(some, "pooled_dim_fraction", "a share in (0, 1] that leaves at least one coordinate")

    def _require(self, condition: bool, name: str, expected: str) -> None:
        require(condition, f"model.{name}", getattr(self, name), expected)

    @classmethod
    def bert(cls, **overrides: Any) -> Self:
        """BERT-base, or the same architecture with other fields."""
        differences = {"vocab_size": 30_522, "position_offset": 0, "n_segments": 2, "norm_eps": 1e-12}
        return cls.xlm_r(**differences | overrides)

    @classmethod
    def xlm_r(cls, **overrides: Any) -> Self:
        """XLM-R-base, or the same architecture with other fields."""
        sizes: dict[str, Any] = dict(vocab_size=250_002, d_model=768, n_layers=12, n_heads=12, d_ff=3072)
        positions = {"positions": "learned", "max_length": 512, "position_offset": 2, "n_segments": 1}
        norms = {"norm_position": "post", "skip_first_norm": False, "final_norm": False, "bias": True}
        blocks = {
            "activation": "gelu",
            "window": None,
            "zero_init_residual": False,
            "pooled_dim_fraction": 1.0,
        }
        rates = {"dropout": 0.1, "attention_dropout": 0.1, "bigrams": 0}
        return cls(**sizes | positions | norms | blocks | rates | overrides)

    @classmethod
    def modernbert(cls, **overrides: Any) -> Self:
        """ModernBERT-base, or the same architecture with other fields."""
        sizes: dict[str, Any] = dict(vocab_size=50_368, d_model=768, n_layers=22, n_heads=12, d_ff=1152)
        others = {"max_length": 8192, "zero_init_residual": False, "pooled_dim_fraction": 1.0, "bigrams": 0}
        return cls(**sizes | others | overrides)

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_heads

    @property
    def pooled_dim(self) -> int:
        """Width of a sentence's vector: the first coordinates of the residual stream."""
        return round(self.pooled_dim_fraction * self.d_model)

    @property
    def rows(self) -> int:
        """Rows of the embedding.

        Raises:
            ValueError: `vocab_size` is None.
        """
        if self.vocab_size is None:
            raise ValueError("model.vocab_size: expected the number of pieces of the tokenizer, got none")
        return self.vocab_size

    @property
    def bigram_rows(self) -> int:
        """Rows of the table of bigrams; 0 where there is none."""
        return self.bigrams * self.rows

    @property
    def gated(self) -> bool:
        """Whether the feed-forward is gated."""
        return self.activation in ("geglu", "swiglu")

    @property
    def gelu_approximate(self) -> Literal["none", "tanh"]:
        """The argument `approximate` of PyTorch's GELU."""
        return "none" if self.gelu == "erf" else "tanh"

    def is_global(self, layer: int) -> bool:
        """Whether block `layer` has global attention."""
        if self.window is None:
            return True
        chosen = self.global_layers
        return layer % self.global_every == 0 if chosen is None else layer in chosen
