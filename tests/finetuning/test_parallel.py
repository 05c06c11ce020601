from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.finetuning.config import ConsistencyConfig
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.parallel import ParallelBatches, ParallelTexts, read_parallel
from xformer.pretraining.load import open_tokenizer
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer

ANIMALS = ("dog", "cat", "bird", "horse", "fox", "cow", "fly", "ant")
NUMBERS = {"de": range(0, 6), "fr": range(4, 8), "nl": range(0)}


@pytest.fixture(scope="module")
def tokenizer(trained: RunDirectory) -> Tokenizer:
    return open_tokenizer(trained)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def corpus(*records: Record) -> Path:
        options = ImportOptions(SplitSizes(dev=0, test=0))
        import_corpus(records, tmp_path / "corpus", options, [Source("by hand", "CC0-1.0")])
        return tmp_path / "corpus"

    return corpus


def animals() -> list[Record]:
    """English words of all animals; German and French ones of some of them."""
    found = [Record(f"the {one}", "en", one, "s") for one in ANIMALS]
    for tag, numbers in NUMBERS.items():
        found += [Record(f"{tag} {ANIMALS[n]}", tag, ANIMALS[n], "s") for n in numbers]
    return found


def texts_of(data: ParallelTexts, tokenizer: Tokenizer) -> list[str]:
    stops = np.cumsum(data.texts.lengths)
    return [
        tokenizer.decode(data.texts.ids[stop - length : stop].tolist())
        for stop, length in zip(stops, data.texts.lengths, strict=True)
    ]


def test_each_translation_comes_once_beside_a_text_of_its_group(
    make: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    folder = make(*animals(), Record("niemand", "de", "alone", "s"))
    data = read_parallel(folder, {"en"}, tokenizer, ConsistencyConfig(weight=1.0), 32)
    texts = texts_of(data, tokenizer)
    assert data.languages == ("de", "fr")
    pairs = list(zip(texts[: len(data)], texts[len(data) :], data.language.tolist(), strict=True))
    wanted = {
        (f"the {ANIMALS[n]}", f"{tag} {ANIMALS[n]}", data.languages.index(tag))
        for tag in data.languages
        for n in NUMBERS[tag]
    }
    assert sorted(pairs) == sorted(wanted)
    again = read_parallel(folder, {"en"}, tokenizer, ConsistencyConfig(weight=1.0), 32)
    assert again.fingerprint == data.fingerprint


def test_few_pairs_are_drawn_by_language_and_long_texts_are_cut(
    make: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    many = [Record(f"dog {n}", "en", f"g{n}", "s") for n in range(2000)]
    many += [Record(f"Hund {n}", "de", f"g{n}", "s") for n in range(2000)]
    many += [Record(f"chien {n}", "fr", f"g{n}", "s") for n in range(20)]
    few = ConsistencyConfig(weight=1.0, pairs=100, alpha=0.0, max_tokens=2)
    data = read_parallel(make(*many), {"en"}, tokenizer, few, 32)
    assert len(data) == 100
    assert data.texts.lengths.max() == 2
    # Equal shares by language want 50 of the 20 French pairs: nearly all of them come.
    assert np.bincount(data.language)[data.languages.index("fr")] >= 17


def test_a_corpus_without_translations_of_the_source_is_refused(
    make: Callable[..., Path], tokenizer: Tokenizer
) -> None:
    folder = make(*animals())
    with pytest.raises(InputError, match="corpus: expected texts in ja with translations"):
        read_parallel(folder, {"ja"}, tokenizer, ConsistencyConfig(weight=1.0), 32)


@given(n_pairs=st.integers(1, 30), size=st.integers(1, 40), seed=st.integers(0, 3), steps=st.integers(1, 8))
def test_batches_of_steps_go_round_the_pairs(n_pairs: int, size: int, seed: int, steps: int) -> None:
    tokens = TokenTexts(np.zeros(0, np.int32), np.zeros(2 * n_pairs, np.int64), 5)
    data = ParallelTexts(tokens, np.zeros(n_pairs, np.int64), ("de",))
    batches = ParallelBatches(data, size, seed)
    found = np.concatenate([batches.rows(step) for step in range(steps)])
    assert len(found) == steps * size
    for start in range(0, len(found), n_pairs):
        part = found[start : start + n_pairs]
        assert len(set(part.tolist())) == len(part)
    assert np.array_equal(ParallelBatches(data, size, seed).rows(steps - 1), found[-size:])
