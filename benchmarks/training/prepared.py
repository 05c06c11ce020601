"""The text: a run directory that is prepared already, or one made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

from xformer.data.embedded import is_embedded
from xformer.data.embedded.packages import cache_folder
from xformer.data.manifest import MANIFEST_NAME, Counts, Manifest, Source, SplitEntry
from xformer.data.readers import Fields, read_jsonl
from xformer.data.record import Record
from xformer.data.record_file import RecordWriter
from xformer.data.split import SPLITS
from xformer.errors import InputError
from xformer.pretraining.prepare import prepare
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.storage.checksummed import FileEntry, atomic_folder
from xformer.version import __version__

_DRAWING = ("alpha", "max_repeats", "pivot", "pivot_share")
_DOCUMENTS = re.compile(r"(train|dev|test)\.[A-Za-z_]+\.jsonl(\.gz)?")


def tables_of(run: Path) -> dict[str, dict[str, Any]]:
    """The tables of a run's settings that its shards were made with, and the size of their vocabulary.

    Raises:
        InputError: it is no run.
    """
    place = find_run(run)
    table, theirs = place.read_config(), place.load_config()
    taken = {name: table[name] for name in ("data", "tokenizer") if name in table}
    return taken | {"model": {"vocab_size": theirs.model.vocab_size}}


def prepared(
    config: RunConfig, corpus: str | None, run: Path | None, progress: Progress
) -> tuple[RunDirectory, RunConfig]:
    """A run directory with tokenizer and shards, and settings that fit it.

    Args:
        config: the settings; for a run, they include its tables (`tables_of`).
        corpus: `gettext`; a corpus made by `xformer data import`; or a folder of documents in several
            languages that is already split: `SPLIT.LANG.jsonl.gz` with the fields `id`, equal for
            translations, and `description`. None for the corpus of the settings.
        run: a run directory whose tokenizer and shards are used.
        progress: where to show what happens.

    Raises:
        InputError: the corpus is none of these, or the run is not prepared, or has other settings.
    """
    if run is not None:
        return _require_prepared(run, config), config
    name = config.data.corpus if corpus is None else corpus
    cache = cache_folder("training-bench")
    data = config.data
    if not is_embedded(name) and not (Path(name) / MANIFEST_NAME).is_file():
        documents = cache / f"documents-{_key(str(Path(name).resolve()))}"
        if not documents.is_dir():
            progress.say(f"corpus: reading {name}")
            _import_documents(Path(name), documents)
        # Documents are long, so texts are as long as the model can take.
        data = replace(data, max_length=config.model.max_length)
        if config.objectives.translation_lm_tokens and config.model.positions == "learned":
            data = replace(data, max_length=(config.model.max_length - 1) // 2)
        name = str(documents)
    elif not is_embedded(name):
        name = str(Path(name).resolve())
    config = replace(config, data=replace(data, corpus=name))
    made_with = {key: value for key, value in asdict(config.data).items() if key not in _DRAWING}
    settings = [made_with, asdict(config.tokenizer), config.model.vocab_size]
    place = RunDirectory(cache / f"run-{_key(json.dumps(settings, sort_keys=True))}")
    place.path.mkdir(parents=True, exist_ok=True)
    return place, prepare(place, config, progress)


def _require_prepared(run: Path, config: RunConfig) -> RunDirectory:
    """Check that a run has a tokenizer and shards made with these settings."""
    place = find_run(run)
    for needed in (place.tokenizer, *map(place.shards, SPLITS)):
        if not needed.exists():
            raise InputError(f"{needed}: expected a prepared run; `xformer pretrain` makes one")
    theirs = place.load_config()
    for table in ("data", "tokenizer"):
        wanted, found = asdict(getattr(config, table)), asdict(getattr(theirs, table))
        for key in wanted.keys() - set(_DRAWING):
            if wanted[key] != found[key]:
                raise InputError(
                    f"{table}.{key}: expected {found[key]!r}, with which {run} was prepared;"
                    f" got {wanted[key]!r}"
                )
    return place


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _import_documents(folder: Path, out: Path) -> None:
    """Make a corpus of documents that keeps their splits."""
    files = sorted(path for path in folder.glob("*.jsonl*") if _DOCUMENTS.fullmatch(path.name))
    missing = [split for split in SPLITS if not any(path.name.startswith(f"{split}.") for path in files)]
    if missing:
        raise InputError(
            f"{folder}: expected a corpus made by `xformer data import`, or {missing[0]}.LANG.jsonl.gz"
            " and the other splits; found neither"
        )
    with atomic_folder(out) as work:
        entries = {split: _write_split(split, files, work) for split in SPLITS}
        Manifest(
            tool=f"xformer {__version__}",
            seed=0,
            options={},
            sources=tuple(Source.of(path, "see its own folder") for path in files),
            languages=tuple(sorted({tag for entry in entries.values() for tag in entry.languages})),
            splits=entries,
        ).write(work)


def _write_split(split: str, files: list[Path], work: Path) -> SplitEntry:
    """Copy the records of a split."""
    path, counts, groups = work / f"{split}.jsonl.gz", dict[str, Counts](), set[str]()
    with ExitStack() as stack:
        writer = stack.enter_context(RecordWriter(path, level=1))
        for record in _records(split, files):
            writer.write(record)
            groups.add(record.group)
            size = Counts(1, len(record.text), len(record.text.encode()))
            counts[record.language] = counts.get(record.language, Counts()) + size
    return SplitEntry(FileEntry.of(path), len(groups), dict(sorted(counts.items())))


def _records(split: str, files: list[Path]) -> Iterator[Record]:
    fields = Fields(text="description", group="id")
    here = (path for path in files if path.name.startswith(f"{split}."))
    return chain.from_iterable(read_jsonl(path, fields=fields) for path in here)
