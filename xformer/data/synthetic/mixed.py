"""Mixed text: sentences that go from one language into another and back, made from translations.

Real people do this too (code-switching), but not at any word and not as often, so what is learned here is
the languages of words in company, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from xformer.data.synthetic.translations import Group

OTHER = "other"
"""The tag of what has no letter: numbers and signs are of no language."""


@dataclass(frozen=True)
class MixedText:
    """A sentence in two languages.

    Attributes:
        tokens: what stands between white space.
        tags: the language of each, or `other`.
        language: both languages, sorted, with `+` between.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    language: str


def mixed_texts(groups: Sequence[Group], most_switches: int, seed: int) -> Iterator[MixedText]:
    """Mix two translations of each group.

    Two of its languages are drawn, a number of switches from 1, and where in the sentence these lie, as
    shares of its length. Between two of them stand the words of one text that lie between these shares of
    it, so that what the sentence says goes on, as far as both texts have one order of words.

    Args:
        groups: with at least two languages each.
        most_switches: the largest number of switches.
        seed: of all that is drawn.

    Yields:
        A sentence for each group in which it has words of both languages.
    """
    rng = np.random.default_rng(seed)
    for group in groups:
        tags = sorted(group)
        pair = [tags[at] for at in rng.permutation(len(tags))[:2].tolist()]
        switches = int(rng.integers(1, most_switches + 1))
        bounds = [0.0, *np.sort(rng.random(switches)).tolist(), 1.0]
        words = [group[tag].split() for tag in pair]
        found: list[tuple[str, str]] = []
        for part in range(switches + 1):
            which = part % 2
            begin, end = (int(bound * len(words[which])) for bound in bounds[part : part + 2])
            found += [(word, pair[which]) for word in words[which][begin:end]]
        if len({tag for _, tag in found}) == 2:
            tokens = tuple(word for word, _ in found)
            labels = tuple(tag if any(map(str.isalpha, word)) else OTHER for word, tag in found)
            yield MixedText(tokens, labels, "+".join(sorted(pair)))
