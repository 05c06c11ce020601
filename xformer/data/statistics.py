"""What is in a corpus: how much of each language, how long, in which scripts, how widely translated."""

from __future__ import annotations

import json
import os
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import Corpus, open_corpus
from xformer.data.groups import group_number
from xformer.data.keys import TextKeys, text_number

Progress = Callable[[str, int, int | None], None]
QUANTILES = (0.01, 0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class LanguageStatistics:
    """One language in one split.

    Attributes:
        records: texts.
        groups: different groups they are in.
        coverage: the share of the split's groups that this is.
        chars: code points.
        bytes: of UTF-8.
        length_quantiles: characters per text at `QUANTILES`: 1%, median, 90%, 99%, longest.
        scripts: the share of letters in each script, largest first, those below 0.1% left out.
        duplicates: texts that differ from an earlier one in case, spacing, punctuation and digits at most.
    """

    records: int
    groups: int
    coverage: float
    chars: int
    bytes: int
    length_quantiles: tuple[int, ...]
    scripts: dict[str, float]
    duplicates: int


@dataclass(frozen=True)
class SplitStatistics:
    """One split.

    Attributes:
        records: texts.
        groups: different groups.
        languages: by tag, sorted.
        languages_per_group: number of groups by the number of languages they are in.
    """

    records: int
    groups: int
    languages: dict[str, LanguageStatistics]
    languages_per_group: dict[int, int]


@dataclass(frozen=True)
class CorpusStatistics:
    """Statistics of every split, by name."""

    splits: dict[str, SplitStatistics]

    def to_json(self) -> str:
        """All of it as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def table(self, split: str = "train") -> str:
        """One split as a table in plain text, the largest language first."""
        part = self.splits[split]
        lines = [
            f"{split}: {part.records:,} texts in {len(part.languages)} languages, {part.groups:,} groups",
            f"{'language':10} {'texts':>9} {'groups':>8} {'cover':>6} {'chars':>12} {'bytes':>12} "
            f"{'median':>7} {'99%':>6} {'longest':>8} {'dup':>6}  scripts",
        ]
        for tag, row in sorted(part.languages.items(), key=lambda item: (-item[1].records, item[0])):
            _, median, _, most, longest = row.length_quantiles
            scripts = ", ".join(f"{script} {share:.0%}" for script, share in list(row.scripts.items())[:3])
            lines.append(
                f"{tag:10} {row.records:9,} {row.groups:8,} {row.coverage:6.1%} {row.chars:12,} "
                f"{row.bytes:12,} {median:7,} {most:6,} {longest:8,} {row.duplicates:6,}  {scripts}"
            )
        return "\n".join(lines)


def corpus_statistics(folder: str | os.PathLike[str], progress: Progress | None = None) -> CorpusStatistics:
    """Read a corpus once and count. Memory: about 30 bytes per record of the largest split.

    Args:
        folder: what `import_corpus` wrote.
        progress: called with ("count SPLIT", records done, records in all).

    Raises:
        InputError: when the corpus is missing or damaged.
    """
    corpus = open_corpus(folder)
    return CorpusStatistics({split: _split(corpus, split, progress) for split in corpus.manifest.splits})


class _Tally:
    """Running counts of one language."""

    def __init__(self) -> None:
        self.lengths: Counter[int] = Counter()
        self.letters: Counter[str] = Counter()
        self.bytes = 0


def _split(corpus: Corpus, split: str, progress: Progress | None) -> SplitStatistics:
    tags = corpus.manifest.languages
    number_of = {tag: number for number, tag in enumerate(tags)}
    tallies = [_Tally() for _ in tags]
    language, group, key = array("H"), array("Q"), array("Q")
    make_key, total = TextKeys(), corpus.manifest.split(split).total.records
    for row, record in enumerate(corpus.records(split)):
        if progress and row % 1000 == 0:
            progress(f"count {split}", row, total)
        tally = tallies[number_of[record.language]]
        tally.lengths[len(record.text)] += 1
        tally.letters.update(record.text)
        tally.bytes += len(record.text.encode())
        language.append(number_of[record.language])
        group.append(group_number(record.group))
        key.append(text_number(make_key(record.text)))
    languages, groups, keys = np.array(language), np.array(group), np.array(key)
    in_group = _distinct(languages, groups)
    distinct_keys = _distinct(languages, keys)
    n_groups = len(np.unique(groups))
    groups_per_language = np.bincount(in_group[0], minlength=len(tags))
    keys_per_language = np.bincount(distinct_keys[0], minlength=len(tags))
    _, spread = np.unique(in_group[1], return_counts=True)
    found = {
        tag: LanguageStatistics(
            records=tally.lengths.total(),
            groups=int(groups_per_language[number]),
            coverage=int(groups_per_language[number]) / n_groups,
            chars=sum(length * count for length, count in tally.lengths.items()),
            bytes=tally.bytes,
            length_quantiles=_quantiles(tally.lengths),
            scripts=_scripts(tally.letters),
            duplicates=tally.lengths.total() - int(keys_per_language[number]),
        )
        for number, (tag, tally) in enumerate(zip(tags, tallies, strict=True))
        if tally.lengths
    }
    per_group = {
        int(count): int(how_many)
        for count, how_many in zip(*np.unique(spread, return_counts=True), strict=True)
    }
    return SplitStatistics(len(languages), n_groups, found, per_group)


def _distinct(
    language: NDArray[np.uint16], number: NDArray[np.uint64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint64]]:
    """The different pairs of both."""
    order = np.lexsort((number, language))
    language, number = language[order], number[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (language[1:] != language[:-1]) | (number[1:] != number[:-1])
    return language[fresh], number[fresh]


def _quantiles(lengths: Counter[int]) -> tuple[int, ...]:
    """The smallest length that at least the share q of the texts do not exceed, for each q of `QUANTILES`."""
    values = np.array(sorted(lengths))
    upto = np.cumsum([lengths[int(value)] for value in values])
    places = np.searchsorted(upto, np.array(QUANTILES) * upto[-1])
    return tuple(int(values[place]) for place in places)


def _scripts(characters: Counter[str]) -> dict[str, float]:
    """Shares of scripts among letters, told by the first word of a letter's Unicode name."""
    counts: Counter[str] = Counter()
    for character, count in characters.items():
        if character.isalpha():
            script = unicodedata.name(character, "UNKNOWN").partition(" ")[0]
            counts[script if script == "CJK" else script.capitalize()] += count
    total = counts.total()
    return {script: count / total for script, count in counts.most_common() if count >= 0.001 * total}
