"""A small run that trainers learn from, prepared once a file."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.benchmarks.training.curves import quiet
from xformer.benchmarks.training.prepared import prepared
from xformer.benchmarks.training.quality import Questions, QuestionSize
from xformer.data.shards import TokenShards
from xformer.model.config import ModelConfig
from xformer.pretraining.prepare import open_shards
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer, TokenizerOptions

WORDS = {
    "en": ("dog cat bird horse fox", "sees buys paints finds", "house apple book window bread road"),
    "de": ("Hund Katze Vogel Pferd Fuchs", "sieht kauft malt findet", "Haus Apfel Buch Fenster Brot Weg"),
}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _documents(folder: Path) -> Path:
    """120 documents in two languages, the last sixteen held out, as files of a split and a language."""
    folder.mkdir()
    for language, parts in WORDS.items():
        texts = [" ".join(words) for words in itertools.product(*(part.split() for part in parts))]
        rows = [{"id": f"group {number}", "description": text} for number, text in enumerate(texts)]
        np.random.default_rng(0).shuffle(rows)
        for split, part in {"train": rows[16:], "dev": rows[:8], "test": rows[8:16]}.items():
            with gzip.open(folder / f"{split}.{language}.jsonl.gz", "wt", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in part)
    return folder


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunConfig]:
    """A prepared run, and settings of a model that learns nothing much."""
    root = tmp_path_factory.mktemp("training")
    config = RunConfig(
        model=ModelConfig(vocab_size=320, d_model=32, n_layers=1, n_heads=2, d_ff=32, max_length=64),
        tokenizer=TokenizerOptions(vocabulary_size=300, threads=1),
        data=DataConfig(max_length=40),
        objectives=ObjectivesConfig(
            masked_lm_tokens=96, translation_lm_tokens=96, alignment_tokens=192, embedding_warmup_tokens=192
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFORMER_CACHE", str(root / "cache"))
        return prepared(config, str(_documents(root / "documents")), None, quiet())


@pytest.fixture(scope="module")
def shards(ready: tuple[RunDirectory, RunConfig]) -> TokenShards:
    run, _ = ready
    return open_shards(run, "test", Tokenizer.load(run.tokenizer))


@pytest.fixture(scope="module")
def questions(ready: tuple[RunDirectory, RunConfig], shards: TokenShards) -> Questions:
    lengths = Tokenizer.load(ready[0].tokenizer).byte_lengths()
    return Questions.of(shards, lengths, "en", QuestionSize(), CPU)
