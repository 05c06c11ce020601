"""A run that was fine-tuned from an imported model leaves as a classifier of its architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import xformer
from tests.huggingface_folders import WORDS, write_bert
from xformer.data.labelled import LabelledPair, LabelledText, LabelledWords
from xformer.errors import InputError
from xformer.finetuning.base import fitted_to, new_model
from xformer.finetuning.config import ClassifierConfig
from xformer.finetuning.finetune import SourceExamples, finetune
from xformer.finetuning.setup import Length, settings_for
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

TEXTS = ["the dog sees", "katze", "cats see the house . " * 4]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small BERT."""
    place = tmp_path_factory.mktemp("imported")
    weights = load_file(write_bert(place / "bert") / "model.safetensors")
    pooler = {"pooler.dense.weight": torch.full((16, 16), 0.1), "pooler.dense.bias": torch.arange(16.0)}
    save_file(weights | pooler, place / "bert" / "model.safetensors")
    import_huggingface(place / "bert", place / "run", Progress())
    return place / "run"


@pytest.fixture(scope="module")
def tuned(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Fine-tunes it for two steps; each settings once."""
    root = tmp_path_factory.mktemp("tuned")

    def make(name: str, classifier: ClassifierConfig, *changes: str) -> Path:
        run = root / name
        if run.is_dir():
            return run
        examples: list[Any] = [
            LabelledText(f"the dog sees {word}", (classifier.labels[k % 2],), "en", f"line {k}")
            if classifier.example == "text"
            else LabelledWords(
                ("dog", word), (classifier.labels[0], classifier.labels[k % 2]), "en", "file", k
            )
            for k, word in enumerate(WORDS[5:13])
        ]
        settings = settings_for(imported, run, classifier, 6, Length(epochs=2), changes=changes)
        small = replace(settings, training=replace(settings.training, keep_checkpoints=1))
        assert finetune(run, small, SourceExamples(examples[:6], examples[6:]), Progress())
        return run

    return make


def test_its_probabilities_are_those_of_the_pipeline(tuned: Callable[..., Path], tmp_path: Path) -> None:
    run = tuned("topics", ClassifierConfig(("a", "b"), max_tokens=12))
    model = xformer.load(run)
    assert model.temperature != 1
    done = export_huggingface(run, tmp_path / "out", Progress())
    assert done.architectures == ("BertForSequenceClassification",)
    assert done.head_comparison is not None
    assert done.head_comparison.same_ids == done.head_comparison.texts
    theirs = transformers.pipeline("text-classification", str(tmp_path / "out"), top_k=None, truncation=True)
    for found, rows in zip(model.classify(TEXTS), theirs(TEXTS), strict=True):
        assert found.probabilities == pytest.approx({row["label"]: row["score"] for row in rows}, abs=1e-5)
    import_huggingface(tmp_path / "out", tmp_path / "again", Progress())
    again = xformer.load(tmp_path / "again")
    assert again.classify(TEXTS[0]).probabilities == pytest.approx(
        model.classify(TEXTS[0]).probabilities, abs=1e-5
    )


def test_words(tuned: Callable[..., Path], tmp_path: Path) -> None:
    run = tuned("tags", ClassifierConfig(("a", "b"), example="words", coordinates="all"))
    done = export_huggingface(run, tmp_path / "out", Progress())
    assert done.architectures == ("BertForTokenClassification",)
    theirs = transformers.pipeline("token-classification", str(tmp_path / "out"), ignore_labels=[])
    found = xformer.load(run).tag("dog sees katze")
    assert found.probabilities == pytest.approx([row["score"] for row in theirs("dog sees katze")], abs=1e-5)


def test_a_head_of_ours_is_refused(tuned: Callable[..., Path], tmp_path: Path) -> None:
    run = tuned("own", ClassifierConfig(("a", "b")), "classifier.head=own")
    with pytest.raises(InputError, match=r"classifier\.head: expected that of bert, got 'own'"):
        export_huggingface(run, tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_it_begins_with_the_pooler_and_needs_the_imported_run_no_more(
    imported: Path, tuned: Callable[..., Path], tmp_path: Path
) -> None:
    run = tuned("topics", ClassifierConfig(("a", "b"), max_tokens=12))
    assert [path.name for path in RunDirectory(run).original.iterdir()] == ["config.json"]
    config = settings_for(imported, tmp_path / "new", ClassifierConfig(("a", "b")), 6, Length())
    assert (config.classifier.head, config.classifier.coordinates) == ("bert", "all")
    head = new_model(config).head
    assert head.dense is not None
    torch.testing.assert_close(head.dense.weight, torch.full((16, 16), 0.1))
    torch.testing.assert_close(head.dense.bias, torch.arange(16.0))
    assert fitted_to(config.base, ClassifierConfig(("a", "b"), frozen=True)).head == "own"


def test_pairs_have_a_head_of_ours(imported: Path, tmp_path: Path) -> None:
    classifier = ClassifierConfig(("a", "b"), example="pair")
    config = settings_for(imported, tmp_path / "run", classifier, 4, Length(epochs=1))
    pairs = [
        LabelledPair("the dog", word, ("ab"[k % 2],), ("en", "en"), f"line {k}")
        for k, word in enumerate(WORDS[5:11])
    ]
    assert finetune(tmp_path / "run", config, SourceExamples(pairs[:4], pairs[4:]), Progress())
    assert xformer.load(tmp_path / "run").classify(("the dog", "cat")).label in ("a", "b")
    with pytest.raises(InputError, match="this run gives each pair of texts a label"):
        export_huggingface(tmp_path / "run", tmp_path / "out", Progress())
