"""What a translation run learned from and is tested on, kept as `data.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Self

from xformer.data.translated import Direction, TranslatedTexts
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure
from xformer.translation.setup import seen_in_training


@dataclass(frozen=True)
class PartRecord:
    """One part of the data.

    Attributes:
        files: paths as they were given, or a corpus.
        pairs: number of pairs by direction.
        texts: number of texts by language.
        left_out: lines or rows of which a text is blank.
        sha256: hash of all texts.
    """

    files: tuple[str, ...] = ()
    pairs: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, texts: TranslatedTexts, directions: Sequence[Direction], files: Sequence[str]) -> Self:
        """Count texts."""
        pairs = texts.pairs(directions)
        digest = hashlib.sha256(json.dumps([texts.texts, texts.languages, texts.groups]).encode())
        counts = {tag: texts.languages.count(tag) for tag in sorted(set(texts.languages))}
        named = zip(map(str, pairs.directions), pairs.counts.tolist(), strict=True)
        return cls(tuple(files), dict(named), counts, texts.left_out, digest.hexdigest())


@dataclass(frozen=True)
class TranslationRecord:
    """All parts.

    Attributes:
        train: what was learned from.
        dev: what chose the checkpoint.
        test: what was tested on.
        seen: test texts that stand in the training part as well.
        licence: of the texts, as told; empty where nobody said it.
    """

    train: PartRecord
    dev: PartRecord
    test: PartRecord = field(default_factory=PartRecord)
    seen: int = 0
    licence: str = ""

    def save(self, run: RunDirectory) -> None:
        """Write it into the run."""
        with atomic_write(run.translated_data) as file:
            json.dump(asdict(self), file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")

    @classmethod
    def load(cls, run: RunDirectory) -> Self:
        """What the run says of its data.

        Raises:
            InputError: the file is missing or damaged.
        """
        try:
            return structure(json.loads(run.translated_data.read_text(encoding="utf-8")), cls)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{run.translated_data}: expected the record of a run's data: {error}"
            ) from error


def record_of(
    train: TranslatedTexts,
    dev: TranslatedTexts,
    test: TranslatedTexts | None,
    directions: Sequence[Direction],
    files: tuple[Sequence[str], Sequence[str], Sequence[str]],
    tested: Sequence[Direction],
    licence: str = "",
) -> TranslationRecord:
    """The record of texts.

    Args:
        train: what is learned from.
        dev: what is held out.
        test: what is tested on; None for nothing.
        directions: what is learned.
        files: names of the three.
        tested: directions of the test.
        licence: of the texts.
    """
    learned = PartRecord.of(train, directions, files[0])
    held_out = PartRecord.of(dev, directions, files[1])
    if test is None:
        return TranslationRecord(learned, held_out, licence=licence)
    last = PartRecord.of(test, tested, files[2])
    return TranslationRecord(learned, held_out, last, seen_in_training(train, test), licence)
