"""What a run tells before it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xformer.data.corpus import Corpus, import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.languages import named
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.pretraining.checks import StartChecks, check_start
from xformer.runs.config import RunConfig

Make = Callable[..., Corpus]

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def _words(number: int) -> str:
    return " ".join(NUMBERS[int(digit)] for digit in f"{number:04}")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Imports groups: for each, the tags of its texts."""

    def corpus(groups: Iterable[Iterable[str]], **sizes: Any) -> Corpus:
        records = [
            Record(f"{tag} {_words(number)}", tag, str(number), "s")
            for number, tags in enumerate(groups)
            for tag in tags
        ]
        options = ImportOptions(SplitSizes(**sizes), near_threshold=1.0)
        import_corpus(records, tmp_path / "corpus", options, [Source("s", "CC0-1.0")])
        return open_corpus(tmp_path / "corpus")

    return corpus


def _config(**tables: Mapping[str, Any]) -> RunConfig:
    config = RunConfig()
    return replace(config, **{name: replace(getattr(config, name), **tables[name]) for name in tables})


def _about(checks: StartChecks) -> list[str]:
    return [finding.about for finding in checks.findings]


def test_nothing_is_missing(make: Make) -> None:
    corpus = make([("de", "en", "fr")] * 260, dev=30, test=110)
    checks, config = check_start(corpus, _config(data={"corpus": str(corpus.folder)}))
    assert config == _config(data={"corpus": str(corpus.folder)})
    dev, test = (corpus.manifest.split(split).groups for split in ("dev", "test"))
    assert checks.lines() == [
        "corpus: 360 training texts in 3 languages; the pivot is en (English)",
        f"retrieval compares with en on dev: 2 languages by up to {dev} messages, on test: 2 languages by up"
        f" to {test} messages",
    ]


@pytest.mark.parametrize(
    ("tags", "asked", "found"),
    [(("deu", "eng"), "en", "eng"), (("de", "en"), "eng", "en"), (("de", "en"), "German", "de")],
)
def test_the_pivot_is_found_in_either_form(make: Make, tags: tuple[str, str], asked: str, found: str) -> None:
    checks, config = check_start(make([tags] * 190, dev=30, test=120), _config(data={"pivot": asked}))
    assert (checks.pivot, config.data.pivot) == (found, found)
    assert [str(one) for one in checks.findings] == [f"pivot: {asked!r} is {named(found)} in this corpus"]


def test_a_missing_pivot_is_replaced_by_the_most_translated_language(make: Make) -> None:
    # German has the most texts, French the most translations.
    groups = [("de",)] * 120 + [("fr", "it")] * 60 + [("fr", "de")] * 50
    checks, config = check_start(
        make(groups, dev=40, test=60, min_languages=2), _config(data={"pivot": "enn"})
    )
    assert config.data.pivot == "fr"
    assert str(checks.findings[0]) == (
        "pivot: the corpus has no enn; fr (French), with 110 translated messages, takes its place."
        " --set data.pivot=TAG takes another of de, fr, it"
    )


def test_a_pivot_without_held_out_translations(make: Make) -> None:
    groups = [("de", "fr")] * 300 + [("en",)] * 2
    checks, config = check_start(make(groups, dev=40, test=60, min_languages=2), _config())
    assert config.data.pivot == "en"
    assert checks.messages == {"dev": 0, "test": 0}
    said = [str(one) for one in checks.findings]
    assert said[0] == (
        "retrieval on test: no message is in en (English) and another language; evaluate compares with de"
        " (German) instead. --set data.pivot=de trains for it, too"
    )
    assert said[1].startswith(
        "retrieval on dev: no message is in en (English) and another language: the panel"
    )


def test_few_messages_name_the_option_that_gives_more(make: Make) -> None:
    corpus = make([("de", "en")] * 3000, dev=4, test=8)
    checks, _ = check_start(corpus, _config(data={"corpus": str(corpus.folder)}))
    assert [str(one) for one in checks.findings] == [
        "retrieval on test: on 8 messages, each a step of 12%. More: xformer data import … --dev 120"
        " --test 300 --held-out-languages 2",
        "retrieval on dev: 4 messages in en and another language choose the layer; the panel, which needs 10,"
        " is left out. More: xformer data import … --dev 120 --test 300 --held-out-languages 2",
    ]
    default, _ = check_start(corpus, _config())
    assert "--set data.test_groups=500 data.dev_groups=200" in str(default.findings[0])


def test_splits_without_texts(make: Make) -> None:
    checks, _ = check_start(make([("de", "en")] * 60, dev=0, test=0), _config())
    assert _about(checks) == ["test", "dev"]
    assert "evaluate has nothing to measure" in str(checks.findings[0])


def test_one_language(make: Make) -> None:
    corpus = make([("de",)] * 90, dev=10, test=20)
    with pytest.raises(InputError, match=r"--set objectives\.alignment_tokens=0\. If"):
        check_start(corpus, _config())
    both = {"translation_lm_tokens": 64}
    with pytest.raises(
        InputError, match=r"--set objectives\.alignment_tokens=0 objectives\.translation_lm_tok"
    ):
        check_start(corpus, _config(objectives=both))
    checks, config = check_start(corpus, _config(objectives={"alignment_tokens": 0}))
    assert config.data.pivot == "de"
    assert [str(one) for one in checks.findings] == [
        "pivot: the corpus has no en (English); de (German), with most texts, takes its place",
        "retrieval on test: the corpus has one language: retrieval on test is left out",
        "retrieval on dev: the corpus has one language: the panel and the choice of the layer for retrieval"
        " are left out",
    ]


def test_languages_without_translations(make: Make) -> None:
    corpus = make([("de",), ("fr",)] * 90, dev=10, test=20)
    with pytest.raises(InputError, match="expected groups with texts in two languages"):
        check_start(corpus, _config())
    checks, _ = check_start(corpus, _config(objectives={"alignment_tokens": 0}))
    assert _about(checks) == ["pivot", "retrieval on test", "retrieval on dev"]
    assert "no message is in two languages" in str(checks.findings[1])


def test_what_was_found_is_read_again(make: Make, tmp_path: Path) -> None:
    checks, _ = check_start(make([("de", "en")] * 90, dev=4, test=8), _config())
    checks.save(tmp_path / "checks.json")
    assert StartChecks.load(tmp_path / "checks.json") == checks
    assert StartChecks.load(tmp_path / "none.json") is None
    (tmp_path / "checks.json").write_text('{"pivot": "en"}', encoding="utf-8")
    assert StartChecks.load(tmp_path / "checks.json") is None
