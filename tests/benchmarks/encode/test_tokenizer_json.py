"""The peer's tokenizer beside ours, where `tokenizers` is installed."""

import json

import pytest

from xformer.benchmarks.encode.tokenizer_json import tokenizer_json
from xformer.errors import InputError
from xformer.tokenizer import Tokenizer, TokenizerOptions, train_tokenizer

TEXTS = ["a black cat sleeps", "die Katze schläft", "猫が寝ている", "stock markets fell", "Preis: 3,50 €"]


def trained(**options: object) -> Tokenizer:
    lines = [("und", f"{text} {other}") for text in TEXTS for other in TEXTS]
    return train_tokenizer(lines, TokenizerOptions(vocabulary_size=300, **options))  # type: ignore[arg-type]


def test_both_cut_a_text_alike() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    tokenizer = trained()
    theirs = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_json(tokenizer)))
    # Words, two spaces, and characters without a piece.
    odd = ["", " ", "two  spaces", "a lion", "Ωmega 🎉", " a ", "Katze\tcat\nend"]
    for text in [*TEXTS, *odd]:
        assert theirs.encode(text).ids == tokenizer.encode(text).tolist(), text


def test_other_models_are_refused() -> None:
    with pytest.raises(InputError, match="expected a unigram model, which the peer can have too, got bpe"):
        tokenizer_json(trained(model="bpe"))
