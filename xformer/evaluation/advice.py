"""Whether a run ends below its baselines, and what would help: sentences for its user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xformer.evaluation.outlook import Forecast, Outlook

Score = Literal["bits_per_byte", "top1"]

_NAMES: dict[Score, str] = {"bits_per_byte": "bits per byte", "top1": "top-1"}
_OFTEN_READ = 8.0
"""Text that is read more often teaches little."""
_FEW_STEPS = 3_000
"""So many steps take a shallow model further than a deep one."""
_SHALLOW = 2


@dataclass(frozen=True)
class Standing:
    """A score of a model beside that of its strongest baseline.

    Attributes:
        score: which it is: `bits_per_byte` is better the lower, `top1` the higher it is.
        value: the model's.
        baseline: the baseline's.
        named: what the baseline is.
    """

    score: Score
    value: float
    baseline: float
    named: str

    def reached(self, value: float) -> bool:
        """Whether a value is as good as the baseline."""
        return value <= self.baseline if self.score == "bits_per_byte" else value >= self.baseline

    @property
    def below(self) -> bool:
        """Whether the model is worse than its baseline."""
        return not self.reached(self.value)


@dataclass(frozen=True)
class RunFacts:
    """What advice depends on.

    Attributes:
        command: the command that makes the run twice as long.
        share: of the run that is done, from 0 to 1.
        steps: steps of the full stage.
        warmup_steps: steps of the embedding warm-up.
        bag_steps: steps of the bag of subwords, if there is one.
        layers: of the model.
        text_tokens: tokens of the training split.
        read: how often the full stage has read it.
        masked_lm: whether the masked LM was trained.
        aligns: whether translations were aligned.
    """

    command: str
    share: float
    steps: int
    warmup_steps: int
    bag_steps: int | None
    layers: int
    text_tokens: int
    read: float
    masked_lm: bool
    aligns: bool


@dataclass(frozen=True)
class Advice:
    """What a run's user should know at its end.

    Attributes:
        below: a sentence for each score that is worse than its baseline.
        helps: what would help, in sentences, the likeliest first; empty where nothing is below.
        outlook: a run of twice the length.
    """

    below: list[str]
    helps: list[str]
    outlook: Outlook

    def lines(self) -> list[str]:
        """Lines to print; the forecast alone where nothing is below."""
        if self.below:
            return [*self.below, *(f"To improve it: {line}" for line in self.helps)]
        found = [f"{_NAMES[score]} {_range(self.outlook.forecasts[score])}" for score in _known(self.outlook)]
        return [f"Forecast for twice the length: {', '.join(found)}."] if found else []


def advise(standings: Sequence[Standing], facts: RunFacts, ahead: Outlook) -> Advice:
    """Compare scores with their baselines, and say what would help.

    Args:
        standings: the scores.
        facts: of the run.
        ahead: a run of twice the length.
    """
    worse = [one for one in standings if one.below]
    scores = {one.score for one in worse}
    helps: list[str] = []
    if worse and facts.share < 0.99:
        helps.append(f"the run has done {facts.share:.0%} of its length; `{facts.command}` completes it.")
    if "bits_per_byte" in scores and not facts.masked_lm:
        helps.append("train the masked LM: objectives.masked_lm_tokens is 0 in this run.")
    if "top1" in scores and not facts.aligns:
        helps.append("align translations: objectives.alignment_tokens is 0 in this run.")
    if worse and facts.share >= 0.99:
        helps.append(_longer(worse, facts, ahead))
    if worse and facts.read >= _OFTEN_READ:
        helps.append(
            f"more text: the {facts.text_tokens:,} tokens of the training split were read {facts.read:,.0f}"
            " times."
        )
    if worse and facts.layers > _SHALLOW and facts.steps < _FEW_STEPS:
        helps.append(
            f"fewer layers, in a new run: {facts.layers} blocks had {facts.steps:,} steps; with {_SHALLOW}"
            f" (--set model.n_layers={_SHALLOW}) a step is up to {facts.layers / _SHALLOW:.2g} times as fast."
        )
    if "top1" in scores and facts.aligns and facts.bag_steps and 2 * facts.warmup_steps < facts.bag_steps:
        helps.append(
            f"a longer embedding warm-up: it had {facts.warmup_steps:,} steps, and the bag of subwords"
            f" {facts.bag_steps:,} (objectives.embedding_warmup_share, or a longer run)."
        )
    return Advice([_sentence(one) for one in worse], helps, ahead)


def _sentence(one: Standing) -> str:
    side = "above" if one.score == "bits_per_byte" else "below"
    name = _NAMES[one.score]
    return f"Worse than its baseline: {name} {one.value:.3f}, {side} the {one.baseline:.3f} of {one.named}."


def _longer(worse: Sequence[Standing], facts: RunFacts, ahead: Outlook) -> str:
    parts = []
    for one in worse:
        name, found = _NAMES[one.score], ahead.forecasts.get(one.score)
        if found is None:
            parts.append(f"no forecast of {name}: {ahead.missing.get(one.score, 'nothing is known')}")
            continue
        part = f"{name} {_range(found)} is forecast"
        if one.reached(found.value):
            part += ", better than the baseline"
        elif found.reached_at is not None:
            part += f"; the baseline is reached at about {found.reached_at:g} times the length"
        else:
            part += "; the curve does not reach the baseline within 16 times the length"
        parts.append(part)
    return f"train longer: `{facts.command}` doubles the length; {'; '.join(parts)}."


def _known(ahead: Outlook) -> list[Score]:
    return [score for score in _NAMES if score in ahead.forecasts]


def _range(found: Forecast) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
