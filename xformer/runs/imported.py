"""The settings of a run that holds a model of another library: frozen, checked once, kept as TOML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xformer.model.config import ModelConfig
from xformer.storage.rules import COUNT, Rule, check, one_of, require

ImportedPooling = Literal["mean", "first"]
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
class VectorsConfig:
    """How a text becomes a vector.

    Attributes:
        pooling: `mean` of all tokens, or the `first` one.
        normalise: whether vectors have length 1.
        max_length (tokens): longest sequence, special tokens included; what comes after is left out.
    """

    pooling: ImportedPooling
    normalise: bool
    max_length: int

    def __post_init__(self) -> None:
        check(self, "vectors", [(one_of(ImportedPooling), "pooling"), (COUNT, "max_length")])


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
