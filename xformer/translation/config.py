"""The settings of a translation run: frozen, checked once, kept as TOML (`xformer.storage.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from xformer.data.translated import Direction, direction_named
from xformer.model.config import ModelConfig
from xformer.model.init_seq2seq import CrossAttention
from xformer.model.seq2seq_config import Seq2SeqConfig
from xformer.runs.config import AdamSettings, TrainingConfig
from xformer.storage.rules import (
    BELOW_ONE,
    COUNT,
    FROM_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    Rule,
    check,
    one_of,
    require,
)
from xformer.tokenizer import TokenizerOptions

Init = Literal["pretrained", "random"]
Targets = Literal["translation", "summarization"]

LENGTH_FACTOR, LENGTH_MORE = 2, 10
"""A target may have this many times the tokens of its source, and so many more."""


@dataclass(frozen=True)
class OriginConfig:
    """What a translator begins from.

    Attributes:
        run: folder of a pretrained run, which gives the vocabulary and the encoder; read once, when the run
            begins. None: a vocabulary of its own, and random weights.
        step (steps): of its checkpoint.
        init: `pretrained`: encoder and decoder begin with the checkpoint's weights; `random`: with new ones,
            as a baseline that shows what pretraining is worth.
    """

    run: str | None = None
    step: int = 0
    init: Init = "pretrained"

    def __post_init__(self) -> None:
        check(self, "origin", [(one_of(Init), "init"), (FROM_ZERO, "step")])


@dataclass(frozen=True)
class TranslationOptions:
    """What is learned, and from which texts.

    Attributes:
        directions: such as `en-de`, `pt_BR-en`, and of summaries `de-de`. One model learns all of them: a tag
            in front of each source says the language to write (Johnson et al. 2017).
        task: what a target is to its source: its translation, or its summary, which may be in the same
            language.
        max_tokens (tokens): longest source and longest target, without tag and end. Pairs with longer ones
            are not learned from, and longer texts are not translated; to be summarized, they are cut.
        max_target_tokens (tokens): longest target, where that is another number; none longer is written.
        batch_tokens (tokens per step): of sources and targets together, about.
        temperature (exponent): T; directions are drawn in proportion to (number of pairs)^(1/T) (Arivazhagan
            et al. 2019). 1: as many as there are; large: all alike.
        label_smoothing (share): share of each target that is spread evenly over the vocabulary (Szegedy et
            al. 2016).
        r_drop (factor): α; each pair is read twice with other dropout, and α times the divergence of the two
            answers from each other is added (Liang et al. 2021). A step then takes twice as long. 0: none.
        averaging (share per step): decay of the running mean of the weights, which is what translates
            (Polyak and Juditsky 1992); 0: the weights themselves.
        cross_attention: where the decoder begins from an encoder: `self`: cross-attention begins as the
            self-attention of the same block; `drawn`: with random weights.
        dev_pairs (pairs): held-out pairs of each direction that are translated at each evaluation.
    """

    directions: tuple[str, ...]
    task: Targets = "translation"
    max_tokens: int = 128
    max_target_tokens: int | None = None
    batch_tokens: int = 2_048
    temperature: float = 5.0
    label_smoothing: float = 0.1
    r_drop: float = 0.0
    averaging: float = 0.998
    cross_attention: CrossAttention = "self"
    dev_pairs: int = 300

    def __post_init__(self) -> None:
        rules = [
            (COUNT, "max_tokens batch_tokens dev_pairs"),
            (Rule(lambda x: 1 <= x < float("inf"), "a finite number from 1"), "temperature"),
            (BELOW_ONE, "label_smoothing averaging"),
            (NOT_NEGATIVE, "r_drop"),
            (one_of(CrossAttention), "cross_attention"),
            (one_of(Targets), "task"),
        ]
        if self.max_target_tokens is not None:
            rules.append((COUNT, "max_target_tokens"))
        check(self, "translation", rules)
        names = [str(direction_named(name, same=self.summarizes)) for name in self.directions]
        some = bool(names) and names == list(dict.fromkeys(self.directions))
        require(some, "translation.directions", self.directions, "different directions, such as en-de")

    @cached_property
    def pairs(self) -> tuple[Direction, ...]:
        """The directions."""
        return tuple(direction_named(name, same=True) for name in self.directions)

    @property
    def summarizes(self) -> bool:
        """Whether targets are summaries."""
        return self.task == "summarization"

    @property
    def longest_target(self) -> int:
        """Tokens of a target, at most, without its end."""
        return self.max_tokens if self.max_target_tokens is None else self.max_target_tokens

    def room(self, source: int) -> int:
        """Tokens that may be written of a source, the end among them.

        Args:
            source: tokens of the longest source.
        """
        usual = LENGTH_FACTOR * source + LENGTH_MORE
        return usual if self.max_target_tokens is None else min(usual, self.max_target_tokens + 1)

    @property
    def targets(self) -> tuple[str, ...]:
        """The languages that are written, sorted; each has a tag in this order."""
        return tuple(sorted({one.target for one in self.pairs}))

    @property
    def sources(self) -> tuple[str, ...]:
        """The languages that are read, sorted."""
        return tuple(sorted({one.source for one in self.pairs}))


@dataclass(frozen=True)
class TranslationOptimizer(AdamSettings):
    """AdamW.

    Attributes:
        lr (step size): learning rate of what begins with random weights.
        pretrained_lr (factor): of the learning rate of what begins with pretrained weights beside that.
        weight_decay (share of the step size): decoupled weight decay of the matrices of the blocks.
        beta1 (share per step): decay of the running mean of gradients.
        beta2 (share per step): decay of the running mean of squared gradients.
        max_grad_norm (gradient norm): largest gradient norm of each parameter group; 0 for no clipping.
        warmup (share of the run): share of the run in which the learning rate rises.
        decay (share of the run): share of the run, at its end, in which the learning rate falls.
        final_lr (share of the step size): learning rate at the end, as a share of the full rate.
    """

    lr: float = 3e-3
    pretrained_lr: float = 0.5
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.98
    max_grad_norm: float = 1.0
    warmup: float = 0.1
    decay: float = 0.9
    final_lr: float = 0.0

    def __post_init__(self) -> None:
        self.check_adam("lr")
        check(self, "optimizer", [(POSITIVE, "pretrained_lr")])


def small_marian(d_model: int = 128, n_layers: int = 4, **others: object) -> ModelConfig:
    """Half of a small translator in Marian's architecture, which other libraries can run.

    Args:
        d_model: width.
        n_layers: number of blocks.
        others: settings of `ModelConfig`.
    """
    sizes = {"d_model": d_model, "n_layers": n_layers, "n_heads": 4, "d_ff": 2 * d_model, "vocab_size": None}
    rates = {"dropout": 0.1, "scale_embeddings": True}
    return Seq2SeqConfig.marian(**sizes | rates | {"init_std": d_model**-0.5} | others).encoder


@dataclass(frozen=True)
class TranslationConfig:
    """All settings of a translation run: one TOML table for each field.

    Attributes:
        origin: what it begins from.
        encoder: architecture of the encoder; that of the pretrained run.
        decoder: architecture of the decoder; as the encoder's, but for its depth.
        translation: what is learned, and from which texts.
        tokenizer: how a vocabulary of its own is trained; unused with a pretrained run.
        optimizer: AdamW.
        training: how long to train, in what precision, and what is kept.
    """

    origin: OriginConfig
    encoder: ModelConfig
    decoder: ModelConfig
    translation: TranslationOptions
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    optimizer: TranslationOptimizer = field(default_factory=TranslationOptimizer)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        _ = self.seq2seq  # which checks that the halves fit
        whole = self.training.sharding == "none"
        require(
            whole, "training.sharding", self.training.sharding, "none: each evaluation needs the whole model"
        )
        # A tag in front, the end behind.
        longest = max(self.translation.max_tokens, self.translation.longest_target) + 2
        for name, half in (("encoder", self.encoder), ("decoder", self.decoder)):
            room = half.positions != "learned" or longest <= half.max_length
            expected = f"at most {half.max_length - 2}, since the {name} has {half.max_length} positions"
            require(room, "translation.max_tokens", self.translation.max_tokens, expected)

    @property
    def model(self) -> ModelConfig:
        """The encoder's architecture."""
        return self.encoder

    @property
    def seq2seq(self) -> Seq2SeqConfig:
        """The architecture of both halves: one embedding, and a start that is the zero vector."""
        return Seq2SeqConfig(self.encoder, self.decoder, share_embeddings=True, start="zero")
