"""Classifiers of transformers become runs, and come back.

Covers xformer.finetuning.heads.library and xformer.interop.huggingface.library_heads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import xformer
from tests.huggingface_folders import CLASSIFIERS, write_classifier
from xformer.cli.finetune.again import evaluate_again
from xformer.errors import InputError
from xformer.finetuning.kinds import inputs_of
from xformer.finetuning.load import open_finetuned
from xformer.interop.export.folder import export_huggingface
from xformer.interop.importing.folder import import_huggingface
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory

pytest.importorskip("tokenizers", reason="needs the extra `hf`: tokenizers")
transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

TEXTS = ["The dog sees the house.", "katze", "cats see dogs", "x y z . dog " + "a b " * 9]
UNITS = {"ForSequenceClassification": "text", "ForTokenClassification": "words"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Path]]:
    """Makes a folder of transformers, and the run that it becomes; each of them once."""
    root, done = tmp_path_factory.mktemp("classifiers"), set[str]()

    def make(family: str, end: str = "ForSequenceClassification", **fields: Any) -> tuple[Path, Path]:
        name = "-".join([family + end, *map(str, fields.values())])
        folder, run = root / name, root / f"{name}-run"
        if name not in done:
            write_classifier(folder, family, end, **fields)
            import_huggingface(folder, run, Progress())
            done.add(name)
        return folder, run

    return make


@pytest.mark.parametrize("end", UNITS)
@pytest.mark.parametrize("family", CLASSIFIERS)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str)
def test_logits_are_those_of_transformers(
    made: Callable[..., tuple[Path, Path]], family: str, end: str, dtype: torch.dtype, error: float
) -> None:
    folder, run = made(family, end)
    loader = getattr(transformers, f"AutoModel{end}")
    theirs = loader.from_pretrained(folder).to(dtype).eval()
    opened = open_finetuned(run)
    encoded = transformers.AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, max_length=32, return_tensors="pt", return_token_type_ids=False
    )
    words = UNITS[end] == "words"
    inputs: Any = inputs_of(
        [text.split() if words else text for text in TEXTS], opened.config, opened.tokenizer
    )
    with torch.no_grad():
        expected = theirs(**encoded).logits
        found = opened.model.to(dtype)(inputs.batch(torch.arange(len(TEXTS)).numpy()))
    if words:
        rows = [row[row >= 0] for row in torch.from_numpy(inputs.first).split(inputs.units.tolist())]
        expected = torch.cat([expected[number, row] for number, row in enumerate(rows)])
    # transformers computes ModernBERT's rotary angles in float32 whatever the model is.
    torch.testing.assert_close(
        found, expected, rtol=0, atol=max(error, 1e-6 if family == "ModernBert" else 0)
    )


@pytest.mark.parametrize("end", UNITS)
@pytest.mark.parametrize("family", CLASSIFIERS)
def test_the_folder_comes_back(
    made: Callable[..., tuple[Path, Path]], tmp_path: Path, family: str, end: str
) -> None:
    folder, run = made(family, end)
    done = export_huggingface(run, tmp_path / "again", Progress())
    assert done.given_back
    assert done.architectures == (f"{family.replace('Roberta', 'XLMRoberta')}{end}",) or family == "Roberta"
    before, after = (
        {path.name: path.read_bytes() for path in place.iterdir()} for place in (folder, tmp_path / "again")
    )
    assert before == after


def test_it_classifies_as_the_pipeline_does(made: Callable[..., tuple[Path, Path]]) -> None:
    folder, run = made("Bert")
    model = xformer.load(run)
    assert (model.labels, model.example, model.temperature) == (("no", "yes", "maybe"), "text", 1.0)
    theirs = transformers.pipeline("text-classification", str(folder), top_k=None)
    for found, rows in zip(model.classify(TEXTS[:3]), theirs(TEXTS[:3]), strict=True):
        expected = {row["label"]: row["score"] for row in rows}
        assert found.probabilities == pytest.approx(expected, abs=1e-5)
        assert found.label == rows[0]["label"]


def test_several_labels_have_probabilities_of_their_own(made: Callable[..., tuple[Path, Path]]) -> None:
    folder, run = made("DistilBert", problem_type="multi_label_classification")
    theirs = transformers.pipeline("text-classification", str(folder), top_k=None)
    expected = {row["label"]: row["score"] for row in theirs(TEXTS[:1])[0]}
    assert xformer.load(run).classify(TEXTS[0]).probabilities == pytest.approx(expected, abs=1e-5)


def test_words_are_labelled_as_the_pipeline_does(made: Callable[..., tuple[Path, Path]]) -> None:
    folder, run = made("ModernBert", "ForTokenClassification")
    theirs = transformers.pipeline("token-classification", str(folder), ignore_labels=[])
    text = "dog sees house katze"
    found = xformer.load(run).tag(text)
    assert list(found.tags) == [row["entity"] for row in theirs(text)]
    assert found.probabilities == pytest.approx([row["score"] for row in theirs(text)], abs=1e-5)


def test_words_of_a_long_sentence_all_have_labels(made: Callable[..., tuple[Path, Path]]) -> None:
    run = made("Bert", "ForTokenClassification")[1]
    long = xformer.load(run).tag("dogs see cats " * 30)
    assert len(long.tags) == 90
    assert xformer.load(run).tag([["dog", "", "cats"]])[0].words == ("dog", "", "cats")


def test_it_has_no_test_files(made: Callable[..., tuple[Path, Path]]) -> None:
    with pytest.raises(InputError, match=r"a classifier that was imported from .*; it has no test files"):
        evaluate_again(RunDirectory(made("Bert")[1]), Progress(), force=False)


def break_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), encoding="utf-8")


def without(folder: Path, name: str, **others: torch.Tensor) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights | others, folder / "model.safetensors")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "regression": (lambda f: break_config(f, problem_type="regression"), "problem_type: expected single_"),
    "one number": (
        lambda f: without(f, "classifier.weight", **{"classifier.weight": torch.zeros(1, 16)}),
        "id2label: expected two labels or more, got 1",
    ),
    "fewer names": (lambda f: break_config(f, id2label={"0": "a", "1": "b"}), "a name for each of 0 to 2"),
    "the same names": (
        lambda f: break_config(f, id2label={"0": "a", "1": "b", "2": "a"}),
        "id2label: expected different names, got a, b, a",
    ),
    "names in a list": (lambda f: break_config(f, id2label=["a"]), "a name for each of 0 to 2"),
    "no head": (lambda f: without(f, "classifier.weight"), r"classifier\.weight is missing, which BertFor"),
    "no pooler": (lambda f: without(f, "bert.pooler.dense.bias"), r"bert\.pooler\.dense\.bias is missing"),
    "shapes": (
        lambda f: without(f, "classifier.bias", **{"classifier.bias": torch.zeros(4)}),
        r"classifier\.bias is \(4,\), expected \(3,\)",
    ),
    "another task": (
        lambda f: break_config(f, architectures=["BertForQuestionAnswering"]),
        "architectures: expected .*got BertForQuestionAnswering",
    ),
}


@pytest.mark.parametrize(("breaking", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_classifier_is_named(
    tmp_path: Path, breaking: Callable[[Path], object], message: str
) -> None:
    folder = write_classifier(tmp_path / "bert", "Bert", "ForSequenceClassification")
    breaking(folder)
    with pytest.raises(InputError, match=message):
        import_huggingface(folder, tmp_path / "run", Progress())
    assert not (tmp_path / "run").exists()
