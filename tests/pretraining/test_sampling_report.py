"""Rules about sources in a run: what is said before it trains, what is drawn, and what the log says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.shards import TokenShards
from xformer.data.source_rules import SourceRule
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.pretraining.checks import require_sources
from xformer.pretraining.prepare import prepare
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.sampling_report import SamplingReport
from xformer.pretraining.step_plan import StepPlanner
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_records
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics

RULES = (
    SourceRule("games/*", weight=4.0),
    SourceRule("names/*", weight=0.25, min_chars=18, languages=("en", "e?")),
)
Listening = Callable[..., Progress]


def _records() -> list[Record]:
    """Two in three groups come from the names, one from the games; some Danish words from nowhere."""
    found = []
    for record in synthetic_records():
        number = int(record.group.split()[1])
        source = "games/story.deb" if number % 3 == 0 else "names/cldr.tgz"
        found.append(replace(record, source=f"{source}:line {number}"))
    return [*found, *(Record(f"ord nummer {n}", "da", f"ord {n}", "elsewhere") for n in range(3))]


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources") / "corpus"
    options = ImportOptions(SplitSizes(dev=10, test=10, min_languages=2), near_threshold=1.0)
    sources = [Source(name, "CC0-1.0") for name in ("names/cldr.tgz", "games/story.deb", "unused.zip")]
    import_corpus(_records(), folder, options, sources)
    return folder


def _config(corpus: Path, rules: tuple[SourceRule, ...] = RULES, floor: int = 5) -> RunConfig:
    config = synthetic_config(corpus, steps=3)
    return replace(config, data=replace(config.data, sources=rules, min_sampled_texts=floor))


@pytest.fixture(scope="module")
def run(two_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with its shards, made without rules."""
    found = RunDirectory(tmp_path_factory.mktemp("run"))
    found.path.mkdir(exist_ok=True)
    with Progress() as progress:
        prepare(found, _config(two_sources, (), 1), progress)
    return found


@pytest.fixture(scope="module")
def shards(run: RunDirectory) -> TokenShards:
    return TokenShards.open(run.shards("train"))


def test_the_shards_know_the_source_and_the_length_of_each_text(
    shards: TokenShards, two_sources: Path
) -> None:
    records = list(open_corpus(two_sources).records("train"))
    assert shards.sources == ("names/cldr.tgz", "games/story.deb", "unused.zip", "other")
    assert shards.source is not None
    assert shards.n_chars is not None
    for example, record in enumerate(np.asarray(shards.record).tolist()):
        name = shards.sources[shards.source[example]]
        assert name == (
            "other" if records[record].source == "elsewhere" else records[record].source.partition(":")[0]
        )
        assert shards.n_chars[example] == len(records[record].text)


def test_what_is_said_adds_up(shards: TokenShards, two_sources: Path) -> None:
    report = SamplingReport.of(shards, _config(two_sources))
    assert report.small == {"da": 3}
    by_name = {one.name: one for one in report.sources}
    assert by_name.keys() == {"names/cldr.tgz", "games/story.deb", "other"}
    assert sum(one.share for one in report.sources) == pytest.approx(1)
    assert by_name["other"].drawn_from == 0
    games = by_name["games/story.deb"]
    assert games.texts == games.drawn_from
    lines = list(report.lines())
    assert lines[0] == f"sampling: games/story.deb: {games.texts} texts, {games.share:.1%} of what is drawn"
    assert lines[-2:] == [
        "sampling: other: 0 of 3 texts, left out",
        "sampling: 1 language with fewer than 5 texts, not drawn: da 3",
    ]
    assert list(SamplingReport.of(shards, _config(two_sources, (), 1)).lines()) == []


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_many_steps_draw_each_source_in_its_share(
    shards: TokenShards, two_sources: Path, alpha: float
) -> None:
    config = _config(two_sources)
    config = replace(config, data=replace(config.data, alpha=alpha))
    planner = StepPlanner(shards, config)
    asked, drawn = np.zeros(4), np.zeros(4)
    for step in range(300):
        plan = planner.plan(step)
        assert plan.asked_by_source is not None
        assert plan.texts_by_source is not None
        asked += plan.asked_by_source
        drawn += plan.texts_by_source
        assert plan.texts_by_source.sum() == plan.texts_by_language.sum()
    assert drawn[2:].tolist() == [0, 0]
    assert drawn / drawn.sum() == pytest.approx(asked / asked.sum(), abs=0.01)
    report = SamplingReport.of(shards, config)
    assert {one.name: one.share for one in report.sources}["games/story.deb"] == pytest.approx(
        drawn[1] / drawn.sum(), abs=0.01
    )


def test_both_texts_of_a_pair_are_of_sources_that_stay(shards: TokenShards, two_sources: Path) -> None:
    rules = (SourceRule("names/*", weight=0.0), SourceRule("*", languages=("en", "el", "da")))
    planner = StepPlanner(shards, _config(two_sources, rules, 1))
    assert shards.source is not None
    for step in range(20):
        plan = planner.plan(step)
        assert {"alignment", "translation_lm", "masked_lm"} <= plan.examples.keys()
        for examples in plan.examples.values():
            assert set(shards.source[examples.ravel()].tolist()) <= {1, 3}
            assert "de" not in {shards.languages[tag] for tag in shards.language[examples.ravel()]}


def test_rules_without_effect_leave_every_plan_as_it_is(shards: TokenShards, two_sources: Path) -> None:
    plain = StepPlanner(shards, _config(two_sources, (), 1))
    same = StepPlanner(shards, _config(two_sources, (SourceRule("names/*"), SourceRule("*")), 2))
    for step in (0, 1, 77):
        assert plain.plan(step).digest("") == same.plan(step).digest("")


def test_what_leaves_no_translations_is_said(shards: TokenShards, two_sources: Path) -> None:
    rules = (SourceRule("*", languages=("en",)),)
    with pytest.raises(
        InputError, match=r"found none among what data\.sources and data\.min_sampled_texts leave"
    ):
        StepPlanner(shards, _config(two_sources, rules))


@pytest.mark.parametrize("pattern", ["freedict/*", "unused.zip"])
def test_a_rule_about_nothing_is_refused_before_the_run_begins(
    two_sources: Path, tmp_path: Path, pattern: str
) -> None:
    with (
        pytest.raises(InputError, match=r"fits no source of .*corpus; it has .*games/story.deb"),
        Progress() as p,
    ):
        prepare(RunDirectory(tmp_path), _config(two_sources, (SourceRule(pattern),)), p)
    require_sources(open_corpus(two_sources), _config(two_sources))


def test_the_log_has_requested_and_realised_shares(
    run: RunDirectory, two_sources: Path, tmp_path: Path
) -> None:
    config = _config(two_sources)
    with Progress() as progress:
        pretrain(tmp_path / "run", config, progress)
    line = read_metrics(RunDirectory(tmp_path / "run").metrics)[-1]
    assert line["sources"].keys() == {"names/cldr.tgz", "games/story.deb"}
    for name in ("asked", "drawn"):
        assert sum(one[name] for one in line["sources"].values()) == pytest.approx(1, abs=1e-4)


def test_shards_of_an_earlier_version_are_refused_with_rules_alone(
    run: RunDirectory, two_sources: Path, tmp_path: Path
) -> None:
    old = RunDirectory(tmp_path)
    with Progress() as progress:
        prepare(old, _config(two_sources, (), 1), progress)
    for split in ("train", "dev", "test"):
        _make_old(old.shards(split))
    with Progress() as progress:
        prepare(old, _config(two_sources, (), 1), progress)
        with pytest.raises(InputError, match=r"made by an earlier version.*remove the folder"):
            prepare(old, _config(two_sources), progress)
    plain = StepPlanner(TokenShards.open(old.shards("train")), _config(two_sources, (), 5))
    new = StepPlanner(TokenShards.open(run.shards("train")), _config(two_sources, (), 5))
    assert plain.plan(3).digest("") == new.plan(3).digest("")


def _make_old(folder: Path) -> None:
    """Make shards what version 0.1 wrote: without sources, in format 1."""
    import hashlib

    index = folder / "shards.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    del content["seal"], content["sources"], content["columns"]["source"], content["columns"]["chars"]
    content["format"] = 1
    for name in ("source", "chars"):
        (folder / f"{name}.bin").unlink()

    def canonical(found: dict[str, object]) -> str:
        return json.dumps(found, ensure_ascii=False, indent=2, sort_keys=True) + "\n"

    content["seal"] = hashlib.sha256(canonical(content).encode()).hexdigest()
    index.write_text(canonical(content), encoding="utf-8")
