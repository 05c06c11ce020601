"""Shared subword vocabularies for many languages: training, encoding, and a fairness report.

Depends on sentencepiece and numpy, not on torch. A name is imported when it is first used (PEP 562), so
the options of a vocabulary can be read without either.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .balance import LanguageShare
    from .errors import TokenizerError
    from .fairness import FairnessReport, LanguageFairness, measure_fairness
    from .fairness_plot import plot_fairness
    from .model import Tokenizer
    from .options import TokenizerOptions
    from .train import train_tokenizer

__all__ = [
    "FairnessReport",
    "LanguageFairness",
    "LanguageShare",
    "Tokenizer",
    "TokenizerError",
    "TokenizerOptions",
    "measure_fairness",
    "plot_fairness",
    "train_tokenizer",
]

_FILES = {
    "FairnessReport": "fairness",
    "LanguageFairness": "fairness",
    "LanguageShare": "balance",
    "Tokenizer": "model",
    "TokenizerError": "errors",
    "TokenizerOptions": "options",
    "measure_fairness": "fairness",
    "plot_fairness": "fairness_plot",
    "train_tokenizer": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILES[name]}", __name__), name)
