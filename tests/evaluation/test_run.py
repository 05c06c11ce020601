"""`evaluate_run` on a run of a few steps: what it leaves, what it reuses, what it says."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.evaluation.example_report import retrieval_of
from xformer.data.corpus import import_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.evaluation.report import EvaluationReport
from xformer.evaluation.report_file import UnsavedError
from xformer.evaluation.run import evaluate_run
from xformer.evaluation.table import markdown_table
from xformer.model.config import ModelConfig
from xformer.pretraining.pretrain import pretrain
from xformer.progress import Progress
from xformer.runs.config import DataConfig, ObjectivesConfig, RunConfig, TrainingConfig
from xformer.tokenizer import TokenizerOptions

WORDS = {
    "en": ("the dog my_brother nobody a_neighbour", "sees buys paints finds", "bread apples my_house a_book"),
    "de": (
        "der Hund mein_Bruder niemand ein_Nachbar",
        "sieht kauft malt findet",
        "Brot Äpfel ein_Haus Bücher",
    ),
    "fr": (
        "le chien mon_frère personne un_voisin",
        "voit achète peint trouve",
        "pain pommes une_maison livres",
    ),
}


def records(languages: Sequence[str] = tuple(WORDS)) -> list[Record]:
    """80 sentences in each language."""
    found = []
    for language, parts in ((language, WORDS[language]) for language in languages):
        for number, words in enumerate(itertools.product(*(part.split() for part in parts))):
            found.append(Record(" ".join(words).replace("_", " "), language, str(number), "synthetic"))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps; its model has more rows than the vocabulary has pieces."""
    objectives = ObjectivesConfig(
        masked_lm_tokens=128, translation_lm_tokens=128, alignment_tokens=256, embedding_warmup_tokens=256
    )
    return trained(tmp_path_factory.mktemp("evaluated"), records(), objectives)


def trained(folder: Path, texts: list[Record], objectives: ObjectivesConfig) -> Path:
    """Import the texts, and train for three steps."""
    options = ImportOptions(SplitSizes(dev=10, test=20), near_threshold=1.0)
    import_corpus(texts, folder / "corpus", options, [Source("by hand", "CC0-1.0")])
    config = RunConfig(
        model=ModelConfig(vocab_size=340, d_model=16, n_layers=1, n_heads=2, d_ff=16, max_length=64),
        tokenizer=TokenizerOptions(vocabulary_size=290),
        data=DataConfig(corpus=str(folder / "corpus"), max_length=64),
        objectives=objectives,
        training=TrainingConfig(budget=None, steps=3, precision="fp32"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        with Progress(Console(file=StringIO())) as progress:
            pretrain(folder / "run", config, progress)
    return folder / "run"


def evaluated(
    run: Path, *, split: str = "test", bag_seconds: float = 0.3, **options: Any
) -> tuple[EvaluationReport, str]:
    """The report, and what was said."""
    output = StringIO()
    with Progress(Console(file=output)) as progress:
        report = evaluate_run(run, progress, split=split, bag_seconds=bag_seconds, **options)
    return report, output.getvalue()


@pytest.mark.slow
def test_it_leaves_everything_in_the_run_and_reuses_it(run: Path) -> None:
    first, said = evaluated(run)
    assert "reusing" not in said
    assert first.step == 3
    assert first.split == "test"
    assert first.messages == 20
    assert set(retrieval_of(first).languages) == {"de", "fr"}
    assert set(first.mlm.bits_per_byte) == {"de", "en", "fr"}
    assert json.loads((run / "evaluation.json").read_text(encoding="utf-8")) == json.loads(first.to_json())
    table = (run / "evaluation.md").read_text(encoding="utf-8")
    assert table == markdown_table(first)
    assert (run / "retrieval.png").stat().st_size > 1000
    assert table in (run / "README.md").read_text(encoding="utf-8")

    second, said = evaluated(run)
    assert second == first
    assert "evaluation: reusing" in said

    # Another split needs measuring, but no other baseline.
    dev, said = evaluated(run, split="dev")
    assert (dev.split, dev.messages) == ("dev", 10)
    assert "bag of subwords: reusing" in said
    assert dev.bag == first.bag

    # A baseline that trained for less than is asked is no baseline.
    assert first.bag is not None
    longer, said = evaluated(run, bag_seconds=first.bag.seconds + 0.2)
    assert "reusing" not in said
    assert longer.bag is not None
    assert longer.bag.seconds > first.bag.seconds + 0.1

    # An evaluation that cannot be read is made again.
    (run / "evaluation.json").write_text("{}", encoding="utf-8")
    third, said = evaluated(run)
    assert "evaluation: reusing" not in said
    assert third.bag == longer.bag
    assert third.mlm == first.mlm
    assert third.retrieval == longer.retrieval

    anew, said = evaluated(run, force=True)
    assert "reusing" not in said
    assert anew.mlm == first.mlm
    assert anew.bag != first.bag


@pytest.mark.slow
def test_another_pivot_is_another_evaluation(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("evaluation.*"))
    english, _ = evaluated(copy)
    # What cannot be is refused before the baseline would be trained again, and changes nothing.
    for options, message in (
        ({"pivot": "pl"}, r"--pivot: expected .*de \(German\), .*; got 'pl'"),
        ({"min_messages": 21}, "--min-messages: expected at most 20"),
    ):
        with pytest.raises(InputError, match=message):
            evaluated(copy, bag_seconds=1e6, **options)
    german, said = evaluated(copy, pivot="deu")
    assert "evaluation: reusing" not in said
    assert "bag of subwords: reusing" in said
    assert "pivot: 'deu' is 'de' in this corpus" in said
    assert set(retrieval_of(german).languages) == {"en", "fr"}
    again, said = evaluated(copy, pivot="de")
    assert again == german
    assert "test split at step 3, pivot de (German), languages with 10 messages or more; --force" in said
    more, said = evaluated(copy, pivot="de", min_messages=20)
    assert "evaluation: reusing" not in said
    assert retrieval_of(more).min_messages == 20
    # All take their vectors from one layer, which belongs to the checkpoint.
    assert retrieval_of(german).layer == retrieval_of(english).layer
    # The run's own settings are as they were: it goes on.
    assert (copy / "config.toml").read_bytes() == (run / "config.toml").read_bytes()
    assert (copy / "space.png").stat().st_size > 1000


@pytest.mark.slow
def test_a_run_in_one_language_is_evaluated_as_far_as_that_goes(tmp_path: Path) -> None:
    objectives = ObjectivesConfig(
        masked_lm_tokens=128, translation_lm_tokens=0, alignment_tokens=0, embedding_warmup_share=0.0
    )
    run = trained(tmp_path, records(["de"]), objectives)
    report, said = evaluated(run)
    assert (report.retrieval, report.bag) == (None, None)
    assert "retrieval: no message of the test split is in two languages" in said
    assert set(report.mlm.bits_per_byte) == {"de"}
    assert report.names == {"de": "German"}
    table = (run / "evaluation.md").read_text(encoding="utf-8")
    assert "mean bits per byte over 1 language:" in table
    assert "Retrieval: no message of the test split is in two languages" in table
    assert "| de German | – | – | – | – |" in table
    assert not (run / "retrieval.png").exists()
    again, said = evaluated(run)
    assert again == report
    assert "evaluation: reusing" in said


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a run"):
        evaluated(tmp_path)


def test_a_run_that_cannot_be_written_to_is_measured_and_that_is_said_first(
    run: Path, tmp_path: Path, full_disk: Callable[..., AbstractContextManager[None]]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("evaluation.*", "baselines"))
    before, output = sorted(copy.rglob("*")), StringIO()
    with (
        full_disk(),
        Progress(Console(file=output)) as progress,
        pytest.raises(UnsavedError, match=r"evaluation\.md: cannot be written \(File too large\)") as raised,
    ):
        evaluate_run(copy, progress, bag_seconds=0.3)
    assert isinstance(raised.value.report, EvaluationReport)
    assert raised.value.report.step == 3
    first = output.getvalue().splitlines()[0]
    assert first.startswith(f"{copy / 'evaluation.json'}: cannot be written (File too large): ")
    assert [path for path in sorted(copy.rglob("*")) if path.name != "baselines"] == before
