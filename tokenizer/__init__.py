"""A shared subword vocabulary for many languages: train it, use it, see whom it serves well.

Depends on sentencepiece and numpy, never on torch.
"""

from .balance import LanguageShare
from .errors import TokenizerError
from .model import Tokenizer
from .options import TokenizerOptions
from .train import train_tokenizer

__all__ = ["LanguageShare", "Tokenizer", "TokenizerError", "TokenizerOptions", "train_tokenizer"]
