"""What a run can tell before it trains: its pivot, and which evaluations its held-out texts allow.

All of it follows from the corpus's manifest and its held-out records. The records of the training split
are read only where these do not answer: to find a first translation, or what replaces a missing pivot.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from xformer.data.corpus import Corpus
from xformer.data.embedded import is_embedded
from xformer.data.held_out import ENOUGH, options_for_more
from xformer.data.languages import counted, find_language, named
from xformer.data.shared_groups import SharedGroups, has_translations
from xformer.data.source_rules import SourcePlaces, require_matches
from xformer.errors import InputError
from xformer.model.families import held_by_none
from xformer.pretraining.resolve import with_pivot
from xformer.runs.config import RunConfig
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure

PANEL_LEAST = 10
"""The panel compares languages with at least this many messages."""

_BYTES_PER_TOKEN = 4
"""A text with more bytes than this for each token of `data.max_length` is probably cut into several."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as the settings or a newcomer would expect.

    Attributes:
        about: what it concerns: `pivot`, `retrieval on test`, `panel`, ….
        text: what is so and what it means, as a sentence without a full stop.
        more: the option or setting that gives more; empty where none does.
    """

    about: str
    text: str
    more: str = ""

    def __str__(self) -> str:
        return f"{self.about}: {self.text}" + (f". {self.more}" if self.more else "")


@dataclass(frozen=True)
class StartChecks:
    """What was found before training.

    Attributes:
        pivot: tag of the pivot in the corpus.
        texts: number of training texts.
        languages: number of languages in them.
        messages: by held-out split, the most groups that a language shares with the pivot.
        compared: by held-out split, number of languages that share a group with the pivot.
        findings: what is missing, replaced or uncertain.
    """

    pivot: str
    texts: int
    languages: int
    messages: dict[str, int]
    compared: dict[str, int]
    findings: tuple[Finding, ...]

    def lines(self) -> list[str]:
        """The same in plain lines."""
        texts = f"{self.texts:,} training texts in {counted(self.languages)}"
        lines = [f"corpus: {texts}; the pivot is {named(self.pivot)}"]
        compared = [
            f"{split}: {counted(self.compared[split])} by up to {self.messages[split]:,} messages"
            for split in self.messages
            if self.messages[split]
        ]
        if compared:
            lines.append(f"retrieval compares with {self.pivot} on {', on '.join(compared)}")
        return lines + [str(finding) for finding in self.findings]

    def save(self, path: Path) -> None:
        """Write one JSON object."""
        with atomic_write(path) as file:
            file.write(json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> StartChecks | None:
        """What `save` wrote; None where there is no such file, or one of another version."""
        try:
            return structure(json.loads(path.read_text(encoding="utf-8")), cls)
        except (OSError, ValueError):
            return None


def check_start(corpus: Corpus, config: RunConfig) -> tuple[StartChecks, RunConfig]:
    """Check that a corpus serves what a run wants to learn and measure.

    Args:
        corpus: the run's corpus.
        config: its settings.

    Returns:
        What was found, and the settings with a pivot that the corpus has.

    Raises:
        InputError: an objective needs translations, and the training split has none; or the corpus is
            damaged.
    """
    _require_texts(corpus)
    _require_translations(corpus, config)
    longest = _BYTES_PER_TOKEN * config.data.max_length
    held_out = {split: SharedGroups.of(corpus.records(split), longest) for split in ("dev", "test")}
    pivot, found = _pivot(corpus, config.data.pivot, held_out)
    messages = {
        split: max(shared.with_pivot(pivot).values(), default=0) for split, shared in held_out.items()
    }
    compared = {split: len(shared.with_pivot(pivot)) for split, shared in held_out.items()}
    for split in ("test", "dev"):
        found += _held_out(corpus, config, split, held_out[split], pivot, messages[split])
    if (why := held_by_none(config.model, config.objectives.pooling)) is not None:
        found.append(Finding("export", f"no other library can hold this model ({why})"))
    train = corpus.manifest.split("train")
    checks = StartChecks(pivot, train.total.records, len(train.languages), messages, compared, tuple(found))
    return checks, with_pivot(config, pivot)


def require_sources(corpus: Corpus, config: RunConfig) -> None:
    """Check that each rule of `data.sources` is about texts of the corpus.

    Raises:
        InputError: one fits no source of the training split; the message names those that there are.
    """
    train, sources = corpus.manifest.split("train"), corpus.manifest.sources
    # A corpus of an earlier version does not say which of its sources have texts in the split.
    names = list(train.sources or SourcePlaces(source.name for source in sources).names)
    require_matches(config.data.sources, names, train.languages, corpus.folder)


def _require_texts(corpus: Corpus) -> None:
    if not corpus.manifest.split("train").total.records:
        raise InputError(
            f"{corpus.folder}: expected texts in the training split, found none; import the corpus with"
            " smaller --dev and --test"
        )


def _require_translations(corpus: Corpus, config: RunConfig) -> None:
    """Check that objectives which need translations have some."""
    objectives = config.objectives
    needing = [name for name in ("alignment_tokens", "translation_lm_tokens") if getattr(objectives, name)]
    if needing and not has_translations(corpus, "train"):
        names = " and ".join(f"objectives.{name}={getattr(objectives, name)}" for name in needing)
        without = " ".join(f"objectives.{name}=0" for name in needing)
        raise InputError(
            f"{corpus.folder}: expected groups with texts in two languages for {names}, found none in the"
            f" training split. To train without translations: --set {without}. If the texts do have"
            " translations, import them with a group field, or as aligned files"
        )


def _pivot(corpus: Corpus, asked: str, held_out: Mapping[str, SharedGroups]) -> tuple[str, list[Finding]]:
    """The tag of the pivot, and what is to be said about it."""
    texts = corpus.manifest.split("train").languages
    found = find_language(tuple(texts), asked) or find_language(corpus.manifest.languages, asked)
    if found == asked:
        return asked, []
    if found is not None:
        return found, [Finding("pivot", f"{asked!r} is {named(found)} in this corpus")]
    translated: Counter[str] = Counter()
    if has_translations(corpus, "train"):
        for shared in (SharedGroups.of(corpus.records("train")), *held_out.values()):
            translated.update(shared.translated)
    # The number of texts decides where there are no translations, and between equals.
    best = max(sorted(texts), key=lambda tag: (translated[tag], texts[tag].records))
    why = f"with {translated[best]:,} translated messages" if translated else "with most texts"
    others = f"--set data.pivot=TAG takes another of {_some(sorted(texts))}"
    text = f"the corpus has no {named(asked)}; {named(best)}, {why}, takes its place"
    return best, [Finding("pivot", text, others if len(texts) > 1 else "")]


def _held_out(
    corpus: Corpus, config: RunConfig, split: str, shared: SharedGroups, pivot: str, messages: int
) -> list[Finding]:
    """What is missing for the evaluations on one held-out split."""
    entry = corpus.manifest.split(split)
    more = _more_held_out(corpus, config)
    uses = {
        "test": "retrieval on test is",
        "dev": "the panel and the choice of the layer for retrieval are",
    }[split]
    if not entry.total.records:
        bits = {"test": "evaluate has nothing to measure", "dev": f"{uses} left out, and no loss on held-out"}
        tail = " text tells the best checkpoint" if split == "dev" else ""
        return [Finding(split, f"the {split} split has no texts: {bits[split]}{tail}", more)]
    if messages >= (ENOUGH if split == "test" else PANEL_LEAST):
        return []
    if messages and split == "test":
        return [
            Finding("retrieval on test", f"on {messages} messages, each a step of {1 / messages:.0%}", more)
        ]
    if messages:
        text = f"{messages} messages in {pivot} and another language choose the layer; the panel, which"
        return [Finding("retrieval on dev", f"{text} needs {PANEL_LEAST}, is left out", more)]
    if shared.translated:
        other = next(iter(shared.translated))
        text = f"no message is in {named(pivot)} and another language"
        if split == "test":
            text += f"; evaluate compares with {named(other)} instead"
            return [Finding("retrieval on test", text, f"--set data.pivot={other} trains for it, too")]
        return [Finding("retrieval on dev", f"{text}: {uses} left out", more)]
    if len(corpus.manifest.languages) < 2:
        return [Finding(f"retrieval on {split}", f"the corpus has one language: {uses} left out")]
    return [Finding(f"retrieval on {split}", f"no message is in two languages: {uses} left out", more)]


def _more_held_out(corpus: Corpus, config: RunConfig) -> str:
    """The option that holds out more; empty where the corpus is too small for more."""
    if is_embedded(config.data.corpus):
        return "More: --set data.test_groups=500 data.dev_groups=200"
    more = options_for_more({name: entry.groups for name, entry in corpus.manifest.splits.items()})
    if not more:
        return ""
    least = (
        ""
        if _least_languages(corpus) >= 2 or len(corpus.manifest.languages) < 2
        else " --held-out-languages 2"
    )
    return f"More: xformer data import … {more}{least}"


def _least_languages(corpus: Corpus) -> int:
    """Languages that a held-out group has at least, by the options of the import."""
    splits = corpus.manifest.options.get("splits")
    least = splits.get("min_languages", 1) if isinstance(splits, dict) else 1
    return least if isinstance(least, int) else 1


def _some(tags: list[str], most: int = 12) -> str:
    """The tags, or the first of them and how many more there are."""
    rest = len(tags) - most
    return ", ".join(tags) if rest <= 0 else f"{', '.join(tags[:most])} and {rest} more"
