"""Every knob of a pretraining run, with its unit. Frozen, checked once, read and written by `toml_config`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from xformer.model.config import ModelConfig, require
from xformer.tokenizer import TokenizerOptions

Masking = Literal["token", "word", "span"]
Replacement = Literal["80-10-10", "mask"]
Pooling = Literal["mean", "weighted"]
Precision = Literal["auto", "fp32", "bf16"]
NonFinite = Literal["stop", "skip"]
Sharding = Literal["none", "full"]
TrackerName = Literal["tensorboard", "trackio"]
Together = Literal["one", "mixed"]


def _require_choice(field: str, value: object, choices: object) -> None:
    """Raise a ValueError unless `value` is one of the options of a Literal."""
    options = get_args(choices)
    require(value in options, field, value, f"one of {', '.join(options)}")


@dataclass(frozen=True)
class DataConfig:
    """What the model reads.

    Attributes:
        corpus: a folder made by `xformer data import`, or `gettext`: the embedded default corpus.
        tokenizer: a SentencePiece model made by `xformer tokenizer train`, to use as it is; None to train one
            with the settings of `tokenizer`.
        shards: a folder whose `train`, and `dev` and `test` if they are there, were made by `xformer data
            shard` from this corpus with this tokenizer, and are linked into the run; None to encode the texts
            here.
        pivot: the language that the others are compared with in evaluation.
        dev_groups: held-out messages for choices made while training (only when the corpus is made here).
        test_groups: held-out messages that are only ever evaluated on (likewise).
        held_out_languages: a held-out message is one that exists in at least so many languages (likewise).
        held_out_chars: and has at least so many characters: "OK" tests nothing (likewise).
        min_language_texts: languages with fewer texts are left out (likewise).
        alpha: languages are sampled in proportion to (number of texts)^alpha.
        pivot_share: chance that a text's translation partner, for the objectives over pairs, is in the pivot
            language where there is one; otherwise it is any translation, each as likely.
        max_repeats: no text is read more than so many times as often as it would be at alpha = 1; what this
            takes from small languages goes to the others.
        max_length: longest sequence in tokens; longer texts are cut into pieces.
    """

    corpus: str = "gettext"
    tokenizer: str | None = None
    shards: str | None = None
    pivot: str = "en"
    dev_groups: int = 200
    test_groups: int = 500
    held_out_languages: int = 20
    held_out_chars: int = 8
    min_language_texts: int = 1_000
    alpha: float = 0.5
    pivot_share: float = 0.95
    max_repeats: float = 8.0
    max_length: int = 128

    def __post_init__(self) -> None:
        given = self.shards is None or self.tokenizer is not None
        expected = f"the model that data.shards={self.shards!r} were made with"
        require(given, "data.tokenizer", self.tokenizer, expected)
        for name in ("dev_groups", "test_groups"):
            require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "a whole number from 1")
        require(
            self.held_out_languages >= 2, "data.held_out_languages", self.held_out_languages, "at least 2"
        )
        for name in ("held_out_chars", "min_language_texts"):
            require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "a whole number from 1")
        require(0 <= self.alpha <= 1, "data.alpha", self.alpha, "a number in [0, 1]")
        require(0 <= self.pivot_share <= 1, "data.pivot_share", self.pivot_share, "a share in [0, 1]")
        require(self.max_repeats >= 1, "data.max_repeats", self.max_repeats, "a number from 1")
        require(self.max_length >= 2, "data.max_length", self.max_length, "at least 2 tokens")


@dataclass(frozen=True)
class MaskingConfig:
    """Which tokens are hidden, and behind what.

    Attributes:
        rate: share of tokens to predict: of each text so many of its units, rounded up or down by chance.
        unit: hide single tokens, whole words, or spans of geometric length (SpanBERT, Joshi et al. 2020).
        span_mean: mean span, in tokens.
        span_max: longest span, in tokens.
        replacement: `80-10-10` shows the mask, a random token, or the token itself (BERT); `mask` always the
            mask.
    """

    rate: float = 0.3
    unit: Masking = "token"
    span_mean: float = 3.0
    span_max: int = 10
    replacement: Replacement = "mask"

    def __post_init__(self) -> None:
        table = "objectives.masking"
        require(0 < self.rate < 1, f"{table}.rate", self.rate, "a share between 0 and 1")
        _require_choice(f"{table}.unit", self.unit, Masking)
        mean = 1 <= self.span_mean < math.inf
        require(mean, f"{table}.span_mean", self.span_mean, "a finite number of tokens from 1")
        require(self.span_max >= 1, f"{table}.span_max", self.span_max, "at least 1 token")
        _require_choice(f"{table}.replacement", self.replacement, Replacement)


@dataclass(frozen=True)
class ObjectivesConfig:
    """What is learned, and how much of each step it takes.

    An objective whose `…_tokens` is 0 is left out.

    Attributes:
        masking: of the masked and the translation LM.
        masked_lm_tokens: tokens of single texts in a step, about.
        masked_lm_candidates: pieces that are drawn, beside a step's own targets, for hidden tokens to be told
            from, here and in the translation LM (`xformer.objectives.sampled_softmax`); 0 for the whole
            vocabulary.
        masked_lm_weight: factor of that loss (nats per predicted token).
        translation_lm_tokens: tokens of concatenated translation pairs in a step, about (Lample and Conneau
            2019).
        translation_lm_weight: factor of that loss.
        alignment_tokens: tokens of translation pairs, encoded apart, in a step, about.
        bag_tokens: the same in the bag stage, which runs no blocks. That is so cheap that it can afford more
            wrong answers to tell each right one from. Once the blocks have joined, the pairs of
            `alignment_tokens` are aligned before the blocks as well as after them.
        alignment_languages: `one`: the pairs of a step have one language on one side, so that wrong answers
            are in the language of the right one, as in retrieval; `mixed`: they have all, by their shares.
        alignment_weight: factor of that loss (nats per sequence).
        distillation_weight: factor of 1 - cosine between a text's vector after the blocks and the one before
            them, which learns nothing from it: blocks see fewer pairs than the bag before them has seen, and
            shall not forget what it knows.
        scale: inverse temperature of the alignment's cosines.
        margin: taken off the true pair's cosine before the softmax (Yang et al. 2019, LaBSE).
        pooling: how a sequence becomes one vector.
    """

    masking: MaskingConfig = field(default_factory=MaskingConfig)
    masked_lm_tokens: int = 1_536
    masked_lm_candidates: int = 4_096
    masked_lm_weight: float = 3.0
    translation_lm_tokens: int = 0
    translation_lm_weight: float = 3.0
    alignment_tokens: int = 1_024
    bag_tokens: int = 12_288
    alignment_languages: Together = "one"
    alignment_weight: float = 1.0
    distillation_weight: float = 20.0
    scale: float = 20.0
    margin: float = 0.3
    pooling: Pooling = "mean"

    def __post_init__(self) -> None:
        tokens = ("masked_lm_tokens", "translation_lm_tokens", "alignment_tokens")
        for name in tokens:
            require(
                getattr(self, name) >= 0, f"objectives.{name}", getattr(self, name), "a whole number from 0"
            )
        require(
            self.masked_lm_candidates >= 0,
            "objectives.masked_lm_candidates",
            self.masked_lm_candidates,
            "a whole number from 0",
        )
        require(self.bag_tokens >= 1, "objectives.bag_tokens", self.bag_tokens, "a whole number from 1")
        sizes = tuple(getattr(self, name) for name in tokens)
        fields = ", ".join(f"objectives.{name}" for name in tokens)
        require(any(sizes), fields, sizes, "at least one objective with tokens")
        factors = ("masked_lm_weight", "translation_lm_weight", "alignment_weight", "distillation_weight")
        for name in factors:
            value = getattr(self, name)
            require(0 <= value < math.inf, f"objectives.{name}", value, "a finite number from 0")
        require(0 < self.scale < math.inf, "objectives.scale", self.scale, "a finite positive number")
        require(0 <= self.margin < 1, "objectives.margin", self.margin, "a cosine in [0, 1)")
        _require_choice("objectives.pooling", self.pooling, Pooling)
        _require_choice("objectives.alignment_languages", self.alignment_languages, Together)


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, in groups.

    Attributes:
        lr: learning rate of the blocks' matrices.
        embedding_lr: learning rate of the embedding matrix. Its rows see few gradients, so it wants a larger
            one.
        joined_embedding_lr: the same once the blocks have joined.
        bigram_lr: learning rate of the table of bigrams, which AdaGrad divides by the root of the sum of all
            squared gradients of a row.
        joined_bigram_lr: the same once the blocks have joined.
        vector_lr: learning rate of norms, biases and pooling.
        weight_decay: decoupled decay of the blocks' matrices; embeddings, norms and biases have none.
        beta1: decay of the gradient's running mean.
        beta2: decay of its square's running mean.
        clip: largest norm of each group's gradient; 0 for no clipping.
        warmup: share of the blocks' time (all of the run after the bag stage) over which their rate rises.
        decay: share of it, at its end, over which that falls.
        final_lr: where it falls to, as a share of `lr`.
    """

    lr: float = 1.5e-3
    embedding_lr: float = 1e-2
    joined_embedding_lr: float = 1e-3
    bigram_lr: float = 0.03
    joined_bigram_lr: float = 0.1
    vector_lr: float = 5e-3
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    warmup: float = 0.05
    decay: float = 0.5
    final_lr: float = 0.02

    def __post_init__(self) -> None:
        rates = ("lr", "embedding_lr", "joined_embedding_lr", "bigram_lr", "joined_bigram_lr", "vector_lr")
        for name in rates:
            value = getattr(self, name)
            require(0 < value < math.inf, f"optimizer.{name}", value, "a finite positive number")
        for name in ("weight_decay", "warmup", "decay", "final_lr"):
            value = getattr(self, name)
            require(0 <= value < math.inf, f"optimizer.{name}", value, "a finite number from 0")
        require(self.clip >= 0, "optimizer.clip", self.clip, "a number from 0")
        for name in ("beta1", "beta2"):
            require(
                0 <= getattr(self, name) < 1, f"optimizer.{name}", getattr(self, name), "a number in [0, 1)"
            )
        require(self.warmup + self.decay <= 1, "optimizer.decay", self.decay, "warmup + decay of at most 1")

    @property
    def rates(self) -> dict[str, float]:
        """The full learning rate of each group of parameters, by the group's name."""
        return {
            "matrices": self.lr,
            "embedding": self.embedding_lr,
            "vectors": self.vector_lr,
            "bigrams": self.bigram_lr,
        }


@dataclass(frozen=True)
class TrainingConfig:
    """How long, in what precision, and what is kept.

    Attributes:
        budget: wall-clock time to train for, as `90s`, `10m`, `1.5h`; not counted: preparing data,
            evaluating.
        steps: number of optimizer steps instead; exactly one of the two is set.
        bag_share: share of the run, at its start, in which only the alignment is trained and no block is run:
            the model is a bag of subwords. With `model.zero_init_residual` the blocks begin such that no
            sentence's vector moves when they join (`xformer.pretraining.init_from_counts`).
        precision: `fp32`, `bf16` (autocast), or `auto`: whichever multiplies matrices faster on this device.
        sharding: what each of many processes holds, under `torchrun`: `none`, all of the model (DDP); `full`,
            a part of each matrix, of its gradient and of what the optimizer remembers of it (FSDP2). Alone, a
            process holds everything.
        checkpoint_every: seconds between checkpoints.
        keep: newest checkpoints to keep; the one with the lowest loss on held-out texts is kept beside them.
        log_every: seconds between lines of metrics.jsonl, in a run that is measured in seconds.
        log_steps: steps between them, in a run that is measured in steps: so its log, too, is the same
            however often it was stopped.
        spike_factor: a step is left out, and said to be, when its loss or gradient norm is more than so many
            times the median of the last 64 steps; None to take every step that is finite.
        non_finite: a loss or gradient that is not finite stops the run, or the step is skipped and named;
            50 in a row stop the run all the same. The batch is saved.
        panel_every: seconds between looks at a small sample of the dev split: retrieval and bits per byte by
            language; 0 for none. What they take is not training time.
        trackers: where the numbers of metrics.jsonl go besides: `tensorboard`, `trackio`. One that is not
            installed, or fails, is said once, and training goes on without it.
        seed: of everything random.
    """

    budget: str | None = "10m"
    steps: int | None = None
    bag_share: float = 0.3
    precision: Precision = "auto"
    sharding: Sharding = "none"
    checkpoint_every: float = 120.0
    keep: int = 2
    log_every: float = 5.0
    log_steps: int = 10
    spike_factor: float | None = None
    non_finite: NonFinite = "stop"
    panel_every: float = 60.0
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    seed: int = 0

    def __post_init__(self) -> None:
        one = (self.budget is None) != (self.steps is None)
        require(one, "training.budget, training.steps", (self.budget, self.steps), "exactly one of the two")
        if self.budget is not None:
            seconds(self.budget, "training.budget")
        require(self.steps is None or self.steps >= 1, "training.steps", self.steps, "a whole number from 1")
        require(0 <= self.bag_share <= 1, "training.bag_share", self.bag_share, "a share in [0, 1]")
        require(
            self.checkpoint_every > 0, "training.checkpoint_every", self.checkpoint_every, "positive seconds"
        )
        require(self.keep >= 1, "training.keep", self.keep, "a whole number from 1")
        require(self.log_every >= 0, "training.log_every", self.log_every, "seconds from 0")
        require(self.log_steps >= 1, "training.log_steps", self.log_steps, "a whole number from 1")
        spike = self.spike_factor
        require(spike is None or spike > 1, "training.spike_factor", spike, "none, or a number above 1")
        _require_choice("training.precision", self.precision, Precision)
        _require_choice("training.sharding", self.sharding, Sharding)
        require(self.panel_every >= 0, "training.panel_every", self.panel_every, "seconds from 0")
        _require_choice("training.non_finite", self.non_finite, NonFinite)
        for name in self.trackers:
            _require_choice("training.trackers", name, TrackerName)
        once = len(set(self.trackers)) == len(self.trackers)
        require(once, "training.trackers", self.trackers, "each name once")
        require(self.seed >= 0, "training.seed", self.seed, "a whole number from 0")


MAY_CHANGE = (
    "budget",
    "steps",
    "sharding",
    "checkpoint_every",
    "keep",
    "log_every",
    "log_steps",
    "spike_factor",
    "non_finite",
    "panel_every",
    "trackers",
)
"""Fields of `TrainingConfig` that may differ when a run goes on: they change nothing that was done."""


@dataclass(frozen=True)
class RunConfig:
    """All settings of `xformer pretrain`: one TOML table for each field."""

    model: ModelConfig = field(default_factory=ModelConfig)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)
    data: DataConfig = field(default_factory=DataConfig)
    objectives: ObjectivesConfig = field(default_factory=ObjectivesConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        longest, limit = self.data.max_length, self.model.max_length
        require(longest <= limit, "data.max_length", longest, f"at most model.max_length={limit}")
        if self.model.positions == "learned" and self.objectives.translation_lm_tokens:
            why = f"model.max_length={limit} for two texts and a </s> between them"
            expected = (
                f"at most {(limit - 1) // 2} with learned positions, since the translation LM needs {why}"
            )
            require(2 * longest + 1 <= limit, "data.max_length", longest, expected)
        pieces, rows = self.tokenizer.vocabulary_size, self.model.vocab_size
        fits = pieces <= rows or self.data.tokenizer is not None
        require(fits, "tokenizer.vocabulary_size", pieces, f"at most model.vocab_size={rows}")


def seconds(duration: str, field: str = "duration") -> float:
    """Read `90s`, `10m`, `1.5h`, `2d` or plain seconds.

    Args:
        duration: the text.
        field: what errors call it.

    Raises:
        ValueError: when `duration` is none of these, or not positive.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = (duration[:-1], duration[-1]) if duration[-1:] in units else (duration, "s")
    try:
        value = float(number) * units[unit]
    except ValueError:
        value = 0.0
    require(0 < value < float("inf"), field, duration, "something like 90s, 10m or 1.5h")
    return value
