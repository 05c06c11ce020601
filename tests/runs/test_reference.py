"""The reference of settings: complete, with a unit for each number, and the page in docs/ is it."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.runs.reference import all_settings, find, markdown, search

ROOT = Path(__file__).resolve().parents[2]
UNITS = {
    "blocks", "buckets", "bytes", "characters", "checkpoints", "coordinates", "copies", "cosine", "duration",
    "exponent", "factor", "gradient norm", "heads", "language tag", "languages", "message groups", "pieces",
    "probability", "rows", "rows per vocabulary row", "seconds", "share", "share of the full stage",
    "share of the run", "share of the step size", "share per step", "standard deviation", "step size",
    "steps", "texts", "threads", "tokens", "tokens per step", "variance", "vocabulary entries",
}  # fmt: skip


def names(*given: str) -> list[str]:
    return [one.name for one in find(given, all_settings())]


def test_each_number_has_a_unit_which_is_spelled_in_one_way() -> None:
    for one in all_settings():
        assert one.about.unit in UNITS | {""}, f"{one.name}: take a unit that is in use, or add it to UNITS"
        number = "number" in one.about.kind and not one.name.endswith(".seed")
        assert bool(one.about.unit) >= number, (
            f"{one.name}: say its unit: `{one.name.split('.')[-1]} (UNIT): …`"
        )
        assert len(one.about.meaning.split()) >= 2, one.name
        assert one.about.meaning.endswith("."), f"{one.name}: its meaning is no sentence"


def test_the_page_is_what_the_command_prints() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == markdown(), "run `xformer settings --markdown > docs/settings.md`"
    for one in all_settings():
        assert f"\n| `{one.name}` |" in page
    for line in page.splitlines():
        assert not line.startswith("| `") or line.replace("\\|", "").count("|") == 6, line


def test_settings_are_found_by_name_table_and_earlier_name() -> None:
    assert names("model.d_model") == names("d_model") == ["model.d_model"]
    assert names("alpha") == ["tokenizer.alpha", "data.alpha"]
    assert names("masking") == names("objectives.masking")
    assert names("masking") == [f"objectives.masking.{one}" for one in
                                ("rate", "unit", "span_mean", "span_max", "replacement")]  # fmt: skip
    assert set(names("masking")) < set(names("objectives"))
    assert names("model")[0] == "model.vocab_size"
    assert "tokenizer.model" in names("model")
    assert names("training.keep") == ["training.keep_checkpoints"]
    assert names("training.seed", "model.norm", "training.seed") == ["model.norm", "training.seed"]


def test_names_that_are_unknown_are_refused_with_those_like_them() -> None:
    for given, meant in (
        ("lerning_rate", "optimizer.lr"),
        ("modle", "model"),
        ("training.bugdet", "training.b"),
    ):
        with pytest.raises(
            InputError, match=f"{given}: there is no such setting or table, did you mean {meant}"
        ):
            names(given)
    with pytest.raises(
        InputError, match=r"xyzzy: there is no such setting or table\. `xformer settings` lists"
    ):
        names("xyzzy")


def test_words_are_searched_in_names_and_meanings() -> None:
    found = [one.name for one in search("learning rate", all_settings())]
    assert {"optimizer.lr", "optimizer.warmup"} <= set(found)
    assert "model.d_model" not in found
    assert [one.name for one in search("alibi", all_settings())] == ["model.positions"]
    with pytest.raises(InputError, match="no setting has 'quark'"):
        search("quark", all_settings())


def test_what_a_setting_needs_and_when_it_may_change_is_said() -> None:
    ours, pivot, width = find(["data.min_language_texts", "data.pivot", "model.d_model"], all_settings())[
        ::-1
    ]
    by_name = {one.name: one for one in (ours, pivot, width)}
    assert "data.corpus=gettext" in by_name["data.min_language_texts"].acts
    assert "--pivot" in by_name["data.pivot"].acts
    assert by_name["model.d_model"].acts == ""
    assert by_name["data.min_language_texts"].changes == "until the run has its data"
    assert by_name["model.d_model"].changes == "until the first checkpoint"
