"""Settings of a sequence-to-sequence model: frozen, and checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from xformer.model.config import ModelConfig
from xformer.storage.rules import check, one_of, require

Start = Literal["zero", "end"]


@dataclass(frozen=True)
class Seq2SeqConfig:
    """An encoder, a decoder and what they share.

    `marian()` gives the settings under which this is Marian's Transformer (Junczys-Dowmunt et al. 2018), as
    Hugging Face's MarianMTModel and CTranslate2 have it.

    Attributes:
        encoder: settings of the encoder.
        decoder: settings of the decoder, whose blocks have cross-attention as well. `tie_embeddings`: the
            output layer is the decoder's embedding matrix; `decoder_bias`: it has a bias per vocabulary row.
            Windows and relative positions are those of tokens to the left.
        share_embeddings: encoder and decoder have one embedding matrix.
        start: what the decoder reads before the first token: `zero`, the zero vector, to which positions are
            added (Marian), or `end`, the embedding of the end-of-sequence token (BART, M2M-100).
    """

    encoder: ModelConfig
    decoder: ModelConfig
    share_embeddings: bool = True
    start: Start = "zero"

    def __post_init__(self) -> None:
        check(self, "seq2seq", [(one_of(Start), "start")])
        ours, theirs = self.decoder, self.encoder
        whole = ours.d_model == theirs.d_model
        require(whole, "decoder.d_model", ours.d_model, f"the encoder's, {theirs.d_model}")
        same = not self.share_embeddings or ours.vocab_size == theirs.vocab_size
        expected = f"the encoder's, {theirs.vocab_size}, since they share embeddings"
        require(same, "decoder.vocab_size", ours.vocab_size, expected)
        require(ours.bigrams == 0, "decoder.bigrams", ours.bigrams, "0: a bigram holds the next token")
        require(not ours.head_activation_norm, "decoder.head_activation_norm", True, "False")
        far = ours.t5_max_distance > ours.t5_buckets // 2
        require(far, "decoder.t5_max_distance", ours.t5_max_distance, "more than t5_buckets/2")

    @classmethod
    def of(cls, config: ModelConfig, *, decoder_layers: int | None = None, **others: Any) -> Self:
        """A decoder like the encoder, as deep unless told otherwise.

        Args:
            config: of the encoder.
            decoder_layers: number of the decoder's blocks.
            others: further settings of this class.
        """
        depth = config.n_layers if decoder_layers is None else decoder_layers
        decoder = replace(config, n_layers=depth, bigrams=0, head_activation_norm=False)
        return cls(config, decoder, **others)

    @classmethod
    def marian(cls, *, decoder_layers: int | None = None, **overrides: Any) -> Self:
        """Marian's transformer-base, or the same architecture with other settings in both halves.

        Args:
            decoder_layers: number of the decoder's blocks; None for as many as the encoder has.
            overrides: of `ModelConfig`.
        """
        sizes: dict[str, Any] = dict(vocab_size=58_101, d_model=512, n_layers=6, n_heads=8, d_ff=2048)
        inputs = {"positions": "sinusoidal", "scale_embeddings": True, "embedding_norm": False}
        norms = {"norm_position": "post", "skip_first_norm": False, "final_norm": False, "bias": True}
        blocks = {"activation": "gelu", "window": None, "zero_init_residual": False}
        others = {"head_activation_norm": False, "pooled_dim_fraction": 1.0}
        settings = sizes | inputs | norms | blocks | others | overrides
        settings.setdefault("init_std", settings["d_model"] ** -0.5)
        return cls.of(ModelConfig(**settings), decoder_layers=decoder_layers)
