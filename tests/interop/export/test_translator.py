"""A translation run leaves as a folder that transformers and CTranslate2 translate with.

Covers `translator`, `translator_compare`, `translator_card` and `quiet`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.translation.conftest import numbers, tiny_settings
from xformer.cli.export.huggingface import ExportHuggingface
from xformer.data.translated import split_groups
from xformer.errors import InputError
from xformer.evaluation.translation.report import DirectionReport, TranslationReport
from xformer.evaluation.translation.scores import Score, Scores
from xformer.generation.options import GenerationOptions
from xformer.interop.export import translator as exporting
from xformer.interop.export.translator import export_translator
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.translation.data_record import PartRecord, TranslationRecord
from xformer.translation.evaluate import TestPair as Pair
from xformer.translation.load import open_translation
from xformer.translation.train import TranslationTexts, train_translator
from xformer.translation.translator import Search, Translator

transformers = pytest.importorskip("transformers", reason="needs the extra `hf`: transformers")

TEXTS = ["one", "two three", "six <mask> two", " four", "</s> one", "five six five four"]


def train(path: Path, steps: int, *changes: str) -> Path:
    texts = TranslationTexts(*split_groups(numbers(200), 0.05, 20))
    with Progress() as progress:
        assert train_translator(path, tiny_settings(path, steps, *changes), texts, progress)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with test texts and scores."""
    path = train(tmp_path_factory.mktemp("translator") / "run", 120)
    run = RunDirectory(path)
    run.translations.mkdir(exist_ok=True)
    for name in ("en-de", "en-fr"):
        lines = [json.dumps(asdict(Pair(text, "", ""))) for text in [*TEXTS, " ", "a >>fr<< b"]]
        (run.translations / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    scores = Scores(Score(12.5, 10.0, 15.0, "the|signature"), Score(40.0, 38.0, 42.0, "another|one"))
    report = TranslationReport("run", None, 60, 4, 1.0, 0, {"en-de": DirectionReport(6, scores, scores)})
    report.save(run.translation)
    part = PartRecord(("train.en",), {"en-de": 160})
    TranslationRecord(part, part, part, licence="CC0-1.0").save(run)
    return path


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "numbers"
    done = export_translator(run, folder, Progress(), n_lines=100)
    assert done.architectures == ("MarianMTModel",)
    assert done.tags == (">>de<<", ">>en<<", ">>fr<<")
    found = done.comparison
    assert found is not None
    # What is blank, and what has a tag inside, is left out.
    assert found.test_lines == 2 * len(TEXTS)
    assert found.fuzzed_lines > 80
    assert found.texts > found.test_lines
    assert found.logits_error <= 1e-5
    return folder


def ours(run: Path, beam: int) -> list[str]:
    search = Search(GenerationOptions(beam=beam))
    its = Translator(open_translation(run)).translate(TEXTS, "de", search=search)
    return [one[0].text for one in its]


def test_what_is_generated_is_what_the_run_translates(run: Path, exported: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(exported).eval()
    assert type(model).__name__ == "MarianMTModel"
    inputs = tokenizer([f">>de<< {text}" for text in TEXTS], padding=True, return_tensors="pt")
    for beam, more in ((4, {}), (1, {"num_beams": 1, "early_stopping": False})):
        found = tokenizer.batch_decode(model.generate(**inputs, **more), skip_special_tokens=True)
        assert found == ours(run, beam)
    assert len(set(found)) > 3


def test_the_card_says_what_it_is(exported: Path) -> None:
    card = (exported / "README.md").read_text()
    for part in (
        'language: ["de", "en", "fr"]',
        "pipeline_tag: translation",
        "en (English) to de (German)",
        "`>>de<<`, `>>en<<`, `>>fr<<`",
        "| en-de | 6 | 12.50 | 10.0 to 15.0 | 40.00 |",
        "`the|signature`",
        "Licence: CC0-1.0.",
        "translations of these texts with beams of 1 and 4: all the same",
    ):
        assert part in card


def test_the_command_writes_it(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ExportHuggingface(run, tmp_path / "out", lines=20).run_command() == 0
    said = capsys.readouterr().out
    assert "MarianMTModel; a source begins with >>de<< or >>en<< or >>fr<<" in said
    assert "with beams of 1 and 4: the same" in said
    assert ExportHuggingface(run, tmp_path / "more", compare=False, json=True).run_command() == 0
    assert json.loads(capsys.readouterr().out)["comparison"] is None
    assert "Not compared." in (tmp_path / "more" / "README.md").read_text()


def _wrong_weights(*arguments: Any) -> dict[str, torch.Tensor]:
    from xformer.interop.huggingface.marian import marian_weights

    weights = marian_weights(*arguments)
    weights["model.decoder.layers.0.fc1.weight"][0] += 0.01
    return weights


def _wrong_search(*arguments: Any) -> dict[str, Any]:
    from xformer.interop.huggingface.marian import marian_generation

    return marian_generation(*arguments) | {"min_new_tokens": 20}


def _wrong_ends(*arguments: Any) -> dict[str, Any]:
    from xformer.interop.huggingface.translation_tokenizer import translation_tokenizer_json

    return translation_tokenizer_json(*arguments) | {"post_processor": None}


def _wrong_cuts(*arguments: Any) -> dict[str, Any]:
    from xformer.interop.huggingface.translation_tokenizer import translation_tokenizer_json

    content = translation_tokenizer_json(*arguments)
    for piece in content["model"]["vocab"]:
        piece[1] -= 50.0 * (len(piece[0]) > 1)
    return content


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("marian_weights", _wrong_weights, "logits of the exported model differ by .* Nothing was written"),
        ("marian_generation", _wrong_search, "'>>de<< .*' with a beam of 1: expected .* Nothing was written"),
        ("translation_tokenizer_json", _wrong_ends, "begins and ends with .* Nothing was written"),
        ("translation_tokenizer_json", _wrong_cuts, "token ids .* differ: .* Nothing was written"),
    ],
)
def test_what_differs_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any, message: str
) -> None:
    monkeypatch.setattr(exporting, name, wrong)
    with pytest.raises(InputError, match=message):
        export_translator(run, tmp_path / "out", Progress(), n_lines=20)
    assert not (tmp_path / "out").exists()


def test_what_marian_cannot_hold_is_refused(tmp_path: Path) -> None:
    run = train(tmp_path / "run", 1, "encoder.scale_embeddings=false")
    with pytest.raises(InputError, match=r"decoder\.scale_embeddings: Marian needs the encoder's"):
        export_translator(run, tmp_path / "out", Progress())
    assert not (tmp_path / "out").exists()


def test_ctranslate2_translates_the_same(run: Path, exported: Path, tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="needs ctranslate2, which no extra installs")
    ctranslate2.converters.TransformersConverter(str(exported)).convert(str(tmp_path / "ct2"))
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    translator = ctranslate2.Translator(str(tmp_path / "ct2"), device="cpu", intra_threads=1)

    def pieces(text: str) -> list[str]:
        found: list[str] = tokenizer.convert_ids_to_tokens(tokenizer.encode(text))
        return found

    sources, opened = [pieces(f">>de<< {text}") for text in TEXTS], open_translation(run)
    expected = Translator(opened).translate(TEXTS, "de")
    # Probabilities before outputs: these can agree where those do not.
    scored = translator.score_batch(sources, [pieces(one[0].text)[:-1] for one in expected])
    for its, (one,) in zip(scored, expected, strict=True):
        if tokenizer.encode(one.text)[:-1]:
            assert sum(its.log_probs) == pytest.approx(one.log_probability, abs=1e-3)
    for beam in (1, 4):
        found = translator.translate_batch(sources, beam_size=beam, min_decoding_length=0)
        texts = [
            tokenizer.decode(tokenizer.convert_tokens_to_ids(one.hypotheses[0]), skip_special_tokens=True)
            for one in found
        ]
        assert texts == ours(run, beam)
