"""Shared subword vocabularies for many languages: training, encoding, and a fairness report.

Depends on sentencepiece and numpy, not on torch. A name is imported when it is first used (PEP 562), so
the options of a vocabulary can be read without either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .balance import LanguageShare
    from .errors import TokenizerError, VocabularySizeError
    from .fairness import FairnessReport, LanguageFairness, measure_fairness
    from .fairness_plot import plot_fairness
    from .fit import fit_tokenizer
    from .model import Tokenizer
    from .options import TokenizerOptions, suitable_vocabulary
    from .train import train_tokenizer

__all__ = [
    "FairnessReport",
    "LanguageFairness",
    "LanguageShare",
    "Tokenizer",
    "TokenizerError",
    "TokenizerOptions",
    "VocabularySizeError",
    "fit_tokenizer",
    "measure_fairness",
    "plot_fairness",
    "suitable_vocabulary",
    "train_tokenizer",
]

_FILES = {
    "FairnessReport": "fairness",
    "LanguageFairness": "fairness",
    "LanguageShare": "balance",
    "Tokenizer": "model",
    "TokenizerError": "errors",
    "TokenizerOptions": "options",
    "VocabularySizeError": "errors",
    "fit_tokenizer": "fit",
    "measure_fairness": "fairness",
    "plot_fairness": "fairness_plot",
    "suitable_vocabulary": "options",
    "train_tokenizer": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILES[name]}", __name__), name)
