"""A bounded, language-balanced sample of a corpus that is streamed twice: once to count, once to draw."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from .errors import TokenizerError, utf8_length

T = TypeVar("T")

LabelledTexts = Iterable[tuple[str, str]] | Callable[[], Iterable[tuple[str, str]]]
"""`(language, text)` pairs: an iterable that can start again, or a function that returns a new one."""


@dataclass(frozen=True)
class LanguageShare:
    """The share of one language in the corpus and in the sample.

    Attributes:
        texts: texts in the corpus.
        bytes: their UTF-8 bytes.
        wanted: share of the sample by p ∝ n^alpha; the shares of all languages add up to 1.
        share: share of the sample that is possible within `max_repeats` and the size of the sample.
        draws: texts to draw: each text `draws // texts` times, and `draws % texts` of them once more.
    """

    texts: int
    bytes: int
    wanted: float
    share: float
    draws: int


def start(texts: Iterable[T] | Callable[[], Iterable[T]]) -> Iterator[T]:
    """Start a new pass over `texts`.

    Raises:
        TokenizerError: `texts` is an iterator, which can be read only once.
    """
    if callable(texts):
        return iter(texts())
    iterator = iter(texts)
    if iterator is texts:
        raise TokenizerError(
            "texts: expected a list, another iterable that can start again, or a function that returns one; "
            f"got {type(texts).__name__}, which can be read only once"
        )
    return iterator


def plan_sample(
    texts: LabelledTexts, *, alpha: float, sample_bytes: int, max_repeats: int
) -> dict[str, LanguageShare]:
    """Count the texts of every language and decide how many to draw.

    The sample is as large as the corpus, but at most `sample_bytes`. A language gets at most `max_repeats`
    copies of each text. The others share the rest, in proportion to n^alpha.

    Returns:
        The share of each language with text, sorted by language.

    Raises:
        TokenizerError: there is no text.
    """
    count: dict[str, int] = {}
    size: dict[str, int] = {}
    for language, text in start(texts):
        if text and not text.isspace():
            count[language] = count.get(language, 0) + 1
            size[language] = size.get(language, 0) + utf8_length(text)
    if not count:
        raise TokenizerError("texts: expected at least one text that is not blank, got none")
    budget = min(sample_bytes, sum(size.values()))
    weight = {language: size[language] ** alpha for language in sorted(size)}
    total = sum(weight.values())
    granted = _fill(weight, {language: n * max_repeats for language, n in size.items()}, budget)
    granted_total = sum(granted.values())
    return {
        language: LanguageShare(
            texts=count[language],
            bytes=size[language],
            wanted=weight[language] / total,
            share=granted[language] / granted_total,
            draws=max(1, round(granted[language] / size[language] * count[language])),
        )
        for language in weight
    }


def _fill(weight: Mapping[str, float], capacity: Mapping[str, int], budget: float) -> dict[str, float]:
    """Split `budget` in proportion to `weight`, no part above its `capacity`."""
    granted: dict[str, float] = {}
    open_languages = list(weight)
    while open_languages:
        total = sum(weight[language] for language in open_languages)
        full = [x for x in open_languages if budget * weight[x] / total >= capacity[x]]
        if not full:
            return granted | {x: budget * weight[x] / total for x in open_languages}
        granted |= {x: float(capacity[x]) for x in full}
        budget -= sum(capacity[x] for x in full)
        open_languages = [x for x in open_languages if x not in granted]
    return granted


def draw_sample(texts: LabelledTexts, plan: Mapping[str, LanguageShare], seed: int) -> Iterator[str]:
    """Draw exactly `plan[language].draws` texts of each language, in corpus order, copies side by side.

    Selection sampling (Knuth, TAOCP volume 2, algorithm 3.4.2 S) chooses the texts with an extra copy: a
    uniform choice without replacement that needs only counters. Each language has a random stream of its own,
    so a new text in one language does not change the draw of another.

    Raises:
        TokenizerError: the second pass yields other texts than the first.
    """
    streams = {language: random.Random(f"{seed}/{language}") for language in plan}
    seen = dict.fromkeys(plan, 0)
    extra_left = {language: share.draws % share.texts for language, share in plan.items()}
    for language, text in start(texts):
        if not text or text.isspace():
            continue
        share = plan.get(language)
        if share is None or seen[language] == share.texts:
            raise TokenizerError(f"texts: the second pass yields more text of {language!r} than the first")
        left = share.texts - seen[language]
        seen[language] += 1
        copies = share.draws // share.texts
        if streams[language].random() * left < extra_left[language]:
            extra_left[language] -= 1
            copies += 1
        for _ in range(copies):
            yield text
    for language, share in plan.items():
        if seen[language] != share.texts:
            raise TokenizerError(f"texts: the second pass yields less text of {language!r} than the first")
