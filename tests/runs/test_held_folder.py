"""A run whose folder is moved, or removed, while it is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.pretraining.pretrain import pretrain
from xformer.progress import Progress
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.held_folder import HeldFolder
from xformer.runs.metrics import read_metrics

pytestmark = pytest.mark.usefixtures("_no_picture")

Begin = Callable[[RunConfig], RunDirectory]
Listening = Callable[..., Progress]


@pytest.fixture
def quiet(config: RunConfig) -> RunConfig:
    """Without TensorBoard, whose thread writes by name and fails loudly."""
    return replace(config, training=replace(config.training, trackers=()))


def test_a_folder_that_is_moved_is_found(tmp_path: Path) -> None:
    place, other = tmp_path / "place", tmp_path / "other"
    place.mkdir()
    with HeldFolder(place) as home:
        assert (home.gone(), home.now()) == (False, place)
        place.rename(other)
        assert (home.gone(), home.now()) == (True, other)
        place.mkdir()  # another folder, under its name
        assert (home.gone(), home.now()) == (True, other)
        other.rmdir()
        assert (home.gone(), home.now()) == (True, None)
        place.rmdir()
        place.touch()
        with HeldFolder(tmp_path) as above:
            assert not above.gone()


def test_a_run_that_is_moved_ends_where_it_is_and_goes_on_there(
    begin: Begin, quiet: RunConfig, listening: Listening, tmp_path: Path
) -> None:
    run, other = begin(quiet), RunDirectory(tmp_path / "other")
    progress = listening(lambda step: shutil.move(run.path, other.path) if step == 3 else None)
    message = rf"{run.path}: the run's folder is missing: .*to {other.path}\. The run is saved"
    with pytest.raises(InputError, match=message):
        pretrain(run.path, quiet, progress)
    assert not run.path.exists()
    saved = newest_checkpoint(other.checkpoints)
    assert saved is not None
    assert saved.state.step == 3
    assert pretrain(other.path, quiet, listening())
    assert [line["step"] for line in read_metrics(other.metrics)] == list(range(1, 9))


@pytest.mark.parametrize("step", [3, 8])  # in the middle, and when all is done but the last checkpoint
def test_a_run_that_is_removed_is_not_made_again(
    begin: Begin, quiet: RunConfig, listening: Listening, step: int
) -> None:
    run = begin(quiet)
    progress = listening(lambda now: shutil.rmtree(run.path) if now == step else None)
    with pytest.raises(InputError, match=rf"{run.path}: the run's folder is missing: it was removed"):
        pretrain(run.path, quiet, progress)
    assert not run.path.exists()
