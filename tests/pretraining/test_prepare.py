"""From settings to shards: each thing made once, and what is there reused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from xformer.data.corpus import open_corpus
from xformer.data.embedded import EmbeddedName
from xformer.data.embedded import corpus as embedded_corpus
from xformer.data.embedded.corpus import EmbeddedCorpus
from xformer.data.import_notes import ImportNotes
from xformer.data.manifest import Manifest, Source
from xformer.data.record import Record
from xformer.data.shard_parts import join_shards, write_shard_parts
from xformer.data.shard_writer import Sharding
from xformer.errors import InputError
from xformer.pretraining.load import open_tokenizer
from xformer.pretraining.prepare import open_shards, prepare
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import Tokenizer

Listening = Callable[..., Progress]


SOURCE = Source("gettext/made-1.0-py3-none-any.whl", "MIT", "0" * 64, 7)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, corpus: Path) -> list[str]:
    """The embedded corpora are the synthetic one; what is fetched of them is noted."""
    notes: list[str] = []

    def read(_: ImportNotes) -> Iterator[Record]:
        opened = open_corpus(corpus)
        for split in ("train", "dev", "test"):
            yield from opened.records(split)

    def fetch(name: EmbeddedName, *, say: Callable[[str], None]) -> EmbeddedCorpus:
        notes.append(name)
        return EmbeddedCorpus(name, (SOURCE,), {"games/story.deb": "apt-get is not on this machine"}, read)

    monkeypatch.setattr(embedded_corpus, "fetch_embedded", fetch)
    return notes


@pytest.fixture
def default(config: RunConfig) -> RunConfig:
    sizes = {"dev_groups": 4, "test_groups": 5, "held_out_languages": 2, "held_out_chars": 3}
    data: dict[str, Any] = {"corpus": "gettext", "min_language_texts": 50, **sizes}
    return replace(
        config,
        data=replace(config.data, **data),
        model=replace(config.model, vocab_size=320),
        tokenizer=replace(config.tokenizer, vocabulary_size=310),
    )


@pytest.mark.parametrize("name", get_args(EmbeddedName))
def test_an_embedded_corpus_is_fetched_and_imported_once(
    name: str, default: RunConfig, fetched: list[str], listening: Listening, tmp_path: Path
) -> None:
    default = replace(default, data=replace(default.data, corpus=name))
    run, progress = RunDirectory(tmp_path / "run"), listening()
    assert prepare(run, default, progress) == default
    manifest = Manifest.read(run.path)
    assert manifest == Manifest.read(run.corpus)
    assert manifest.sources == (SOURCE,)
    assert manifest.not_read == {"games/story.deb": "apt-get is not on this machine"}
    assert manifest.options["splits"] == {"dev": 4, "test": 5, "min_languages": 2, "min_chars": 3}
    assert manifest.options["min_language_records"] == 50
    assert manifest.splits["test"].groups == 5
    assert Tokenizer.load(run.tokenizer).vocab_size == 310
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}

    progress = listening()
    prepare(run, default, progress)
    said = progress.console.export_text()
    assert f"corpus: reusing {run.corpus}" in said
    assert f"tokenizer: reusing {run.tokenizer}" in said
    assert fetched == [name]
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_an_embedded_corpus_is_kept_apart_from_named_test_sets(
    default: RunConfig, fetched: list[str], listening: Listening, corpus: Path, tmp_path: Path
) -> None:
    opened = open_corpus(corpus)
    texts = [record.text for record in opened.records("train") if record.language == "de"][:3]
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions" / "test.de").write_text("\n".join(texts), encoding="utf-8")
    apart = replace(default, data=replace(default.data, decontaminate=(str(tmp_path / "captions"),)))
    run, progress = RunDirectory(tmp_path / "run"), listening()
    prepare(run, apart, progress)
    manifest = Manifest.read(run.corpus)
    assert manifest.test_sets["captions"]["exact"] == 3
    kept = {record.text for split in manifest.splits for record in open_corpus(run.corpus).records(split)}
    assert not kept & set(texts)
    assert "kept apart from captions, 3 texts" in " ".join(progress.console.export_text().split())

    missing = replace(default, data=replace(default.data, decontaminate=(str(tmp_path / "nowhere"),)))
    fetched.clear()
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        prepare(RunDirectory(tmp_path / "other"), missing, listening())
    assert not fetched  # it is found out before anything is fetched


def test_what_is_missing_is_made_again_to_the_byte(
    default: RunConfig, fetched: list[str], listening: Listening, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    prepare(run, default, listening())
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    run.tokenizer.unlink()
    for path in run.shards("dev").iterdir():
        path.unlink()
    run.shards("dev").rmdir()
    prepare(run, default, listening())
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_shards_of_another_tokenizer_are_refused(
    default: RunConfig, fetched: list[str], listening: Listening, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    prepare(run, default, listening())
    assert len(open_shards(run, "train", open_tokenizer(run))) > 0
    run.tokenizer.unlink()
    other = replace(default, tokenizer=replace(default.tokenizer, vocabulary_size=309))
    with pytest.raises(InputError, match=r"shards\.json: encoded by the tokenizer"):
        prepare(run, other, listening())


def test_a_damaged_shard_is_named(
    default: RunConfig, fetched: list[str], listening: Listening, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    prepare(run, default, listening())
    path = run.shards("train") / "tokens-00000.bin"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"tokens-00000\.bin: damaged"):
        open_shards(run, "train", open_tokenizer(run))


@pytest.fixture(scope="module")
def made(prepared: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer, and shards by three workers of all splits but the test split."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "mine.model").write_bytes((prepared / "tokenizer.model").read_bytes())
    tokenizer = Tokenizer.load(folder / "mine.model")
    for split in ("train", "dev"):
        for worker in (1, 2, 0):
            write_shard_parts(
                Sharding(corpus, split, tokenizer, max_length=40), folder / split, worker=worker, of=3
            )
        join_shards(Sharding(corpus, split, tokenizer, max_length=40), folder / split)
    return folder


def _with(config: RunConfig, made: Path, **data: Any) -> RunConfig:
    given: dict[str, Any] = {"tokenizer": str(made / "mine.model"), "shards": str(made), **data}
    return replace(config, data=replace(config.data, **given))


@pytest.mark.parametrize("links", [True, False], ids=["linked", "on another disk"])
def test_shards_by_many_workers_are_used_and_are_those_that_the_run_would_make(
    config: RunConfig,
    made: Path,
    prepared: Path,
    listening: Listening,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    links: bool,
) -> None:
    def no_links(*arguments: Any) -> None:
        raise OSError("Invalid cross-device link")

    if not links:
        monkeypatch.setattr("xformer.pretraining.prepare.os.link", no_links)
    run, progress = RunDirectory(tmp_path / "run"), listening()
    prepare(run, _with(config, made), progress)
    assert {
        path.relative_to(run.path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()
    } == {path.relative_to(prepared): path.read_bytes() for path in prepared.rglob("*") if path.is_file()}
    said = progress.console.export_text()
    assert f"tokenizer: using {made / 'mine.model'}" in said
    assert [split for split in ("train", "dev", "test") if f"{split}: using" in said] == ["train", "dev"]
    token_file = run.shards("train") / "tokens-00000.bin"
    assert token_file.samefile(made / "train" / "tokens-00000.bin")
    assert token_file.is_symlink() != links
    assert len(open_shards(run, "train", open_tokenizer(run))) > 0
    # What is there is there: the folder is not asked again.
    prepare(run, _with(config, tmp_path / "gone"), listening())


@pytest.mark.parametrize("what", ["corpus", "tokenizer", "max_length", "not joined"])
def test_shards_of_something_else_are_refused(
    what: str,
    config: RunConfig,
    made: Path,
    make_corpus: Callable[..., Path],
    listening: Listening,
    tmp_path: Path,
) -> None:
    run = RunDirectory(tmp_path / "run")
    settings, said = _with(config, made), ""
    if what == "corpus":
        settings = _with(config, made, corpus=str(make_corpus(tmp_path / "corpus", seed=1)))
        said = r"train: made with split_sha256=\w+, expected \w+ \(see data\.corpus\)"
    elif what == "tokenizer":
        other = replace(config, tokenizer=replace(config.tokenizer, vocabulary_size=318))
        prepare(RunDirectory(tmp_path / "other"), other, listening())
        settings = _with(config, made, tokenizer=str(tmp_path / "other" / "tokenizer.model"))
        said = r"train: made with tokenizer=\w+, expected \w+ \(see data\.tokenizer\)"
    elif what == "max_length":
        settings = _with(config, made, max_length=39)
        said = r"train: made with max_length=40, expected 39 \(see data\.max_length\)"
    else:
        settings = _with(config, made, shards=str(tmp_path))
        said = r"train: missing; expected what `xformer data shard --out \S+` makes"
    with pytest.raises(InputError, match=said):
        prepare(run, settings, listening())
    assert not run.shards("train").exists()


def test_a_tokenizer_that_is_too_large_for_the_model_is_refused(
    config: RunConfig, made: Path, listening: Listening, tmp_path: Path
) -> None:
    small = replace(_with(config, made), model=replace(config.model, vocab_size=310))
    with pytest.raises(
        InputError, match=r"mine\.model: has 320 pieces; expected at most model\.vocab_size=310"
    ):
        prepare(RunDirectory(tmp_path / "run"), small, listening())
