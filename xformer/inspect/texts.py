"""Texts to look at a model with: some of each language, translations of one another where there are."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from xformer.data.corpus import Corpus
from xformer.data.languages import find_language
from xformer.errors import InputError
from xformer.pretraining.prepare import find_corpus
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run


@dataclass(frozen=True)
class TextSample:
    """Some texts of each language.

    Attributes:
        source: where they are from, for people.
        texts: by language, by group; texts of one group are translations. The order of groups is the same in
            each language.
    """

    source: str
    texts: dict[str, dict[str, str]]

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags of the languages, in order."""
        return tuple(self.texts)

    def __len__(self) -> int:
        return sum(map(len, self.texts.values()))


def corpus_of(run: str | Path) -> Corpus:
    """The corpus that a run was trained on.

    Raises:
        InputError: it is no run, or its corpus is missing or damaged.
    """
    folder: RunDirectory = find_run(run)
    corpus = find_corpus(folder, folder.load_config().data, verify=False)
    if corpus is None:
        raise InputError(f"{folder.corpus}: the run has no corpus; give another one")
    return corpus


def sample_corpus(
    corpus: Corpus, split: str = "dev", languages: Sequence[str] = (), most: int = 50, seed: int = 0
) -> TextSample:
    """Some texts of each language: first messages that the most of the languages have.

    So languages are compared on the same messages as far as they can be. Among messages with equally many
    translations chance decides, by the seed. The split is read twice; memory holds the names of its groups
    and the texts that are taken.

    Args:
        corpus: where they are from.
        split: train, dev or test.
        languages: tags or English names; none for all of the split.
        most: texts of each language.
        seed: of the choice.

    Raises:
        InputError: there is no such split or language, or the corpus is damaged.
    """
    found = _Groups.of(corpus, split, languages, most)
    order = sorted(found.having, key=lambda group: (-found.having[group].bit_count(), _draw(group, seed)))
    wanted = {
        tag: list(islice((group for group in order if found.having[group] >> place & 1), most))
        for place, tag in enumerate(found.tags)
    }
    return _read(corpus, split, wanted)


def sample_parallel(
    corpus: Corpus,
    split: str = "dev",
    languages: Sequence[str] = (),
    most: int = 100,
    least: int = 20,
    seed: int = 0,
) -> tuple[TextSample, tuple[str, ...]]:
    """The same messages in each language.

    Args:
        corpus: as in `sample_corpus`.
        split: as there.
        languages: as there. None: as many of the split's languages as share `least` messages. One language
            after the other is left out: the one without which most messages are shared by all, and of several
            the one with the fewest.
        most: messages.
        least: messages.
        seed: of the choice among more than `most`.

    Returns:
        The texts, and the tags of the languages that were left out.

    Raises:
        InputError: as `sample_corpus`, or the languages share too few messages.
    """
    found = _Groups.of(corpus, split, languages, most)
    kept = [True] * len(found.tags) if languages else found.shared(least)
    mask = sum(1 << place for place, keep in enumerate(kept) if keep)
    groups = sorted(
        (group for group, having in found.having.items() if having & mask == mask),
        key=lambda group: _draw(group, seed),
    )
    tags = [tag for tag, keep in zip(found.tags, kept, strict=True) if keep]
    if len(found.tags) < 2:
        raise InputError(f"languages: expected two or more to compare, got {', '.join(found.tags) or 'none'}")
    if len(tags) < 2:
        one, other, shared = found.closest()
        fewer = f"; --texts {shared} compares on these" if shared > 1 else ""
        raise InputError(
            f"{corpus.folder}, {split}: expected {least} messages or more that two languages have, found"
            f" {shared} at most, in {one} and {other}{fewer}; another split may have more"
        )
    if len(groups) < least:
        raise InputError(
            f"{corpus.folder}, {split}: expected {least} messages or more in all of {', '.join(tags)}, found"
            f" {len(groups)}; name other languages, or take another split"
        )
    sample = _read(corpus, split, {tag: groups[:most] for tag in tags})
    return sample, tuple(tag for tag in found.tags if tag not in tags)


def sample_of(texts: Iterable[str], source: str, most: int | None = None) -> TextSample:
    """Texts of no named language, such as the lines of a file; empty ones are left out.

    Raises:
        InputError: there is none.
    """
    found = {str(number): text for number, text in enumerate(islice(filter(str.strip, texts), most))}
    if not found:
        raise InputError(f"{source}: expected texts, found none")
    return TextSample(source, {"": found})


@dataclass(frozen=True)
class _Groups:
    """Which languages each group of a split has.

    Attributes:
        tags: the languages that were asked for.
        having: by group, a number with a bit for each language.
    """

    tags: tuple[str, ...]
    having: dict[str, int]

    @classmethod
    def of(cls, corpus: Corpus, split: str, languages: Sequence[str], most: int) -> _Groups:
        if most < 1:
            raise InputError(f"texts: expected a number from 1, got {most}")
        present = tuple(corpus.manifest.split(split).languages)
        tags = _tags(present, languages, f"{corpus.folder} has no {{}} in its {split} split")
        place = {tag: number for number, tag in enumerate(tags)}
        having: dict[str, int] = {}
        for record in corpus.records(split):
            if record.language in place:
                having[record.group] = having.get(record.group, 0) | 1 << place[record.language]
        return cls(tags, having)

    def closest(self) -> tuple[str, str, int]:
        """The two languages that share most groups, and how many."""
        counts = Counter(self.having.values())
        number = np.array(list(counts.values()))
        present = np.array([[having >> k & 1 for k in range(len(self.tags))] for having in counts])
        shared = np.triu(present.T @ (number[:, None] * present), 1)
        one, other = np.unravel_index(shared.argmax(), shared.shape)
        return self.tags[int(one)], self.tags[int(other)], int(shared[one, other])

    def shared(self, least: int) -> list[bool]:
        """Which languages to keep, so that all of them share so many groups."""
        counts = Counter(self.having.values())
        number = np.array(list(counts.values()))
        missing = np.array([[not having >> k & 1 for k in range(len(self.tags))] for having in counts])
        kept = np.ones(len(self.tags), dtype=bool)
        own = number @ ~missing
        while kept.sum() > 1:
            lacking = (missing & kept).sum(axis=1)
            if number[lacking == 0].sum() >= least:
                break
            # What would be shared in addition without each language.
            gains = number[lacking == 1] @ missing[lacking == 1]
            kept[min(np.flatnonzero(kept), key=lambda k: (-gains[k], own[k]))] = False
        return [bool(one) for one in kept]


def _read(corpus: Corpus, split: str, wanted: dict[str, list[str]]) -> TextSample:
    """The texts of some groups of each language, in the order of the groups."""
    texts = {tag: dict.fromkeys(groups, "") for tag, groups in wanted.items()}
    for record in corpus.records(split):
        chosen = texts.get(record.language, {})
        # The first text of a group: of several (plural forms), mostly the singular in every language.
        if chosen.get(record.group) == "":
            chosen[record.group] = record.text
    return TextSample(f"{corpus.folder}, {split}", texts)


def _tags(present: Sequence[str], wanted: Sequence[str], missing: str) -> tuple[str, ...]:
    """The tags of the languages that were asked for, each once."""
    found = []
    for name in wanted:
        tag = find_language(present, name)
        if tag is None:
            raise InputError(f"languages: {missing.format(repr(name))}; it has {', '.join(present)}")
        found.append(tag)
    return tuple(dict.fromkeys(found)) or tuple(present)


def _draw(group: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {group}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
