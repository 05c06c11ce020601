"""What an evaluation can compare is known before it begins: pivots, messages, and what is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.evaluation.plan import EvaluationPlan, shared_messages

Make = Callable[..., TokenShards]


@pytest.fixture
def shards(make_shards: Make) -> Callable[..., TokenShards]:
    """Texts of 30 tokens: a line says how many groups there are, and the languages that each is in."""

    def make(*lines: tuple[int, str], languages: tuple[str, ...], split: str = "test") -> TokenShards:
        group: list[int] = []
        language: list[int] = []
        for count, tags in lines:
            for _ in range(count):
                number = group[-1] + 1 if group else 0
                language += [languages.index(tag) for tag in tags.split()]
                group += [number] * len(tags.split())
        texts = [[300 + place % 50] * 30 for place in range(len(group))]
        return make_shards(texts, language, group, languages=languages, split=split)

    return make


@pytest.mark.parametrize("asked", [None, "en"])
def test_the_pivot_of_another_spelling_is_found_and_said(shards: Make, asked: str | None) -> None:
    held_out = shards((120, "deu eng"), languages=("deu", "eng"))
    plan = EvaluationPlan.of(held_out, "en", pivot=asked)
    assert (plan.pivot, plan.notes) == ("eng", ("pivot: 'en' is 'eng' in this corpus",))
    assert plan.texts is not None
    assert (plan.texts.messages, plan.texts.min_messages) == (120, 60)
    assert plan.left_out == {}


def test_a_configured_pivot_without_translations_is_replaced_by_the_commonest(shards: Make) -> None:
    lines = (40, "de fr"), (10, "de pl"), (9, "en")
    held_out = shards(*lines, languages=("de", "en", "fr", "pl"))
    assert shared_messages(held_out) == {"de": 50, "fr": 40, "pl": 10}
    for configured, why in (("en", "has no translations in the test split"), ("sv", "is not in this corpus")):
        plan = EvaluationPlan.of(held_out, configured)
        assert plan.pivot == "de"
        assert plan.notes == (
            f"pivot: {configured!r} {why}; de (German) is the pivot, with most of them"
            " (--pivot takes another)",
        )
    with pytest.raises(InputError, match=r"--pivot: .*test split that has translations \(de \(German\), fr"):
        EvaluationPlan.of(held_out, "de", pivot="en")


def test_text_in_one_language_can_be_evaluated(shards: Make) -> None:
    plan = EvaluationPlan.of(shards((9, "de"), languages=("de",)), "en")
    assert (plan.pivot, plan.texts) == ("en", None)
    assert plan.left_out["retrieval"].startswith("no message of the test split is in two languages")
    with pytest.raises(InputError, match=r"--pivot: .* de \(German\) has none"):
        EvaluationPlan.of(plan.held_out, "de", pivot="de")


def test_how_many_messages_are_enough(shards: Make) -> None:
    # Of 300 English messages, half would be asked for; no language has them.
    held_out = shards((20, "de en"), (4, "en pl"), (276, "en"), languages=("de", "en", "pl"))
    plan = EvaluationPlan.of(held_out, "en")
    assert plan.texts is not None
    assert plan.texts.min_messages == 10
    assert "only 20 messages" in plan.left_out["certainty of retrieval"]
    asked = EvaluationPlan.of(held_out, "en", min_messages=3).texts
    assert asked is not None
    assert asked.min_messages == 3
    with pytest.raises(InputError, match=r"--min-messages: expected at most 20, .* en \(English\); got 21"):
        EvaluationPlan.of(held_out, "en", min_messages=21)
    with pytest.raises(InputError, match="--min-messages: expected a whole number from 1, got 0"):
        EvaluationPlan.of(held_out, "en", min_messages=0)


def test_a_dev_split_without_translations_chooses_no_layer(shards: Make) -> None:
    held_out = shards((120, "de en"), languages=("de", "en"))
    dev = shards((40, "de"), languages=("de", "en"), split="dev")
    plan = EvaluationPlan.of(held_out, "en", dev=dev)
    assert plan.dev_texts is None
    assert "xformer data import --dev N" in plan.left_out["choice of the layer"]
    with_dev = EvaluationPlan.of(held_out, "en", dev=held_out)
    assert with_dev.dev_texts is not None
    assert with_dev.left_out == {}


def test_no_text_is_refused(shards: Make, make_shards: Make) -> None:
    with pytest.raises(InputError, match="test split: expected text to measure on, found 1 texts"):
        EvaluationPlan.of(make_shards([[300]], [0], [0]), "en")
