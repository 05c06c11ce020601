"""A translator in use, in Python and on the command line; its scores.

Covers `evaluate`, `experiment`, `data_record` and `model_card`, and xformer.api.translate,
xformer.cli.translate, xformer.cli.finetune.translate.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import torch

import xformer
from tests.translation.conftest import NUMBERS, TINY, numbers
from xformer.api import Model
from xformer.cli import main
from xformer.errors import InputError
from xformer.generation.options import GenerationOptions
from xformer.runs.directory import RunDirectory
from xformer.tokenizer.special import EOS_ID
from xformer.translation.data_record import TranslationRecord
from xformer.translation.translator import Search


@pytest.fixture(scope="module")
def model(translator_run: Path) -> Model:
    return xformer.load(translator_run)


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert isinstance(exit.value.code, int)
    return exit.value.code, captured.out, captured.err


def test_texts_become_texts_in_their_order(model: Model) -> None:
    texts = ["two", "", "one", "  ", "three two"]
    found = model.translate(texts, to="de")
    assert found[0] == model.translate("two", "de", source="en")
    assert [bool(one) for one in found] == [True, False, True, False, True]
    assert model.translate(iter(texts), to="de") == found
    assert model.translate(texts[::-1], to="de") == found[::-1]
    right = [
        model.translate(word, to="de") == other
        for word, other in zip(NUMBERS["en"], NUMBERS["de"], strict=True)
    ]
    assert sum(right) >= 4
    assert model.encode(texts).shape == (5, model.dim)
    assert model.languages == ("de", "en", "fr")


def test_what_never_ends_is_cut_alike_beside_any_other(model: Model) -> None:
    bias = model.translator._model.output.bias
    assert bias is not None
    with torch.no_grad():
        before = bias.clone()
        bias[EOS_ID] = -1e4
        alone = model.translate("two", to="de")
        beside = model.translate(["two", "one two three " * 3], to="de")
        bias.copy_(before)
    assert alone == beside[0]
    assert len(alone.split()) > len(["two", "one", "two", "three"])


@pytest.mark.skipif(not torch.cpu.get_capabilities().get("avx2", False), reason="int8 needs AVX2")
def test_int8_computes_both_halves_and_writes_nearly_the_same(translator_run: Path, model: Model) -> None:
    quick = xformer.load(translator_run, dtype="int8", device="cpu")
    halves = quick.translator._model
    assert not any(isinstance(part, torch.nn.Linear) for part in halves.modules())
    assert halves.output.quantised is not None
    found = quick.translate(NUMBERS["en"], to="de")
    assert sum(a == b for a, b in zip(found, model.translate(NUMBERS["en"], to="de"), strict=True)) >= 5


def test_hypotheses_are_ranked_and_draws_repeat(model: Model) -> None:
    translator = model.translator
    best = translator.translate(["one two"], "de", search=Search(GenerationOptions(beam=4, n_best=3)))[0]
    assert len({one.text for one in best}) == 3
    assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
    drawn = Search(GenerationOptions(method="sample", temperature=2.0, seed=5))
    again = [translator.translate(["one two"] * 3, "fr", search=drawn) for _ in range(2)]
    assert again[0] == again[1]
    assert len(translator.translate(["one"], "de", search=Search(minimum_risk=8))[0]) == 1


@pytest.mark.parametrize(
    ("texts", "to", "source", "expected"),
    [
        (["one"], "es", None, "never learned to write es; it writes de, en, fr"),
        (["eins"], "en", "de", "never learned to read de; it reads en, fr"),
        (["one"], "en", "en", "expected two different languages, got en for both"),
        (["one", "one " * 50], "de", "en", r"text 2: has \d+ tokens; the model reads at most 40"),
        (["one"], "no tag", None, "language tag"),
    ],
)
def test_what_cannot_be_is_said(
    model: Model, texts: list[str], to: str, source: str | None, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        model.translate(texts, to=to, source=source)


def test_lines_give_lines(
    translator_run: Path,
    model: Model,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    expected = model.translate(["one", "", "two three"], to="de")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\n\ntwo three\n")))
    status, out, said = command(capsys, "translate", translator_run, "--to", "de", "--line-buffered")
    assert (status, out) == (0, "".join(f"{one}\n" for one in expected)), said
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"text": "one"}\n{"text": null}\n', encoding="utf-8")
    options = ("--to", "de", "--n-best", 2, "--json")
    found = [
        json.loads(line)
        for line in command(capsys, "translate", translator_run, rows, *options)[1].split("\n")[:-1]
    ]
    assert [one["translation"] for one in found] == expected[:2]
    assert [len(one["n_best"]) for one in found] == [2, 1]
    long = tmp_path / "long"
    long.write_text("one\n" + "one " * 50 + "\n", encoding="utf-8")
    status, out, said = command(capsys, "translate", translator_run, long, "--to", "de")
    assert (status, out) == (2, "")
    assert "text 2: has" in said
    for arguments, expected_error in (
        (("--n-best", 2), "--n-best: expected with --json"),
        (("--sample", "--minimum-risk", 3), "expected one of them"),
        (("--beam", 0), "--beam: expected a whole number from 1"),
    ):
        status, out, said = command(capsys, "translate", translator_run, rows, "--to", "de", *arguments)
        assert (status, out) == (2, "")
        assert expected_error in said


def test_another_run_says_what_makes_one(trained: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, said = command(capsys, "translate", trained.path, "--to", "de")
    assert status == 2
    assert f"`xformer finetune translate {trained.path} --train FILES --out NEW` makes a run" in said


def test_a_run_is_made_tested_and_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    texts = numbers(60, seed=1)
    for name, groups in (("train", range(40)), ("test", range(40, 60))):
        part = texts.only(set(groups))
        for language in ("en", "de"):
            lines = [text for text, tag in zip(part.texts, part.languages, strict=True) if tag == language]
            (tmp_path / f"{name}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def finetune(out: str, *more: object) -> tuple[int, str, str]:
        files = [tmp_path / f"{name}.{tag}" for name in ("train", "test") for tag in ("en", "de")]
        given = ("--train", *files[:2], "--test", *files[2:], "--directions", "en-de", "--vocabulary", 310)
        length = ("--steps", 2, "--evaluate-steps", 2, "--beam", 2)
        return command(
            capsys, "finetune", "translate", *given, *length, "--out", tmp_path / out, "--set", *TINY, *more
        )

    status, out, said = finetune("a", "training.seed=1")
    assert status == 0, said
    assert "en-de" in out
    run = RunDirectory(tmp_path / "a")
    record = TranslationRecord.load(run)
    assert record.test.pairs == {"en-de": 20}
    assert record.train.pairs["en-de"] == 39
    assert record.seen > 0
    card = run.model_card.read_text(encoding="utf-8")
    assert "English (en) to German (de)" in card or "to" in card
    assert "stand in the training part" in card
    kept = [
        json.loads(line)
        for line in (run.translations / "en-de.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(kept) == 20
    assert set(kept[0]) == {"source", "reference", "translation"}
    assert finetune("b")[0] == 0
    status, out, said = command(capsys, "evaluate", tmp_path / "a", "--against", tmp_path / "b", "--json")
    assert status == 0, said
    assert set(json.loads(out)["directions"]["en-de"]) == {"bleu", "chrf"}
    status, out, said = command(capsys, "evaluate", tmp_path / "a", "--json")
    assert "evaluated before" in said
    assert json.loads(out)["directions"]["en-de"]["texts"] == 20
    assert json.loads(command(capsys, "evaluate", tmp_path / "a", "--force", "--json")[1])["step"] == 2
    status, _, said = command(capsys, "evaluate", tmp_path / "a", "--alignment")
    assert status == 2
    assert "--alignment" in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "expected --train FILES or --corpus FOLDER, one of them"),
        (("--train", "a.en", "a.de", "--corpus", "c"), "one of them"),
        (("--corpus", "c", "--dev", "a.en"), "--dev: expected without --corpus"),
        (("--train", "missing.en", "missing.de"), "missing.en: no such file"),
        (("--train", "a.en", "a.de", "--steps", "0"), "--steps: expected a whole number from 1"),
    ],
)
def test_wrong_options_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    status, out, said = command(capsys, "finetune", "translate", "--out", tmp_path / "new", *arguments)
    assert (status, out) == (2, "")
    assert expected in said
    assert not (tmp_path / "new").exists()
