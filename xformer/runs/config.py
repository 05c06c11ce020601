"""The settings of a pretraining run: frozen, checked once, kept as TOML (`xformer.storage.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from xformer.model.config import ModelConfig
from xformer.runs.data_config import DataConfig as DataConfig
from xformer.runs.duration import DURATION_OR_NONE
from xformer.storage.rules import (
    BELOW_ONE,
    COUNT,
    COUNT_OR_NONE,
    FROM_ZERO,
    LARGEST,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Rule,
    Rules,
    bounds,
    check,
    one_of,
    require,
)
from xformer.tokenizer import TokenizerOptions

Masking = Literal["token", "word", "span"]
Replacement = Literal["80-10-10", "mask"]
Pooling = Literal["mean", "weighted"]
Precision = Literal["auto", "fp32", "bf16"]
NonFinite = Literal["stop", "skip"]
Sharding = Literal["none", "full"]
TrackerName = Literal["tensorboard", "trackio"]
AlignmentLanguages = Literal["one", "mixed"]


_TOKENS = "masked_lm_tokens translation_lm_tokens alignment_tokens"
_RATES = "lr embedding_lr full_embedding_lr bigram_lr full_bigram_lr vector_lr"


@dataclass(frozen=True)
class MaskingConfig:
    """Which tokens are hidden, and what is shown in their place.

    Attributes:
        rate (share): share of the tokens of each text to hide, rounded up or down at random.
        unit: hide single tokens (`token`), whole words (`word`), or spans of geometric length (`span`;
            SpanBERT, Joshi et al. 2020).
        span_mean (tokens): mean length of a span.
        span_max (tokens): longest span.
        replacement: `80-10-10` shows the mask, a random token or the token itself with these percentages
            (BERT); `mask` always shows the mask.
    """

    rate: float = 0.3
    unit: Masking = "token"
    span_mean: float = 3.0
    span_max: int = 10
    replacement: Replacement = "mask"

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        return [
            (bounds("a share between 0 and 1", above=0, below=1), "rate"),
            (one_of(Masking), "unit"),
            (bounds("a finite number of tokens from 1", least=1, most=LARGEST), "span_mean"),
            (bounds("at least 1 token", least=1), "span_max"),
            (one_of(Replacement), "replacement"),
        ]

    def __post_init__(self) -> None:
        check(self, "objectives.masking", self.rules())


@dataclass(frozen=True)
class ObjectivesConfig:
    """What is learned, and how many tokens of each step it takes.

    An objective whose `…_tokens` is 0 is left out.

    Attributes:
        masking: which tokens the masked LM and the translation LM hide.
        masked_lm_tokens (tokens per step): batch size of the masked LM: tokens of single texts in a step,
            about.
        sampled_softmax_size (vocabulary entries): number of vocabulary entries drawn in each step, beside its
            own targets, over which the softmax of both masked objectives runs
            (`xformer.objectives.sampled_softmax`); 0 for the whole vocabulary.
        masked_lm_weight (factor): weight of the masked-LM loss (nats per predicted token).
        translation_lm_tokens (tokens per step): batch size of the translation LM: tokens of concatenated
            translation pairs in a step, about (Lample and Conneau 2019).
        translation_lm_weight (factor): weight of the translation-LM loss.
        alignment_tokens (tokens per step): batch size of the alignment: tokens of translation pairs in a
            step, about. The two texts of a pair are encoded apart.
        embedding_warmup_tokens (tokens per step): tokens of translation pairs in a step of the embedding
            warm-up, about. That stage runs no blocks, so a step can afford more wrong answers for each right
            one. In the full stage the pairs of `alignment_tokens` are aligned both before and after the
            blocks.
        embedding_warmup_share (share of the run): share of the run, at its start, that is the embedding
            warm-up: only the alignment is trained and no block is run, so the model is a bag of subwords.
            With `model.zero_init_residual` no sentence vector moves when the blocks begin
            (`xformer.pretraining.init_from_counts`).
        alignment_languages: `one`: all pairs of a step have the same language on one side, so that wrong
            answers are in the language of the right one, as in retrieval; `mixed`: any languages, by their
            shares.
        alignment_weight (factor): weight of the alignment loss (nats per sequence).
        distillation_weight (factor): weight of 1 - cosine between a text's vector after the blocks and its
            vector before them, which gets no gradient from it. It keeps what the warm-up has learned from
            many more pairs than the blocks see.
        logit_scale (factor): inverse temperature of the cosines in the alignment loss.
        margin (cosine): subtracted from the cosine of the true pair before the softmax (Yang et al. 2019,
            LaBSE).
        pooling: how the tokens of a sequence become one vector.
    """

    masking: MaskingConfig = field(default_factory=MaskingConfig)
    masked_lm_tokens: int = 1_536
    sampled_softmax_size: int = 4_096
    masked_lm_weight: float = 3.0
    translation_lm_tokens: int = 0
    translation_lm_weight: float = 3.0
    alignment_tokens: int = 1_024
    embedding_warmup_tokens: int = 12_288
    embedding_warmup_share: float = 0.3
    alignment_languages: AlignmentLanguages = "one"
    alignment_weight: float = 1.0
    distillation_weight: float = 100.0
    logit_scale: float = 20.0
    margin: float = 0.3
    pooling: Pooling = "mean"

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        factors = "masked_lm_weight translation_lm_weight alignment_weight distillation_weight"
        return [
            (FROM_ZERO, f"{_TOKENS} sampled_softmax_size"),
            (COUNT, "embedding_warmup_tokens"),
            (SHARE, "embedding_warmup_share"),
            (NOT_NEGATIVE, factors),
            (POSITIVE, "logit_scale"),
            (bounds("a cosine in [0, 1)", least=0, below=1), "margin"),
            (one_of(Pooling), "pooling"),
            (one_of(AlignmentLanguages), "alignment_languages"),
        ]

    def __post_init__(self) -> None:
        check(self, "objectives", self.rules())
        sizes = tuple(getattr(self, name) for name in _TOKENS.split())
        fields = ", ".join(f"objectives.{name}" for name in _TOKENS.split())
        require(any(sizes), fields, sizes, "at least one objective with tokens")


class AdamSettings:
    """What the settings of AdamW have in common, whatever is trained."""

    weight_decay: float
    beta1: float
    beta2: float
    max_grad_norm: float
    warmup: float
    decay: float
    final_lr: float

    def check_adam(self, rates: str, not_negative: str = "") -> None:
        """Check the settings.

        Args:
            rates: names of those that are positive, the learning rates, divided by spaces.
            not_negative: names of others that are at least 0.

        Raises:
            ValueError: a setting has a value that it cannot have.
        """
        check(self, "optimizer", adam_rules(rates, not_negative))
        require(self.warmup + self.decay <= 1, "optimizer.decay", self.decay, "warmup + decay of at most 1")

    @property
    def schedule(self) -> tuple[float, float, float]:
        """Warm-up, decay and final rate, as `xformer.training.schedule.learning_rate_factor` takes them."""
        return self.warmup, self.decay, self.final_lr


def adam_rules(rates: str, not_negative: str = "") -> Rules:
    """What each setting of AdamW must be; the arguments are those of `AdamSettings.check_adam`."""
    return [
        (POSITIVE, rates),
        (NOT_NEGATIVE, f"weight_decay warmup decay final_lr {not_negative}"),
        (bounds("a number from 0", least=0), "max_grad_norm"),
        (BELOW_ONE, "beta1 beta2"),
    ]


@dataclass(frozen=True)
class OptimizerConfig(AdamSettings):
    """AdamW, with parameters in groups.

    Attributes:
        lr (step size): learning rate of the matrices of the blocks.
        embedding_lr (step size): learning rate of the embedding matrix in the warm-up. Each of its rows gets
            few gradients, so the rate is larger.
        full_embedding_lr (step size): learning rate of the embedding matrix in the full stage.
        bigram_lr (step size): learning rate of the bigram table in the warm-up. AdaGrad divides it by the
            root of the sum of a row's squared gradients.
        full_bigram_lr (step size): learning rate of the bigram table in the full stage.
        vector_lr (step size): learning rate of norms, biases and pooling weights.
        weight_decay (share of the step size): decoupled weight decay of the matrices of the blocks; other
            parameters have none.
        beta1 (share per step): decay of the running mean of gradients.
        beta2 (share per step): decay of the running mean of squared gradients.
        max_grad_norm (gradient norm): gradient clipping: largest gradient norm of each parameter group; 0 for
            no clipping.
        warmup (share of the full stage): share of the full stage in which the learning rate rises.
        decay (share of the full stage): share of the full stage, at its end, in which the learning rate
            falls.
        final_lr (share of the step size): learning rate at the end, as a share of the full rate.
    """

    lr: float = 1.5e-3
    embedding_lr: float = 1e-2
    full_embedding_lr: float = 1e-3
    bigram_lr: float = 0.03
    full_bigram_lr: float = 0.1
    vector_lr: float = 5e-3
    weight_decay: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    max_grad_norm: float = 1.0
    warmup: float = 0.05
    decay: float = 0.5
    final_lr: float = 0.02

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        return adam_rules(_RATES)

    def __post_init__(self) -> None:
        self.check_adam(_RATES)

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
    """How long to train, in what precision, and what is kept. These settings hold for any task.

    Attributes:
        budget (duration): time to train in all, as `90s`, `10m`, `1.5h`, `2d`. What was trained before a
            resume counts; preparing data and evaluating do not. None where `steps` is set.
        steps (steps): number of optimizer steps in all, those before a resume among them. None where `budget`
            is set; exactly one of the two is.
        precision: of matrix products: `fp32`, `bf16` (autocast), or `auto`: the one in which a step of the
            run is faster. A few steps are tried in both before the first, and change nothing. A run keeps
            what it began with.
        threads (threads): number of CPU threads that a step runs on, or `auto`: the fastest, measured again
            and again while the run trains. `auto` is PyTorch's own number where `OMP_NUM_THREADS` is set, in
            each of many processes, and in a run that is measured in steps, which keeps the number that it
            began with, because another may change bits.
        sharding: what each process holds under `torchrun`: `none`: the whole model (DDP); `full`: a part of
            each matrix, of its gradient and of its optimizer state (FSDP2). A process alone holds everything.
        checkpoint_every (seconds): time between checkpoints.
        keep_checkpoints (checkpoints): how many of the newest checkpoints to keep. The one with the lowest
            loss on held-out texts is kept beside them.
        evaluate_steps (steps): steps between evaluations on held-out data, each of which is saved as a
            checkpoint. The best checkpoint is then one of these, however often the run was stopped between
            them. None: each checkpoint is evaluated when it is written.
        patience (checkpoints): early stopping: training ends after so many evaluations in a row without a
            better one; None for no early stopping. Needs `evaluate_steps`.
        log_every (seconds): time between lines of metrics.jsonl, in a run that is measured in time.
        log_steps (steps): steps between lines of metrics.jsonl, in a run that is measured in steps. Such a
            log is the same however often the run was stopped.
        spike_factor (factor): a step is left out, and reported, when its loss or gradient norm is more than
            this many times the median of the last 64 steps; None to take every step that is finite.
        non_finite: what happens when a loss or gradient is not finite: `stop` the run, or `skip` the step and
            report it. After 50 such steps in a row the run stops in any case. The batch is saved.
        panel_every (seconds): time between evaluations of a small sample of the dev split, which the panel
            shows: retrieval and bits per byte by language; 0 for none. They do not count as training time.
        trackers: where the numbers of metrics.jsonl also go: `tensorboard`, `trackio`. A tracker that is not
            installed, or fails, is reported once, and training goes on without it.
        seed: start of all random numbers but those of the tokenizer.
    """

    budget: str | None = "10m"
    steps: int | None = None
    precision: Precision = "auto"
    threads: Literal["auto"] | int = "auto"
    sharding: Sharding = "none"
    checkpoint_every: float = 120.0
    keep_checkpoints: int = 2
    evaluate_steps: int | None = None
    patience: int | None = None
    log_every: float = 5.0
    log_steps: int = 10
    spike_factor: float | None = None
    non_finite: NonFinite = "stop"
    panel_every: float = 60.0
    trackers: tuple[TrackerName, ...] = ("tensorboard",)
    seed: int = 0

    @staticmethod
    def rules() -> Rules:
        """What each setting must be."""
        return [
            (DURATION_OR_NONE, "budget"),
            (COUNT_OR_NONE, "steps evaluate_steps patience"),
            (bounds("positive seconds", above=0), "checkpoint_every"),
            (bounds("seconds from 0", least=0), "log_every panel_every"),
            (COUNT, "keep_checkpoints log_steps"),
            (bounds("none, or a number above 1", above=1, also=[None]), "spike_factor"),
            (one_of(Precision), "precision"),
            (bounds("auto, or a whole number from 1", least=1, also=["auto"]), "threads"),
            (one_of(Sharding), "sharding"),
            (one_of(NonFinite), "non_finite"),
            (FROM_ZERO, "seed"),
            (Rule(lambda x: len(set(x)) == len(x), "each name once", {"uniqueItems": True}), "trackers"),
        ]

    def __post_init__(self) -> None:
        one = (self.budget is None) != (self.steps is None)
        require(
            one,
            "training.budget, training.steps",
            (self.budget, self.steps),
            "one of them, and none for the other, as --budget and --steps give them",
        )
        check(self, "training", self.rules())
        stops = self.patience is None or self.evaluate_steps is not None
        require(stops, "training.patience", self.patience, "none, or also training.evaluate_steps")
        for name in self.trackers:
            known = one_of(TrackerName)
            require(known.holds(name), "training.trackers", name, known.expected)

    def is_evaluated(self, step: int, progress: float) -> bool:
        """Whether the run is evaluated after `step` steps, when a share `progress` of it is done."""
        return self.evaluate_steps is not None and (step % self.evaluate_steps == 0 or progress >= 1.0)


@dataclass(frozen=True)
class RunConfig:
    """All settings of `xformer pretrain`: one TOML table for each field.

    Attributes:
        model: the encoder. Its default is ModernBERT's architecture at a small size.
        tokenizer: the vocabulary that the run trains.
        data: what the model reads.
        objectives: what is learned, and how many tokens of each step it takes.
        optimizer: AdamW, with parameters in groups.
        training: how long to train, in what precision, and what is kept.
    """

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
