"""`evaluate_run_outside` on a run of a few steps, beside plain computations.

Covers `bits`, `evaluate`, `report`, `subject` and `texts`.
"""

from __future__ import annotations

import itertools
import json
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.synthetic_runs import WORDS
from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.evaluation.outside.report import MeanScores, OutsideReport
from xformer.evaluation.outside.run import evaluate_run_outside, outside_reports
from xformer.evaluation.outside.table import outside_markdown
from xformer.evaluation.outside.texts import OutsideTexts, read_outside
from xformer.pretraining.load import load_run, open_tokenizer
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.sentence_layer import recorded_layer


@pytest.fixture(scope="module")
def run(trained: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A copy of the run that other tests share."""
    return RunDirectory(Path(shutil.copytree(trained.path, tmp_path_factory.mktemp("outside") / "run")))


def sentences(language: str) -> list[str]:
    """Those that the run has seen some of, with another word in front."""
    parts = [words.split() for words in WORDS[language]]
    return [f"oh {' '.join(words)}" for words in itertools.product(*parts)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs with English: 30 in German, 20 in Greek, 25 that pass for Latin, 12 in none known."""
    folder = tmp_path_factory.mktemp("outside") / "everyday"
    folder.mkdir()
    for code, source, number in (("deu", "de", 30), ("ell", "el", 20), ("lat", "de", 25), ("qqq", "el", 12)):
        for end, language in ((code, source), ("eng", "en")):
            lines = "".join(f"{one}\n" for one in sentences(language)[:number])
            (folder / f"tatoeba.{code}-eng.{end}").write_text(lines, encoding="utf-8")
    return folder


def evaluated(run: RunDirectory, on: Path, **options: Any) -> tuple[OutsideReport, str]:
    """The report, and what was said."""
    output = StringIO()
    with Progress(Console(file=output, width=300)) as progress:
        report = evaluate_run_outside(run.path, on, progress, bag_seconds=0.2, **options)
    return report, output.getvalue()


@pytest.fixture(scope="module")
def found(run: RunDirectory, files: Path) -> tuple[OutsideReport, str]:
    return evaluated(run, files)


def mean_of(report: OutsideReport, which: str) -> MeanScores:
    (one,) = [one for one in report.means if one.which == which]
    return one


def test_tatoeba_is_measured_pair_by_pair(found: tuple[OutsideReport, str]) -> None:
    report, said = found
    assert [(one.label, one.language, one.pivot, one.seen, one.messages) for one in report.pairs] == [
        ("tatoeba deu-eng", "de", "en", True, 30),
        ("tatoeba ell-eng", "el", "en", True, 20),
        ("tatoeba lat-eng", "la", "en", False, 25),
        ("tatoeba qqq-eng", "qqq", "en", False, 12),
    ]
    assert "no language is known by qqq; counted as not seen in training" in said
    assert {name: mean_of(report, name).languages for name in ("all", "seen", "unseen")} == {
        "all": 4,
        "seen": 2,
        "unseen": 2,
    }
    assert (report.name, report.split, report.texts) == ("everyday", "tatoeba", 2 * (30 + 20 + 25 + 12))


def test_scores_are_those_of_a_plain_computation(
    found: tuple[OutsideReport, str], run: RunDirectory, files: Path
) -> None:
    """Vectors one text at a time, the nearest by a product of all with all."""
    report, _ = found
    _, _, model, state = load_run(run.path)
    tokenizer = open_tokenizer(run)
    choice = recorded_layer(run, state.step)
    assert choice is not None
    assert report.layer == choice.layer
    assert len(report.pairs[0].by_layer) == model.config.n_layers + 1
    from xformer.embedding.encode import encode_tokens

    for pair, code, number in zip(report.pairs, ("deu", "ell", "lat", "qqq"), (30, 20, 25, 12), strict=True):
        for layer in range(model.config.n_layers + 1):
            sides = []
            for end in (code, "eng"):
                lines = (files / f"tatoeba.{code}-eng.{end}").read_text(encoding="utf-8").splitlines()
                vectors = [
                    encode_tokens(model, tokenizer.encode_batch([line]), n_layers=layer) for line in lines
                ]
                sides.append(torch.cat(vectors).double())
            cosines = sides[0] @ sides[1].T
            own = torch.arange(number)
            both = [(cosines.argmax(dim) == own).double().mean().item() for dim in (1, 0)]
            assert pair.by_layer[layer] == pytest.approx(np.mean(both), abs=1e-9)
            if layer == report.layer:
                score = pair.scores["model"]
                assert [score.to_pivot_top1, score.from_pivot_top1] == pytest.approx(both)


def test_means_and_intervals(found: tuple[OutsideReport, str]) -> None:
    report, _ = found
    for which, members in {"all": report.pairs, "seen": report.pairs[:2], "unseen": report.pairs[2:]}.items():
        one = mean_of(report, which)
        assert set(one.scores) == {"model", "bag", "untrained", "trigrams"}
        for name, score in one.scores.items():
            assert score.top1 == pytest.approx(np.mean([each.scores[name].top1 for each in members]))
            assert score.low is not None
            assert score.high is not None
            assert min(each.scores[name].top1 for each in members) <= score.low <= score.top1 <= score.high
        assert [each.value for each in one.by_layer] == pytest.approx(
            np.mean([each.by_layer for each in members], axis=0)
        )
        assert one.over_bag is not None
        assert one.over_bag.value == pytest.approx(one.scores["model"].top1 - one.scores["bag"].top1)


def test_bits_per_byte_beside_a_unigram_of_the_language(found: tuple[OutsideReport, str]) -> None:
    report, _ = found
    bits = report.bits
    assert bits is not None
    assert set(bits.languages) == {"de", "el", "en", "la", "qqq"}
    assert {tag for tag, one in bits.languages.items() if one.seen} == {"de", "el", "en"}
    assert "unigram" not in bits.languages["la"].bits
    below = {tag for tag in ("de", "el", "en") if bits.languages[tag].below_unigram}
    assert set(bits.below_unigram) == below
    assert {*bits.below_unigram, *bits.not_below_unigram} == {"de", "el", "en"}
    assert bits.means["model"].value == pytest.approx(
        np.mean([bits.languages[tag].bits["model"] for tag in ("de", "el", "en")])
    )
    # A language that was not seen is predicted by all languages together, whatever it is told.
    assert bits.languages["qqq"].bits["blind_unigram"] > 0


def test_it_is_kept_in_the_run_and_reused(
    found: tuple[OutsideReport, str], run: RunDirectory, files: Path
) -> None:
    report, said = found
    (path,) = run.outside.glob("*.json")
    assert path.name == f"everyday-tatoeba-{report.sha256[:8]}.json"
    assert OutsideReport.load(path) == report == outside_reports(run)[0]
    assert json.loads(path.read_text(encoding="utf-8"))["pairs"][0]["scores"]["model"]["low"] is not None
    assert f"written to {path}" in said
    assert path.with_suffix(".md").read_text(encoding="utf-8") == outside_markdown(report)
    assert path.with_suffix(".png").is_file()
    card = run.model_card.read_text(encoding="utf-8")
    assert f"](outside/{path.stem}.png)" in card
    assert outside_markdown(report) in card
    again, said = evaluated(run, files)
    assert again == report
    assert f"reusing {path}" in said
    alone, said = evaluated(run, files, baselines=False, bits=False)
    assert "reusing" not in said
    assert alone.bits is None
    assert alone.bag is None
    assert set(alone.pairs[0].scores) == {"model"}
    assert alone.pairs[0].scores["model"] == report.pairs[0].scores["model"]


def test_what_stands_in_the_training_corpus_is_counted(
    found: tuple[OutsideReport, str], run: RunDirectory, files: Path, tmp_path: Path
) -> None:
    report, _ = found
    assert report.overlap is not None
    # Another word stands in front of every sentence: near where it is short beside the rest, never equal.
    assert report.overlap.exact == 0
    copied = tmp_path / "copied"
    copied.mkdir()
    for code, language in (("deu", "de"), ("eng", "en")):
        lines = [one.removeprefix("oh ") for one in sentences(language)]
        (copied / f"t.deu-eng.{code}").write_text("\n".join(lines), encoding="utf-8")
    again, _ = evaluated(run, copied, baselines=False, bits=False)
    assert again.overlap is not None
    # Of 120 sentences 16 are held out.
    assert again.overlap.exact == 2 * (120 - 16)
    gone = RunDirectory(Path(shutil.copytree(run.path, tmp_path / "run")))
    config = gone.config.read_text(encoding="utf-8")
    corpus = run.load_config().data.corpus
    gone.config.write_text(config.replace(corpus, f"{tmp_path}/gone"), encoding="utf-8")
    alone, said = evaluated(gone, copied, baselines=False, bits=False, force=True)
    assert alone.overlap is None
    assert "not compared with the training corpus, which is not at hand" in " ".join(said.split())


def test_bits_are_of_different_texts_spread_evenly(run: RunDirectory, files: Path) -> None:
    def read(on: Path) -> OutsideTexts:
        return read_outside(on, open_tokenizer(run), ("de", "el", "en"), max_length=64, configured_pivot="en")

    texts = read(files)
    # English stands in four pairs, and its longest list has 30 lines.
    language = np.asarray(texts.shards.language)[texts.for_bits(1000)]
    assert dict(zip(*np.unique(language, return_counts=True), strict=True)) == {
        0: 30,
        1: 20,
        2: 30,
        3: 25,
        4: 12,
    }
    some = texts.for_bits(3)
    assert len(some) == 5 * 3
    german = some[np.asarray(texts.shards.language)[some] == 0]
    assert [texts.records[place].text for place in np.asarray(texts.shards.record)[german]] == [
        sentences("de")[place] for place in (0, 14, 29)
    ]


def test_a_corpus_is_measured_by_split(run: RunDirectory, tmp_path: Path) -> None:
    records = [
        Record(text, code, str(number), "by hand:1")
        for code, language in (("deu", "de"), ("eng", "en"), ("nob", "el"))
        for number, text in enumerate(sentences(language)[:40])
    ]
    options = ImportOptions(SplitSizes(dev=0, test=15, min_languages=2), near_threshold=1.0)
    import_corpus(records, tmp_path / "corpus", options, [Source("by hand", "CC0-1.0")])
    report, _ = evaluated(run, tmp_path / "corpus", baselines=False)
    assert (report.split, report.tags) == ("test", {"deu": "de", "eng": "en"})
    assert {(one.language, one.messages, one.seen) for one in report.pairs} == {
        ("de", 15, True),
        ("nob", 15, False),
    }
    whole, _ = evaluated(run, tmp_path / "corpus", split="all", pivot="de", bits=False, baselines=False)
    assert {(one.language, one.messages, one.pivot) for one in whole.pairs} == {
        ("en", 40, "de"),
        ("nob", 40, "de"),
    }
    with pytest.raises(InputError, match="--split: expected one of train, dev, test or all"):
        evaluated(run, tmp_path / "corpus", split="tatoeba")
    with pytest.raises(InputError, match=r"--on .*: expected the folder of a corpus"):
        evaluated(run, tmp_path / "nothing")


def test_without_translations_bits_per_byte_are_left(run: RunDirectory, tmp_path: Path) -> None:
    records = [Record(text, "de", str(number), "by hand:1") for number, text in enumerate(sentences("de"))]
    options = ImportOptions(SplitSizes(dev=0, test=0, min_languages=1), near_threshold=1.0)
    import_corpus(records, tmp_path / "corpus", options, [Source("by hand", "CC0-1.0")])
    report, said = evaluated(run, tmp_path / "corpus")
    assert (report.split, report.pairs, report.means, report.bag) == ("all", [], [], None)
    assert report.bits is not None
    assert set(report.bits.languages) == {"de"}
    assert "the corpus has no test split; all of it is read" in said
    assert "retrieval is left out: no text has a translation" in said


def test_empty_files_and_blank_lines_are_no_texts(run: RunDirectory, tmp_path: Path) -> None:
    files = {"deu-eng.deu": "", "deu-eng.eng": "", "ell-eng.ell": "\n", "ell-eng.eng": "x\n"}
    for name, text in files.items():
        (tmp_path / f"a.{name}").write_text(text, encoding="utf-8")
    for code, language in (("fra", "de"), ("eng", "en")):
        lines = "\n".join(sentences(language)[:5])
        (tmp_path / f"a.fra-eng.{code}").write_text(lines, encoding="utf-8")
    report, said = evaluated(run, tmp_path, bits=False)
    assert [(one.label, one.messages) for one in report.pairs] == [("a fra-eng", 5)]
    assert "left out, without text: a deu-eng" in said


def test_texts_that_are_too_long_are_cut_for_bits_and_left_out_of_retrieval(
    run: RunDirectory, tmp_path: Path
) -> None:
    lines = sentences("de")[:12]
    (tmp_path / "t.de").write_text("\n".join([*lines, " ".join(sentences("de"))]), encoding="utf-8")
    (tmp_path / "t.en").write_text("\n".join([*sentences("en")[:12], "all"]), encoding="utf-8")
    report, said = evaluated(run, tmp_path, baselines=False)
    assert report.pairs[0].messages == 12
    assert "1 texts have more than" in said
    assert report.bits is not None
    assert report.bits.languages["de"].hidden_tokens > report.bits.languages["en"].hidden_tokens
