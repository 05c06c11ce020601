"""The settings of a fine-tuning run: frozen, checked once, kept as TOML (`xformer.storage.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self

from xformer.model.config import ModelConfig
from xformer.runs.config import AdamSettings, TrainingConfig
from xformer.runs.imported import ImportedFamily, SourceConfig
from xformer.storage.rules import (
    BELOW_ONE,
    COUNT,
    FROM_ZERO,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    SHARE,
    Rule,
    check,
    one_of,
    require,
)

BasePooling = Literal["mean", "weighted", "first", "last", "max", "by_position", "root_length"]
Init = Literal["pretrained", "random"]
ExampleKind = Literal["text", "pair", "words"]
Coordinates = Literal["shared", "all"]
ClassWeights = Literal["none", "balanced"]
HeadKind = Literal["own", "bert", "distilbert", "xlm-roberta", "modernbert", "modernbert-identity"]


@dataclass(frozen=True)
class BaseConfig:
    """The pretrained run that the encoder comes from.

    Attributes:
        run: path of its folder; read once, when the run begins.
        step (steps): of its checkpoint.
        init: `pretrained`: the encoder begins with the checkpoint's weights; `random`: with new ones, as a
            baseline that shows what pretraining is worth.
        pooling: how the tokens of a text become one vector, as the run was pretrained.
        max_length (tokens): longest sequence that it reads at once; a longer text is cut into several, or
            off, where the model wants special tokens around it.
        family: the architecture of transformers that it was imported as; `own` for a run of `xformer
            pretrain`.
    """

    run: str
    step: int
    init: Init = "pretrained"
    pooling: BasePooling = "mean"
    max_length: int = 128
    family: ImportedFamily | Literal["own"] = "own"

    def __post_init__(self) -> None:
        rules = [(FROM_ZERO, "step"), (one_of(Init), "init"), (one_of(BasePooling), "pooling")]
        check(self, "base", [*rules, (COUNT, "max_length")])


@dataclass(frozen=True)
class ClassifierConfig:
    """What is predicted, from which part of a text and by which part of the model.

    Attributes:
        labels: the classes.
        example: what an example is: `text`, with a label; `pair`: two texts, with a label; `words`, each with
            a label.
        multi_label: whether a text may have several of them, or none.
        head: `own`: of this project, over the direction of a vector; otherwise that which transformers has in
            models of this architecture (`xformer.finetuning.heads.library`). A run that begins from an
            imported model has its architecture's, so that `xformer export hf` can write it.
        layers (blocks): number of the encoder's blocks that are run; none for all.
        coordinates: `shared`: the head reads the coordinates that translations were made alike in
            (`model.pooled_dim_fraction`); `all`: all of them.
        hidden (coordinates): width of a hidden layer in the head; 0 for a linear head.
        dropout (probability): probability that a coordinate is dropped before the head.
        frozen: train the head alone, on vectors of the encoder as it is: a probe.
        class_weights: `balanced`: each class counts alike in the loss, however many texts it has.
        label_smoothing (share): share of the target's probability that is spread over all classes.
        max_tokens (tokens): of a text that are read; what comes after is left out. Of words none are left
            out: it is the longest sequence, and a longer sentence is several.
        batch_texts (texts): texts of a step, or pairs, or sentences of words.
    """

    labels: tuple[str, ...]
    example: ExampleKind = "text"
    multi_label: bool = False
    head: HeadKind = "own"
    layers: int | None = None
    coordinates: Coordinates = "shared"
    hidden: int = 0
    dropout: float = 0.1
    frozen: bool = False
    class_weights: ClassWeights = "none"
    label_smoothing: float = 0.0
    max_tokens: int = 256
    batch_texts: int = 32

    def __post_init__(self) -> None:
        rules = [
            (Rule(lambda x: x is None or x >= 0, "a whole number from 0, or none"), "layers"),
            (one_of(ExampleKind), "example"),
            (one_of(HeadKind), "head"),
            (one_of(Coordinates), "coordinates"),
            (FROM_ZERO, "hidden"),
            (PROBABILITY, "dropout"),
            (one_of(ClassWeights), "class_weights"),
            (BELOW_ONE, "label_smoothing"),
            (COUNT, "max_tokens batch_texts"),
        ]
        check(self, "classifier", rules)
        some = len(set(self.labels)) == len(self.labels) >= 2
        require(some, "classifier.labels", self.labels, "at least two different labels")
        only_texts = self.example == "text" or not self.multi_label
        require(only_texts, "classifier.multi_label", self.multi_label, "false unless examples are texts")
        own = self.head == "own"
        require(own or self.example != "pair", "classifier.head", self.head, "own where examples are pairs")
        require(own or not self.hidden, "classifier.hidden", self.hidden, "0 unless classifier.head is own")
        whole = own or self.coordinates == "all"
        require(whole, "classifier.coordinates", self.coordinates, "all unless classifier.head is own")
        apart = not (self.multi_label and self.label_smoothing)
        require(apart, "classifier.label_smoothing", self.label_smoothing, "0 with classifier.multi_label")


@dataclass(frozen=True)
class FinetuningOptimizer(AdamSettings):
    """AdamW; deeper blocks learn faster than the first ones.

    Attributes:
        lr (step size): learning rate of the last block.
        layer_decay (factor): of the learning rate from each block to the one below it, and from the first
            block to the embedding.
        embedding_lr (factor): of the embedding's learning rate beside that; 0 to leave the embedding as it
            is. A row learns only in the few steps that use it, and so needs a larger rate.
        head_lr (step size): learning rate of the head.
        weight_decay (share of the step size): decoupled weight decay of the matrices of the blocks.
        head_weight_decay (share of the step size): decoupled weight decay of the head's matrices. Large
            weights fit what is peculiar to the source languages (docs/log/classification.md).
        beta1 (share per step): decay of the running mean of gradients.
        beta2 (share per step): decay of the running mean of squared gradients.
        max_grad_norm (gradient norm): largest gradient norm of each parameter group; 0 for no clipping.
        warmup (share of the run): share of the run in which the learning rate rises.
        decay (share of the run): share of the run, at its end, in which the learning rate falls.
        final_lr (share of the step size): learning rate at the end, as a share of the full rate.
    """

    lr: float = 1e-3
    layer_decay: float = 0.8
    embedding_lr: float = 50.0
    head_lr: float = 2e-3
    weight_decay: float = 0.01
    head_weight_decay: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.99
    max_grad_norm: float = 1.0
    warmup: float = 0.06
    decay: float = 0.94
    final_lr: float = 0.0

    @classmethod
    def of_imported(cls) -> Self:
        """For a model of another library: small steps, and all parts of the encoder alike.

        Long pretrained, it is to change little (Devlin et al. 2019, appendix A.3).
        """
        return cls(lr=1e-4, layer_decay=1.0, embedding_lr=1.0, head_lr=1e-3, head_weight_decay=0.01)

    def __post_init__(self) -> None:
        self.check_adam("lr head_lr layer_decay", not_negative="embedding_lr head_weight_decay")
        check(self, "optimizer", [(SHARE, "layer_decay")])


@dataclass(frozen=True)
class ConsistencyConfig:
    """Learning to answer the same for a text and its translations, which need no labels.

    The answer for the text in a source language teaches that for the translation (consistency, Zheng et al.
    2021). So what the source languages teach reaches rows of the embedding that their texts never use.

    Attributes:
        corpus: folder of a corpus that `xformer data import` made; None for none.
        weight (factor): of this loss beside that of the labels.
        batch_pairs (pairs): pairs of a step.
        pairs (pairs): most pairs that are drawn from the corpus; each is read again when all have been.
        alpha (exponent): languages are drawn in proportion to (number of translations)^alpha.
        max_tokens (tokens): of each text that are read.
    """

    corpus: str | None = None
    weight: float = 1.0
    batch_pairs: int = 32
    pairs: int = 200_000
    alpha: float = 0.5
    max_tokens: int = 64

    def __post_init__(self) -> None:
        rules = [(POSITIVE, "weight"), (COUNT, "batch_pairs pairs max_tokens"), (NOT_NEGATIVE, "alpha")]
        check(self, "consistency", rules)


@dataclass(frozen=True)
class FinetuningConfig:
    """All settings of a fine-tuning run: one TOML table for each field.

    Attributes:
        base: the pretrained run.
        model: the encoder's architecture, that of the pretrained run.
        classifier: what is predicted, and how.
        optimizer: AdamW, with learning rates by depth.
        consistency: translations without labels, to learn from beside the labelled texts.
        training: how long to train, in what precision, and what is kept.
        source: where a classifier that was imported comes from; none for one that was trained here.
    """

    base: BaseConfig
    model: ModelConfig
    classifier: ClassifierConfig
    optimizer: FinetuningOptimizer = field(default_factory=FinetuningOptimizer)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    source: SourceConfig | None = None

    def __post_init__(self) -> None:
        layers, deepest = self.classifier.layers, self.model.n_layers
        within = layers is None or layers <= deepest
        require(within, "classifier.layers", layers, f"at most model.n_layers={deepest}")
        corpus, texts = self.consistency.corpus, self.classifier.example == "text"
        require(corpus is None or texts, "consistency.corpus", corpus, "none unless examples are texts")

    @property
    def layers(self) -> int:
        """Number of blocks that are run."""
        return self.model.n_layers if self.classifier.layers is None else self.classifier.layers
