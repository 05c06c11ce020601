"""Time to quality: what is measured, how trainers are compared, and each of them for half a second."""

from __future__ import annotations

import gzip
import importlib.util
import io
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from rich.console import Console

from xformer.benchmarks.training import bench
from xformer.benchmarks.training.bench import Options, run_all
from xformer.benchmarks.training.bert import IGNORED, RATE, StepSizes, bert_config, hide
from xformer.benchmarks.training.clock import Work, train_by_the_clock
from xformer.benchmarks.training.command import TrainingBench
from xformer.benchmarks.training.flops import Cost
from xformer.benchmarks.training.masked_lm import BLOCK, block_batches
from xformer.benchmarks.training.names import DeviceName, TrainerName
from xformer.benchmarks.training.picture import draw
from xformer.benchmarks.training.prepared import prepared
from xformer.benchmarks.training.quality import Bert, Quality, Questions, QuestionSize, padded
from xformer.benchmarks.training.report import headline_table, notes, trainers_table
from xformer.benchmarks.training.result import Outcome, Point, Trained, time_to
from xformer.benchmarks.training.worker import Job, train_one
from xformer.config import ModelConfig
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.packed import pack
from xformer.progress import Progress
from xformer.run_config import DataConfig, ObjectivesConfig, RunConfig
from xformer.tokenizer import Tokenizer, TokenizerOptions
from xformer.tokenizer.special import BOS_ID, EOS_ID, FIRST_BYTE_ID, MASK_ID, PAD_ID
from xformer.toml_config import from_table, read_toml, save_toml
from xformer.training.estimate import parameter_counts
from xformer.training.prepare import open_shards
from xformer.training.run_directory import RunDirectory

WORDS = {
    "en": ("dog cat bird horse fox", "sees buys paints finds", "house apple book window bread road"),
    "de": ("Hund Katze Vogel Pferd Fuchs", "sieht kauft malt findet", "Haus Apfel Buch Fenster Brot Weg"),
}
HEADLINE = {
    "tokens_per_s_over_padded",
    "tokens_per_s_over_blocks",
    "matrix_rate_share",
    "time_to_bpb_over_blocks",
    "time_to_bpb_over_blocks_from_counts",
    "time_to_retrieval_over_sentence_transformers",
    "time_to_retrieval_over_static_embedding",
    "retrieval_mean_top1",
}
CPU = torch.device("cpu")
transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="transformers is not installed"
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _quiet() -> Progress:
    return Progress(Console(file=io.StringIO()))


def _documents(folder: Path) -> Path:
    """120 documents in two languages, the last sixteen held out, as files of a split and a language."""
    folder.mkdir()
    for language, parts in WORDS.items():
        texts = [" ".join(words) for words in itertools.product(*(part.split() for part in parts))]
        rows = [{"id": f"group {number}", "description": text} for number, text in enumerate(texts)]
        np.random.default_rng(0).shuffle(rows)
        for split, part in {"train": rows[16:], "dev": rows[:8], "test": rows[8:16]}.items():
            with gzip.open(folder / f"{split}.{language}.jsonl.gz", "wt", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in part)
    return folder


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, RunConfig]:
    """A prepared run, and settings of a model that learns nothing much."""
    root = tmp_path_factory.mktemp("training")
    config = RunConfig(
        model=ModelConfig(vocab_size=320, d_model=32, n_layers=1, n_heads=2, d_ff=32, max_length=64),
        tokenizer=TokenizerOptions(vocabulary_size=300, threads=1),
        data=DataConfig(max_length=40),
        objectives=ObjectivesConfig(
            masked_lm_tokens=96, translation_lm_tokens=96, alignment_tokens=192, bag_tokens=192
        ),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XFORMER_CACHE", str(root / "cache"))
        return prepared(config, str(_documents(root / "documents")), None, _quiet())


@pytest.fixture(scope="module")
def shards(ready: tuple[RunDirectory, RunConfig]) -> TokenShards:
    run, _ = ready
    return open_shards(run, "test", Tokenizer.load(run.tokenizer))


@pytest.fixture(scope="module")
def questions(ready: tuple[RunDirectory, RunConfig], shards: TokenShards) -> Questions:
    lengths = Tokenizer.load(ready[0].tokenizer).byte_lengths()
    return Questions.of(shards, lengths, "en", QuestionSize(), CPU)


def _job(ready: tuple[RunDirectory, RunConfig], trainer: TrainerName, device: DeviceName) -> Job:
    return Job(trainer, str(ready[0].path), "", 0.4, 2, False, QuestionSize(), device)


def _curve(name: TrainerName, *points: tuple[float, float | None, float | None], **fields: Any) -> Trained:
    made = tuple(Point(seconds, 0, bits, top1) for seconds, bits, top1 in points)
    return Trained(name, "ok", points=made, **fields)


def test_time_to_a_quality() -> None:
    one = _curve("xformer", (0, 4.0, 0.0), (10, 3.0, 0.5), (20, 3.5, 0.4), (30, 2.0, None))
    assert time_to(one, "bits_per_byte", 3.5) == pytest.approx(5)
    assert time_to(one, "bits_per_byte", 2.5) == pytest.approx(20 + 10 * 2 / 3)
    assert time_to(one, "bits_per_byte", 1.9) is None
    assert time_to(one, "bits_per_byte", 5.0) == 0
    assert time_to(one, "mean_top1", 0.25) == pytest.approx(5)
    assert time_to(one, "mean_top1", 0.51) is None
    assert time_to(one, "mean_top1", None) is None


def test_the_headline() -> None:
    ours = _curve(
        "xformer",
        (1, 3.0, 0.0),
        (11, 1.0, 0.5),
        tokens_per_s=50.0,
        flops_per_s=6.0,
        matrix_flops_per_s=8.0,
    )
    blocks = _curve("blocks", (0, 5.0, 0.0), (40, 2.0, 0.1), tokens_per_s=10.0)
    theirs = _curve("sentence-transformers", (0, None, 0.0), (40, None, 0.25), tokens_per_s=10.0)
    outcome = Outcome({"blocks": blocks, "sentence-transformers": theirs, "xformer": ours}, {})
    assert outcome.headline() == pytest.approx(
        {
            "tokens_per_s_over_padded": None,
            "tokens_per_s_over_blocks": 5.0,
            "matrix_rate_share": 0.75,
            "time_to_bpb_over_blocks": 40 / 6,
            "time_to_bpb_over_blocks_from_counts": None,
            "time_to_retrieval_over_sentence_transformers": 40 / 6,
            "time_to_retrieval_over_static_embedding": None,
            "retrieval_mean_top1": 0.5,
        }
    )
    better = replace(blocks, points=(*blocks.points, Point(50, 0, 0.5, 0.0)))
    assert Outcome({"blocks": better, "xformer": ours}, {}).headline()["time_to_bpb_over_blocks"] is None
    nothing = Outcome({"blocks": Trained("blocks", "absent")}, {}).headline()
    assert set(nothing) == HEADLINE
    assert set(nothing.values()) == {None}


def test_the_clock_stands_still_while_a_model_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    shares = []

    def step(progress: float) -> Work:
        nonlocal now
        shares.append(progress)
        now += 2.0
        return Work(3, 7.0)

    def examine() -> Quality:
        nonlocal now
        now += 100.0
        return Quality(1.0, None)

    timed = train_by_the_clock(step, examine, budget=8.0, marks=2, device=CPU)
    assert [(point.seconds, point.tokens) for point in timed.points] == [(0, 0), (4, 6), (8, 12)]
    assert (timed.seconds, timed.steps, timed.work) == (8.0, 4, Work(12, 28.0))
    assert shares == [0.0, 0.25, 0.5, 0.75]
    assert timed.peak_bytes > 0


def test_hiding() -> None:
    ids = torch.randint(FIRST_BYTE_ID, 5_000, (200, 200))
    ids[:, 0], ids[:, -1] = BOS_ID, PAD_ID
    shown, labels = hide(ids, 5_000, torch.Generator().manual_seed(0))
    hidden = labels != IGNORED
    assert (labels[hidden] == ids[hidden]).all()
    assert (shown[~hidden] == ids[~hidden]).all()
    assert not hidden[:, 0].any()
    assert not hidden[:, -1].any()
    assert hidden[:, 1:-1].float().mean().item() == pytest.approx(RATE, abs=0.01)
    masked, kept = shown[hidden] == MASK_ID, shown[hidden] == ids[hidden]
    assert masked.float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert kept.float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert int(shown.min()) >= 0
    assert int(shown.max()) < 5_000


def test_padding() -> None:
    batch = pack([[7, 8, 9], [10], [11, 12]])
    ids, mask = padded(batch.tokens, batch.sequence_ids(), batch.positions, batch.lengths)
    expected = [[BOS_ID, 7, 8, 9, EOS_ID], [BOS_ID, 11, 12, EOS_ID, PAD_ID]]
    assert ids.tolist() == [*expected, [BOS_ID, 10, EOS_ID, PAD_ID, PAD_ID]]
    assert mask.sum(1).tolist() == [5, 4, 3]


def test_blocks_hold_every_text_as_it_is_asked_later(shards: TokenShards) -> None:
    texts = {tuple(shards[number].tolist()) for number in range(len(shards))}
    batches = block_batches(shards, seed=0, sizes=StepSizes.on(CPU))
    blocks = torch.cat([next(batches)[0] for _ in range(4)]).tolist()
    found = 0
    for block in blocks:
        assert len(block) == BLOCK
        for begin, end in itertools.pairwise(
            [*[i for i, token in enumerate(block) if token == BOS_ID], BLOCK]
        ):
            text = block[begin + 1 : end]
            if text and text[-1] == EOS_ID:  # not cut off where the block ends
                assert tuple(text[:-1]) in texts
                found += 1
    assert found > len(blocks)


def test_what_is_asked(shards: TokenShards, ready: tuple[RunDirectory, RunConfig]) -> None:
    lengths = Tokenizer.load(ready[0].tokenizer).byte_lengths()
    small = Questions.of(shards, lengths, "en", QuestionSize(messages=3, languages=1, tokens=20), CPU)
    assert len(np.unique(small.texts.group)) == 3
    assert len(small.texts) == 6
    assert 20 <= int(small.hidden.shards.n_tokens.sum()) < 40
    again = Questions.of(shards, lengths, "en", QuestionSize(messages=3, languages=1, tokens=20), CPU)
    assert [text.tolist() for text in small.texts] == [text.tolist() for text in again.texts]
    with pytest.raises(InputError, match=r"data\.pivot: expected one of de, en; got 'fr'"):
        Questions.of(shards, lengths, "fr", QuestionSize(), CPU)


def test_an_excerpt_is_its_examples(shards: TokenShards) -> None:
    some = np.array([5, 2])
    excerpt = shards.subset(some)
    assert len(excerpt) == 2
    assert excerpt[1].tolist() == shards[2].tolist()
    assert excerpt.group.tolist() == shards.group[some].tolist()
    assert [len(text) for text in excerpt] == excerpt.n_tokens.tolist()


@transformers
def test_bert_is_as_large_and_its_cost_is_what_pytorch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import BertForMaskedLM

    config = bert_config(
        ModelConfig(vocab_size=500, d_model=32, n_heads=2, n_layers=3), 90_000, length=20, dropout=0.0
    )
    config._attn_implementation = "eager"
    model = BertForMaskedLM(config)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(90_000, rel=0.01)
    cost = Cost.of(model.bert.encoder.layer, model.cls, 32, 500)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.full((2, 7), 9))
    assert counter.get_total_flops() == cost.token * 14 + cost.pair * 2 * 49 + cost.hidden * 14


@transformers
def test_bert_is_asked_what_all_are_asked(questions: Questions) -> None:
    """Padding changes nothing: a text alone has the vector and the surprisal that it has in a batch."""
    from transformers import BertForMaskedLM

    config = bert_config(
        ModelConfig(vocab_size=320, d_model=32, n_heads=2, n_layers=2), 60_000, length=64, dropout=0.5
    )
    model = BertForMaskedLM(config)
    asked = Bert(model.bert, model.cls)
    found, again = (questions.examine(asked, asked.surprisal) for _ in range(2))
    assert found == again, "dropout is at work"
    assert found.bits_per_byte is not None
    assert found.mean_top1 is not None
    assert model.training
    asked.eval()
    texts = [[9, 10, 11, 12], [13, 14]]
    together = asked.sentence_vectors(pack(texts))
    for row, text in zip(together, texts, strict=True):
        torch.testing.assert_close(asked.sentence_vectors(pack([text]))[0], row)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("trainer", get_args(TrainerName))
def test_each_trainer(
    trainer: TrainerName, device: DeviceName, ready: tuple[RunDirectory, RunConfig]
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    missing = [name for name in bench.NEEDS[trainer] if bench.version(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    found = train_one(_job(ready, trainer, device), ready[1], _quiet())
    assert (found.name, found.status) == (trainer, "ok")
    assert len(found.points) >= 3
    times = [point.seconds for point in found.points]
    assert times == sorted(times)
    assert all(point.mean_top1 is not None for point in found.points)
    has_bits = trainer not in ("sentence-transformers", "static-embedding")
    assert {point.bits_per_byte is not None for point in found.points} == {has_bits}
    assert 0.4 <= (found.seconds or 0) < 20
    for value in (found.parameters, found.steps, found.tokens_per_s, found.peak_bytes):
        assert value is not None
        assert value > 0
    assert found.matrix_share is not None
    assert (found.matrix_share == 0) == (trainer == "static-embedding")  # which multiplies nothing
    assert Trained.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_who_is_not_installed_is_absent(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "version", lambda name: None)
    run, config = ready
    options = Options(trainers=("padded", "blocks", "sentence-transformers"))
    outcome = run_all(run, config, options, _quiet())
    assert {one.status for one in outcome.trained.values()} == {"absent"}
    shown = json.loads(json.dumps(outcome.to_json()))
    assert shown.keys() >= HEADLINE
    assert {shown[name] for name in HEADLINE} == {None}
    assert notes(outcome)[0] == "padded: transformers not installed"
    assert draw(outcome, tmp_path / "none.png") is None
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(trainers_table(outcome), headline_table(outcome))
    assert console.export_text().count("absent") == 3


def test_the_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    trained: dict[TrainerName, Trained] = {
        "xformer": _curve("xformer", (0, 3.0, 0.0), (1, 2.0, 0.5)),
        "sentence-transformers": _curve("sentence-transformers", (0, None, 0.0), (1, None, 0.2)),
    }
    path = draw(Outcome(trained, {"device": "here", "threads": 2}), tmp_path / "training.png")
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device: expected cpu or auto, since torch sees no GPU"):
        TrainingBench(device="cuda").run_command()


def test_where_nothing_can_be_written_nobody_trains(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, config = ready
    save_toml(run.config, config)
    monkeypatch.setattr(bench, "run_all", lambda *given: pytest.fail("trained"))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        TrainingBench(run=run.path, out=tmp_path / "file" / "out").run_command()


def test_what_was_measured_is_kept_when_it_is_broken_off(
    ready: tuple[RunDirectory, RunConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, config = ready
    save_toml(run.config, config)

    def trained(job: Job, folder: Path) -> Trained:
        if job.trainer == "blocks":
            raise KeyboardInterrupt
        return _curve(job.trainer, (0, 3.0, 0.0), (1, 2.0, 0.5))

    monkeypatch.setattr(bench, "_in_its_own_process", trained)
    monkeypatch.setattr(bench, "version", lambda name: "1")
    with pytest.raises(KeyboardInterrupt):
        TrainingBench(run=run.path, out=tmp_path, trainer=("xformer", "blocks")).run_command()
    kept = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert list(kept["trainers"]) == ["xformer"]


def test_the_settings_for_a_gpu(repository: Path) -> None:
    table = read_toml(repository / "benchmarks" / "training" / "100m.toml")
    config = from_table(table | {"model": table["model"] | {"bigrams": 0}}, RunConfig, source="100m.toml")
    parameters = sum(parameter_counts(config.model, config.objectives.pooling).values())
    assert parameters == pytest.approx(100e6, rel=0.05)


def test_documents_keep_their_splits(ready: tuple[RunDirectory, RunConfig], shards: TokenShards) -> None:
    run, config = ready
    train = open_shards(run, "train", Tokenizer.load(run.tokenizer))
    assert config.data.max_length == config.model.max_length
    assert (len(train), len(shards), train.languages) == (208, 16, ("de", "en"))
    assert not set(train.group.tolist()) & set(shards.group.tolist())


def test_a_folder_that_is_no_corpus(ready: tuple[RunDirectory, RunConfig], tmp_path: Path) -> None:
    (tmp_path / "train.en.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"or dev\.LANG\.jsonl\.gz"):
        prepared(ready[1], str(tmp_path), None, _quiet())


def test_the_text_of_a_run(ready: tuple[RunDirectory, RunConfig], tmp_path: Path) -> None:
    """A run's text goes with today's settings for everything else."""
    run, config = ready
    save_toml(run.config, config)
    today = replace(config, model=replace(config.model, n_layers=2))
    place, found = prepared(today, None, run.path, _quiet())
    assert place.path == run.path
    assert found.model.n_layers == 2
    bench = TrainingBench(run=run.path, set=("model.n_layers=2", "data.alpha=0.25"))
    settings = bench._settings()
    assert (settings.tokenizer, settings.model.n_layers, settings.data.alpha) == (config.tokenizer, 2, 0.25)
    assert replace(settings.data, alpha=config.data.alpha) == config.data
    with pytest.raises(InputError, match=r"data\.max_length: expected .* was prepared; got 12"):
        prepared(replace(today, data=replace(today.data, max_length=12)), None, run.path, _quiet())
    with pytest.raises(InputError, match="expected a run made by"):
        prepared(today, None, tmp_path, _quiet())


def test_from_the_root_of_a_checkout(repository: Path) -> None:
    """Where the current folder has a `kernels` of its own, transformers must not find it in a worker."""
    code = """
import importlib.util, json, sys
sys.path.insert(0, "")
from xformer.benchmarks.training import worker
before = importlib.util.find_spec("kernels")
worker._leave_checkout()
after = importlib.util.find_spec("kernels")
print(json.dumps([str(found and found.origin) for found in (before, after)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    before, after = json.loads(done.stdout)
    assert before == str(repository / "kernels" / "__init__.py")
    assert after != before
    command = [sys.executable, "-m", "benchmarks.training", "--help"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert "--quick" in done.stdout
