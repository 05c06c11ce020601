"""The table and the sentences of an evaluation on outside text, in a terminal and in Markdown."""

from __future__ import annotations

from rich.console import Console

from xformer.evaluation.outside.report import (
    Amount,
    LanguageBits,
    MeanScores,
    OutsideBits,
    OutsideReport,
    Overlap,
    PairScores,
    Score,
    Which,
)
from xformer.evaluation.outside.table import below_unigram, outside_markdown, outside_summary, outside_table


def score(top1: float) -> Score:
    return Score(top1, top1 - 0.1, top1 + 0.1, top1, top1, top1 + 0.05)


def example() -> OutsideReport:
    """Two languages seen in training and one that was not, beside one that has no translations."""

    def pair(language: str, seen: bool, top1: float) -> PairScores:
        scores = {"model": score(top1), "bag": score(top1 - 0.1)}
        return PairScores(
            "tatoeba", f"tatoeba {language}-eng", language, "en", seen, 1000, scores, [0.2, top1, 0.1]
        )

    pairs = [pair("de", True, 0.5), pair("ja", True, 0.3), pair("xho", False, 0.2)]

    def mean(which: Which, languages: int, top1: float) -> MeanScores:
        by_layer = [Amount(0.2, 0.1, 0.3), Amount(top1, top1 - 0.1, top1 + 0.1), Amount(0.1, 0.0, 0.2)]
        scores = {"model": score(top1), "bag": score(top1 - 0.1)}
        return MeanScores("tatoeba", "en", which, languages, scores, by_layer, Amount(0.1, -0.05, 0.2))

    bits = {
        "de": LanguageBits(True, 100, {"model": 2.0, "unigram": 2.5, "blind_unigram": 3.0}),
        "ja": LanguageBits(True, 100, {"model": 2.7, "unigram": 2.5, "blind_unigram": 3.0}),
        "xho": LanguageBits(False, 100, {"model": 2.0, "blind_unigram": 3.0}),
        "en": LanguageBits(True, 100, {"model": 1.0, "unigram": 2.5, "blind_unigram": 3.0}),
    }
    return OutsideReport(
        name="tatoeba",
        split="tatoeba",
        sha256="0" * 64,
        step=1234,
        texts=6000,
        layer=1,
        seed=0,
        resamples=2000,
        pairs=pairs,
        means=[mean("all", 3, 1 / 3), mean("seen", 2, 0.4), mean("unseen", 1, 0.2)],
        bits=OutsideBits(0.15, bits, {"model": Amount(1.9, 1.0, 2.7)}, ["de", "en"], ["ja"]),
        bag=None,
        overlap=Overlap(5000, 20, 30, {"de": 40, "en": 10}, 100_000),
        tags={"deu": "de"},
        names={},
        notes=["no language is known by qqq"],
    )


def test_the_summary_says_what_was_found() -> None:
    lines = outside_summary(example())
    assert lines[0].startswith(
        "tatoeba, 3 languages all, both ways with en (English), mean top-1: model 0.333 (0.233…0.433), bag"
    )
    assert "Model minus bag: +0.100 (-0.050…0.200)." in lines[0]
    assert "0.200, *0.333, 0.100" in lines[1]
    assert any("2 languages seen in training" in line for line in lines)
    assert any("1 language not seen in training" in line for line in lines)
    assert any("of a language over its sentences, of a mean over its languages" in line for line in lines)
    assert (
        "Bits per byte below a unigram model that is told the language: in 2 of 3 languages (67%)"
        in " ".join(lines)
    )
    assert any("20 stand in the training corpus and 30 more have a near duplicate" in line for line in lines)
    assert lines[-1] == "No language is known by qqq."


def test_the_table_has_a_row_for_each_language_and_mean() -> None:
    console = Console(width=160, record=True)
    console.print(outside_table(example()))
    shown = console.export_text()
    rows = {line.split("  ")[0].strip(): line for line in shown.splitlines()}
    assert "0.400…0.600" in rows["de German"]
    assert "xho Xhosa (not seen)" in rows or "xho (not seen)" in rows
    assert rows["en English"].split()[-2:] == ["1.000", "2.500"]
    markdown = outside_markdown(example())
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
    assert len(table) == 2 + 3 + 3 + 1


def test_in_how_many_languages_a_unigram_model_is_beaten() -> None:
    assert below_unigram(["a"], ["c", "b"]).endswith("in 1 of 3 languages (33%); not in b, c.")
    assert below_unigram(["a"], []).endswith("in 1 of 1 language (100%).")
