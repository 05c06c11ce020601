"""A synthetic parallel corpus in three languages, settings for a run of seconds, and runs that are set up."""

from __future__ import annotations

import io
import itertools
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.model.config import ModelConfig
from xformer.pretraining import pretrain
from xformer.pretraining.prepare import prepare
from xformer.progress import Progress
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig, TrainingConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.toml import save_toml
from xformer.tokenizer import TokenizerOptions

WORDS = {
    "en": ("dog cat bird horse fox", "sees buys paints finds", "house apple book window bread road"),
    "de": ("Hund Katze Vogel Pferd Fuchs", "sieht kauft malt findet", "Haus Apfel Buch Fenster Brot Weg"),
    "el": (
        "σκύλος γάτα πουλί άλογο αλεπού",
        "βλέπει παίρνει βάφει βρίσκει",
        "σπίτι μήλο βιβλίο παράθυρο ψωμί δρόμος",
    ),
}


def _sentences(language: str) -> list[Record]:
    """120 sentences; every third of them in Greek."""
    parts = [words.split() for words in WORDS[language]]
    texts = (" ".join(words) for words in itertools.product(*parts))
    step = 3 if language == "el" else 1
    return [
        Record(text, language, f"group {number}", "synthetic")
        for number, text in enumerate(texts)
        if number % step == 0
    ]


def _make_corpus(folder: Path, seed: int = 0) -> Path:
    """Import the sentences, 8 groups held out twice."""
    records = itertools.chain.from_iterable(map(_sentences, WORDS))
    # Sentences that differ in one word are near duplicates to the importer, and are wanted here.
    options = ImportOptions(SplitSizes(dev=8, test=8, min_languages=2), seed=seed, near_threshold=1.0)
    import_corpus(records, folder, options, [Source("synthetic", "CC0-1.0")])
    return folder


class Listening(Progress):
    """Keeps what is said, for `console.export_text`, and calls `on_step` as each step is shown."""

    def __init__(self, on_step: Callable[[int], None] | None = None) -> None:
        super().__init__(Console(file=io.StringIO(), width=200, record=True))
        self._on_step = on_step

    def __call__(self, what: str, done: int, total: int | None, note: str = "", **how: bool) -> None:
        super().__call__(what, done, total, note, **how)
        if what == "train" and self._on_step is not None:
            self._on_step(done)


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """What a shell runs in the background is deaf to Ctrl-C, and what `nohup` runs to hanging up."""
    heard: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {signum: signal.signal(signum, handler) for signum, handler in heard.items()}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Matrices this small are slower on more threads, and far slower where other tests want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def _no_picture() -> Iterator[None]:
    """Leave out the loss plot, which takes as long as the training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
        yield


@pytest.fixture(scope="session")
def listening() -> type[Listening]:
    return Listening


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _make_corpus(tmp_path_factory.mktemp("corpus") / "tiny")


@pytest.fixture(scope="session")
def make_corpus() -> Callable[..., Path]:
    """Imports the sentences into a folder; another seed holds out others."""
    return _make_corpus


@pytest.fixture(scope="session")
def config(corpus: Path) -> RunConfig:
    """A few steps, each with all objectives, each with a line in the log."""
    return RunConfig(
        model=ModelConfig(
            vocab_size=360,
            d_model=16,
            n_layers=2,
            n_heads=2,
            d_ff=16,
            max_length=64,
            dropout=0.1,
            attention_dropout=0.1,
            bigrams=4,
            pool_after_norm=False,  # no vector moves when the blocks join
        ),
        tokenizer=TokenizerOptions(vocabulary_size=320, threads=1),
        data=DataConfig(corpus=str(corpus), max_length=40),
        objectives=ObjectivesConfig(
            masked_lm_tokens=96,
            translation_lm_tokens=96,
            alignment_tokens=192,
            embedding_warmup_tokens=192,
            embedding_warmup_share=0.25,
        ),
        training=TrainingConfig(
            budget=None,
            steps=8,
            precision="fp32",
            checkpoint_every=1e6,
            log_every=0.0,
            log_steps=1,
            keep_checkpoints=2,
        ),
    )


@pytest.fixture(scope="session")
def prepared(config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with tokenizer, manifest and shards."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(RunDirectory(folder), config, Listening())
    return folder


@pytest.fixture(scope="session")
def begin(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[RunConfig], RunDirectory]:
    """Makes a new run with these settings, for which nothing has to be prepared."""

    def make(config: RunConfig) -> RunDirectory:
        folder = tmp_path_factory.mktemp("runs") / "run"
        shutil.copytree(prepared, folder)
        save_toml(folder / "config.toml", config)
        return RunDirectory(folder)

    return make


@pytest.fixture(scope="session")
def trained(begin: Callable[[RunConfig], RunDirectory], config: RunConfig) -> RunDirectory:
    """A complete run, with sentence vectors as wide as the default ones (192)."""
    wide = replace(config.model, d_model=256, n_heads=4, dropout=0.0, attention_dropout=0.0)
    run = begin(replace(config, model=wide))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
        assert pretrain.pretrain(run.path, run.load_config(), Listening())
    return run
