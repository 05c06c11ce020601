"""Runs of each architecture, exported, opened by transformers and sentence-transformers, beside the run.

Covers `compare`, `source`, `card`, `ids` and `fuzz`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import xformer
from xformer.data.labelled import LabelledText
from xformer.errors import InputError
from xformer.finetuning.base import base_of
from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.finetune import SourceExamples, finetune
from xformer.interop.export import compare, folder
from xformer.interop.export.folder import Exported, export_huggingface
from xformer.interop.export.fuzz import SCRIPTS, fuzzed_lines
from xformer.interop.export.ids import IdComparison
from xformer.interop.huggingface.folder import from_huggingface, save_huggingface
from xformer.interop.huggingface.tokenizer import tokenizer_json
from xformer.model.config import ModelConfig
from xformer.prediction.fill_mask import Filling
from xformer.pretraining import pretrain
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.sentence_layer import SentenceLayer, record_layer
from xformer.tokenizer import Tokenizer

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="needs the extra `hf`: sentence-transformers"
)
transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

pytestmark = pytest.mark.slow

TEXTS = [
    "dog sees house",
    "Katze malt Fenster",
    "a  b\u2581 🫠",
    "γάτα βλέπει </s> σπίτι",
    "<mask> sees house",
]
SIZES: dict[str, Any] = {"vocab_size": 360, "d_model": 16, "n_heads": 2, "d_ff": 16, "n_layers": 2}
MODELS = {
    "modernbert": ModelConfig(max_length=40, window=4, **SIZES),
    "bert": ModelConfig.bert(max_length=40, **SIZES),
    "xlm-r": ModelConfig.xlm_r(max_length=40, **SIZES),
}
Begin = Callable[[RunConfig], RunDirectory]
Opened = tuple[RunDirectory, Exported]


@pytest.fixture(scope="module")
def make_run(
    begin: Begin, config: RunConfig, listening: type[Progress]
) -> Callable[[ModelConfig], RunDirectory]:
    """Trains a run of some steps; its vectors come from the last block."""

    def make(model: ModelConfig) -> RunDirectory:
        # Learned positions are too few for two texts of the translation LM.
        objectives = replace(config.objectives, translation_lm_tokens=0)
        run = begin(replace(config, model=model, objectives=objectives))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
            assert pretrain.pretrain(run.path, run.load_config(), listening())
        record_layer(run, SentenceLayer(8, 2, [0.1, 0.2, 0.3]))
        return run

    return make


@pytest.fixture(scope="module", params=MODELS)
def exported(
    request: pytest.FixtureRequest,
    make_run: Callable[[ModelConfig], RunDirectory],
    tmp_path_factory: pytest.TempPathFactory,
) -> Opened:
    run = make_run(MODELS[request.param])
    place = tmp_path_factory.mktemp("exported") / "animals"
    return run, export_huggingface(run.path, place, Progress(), n_lines=200)


@pytest.fixture(scope="module")
def small(make_run: Callable[[ModelConfig], RunDirectory]) -> RunDirectory:
    return make_run(MODELS["modernbert"])


def rows(path: Path, texts: list[str]) -> Any:
    return sentence_transformers.SentenceTransformer(str(path), device="cpu").encode(texts)


def test_sentence_vectors_are_those_of_the_run(exported: Opened) -> None:
    run, done = exported
    ours, theirs = xformer.load(run.path).encode(TEXTS[:4]), rows(done.folder, TEXTS[:4])
    assert ((ours * theirs).sum(1) > 0.99999).all()
    assert (theirs @ theirs.T - np.eye(4)).max() < 0.9999  # different texts have different vectors
    # Beside another text: alone, an empty one has no tokens, which transformers cannot compute with.
    assert not rows(done.folder, ["", "dog sees house"])[0].any()


def test_token_ids_are_those_of_the_run(exported: Opened) -> None:
    run, done = exported
    ours, theirs = Tokenizer.load(run.tokenizer), transformers.AutoTokenizer.from_pretrained(done.folder)
    assert theirs(TEXTS)["input_ids"] == [ours.encode_masked(text).tolist() for text in TEXTS]
    assert theirs.pad_token_id == 1
    assert theirs.mask_token_id == 4


def test_what_is_longer_than_the_model_reads_is_cut(exported: Opened) -> None:
    _, done = exported
    tokenizer = transformers.AutoTokenizer.from_pretrained(done.folder)
    assert tokenizer.model_max_length == done.max_length == 40
    assert rows(done.folder, ["dog sees house " * 50]).shape == (1, done.vector_width)


def test_pipelines_fill_masks_and_extract_features(exported: Opened) -> None:
    run, done = exported
    fill = transformers.pipeline("fill-mask", str(done.folder), device="cpu")
    found = fill("dog <mask> house", top_k=3)
    ours = cast(list[Filling], xformer.load(run.path).fill_mask("dog <mask> house", k=320))
    known = {one.piece: one.probability for one in ours}
    pieces = Tokenizer.load(run.tokenizer)
    for one in found:
        # Theirs shares probability with the pieces that no text can have, too.
        assert one["score"] <= known[pieces.piece(one["token"])] + 1e-6
    extract = transformers.pipeline("feature-extraction", str(done.folder), device="cpu")
    assert torch.tensor(extract("dog sees house")).shape[2] == 16


def test_the_comparison_says_what_it_saw(exported: Opened) -> None:
    found = exported[1].comparison
    assert found is not None
    assert found.corpus_lines == found.fuzzed_lines == 200
    assert found.scripts == len(SCRIPTS) >= 50
    assert found.hidden_error < 1e-4
    assert found.logits_error is not None
    assert found.least_cosine > 0.99999
    assert found.versions["transformers"] == transformers.__version__


def test_the_card_has_licences_languages_and_limits(exported: Opened) -> None:
    card = (exported[1].folder / "README.md").read_text(encoding="utf-8")
    assert 'language: ["de", "el", "en"]' in card
    for part in (
        "| synthetic | CC0-1.0 |",
        "| de | German |",
        "Text after 40 tokens is cut off",
        "all equal",
    ):
        assert part in card


@pytest.mark.parametrize("layer", [0, 1])
def test_vectors_before_the_last_block_have_an_encoder_of_their_own(
    small: RunDirectory, tmp_path: Path, layer: int
) -> None:
    record_layer(small, SentenceLayer(8, layer, [0.1, 0.2, 0.3]))
    done = export_huggingface(small.path, tmp_path / "out", Progress(), n_lines=20)
    record_layer(small, SentenceLayer(8, 2, [0.1, 0.2, 0.3]))
    assert done.vector_blocks == layer
    assert len(transformers.AutoModelForMaskedLM.from_pretrained(done.folder).model.layers) == 2


def test_a_classifier_gives_the_same_labels(
    small: RunDirectory,
    finetuning: FinetuningConfig,
    source_texts: SourceExamples[LabelledText],
    tmp_path: Path,
) -> None:
    base, model = base_of(small.path, tmp_path / "none")
    training = replace(finetuning.training, steps=2, evaluate_steps=1)
    config = replace(finetuning, base=base, model=model, training=training)
    assert finetune(tmp_path / "animals", config, source_texts, Progress())
    done = export_huggingface(tmp_path / "animals", tmp_path / "out", Progress(), n_lines=100)
    classify = transformers.pipeline("text-classification", str(done.folder), device="cpu", top_k=None)
    for text, theirs in zip(TEXTS[:4], classify(TEXTS[:4]), strict=True):
        ours = xformer.load(tmp_path / "animals").classify(text)
        assert {one["label"]: one["score"] for one in theirs} == pytest.approx(ours.probabilities, abs=1e-5)


def test_a_model_that_nothing_holds_is_refused_by_name(trained: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.bigrams: expected 0"):
        export_huggingface(trained.path, tmp_path / "out", Progress())
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_that_means_something_else_is_refused(
    small: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_the_space_in_front(tokenizer: Tokenizer) -> dict[str, Any]:
        return tokenizer_json(tokenizer) | {"normalizer": None}

    monkeypatch.setattr(folder, "tokenizer_json", without_the_space_in_front)
    with pytest.raises(InputError, match="token ids of the exported tokenizer differ"):
        export_huggingface(small.path, tmp_path / "out", Progress(), n_lines=20)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("limit", "value", "what"), [("_LARGEST_ERROR", -1.0, "hidden states"), ("_LEAST_COSINE", 2.0, "vector")]
)
def test_outputs_that_differ_are_refused(
    small: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float, what: str
) -> None:
    monkeypatch.setattr(compare, limit, value)
    with pytest.raises(InputError, match=what):
        export_huggingface(small.path, tmp_path / "out", Progress(), n_lines=20)
    assert not list(tmp_path.iterdir())


def test_without_the_libraries_only_an_uncompared_folder_is_written(
    small: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "_PACKAGES", ("transformers", "no-such-package"))
    with pytest.raises(InputError, match=r"no-such-package: not installed.*--no-compare"):
        export_huggingface(small.path, tmp_path / "out", Progress())
    done = export_huggingface(small.path, tmp_path / "out", Progress(), comparing=False)
    assert done.comparison is None
    assert "Not compared" in (done.folder / "README.md").read_text(encoding="utf-8")


def test_special_ids_of_a_converted_model_travel(tmp_path: Path) -> None:
    ids = {"pad_token_id": 0, "cls_token_id": 101, "sep_token_id": 102, "mask_token_id": 103}
    sizes = {"vocab_size": 120, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    theirs = transformers.BertForMaskedLM(transformers.BertConfig(**sizes, intermediate_size=16, **ids))
    ours = from_huggingface(theirs)
    save_huggingface(tmp_path, ours.encoder, ours.head, fields=ours.special_ids)
    written = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert {name: written[name] for name in ids} == ids


class Cut:
    """A tokenizer with the pieces `a` and `aa`, and one way to cut a text."""

    model = "unigram"

    def encode_batch(self, texts: list[str], num_threads: int) -> list[NDArray[np.int32]]:
        return [np.array([1, 0, 1], dtype=np.int32) for _ in texts]

    def decode(self, ids: list[int]) -> str:
        return "".join("a" * (1 + number) for number in ids)

    def piece_scores(self) -> NDArray[np.float64]:
        return np.array([-3.1, -4.7])


def test_ties_are_kept_and_other_differences_refused() -> None:
    found = IdComparison(cast(Tokenizer, Cut()))
    found.add(["a" * 5], [[1, 0, 1]])
    assert not found.ties
    found.add(["a" * 5], [[1, 1, 0]])
    assert [(tie.ours, tie.theirs) for tie in found.ties] == [((1, 0, 1), (1, 1, 0))]
    for other in ([0, 0, 0, 1], [1, 1]):  # another score, another text
        with pytest.raises(InputError, match="differ: 'aaaaa'"):
            found.add(["a" * 5], [other])


def test_fuzzed_lines_are_the_same_each_time() -> None:
    lines = list(fuzzed_lines(0, 50, TEXTS))
    assert lines == list(fuzzed_lines(0, 50, TEXTS))
    assert lines != list(fuzzed_lines(1, 50, TEXTS))
