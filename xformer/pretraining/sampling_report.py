"""What the settings of sampling make of a run's texts: said before it trains, and in a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xformer.data.languages import counted
from xformer.data.shards import TokenShards
from xformer.data.text_weights import SourceShare, TextWeights, texts_by_source
from xformer.pretraining.step_plan import StepPlanner
from xformer.runs.config import DataConfig, RunConfig

_MOST = 20


@dataclass(frozen=True)
class SamplingReport:
    """The sources that a run draws from, and what it leaves out.

    Attributes:
        sources: those with texts, the largest share first; empty without rules about sources.
        small: languages that are not drawn because they have too few texts, each with its number.
        min_texts: number of texts below which that is so.
    """

    sources: tuple[SourceShare, ...] = ()
    small: dict[str, int] | None = None
    min_texts: int = 1

    @classmethod
    def of(cls, shards: TokenShards, config: RunConfig) -> SamplingReport:
        """The report on a training split. The shares are those of drawn texts, in all objectives together.

        Raises:
            InputError: as `StepPlanner`.
        """
        data = config.data
        if not _has_rules(data):
            return cls()
        found = TextWeights.of(shards, data.sources, data.min_sampled_texts)
        if not data.sources:
            return cls((), found.small, data.min_sampled_texts)
        asked = StepPlanner(shards, config).plan(0).asked_by_source
        if asked is None:
            raise ValueError("plan: expected one with sources")
        shares = asked / asked.sum()
        sources = sorted(texts_by_source(shards, found.weights, shares), key=lambda one: -one.share)
        return cls(tuple(sources), found.small, data.min_sampled_texts)

    def lines(self) -> Iterator[str]:
        """The same in plain lines."""
        for one in self.sources[:_MOST]:
            of = "" if one.drawn_from == one.texts else f"{one.drawn_from:,} of "
            share = f"{one.share:.1%} of what is drawn" if one.drawn_from else "left out"
            yield f"sampling: {one.name}: {of}{one.texts:,} texts, {share}"
        if rest := self.sources[_MOST:]:
            texts, in_all = sum(one.drawn_from for one in rest), sum(one.share for one in rest)
            yield f"sampling: {len(rest):,} more sources: {texts:,} texts, {in_all:.1%} of what is drawn"
        if self.small:
            yield (
                f"sampling: {counted(len(self.small))} with fewer than {self.min_texts:,} texts, not drawn: "
                f"{', '.join(_largest(self.small))}"
            )


def _has_rules(data: DataConfig) -> bool:
    return bool(data.sources) or data.min_sampled_texts > 1


def _largest(counts: dict[str, int]) -> Sequence[str]:
    named = [f"{tag} {count:,}" for tag, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    rest = len(named) - _MOST
    return named if rest <= 0 else [*named[:_MOST], f"and {rest} more"]
