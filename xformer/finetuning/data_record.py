"""What a fine-tuned run learned from and is tested on: files, counts, hashes, licence.

The run keeps it as `data.json`: its model card and page show it, and by it `xformer evaluate` finds the test
files again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from xformer.data.labelled import Example
from xformer.data.readers.lines import FilePath
from xformer.errors import InputError
from xformer.runs.directory import RunDirectory
from xformer.storage.files import atomic_write
from xformer.storage.structure import structure


@dataclass(frozen=True)
class PartRecord:
    """One part of the data.

    Attributes:
        files: paths as they were given; none where Python gave the examples.
        examples: number of them.
        languages: the same by language, the commonest first.
        labels: how often each label stands there, by name.
        sha256: hash of texts and labels.
    """

    files: tuple[str, ...] = ()
    examples: int = 0
    languages: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    sha256: str = ""

    @classmethod
    def of(cls, examples: Sequence[Example], files: Sequence[FilePath] = ()) -> Self:
        """Count examples."""
        languages = Counter(one.language for one in examples)
        labels = Counter(label for one in examples for answer in one.answers for label in answer)
        digest = hashlib.sha256()
        for one in examples:
            digest.update(json.dumps([one.content, one.answers, one.language]).encode())
        return cls(
            tuple(map(str, files)),
            len(examples),
            dict(languages.most_common()),
            dict(sorted(labels.items())),
            digest.hexdigest(),
        )


@dataclass(frozen=True)
class DataRecord:
    """All parts.

    Attributes:
        train: what was learned from.
        dev: what chose the checkpoint and its temperature.
        test: what was tested on.
        within: what baselines alone learned from.
        licence: of the examples, as told; empty where nobody said it.
        left_out: what was not read: counts by reason.
        seen: test examples that stand in the training part as well.
        options: of the command that made the run; none where Python did.
    """

    train: PartRecord
    dev: PartRecord
    test: PartRecord = field(default_factory=PartRecord)
    within: PartRecord = field(default_factory=PartRecord)
    licence: str = ""
    left_out: dict[str, int] = field(default_factory=dict)
    seen: int = 0
    options: dict[str, Any] | None = None


def write_data_record(run: RunDirectory, record: DataRecord) -> None:
    """Write it into the run."""
    with atomic_write(run.labelled_data) as file:
        json.dump(asdict(record), file, indent=2, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_data_record(run: RunDirectory) -> DataRecord | None:
    """What the run says of its data; None where it says nothing yet.

    Raises:
        InputError: the file is damaged.
    """
    try:
        found = json.loads(run.labelled_data.read_text(encoding="utf-8"))
        if not isinstance(found, Mapping):
            raise ValueError("expected a JSON object")
        return structure(found, DataRecord)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{run.labelled_data}: expected the record of a run's data: {error}") from error
