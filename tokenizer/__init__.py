"""Shared subword vocabularies for many languages: training, encoding, and a fairness report.

Depends on sentencepiece and numpy, not on torch.
"""

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
