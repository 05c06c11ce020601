"""`evaluate_run` on a run of a few steps: what it leaves, what it reuses, what it says."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from pathlib import Path

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
from xformer.evaluation.run import UnsavedError, evaluate_run
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


def records() -> list[Record]:
    """80 sentences in three languages."""
    found = []
    for language, parts in WORDS.items():
        for number, words in enumerate(itertools.product(*(part.split() for part in parts))):
            found.append(Record(" ".join(words).replace("_", " "), language, str(number), "synthetic"))
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps; its model has more rows than the vocabulary has pieces."""
    folder = tmp_path_factory.mktemp("evaluated")
    options = ImportOptions(SplitSizes(dev=10, test=20), near_threshold=1.0)
    import_corpus(records(), folder / "corpus", options, [Source("by hand", "CC0-1.0")])
    config = RunConfig(
        model=ModelConfig(vocab_size=340, d_model=16, n_layers=1, n_heads=2, d_ff=16, max_length=64),
        tokenizer=TokenizerOptions(vocabulary_size=320),
        data=DataConfig(corpus=str(folder / "corpus"), max_length=64),
        objectives=ObjectivesConfig(
            masked_lm_tokens=128, translation_lm_tokens=128, alignment_tokens=256, embedding_warmup_tokens=256
        ),
        training=TrainingConfig(budget=None, steps=3, precision="fp32"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        with Progress(Console(file=StringIO())) as progress:
            pretrain(folder / "run", config, progress)
    return folder / "run"


def evaluated(
    run: Path, *, force: bool = False, split: str = "test", bag_seconds: float = 0.3
) -> tuple[EvaluationReport, str]:
    """The report, and what was said."""
    output = StringIO()
    with Progress(Console(file=output)) as progress:
        report = evaluate_run(run, progress, split=split, force=force, bag_seconds=bag_seconds)
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
        pytest.raises(
            UnsavedError, match=r"evaluation\.json: cannot be written \(File too large\)"
        ) as raised,
    ):
        evaluate_run(copy, progress, bag_seconds=0.3)
    assert raised.value.report.step == 3
    first = output.getvalue().splitlines()[0]
    assert first.startswith(f"{copy / 'evaluation.json'}: cannot be written (File too large): ")
    assert [path for path in sorted(copy.rglob("*")) if path.name != "baselines"] == before
