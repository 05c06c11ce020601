"""What is said at the end of a run that is worse than its baselines."""

from __future__ import annotations

from dataclasses import replace

from xformer.evaluation.advice import Advice, RunFacts, Standing, advise
from xformer.evaluation.outlook import Forecast, Outlook

FACTS = RunFacts(
    command="xformer pretrain runs/x --budget 20m",
    share=1.0,
    steps=900,
    warmup_steps=100,
    bag_steps=4_000,
    layers=6,
    text_tokens=400_000,
    read=30.0,
    masked_lm=True,
    aligns=True,
)
BITS = Standing("bits_per_byte", 2.9, 2.4, "a unigram model")
TOP1 = Standing("top1", 0.5, 0.87, "a bag of subwords")
AHEAD = Outlook(forecasts={"bits_per_byte": Forecast(2.6, 2.5, 2.8, 4.0), "top1": Forecast(0.9, 0.85, 0.95)})


def said(*standings: Standing, facts: RunFacts = FACTS, ahead: Outlook = AHEAD) -> str:
    return "\n".join(advise(standings, facts, ahead).lines())


def test_what_is_below_and_what_helps() -> None:
    found = advise([BITS, TOP1], FACTS, AHEAD)
    assert found.below == [
        "Worse than its baseline: bits per byte 2.900, above the 2.400 of a unigram model.",
        "Worse than its baseline: top-1 0.500, below the 0.870 of a bag of subwords.",
    ]
    longer, text, layers, warmup = found.helps
    assert longer == (
        "train longer: `xformer pretrain runs/x --budget 20m` doubles the length; bits per byte 2.600 (2.500"
        " to 2.800) is forecast; the baseline is reached at about 4 times the length; top-1 0.900 (0.850 to"
        " 0.950) is forecast, better than the baseline."
    )
    assert "400,000 tokens of the training split were read 30 times" in text
    assert "6 blocks had 900 steps; with 2 (--set model.n_layers=2) a step is up to 3 times as fast" in layers
    assert "100 steps, and the bag of subwords 4,000" in warmup
    assert len(found.lines()) == 6


def test_only_what_fits_is_advised() -> None:
    facts = replace(FACTS, read=1.0, layers=2, text_tokens=10**9, warmup_steps=3_000)
    assert len(advise([BITS, TOP1], facts, AHEAD).helps) == 1
    # A score that is not below says nothing of its own remedies.
    assert "warm-up" not in said(BITS)


def test_a_run_that_is_not_complete_or_has_no_objective() -> None:
    facts = replace(FACTS, share=0.4, masked_lm=False, aligns=False, command="xformer pretrain runs/x")
    text = said(BITS, TOP1, facts=facts)
    assert "has done 40% of its length; `xformer pretrain runs/x` completes it" in text
    assert "objectives.masked_lm_tokens is 0" in text
    assert "objectives.alignment_tokens is 0" in text
    assert "doubles" not in text
    assert "embedding warm-up" not in text


def test_why_there_is_no_forecast_is_said() -> None:
    ahead = Outlook(missing={"bits_per_byte": "too few points"})
    assert "no forecast of bits per byte: too few points" in said(BITS, ahead=ahead)
    far = Outlook(forecasts={"bits_per_byte": Forecast(2.8, 2.7, 2.9)})
    assert "does not reach the baseline within 16 times the length" in said(BITS, ahead=far)


def test_a_good_run_gets_its_forecast_alone() -> None:
    good = Standing("bits_per_byte", 1.7, 2.4, "a unigram model")
    found = advise([good], FACTS, AHEAD)
    assert (found.below, found.helps) == ([], [])
    assert found.lines() == [
        "Forecast for twice the length: bits per byte 2.600 (2.500 to 2.800), top-1 0.900 (0.850 to 0.950)."
    ]
    assert Advice([], [], Outlook()).lines() == []
