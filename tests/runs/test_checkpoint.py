"""Checkpoints: whole or absent, checked, and back to the bit.

Covers xformer.runs.checkpoint_files and checkpoint_folders, too.
"""

from __future__ import annotations

import resource
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.runs import checkpoint as module
from xformer.runs import checkpoint_files as files
from xformer.runs.checkpoint import (
    Checkpoint,
    CheckpointError,
    TrainingState,
    best_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from xformer.runs.checkpoint_folders import checkpoint_folders, half_written
from xformer.runs.config import OptimizerConfig

CONFIG = ModelConfig(vocab_size=20, d_model=8, n_heads=2, n_layers=1, d_ff=8, dropout=0.3)
FILES = ("model.safetensors", "optimizer.safetensors", "state.json")


class Run:
    """A model, its optimizer, and steps whose dropout moves the random state."""

    def __init__(self, config: ModelConfig = CONFIG) -> None:
        self.model = MultilingualModel(config)
        self.optimizer = make_optimizer(self.model, OptimizerConfig())

    def train(self, steps: int) -> None:
        batch = pack([[5, 6, 7], [8, 9]])
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            logits = self.model.token_logits(batch, torch.arange(5), n_layers=0)  # the block has no moments
            F.cross_entropy(logits, batch.tokens).backward()
            self.optimizer.step()

    def save(self, folder: Path, step: int, keep: int = 3) -> Checkpoint:
        return save_checkpoint(folder, self.model, self.optimizer, TrainingState(step=step), keep)


def _bits(run: Run) -> dict[str, Any]:
    moments = {
        f"{index}.{name}": value
        for index, entry in run.optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }
    return {**run.model.state_dict(), **moments, "random": torch.get_rng_state()}


def _assert_same_bits(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_weights_moments_and_random_state_come_back_to_the_bit(tmp_path: Path) -> None:
    run = Run()
    run.train(3)
    state = TrainingState(
        step=3,
        elapsed=1.25,
        tokens=15,
        skipped=1,
        spikes=2,
        stage="full",
        stage_began=(2, 0.5),
        precision="bf16",
        data_digest="ab",
        tally={"asked": (0.1, 1 / 3), "norm": (1e-30,)},
        recent=((0.1, 2.0), (1 / 3, 1e300)),
        held_out=2 / 3,
        fingerprints={"text": "cd", "tokenizer": "ef"},
    )
    saved = save_checkpoint(tmp_path, run.model, run.optimizer, state, keep=1)
    expected = {name: value.clone() for name, value in _bits(run).items()}
    run.train(2)
    later = _bits(run)

    torch.manual_seed(77)
    again = Run()
    found = newest_checkpoint(tmp_path)
    assert found == saved
    assert found is not None
    assert found.state == state
    found.load_model(again.model)
    found.load_optimizer(again.model, again.optimizer)
    _assert_same_bits(_bits(again), expected)
    again.train(2)
    _assert_same_bits(_bits(again), later)


def test_loading_keeps_the_rates_of_the_settings(tmp_path: Path) -> None:
    run = Run()
    run.train(1)
    run.optimizer.param_groups[0]["lr"] = 123.0
    saved = run.save(tmp_path, 1)
    again = Run()
    saved.load_optimizer(again.model, again.optimizer)
    rates = OptimizerConfig()
    wanted = [rates.lr, rates.embedding_lr, rates.vector_lr, rates.bigram_lr]
    assert [group["lr"] for group in again.optimizer.param_groups] == wanted


def test_a_checkpoint_is_three_plain_files(tmp_path: Path) -> None:
    Run().save(tmp_path / "new" / "folder", 12)
    assert _names(tmp_path / "new" / "folder") == ["step-00000012"]
    assert _names(tmp_path / "new" / "folder" / "step-00000012") == sorted(FILES)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, fails_at: int
) -> None:
    run = Run()
    run.train(1)
    before = run.save(tmp_path, 1)
    calls = 0

    def failing(write: Any) -> Any:
        def call(*arguments: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == fails_at:
                raise error
            write(*arguments)

        return call

    for place, name in ((files, "save_file"), (module, "write_checksummed")):
        monkeypatch.setattr(place, name, failing(getattr(place, name)))
    raised = CheckpointError if isinstance(error, OSError) else type(error)
    with pytest.raises(raised) as caught:
        run.save(tmp_path, 2, keep=1)
    if isinstance(error, OSError):
        said = f"{tmp_path / 'step-00000002'}: this checkpoint cannot be written (disk full)"
        assert str(caught.value) == f"{said}; {before.path} is as it was"
    assert _names(tmp_path) == ["step-00000001"]
    assert newest_checkpoint(tmp_path) == before


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    run = Run()
    for step in (5, 10):
        run.train(1)
        run.save(folder, step)
    return folder


@given(data=st.data())
@settings(max_examples=60)
def test_any_flipped_bit_is_found_and_the_one_before_taken(
    two_checkpoints: Path, data: st.DataObject
) -> None:
    path = two_checkpoints / "step-00000010" / data.draw(st.sampled_from(FILES))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    try:
        with pytest.warns(UserWarning, match="going back to the checkpoint before it") as caught:
            found = newest_checkpoint(two_checkpoints)
    finally:
        path.write_bytes(whole)
    assert found is not None
    assert found.state.step == 5
    assert str(path) in str(caught[0].message)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_or_gone_is_damage_too(two_checkpoints: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(two_checkpoints, folder)
    path = folder / "step-00000010" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=name):
        found = newest_checkpoint(folder)
    assert found is not None
    assert found.state.step == 5
    path.unlink()
    with pytest.warns(UserWarning, match=name):
        assert newest_checkpoint(folder) == found


def test_when_all_are_damaged_that_is_said(two_checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(two_checkpoints, folder)
    for path in folder.glob("*/model.safetensors"):
        path.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="before it$") as caught,
        pytest.raises(InputError, match="every checkpoint is damaged"),
    ):
        newest_checkpoint(folder)
    newer, oldest = (str(one.message) for one in caught)
    assert newer.endswith("; going back to the checkpoint before it")
    assert oldest.endswith("; there is none before it")


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "absent") is None
    assert newest_checkpoint(tmp_path) is None


def test_the_newest_are_kept(tmp_path: Path) -> None:
    run = Run()
    for step in (1, 20, 300, 4000):
        run.save(tmp_path, step, keep=2)
    assert _names(tmp_path) == ["step-00000300", "step-00004000"]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_damaged_later_one_does_not_push_out_what_is_saved_after_going_back(
    tmp_path: Path, keep: int
) -> None:
    run = Run()
    run.save(tmp_path, 10)
    run.save(tmp_path, 20)
    (tmp_path / "step-00000020" / "state.json").write_text("{}")
    run.save(tmp_path, 15, keep)
    assert _names(tmp_path) == ["step-00000010", "step-00000015"][-keep:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.state.step == 15


def _save_with_loss(run: Run, folder: Path, step: int, loss: float | None, keep: int = 1) -> None:
    save_checkpoint(folder, run.model, run.optimizer, TrainingState(step=step, held_out=loss), keep)


def test_the_best_is_kept_beside_the_newest(tmp_path: Path) -> None:
    run = Run()
    assert best_checkpoint(tmp_path) is None
    losses = [None, 5.0, 3.0, 4.0, 4.5, 3.0, 6.0]
    kept = [[1], [2], [3], [3, 4], [3, 5], [6], [6, 7]]  # of equals the later
    for step, (loss, expected) in enumerate(zip(losses, kept, strict=True), 1):
        _save_with_loss(run, tmp_path, step, loss)
        assert _names(tmp_path) == [f"step-{number:08d}" for number in expected]
    best = best_checkpoint(tmp_path)
    assert best is not None
    assert (best.state.step, best.state.held_out) == (6, 3.0)
    (best.path / "state.json").write_text("{}")
    _save_with_loss(run, tmp_path, 8, 9.0, keep=2)
    assert _names(tmp_path) == ["step-00000007", "step-00000008"]


def test_what_is_removed_is_never_seen_half_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    run.save(tmp_path, 1)

    def killed(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            run.save(tmp_path, 2, keep=1)
    assert _names(tmp_path) == [".step-00000001.removed", "step-00000002"]
    run.save(tmp_path, 3, keep=2)
    assert _names(tmp_path) == ["step-00000002", "step-00000003"]


@pytest.mark.parametrize("limit", [500, 8000])
def test_where_there_is_no_room_the_older_ones_stay(tmp_path: Path, limit: int) -> None:
    """A file may not grow beyond so many bytes: the first does not fit, or only the second does not."""
    run = Run()
    run.train(1)
    before = run.save(tmp_path, 1)
    sizes = [(before.path / name).stat().st_size for name in FILES]
    assert [size > limit for size in sizes[:2]] == [limit == 500, True]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(
            CheckpointError, match=r"00002: this checkpoint cannot be written \(.*00001 is as it was"
        ):
            run.save(tmp_path, 2, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _names(tmp_path) == ["step-00000001"]
    assert newest_checkpoint(tmp_path) == before
    run.save(tmp_path, 2, keep=1)
    assert _names(tmp_path) == ["step-00000002"]


def test_a_damaged_one_is_written_anew(tmp_path: Path) -> None:
    run = Run()
    saved = run.save(tmp_path, 10)
    (saved.path / "model.safetensors").write_bytes(b"")
    run.save(tmp_path, 10)
    assert newest_checkpoint(tmp_path) == saved


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    half = tmp_path / ".step-00000003.abc_0123.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".step-00000002.removed").mkdir()
    assert half_written(tmp_path) == [half]
    assert newest_checkpoint(tmp_path) is None
    Run().save(tmp_path, 4)
    assert _names(tmp_path) == ["step-00000004"]


OTHERS = [
    "step-00000060.mine",
    "step-00000060-copy",
    "step-00000001.removed",
    "step-0000000x",
    "step-9",
    "step-best",
    ".step-00000060",
    ".step-00000060.mine",
    ".step-00000001.partial",
]


def test_what_has_another_name_is_neither_read_nor_removed(tmp_path: Path) -> None:
    run = Run()
    saved = run.save(tmp_path, 60)
    for name in OTHERS:
        shutil.copytree(saved.path, tmp_path / name)
    (tmp_path / "step-00000070").write_text("a file")
    assert checkpoint_folders(tmp_path) == [saved.path]
    assert newest_checkpoint(tmp_path) == saved
    run.save(tmp_path, 61, keep=1)
    assert _names(tmp_path) == sorted([*OTHERS, "step-00000061", "step-00000070"])
    shutil.rmtree(tmp_path / "step-00000061")
    assert newest_checkpoint(tmp_path) is None


def test_more_digits_are_later(tmp_path: Path) -> None:
    run = Run()
    for step in (99_999_999, 100_000_000):
        run.save(tmp_path, step)
    assert [path.name for path in checkpoint_folders(tmp_path)] == ["step-100000000", "step-99999999"]


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    saved = Run().save(tmp_path, 1)
    deeper = ModelConfig(vocab_size=20, d_model=8, n_heads=2, n_layers=2, d_ff=8)
    wider = ModelConfig(vocab_size=20, d_model=16, n_heads=2, n_layers=1, d_ff=8)
    shallower = ModelConfig(vocab_size=20, d_model=8, n_heads=2, n_layers=0, d_ff=8)
    for config, named in (
        (deeper, r"encoder\.layers\.1\.\S+ is missing"),
        (shallower, r"encoder\.layers\.0\.\S+ is unknown.*more"),
        (wider, r"tok_embeddings\.weight is \(20, 8\), expected \(20, 16\)"),
    ):
        with pytest.raises(InputError, match=rf"00001: expected weights of this run's model; .*{named}"):
            saved.load_model(MultilingualModel(config))
