"""A shared subword vocabulary for many languages: train it, use it, see whom it serves well.

Depends on sentencepiece and numpy, never on torch.
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
