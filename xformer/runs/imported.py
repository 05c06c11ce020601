"""The settings of a run that holds a model of another library: frozen, checked once, kept as TOML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from xformer.model.config import ModelConfig
from xformer.storage.rules import COUNT, Rule, check, one_of, require

ImportedPooling = Literal["mean", "first", "last", "max", "by_position", "root_length"]
DenseActivation = Literal["identity", "tanh", "relu", "gelu", "sigmoid"]
ImportedFamily = Literal["bert", "distilbert", "xlm-roberta", "modernbert"]
ImportedDtype = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class SourceConfig:
    """Where the model comes from.

    Attributes:
        name: folder or id that was imported.
        family: architecture of Hugging Face.
        dtype: of the weights there; here they are float32.
        sha256: of the files with the weights, one after the other.
        encoder: folder of the encoder inside, where sentence-transformers has one; empty for the folder
            itself.
        bare: whether the names of its weights are those of a model without a head.
        masked_lm: whether it has a masked-LM head.
    """

    name: str
    family: ImportedFamily
    dtype: ImportedDtype
    sha256: str
    encoder: str = ""
    bare: bool = False
    masked_lm: bool = False

    def __post_init__(self) -> None:
        check(self, "source", [(one_of(ImportedFamily), "family"), (one_of(ImportedDtype), "dtype")])


@dataclass(frozen=True)
class DenseConfig:
    """A layer behind the pooling.

    Attributes:
        width (coordinates): of what comes out.
        bias: whether it has one.
        activation: of what comes out.
    """

    width: int
    bias: bool = True
    activation: DenseActivation = "tanh"

    def __post_init__(self) -> None:
        check(self, "vectors.dense", [(COUNT, "width"), (one_of(DenseActivation), "activation")])


@dataclass(frozen=True)
class VectorsConfig:
    """How a text becomes a vector.

    Attributes:
        pooling: `mean` of all tokens; the `first` or the `last` one; `max`, the largest value of each
            coordinate; `by_position`, a mean with weights 1, 2, 3, …; `root_length`, the sum divided by the
            square root of the length.
        normalise: whether vectors have length 1.
        max_length (tokens): longest sequence, special tokens included; what comes after is left out.
        dense: layers behind the pooling.
        prompts: texts that may stand in front of a text, by name.
        default_prompt: the name of the one that stands there if none is asked for; none for no text.
    """

    pooling: ImportedPooling
    normalise: bool
    max_length: int
    dense: tuple[DenseConfig, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None

    def __post_init__(self) -> None:
        check(self, "vectors", [(one_of(ImportedPooling), "pooling"), (COUNT, "max_length")])
        known = self.default_prompt is None or self.default_prompt in self.prompts
        require(known, "vectors.default_prompt", self.default_prompt, "one of vectors.prompts, or none")


@dataclass(frozen=True)
class ImportedConfig:
    """All settings of an imported run: one TOML table for each field.

    Attributes:
        source: where the model comes from.
        model: its architecture.
        vectors: how a text becomes a vector.
    """

    source: SourceConfig
    model: ModelConfig
    vectors: VectorsConfig

    def __post_init__(self) -> None:
        longest, limit = self.vectors.max_length, self.model.max_length
        require(longest <= limit, "vectors.max_length", longest, f"at most model.max_length={limit}")
        rows = Rule(lambda x: x is not None, "the rows of the embedding")
        check(self.model, "model", [(rows, "vocab_size")])
