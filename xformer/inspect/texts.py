"""Texts to look at a model with: some of each language, translations of one another where there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from xformer.data.corpus import Corpus
from xformer.data.languages import find_language
from xformer.errors import InputError
from xformer.pretraining.prepare import find_corpus
from xformer.runs.directory import RunDirectory
from xformer.runs.opening import find_run


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

    def parallel(self, least: int = 20) -> tuple[dict[str, list[str]], tuple[str, ...]]:
        """Messages that all languages have; of languages that share too few with the others, none.

        Returns:
            By language, the texts of the messages that are left, in one order; and the languages left out so
            that there are `least` messages: one after the other the one without which most are shared.

        Raises:
            InputError: no two languages share so many messages.
        """
        left = {tag: set(groups) for tag, groups in self.texts.items()}
        while len(left) > 1 and len(set.intersection(*left.values())) < least:
            worst = max(left, key=lambda tag: len(set.intersection(*(left[t] for t in left if t != tag))))
            del left[worst]
        if len(left) < 2:
            raise InputError(
                f"{self.source}: expected two languages with {least} messages in common, found none; take a"
                " corpus of translations, or more texts of each language"
            )
        shared = set.intersection(*left.values())
        found = {tag: [self.texts[tag][group] for group in self._order(shared)] for tag in left}
        return found, tuple(tag for tag in self.texts if tag not in left)

    def _order(self, groups: set[str]) -> list[str]:
        return [
            group for group in dict.fromkeys(g for one in self.texts.values() for g in one) if group in groups
        ]


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
    if most < 1:
        raise InputError(f"texts: expected a number from 1, got {most}")
    present = tuple(corpus.manifest.split(split).languages)
    tags = _tags(present, languages, f"{corpus.folder} has no {{}} in its {split} split")
    place = {tag: number for number, tag in enumerate(tags)}
    having: dict[str, int] = {}
    for record in corpus.records(split):
        if record.language in place:
            having[record.group] = having.get(record.group, 0) | 1 << place[record.language]
    order = sorted(having, key=lambda group: (-having[group].bit_count(), _draw(group, seed)))
    wanted: dict[str, dict[str, str]] = {
        tag: dict.fromkeys(islice((g for g in order if having[g] >> number & 1), most), "")
        for tag, number in place.items()
    }
    for record in corpus.records(split):
        chosen = wanted.get(record.language, {})
        # The first text of a group: of several (plural forms), mostly the singular in every language.
        if chosen.get(record.group) == "":
            chosen[record.group] = record.text
    return TextSample(f"{corpus.folder}, {split}", wanted)


def sample_of(texts: Iterable[str], source: str, most: int | None = None) -> TextSample:
    """Texts of no named language, such as the lines of a file; empty ones are left out.

    Raises:
        InputError: there is none.
    """
    found = {str(number): text for number, text in enumerate(islice(filter(str.strip, texts), most))}
    if not found:
        raise InputError(f"{source}: expected texts, found none")
    return TextSample(source, {"": found})


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
