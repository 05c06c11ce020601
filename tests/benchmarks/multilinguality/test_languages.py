from itertools import product

import numpy as np
import pytest

from xformer.benchmarks.multilinguality.languages import (
    LONGEST,
    SHORTEST,
    Texts,
    Twins,
    divide,
    without_near_duplicates,
)
from xformer.data.dedup_keys import DedupKeys
from xformer.errors import InputError
from xformer.tokenizer.special import FIRST_BYTE_ID


def test_no_text_is_in_two_parts_and_none_is_lost(texts: Texts) -> None:
    parts = parts_of(texts)
    assert sum(map(len, parts)) == len(set().union(*parts))
    assert len(texts.held_out) == 20
    assert len(texts.both) == pytest.approx(
        0.2 * (len(texts.real) + len(texts.fake) + len(texts.both)), abs=1
    )
    assert all(SHORTEST <= len(one) <= LONGEST for one in texts.real)


def test_without_parallel_data_there_is_as_much_text(texts: Texts) -> None:
    alone = texts.without_parallel()
    assert alone.both == []
    assert len(alone.real) + len(alone.fake) == len(texts.real) + len(texts.fake) + len(texts.both)
    assert not {one.tobytes() for one in alone.real} & {one.tobytes() for one in alone.fake}
    assert len(alone.held_out) == len(texts.held_out)


def test_twins_are_other_tokens_but_for_what_is_shared(texts: Texts) -> None:
    size = texts.tokenizer.vocab_size
    own = np.arange(size)
    nothing = Twins.of(texts.tokenizer, specials=False, vocabulary=False)
    assert (nothing.twin == own + size).all()
    assert nothing.vocab_size == 2 * size
    specials = Twins.of(texts.tokenizer, specials=True, vocabulary=False)
    assert (np.flatnonzero(specials.twin == own) == np.arange(FIRST_BYTE_ID)).all()
    words = Twins.of(texts.tokenizer, specials=False, vocabulary=True)
    shared = [texts.tokenizer.piece(int(one)) for one in np.flatnonzero(words.twin == own)]
    assert any("1" in piece for piece in shared)
    assert any("." in piece for piece in shared)
    assert not any(letter.isalpha() for piece in shared for letter in piece)


def test_too_little_text_is_refused(sentences: list[str]) -> None:
    with pytest.raises(InputError, match=r"expected 100 texts of 6 to 24 pieces.* got \d+ in 40; more text"):
        divide(sentences, vocabulary=320, held_out=100)


def test_what_says_the_same_is_learned_or_measured_but_never_both(sentences: list[str]) -> None:
    variants = [f"{text.upper()} %(count)d!" for text in sentences]
    longer = [f"{text} too" for text in sentences]
    plain = divide(sentences, vocabulary=320, held_out=20)
    assert parts_of(divide(sentences + variants, vocabulary=320, held_out=20)) == parts_of(plain)
    key_of = DedupKeys()
    found = divide(sentences + longer, vocabulary=320, held_out=20)
    learned, measured = (
        [key_of(found.tokenizer.decode(one.tolist())) for one in part]
        for part in (found.real + found.fake + found.both, found.held_out)
    )
    assert without_near_duplicates(learned, measured) == learned
    assert len(measured) == 20


def test_held_out_texts_train_no_vocabulary() -> None:
    words = ["".join(letters) for letters in product("bdfgk", "aeiou", "lmnpr", "aeiou")]
    texts = [" ".join(words[start + 5 * step] for step in range(4)) for start in range(400)]
    one, other = (divide(texts, vocabulary=300, held_out=10, seed=seed).tokenizer for seed in (0, 1))
    assert one.fingerprint() != other.fingerprint()


def parts_of(texts: Texts) -> list[set[bytes]]:
    parts = (texts.real, texts.fake, texts.both, texts.held_out)
    return [{one.tobytes() for one in part} for part in parts]
