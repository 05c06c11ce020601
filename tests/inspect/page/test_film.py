"""Checkpoints as frames."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.inspect.page.small import array, small_subject
from xformer.errors import InputError
from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.film import STATISTICS, Frame, chosen, film, frames_of_run, measures, smaller
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.directory import RunDirectory


def frame(step: int) -> Frame:
    return Frame(step, None, small_subject)


def test_frames_are_spread_and_keep_their_ends() -> None:
    assert [one.step for one in chosen([frame(30), frame(10), frame(20)])] == [10, 20, 30]
    assert [one.step for one in chosen([frame(step) for step in range(0, 101)], most=5)] == [
        0,
        25,
        50,
        75,
        100,
    ]


@pytest.mark.parametrize(("frames", "words"), [([], "has none"), ([frame(7)], "has one, of step 7")])
def test_a_film_needs_two_frames(frames: list[Frame], words: str) -> None:
    with pytest.raises(InputError, match=words):
        chosen(frames)


def test_smaller_by_hand() -> None:
    weights = np.zeros((4, 4), dtype=np.float32)
    weights[0, 1], weights[2, 3], weights[3, 2] = 1.0, 0.25, 0.04
    assert smaller(weights, side=2).tolist() == [[255, 0], [0, 128]]  # 255 · √0.25 is 127.5
    assert smaller(weights, side=9).shape == (4, 4)


def test_measures_by_hand() -> None:
    now = np.array([[[1.0, 0.0], [0.5, 0.5]]], dtype=np.float32)
    before = np.array([[[0.0, 1.0], [0.5, 0.5]]], dtype=np.float32)
    assert STATISTICS == ("entropy", "distance", "largest", "moved")
    np.testing.assert_allclose(measures(now, before)[:, 0], [math.log(2) / 2, 0.25, 0.75, 0.5])


def test_a_film_of_two_models() -> None:
    first, second = small_subject(), small_subject()
    blobs = Blobs()
    frames = [Frame(1, 3.5, lambda: first), Frame(2, None, lambda: second)]
    parts = film(frames, ["abc", "de"], blobs)
    assert len(parts) == 2
    assert [one["step"] for one in parts[0]["frames"]] == [1, 2]
    assert [one["loss"] for one in parts[0]["frames"]] == [3.5, None]
    assert (parts[0]["side"], parts[1]["side"]) == (5, 4)
    with second.trace("de", keep=["layers.*.attn.weights"]) as trace:
        weights = trace["layers.1.attn.weights"][0].numpy()
    with first.trace("de", keep=["layers.*.attn.weights"]) as trace:
        before = trace["layers.1.attn.weights"][0].numpy()
    maps = array(blobs, parts[1]["frames"][1]["maps"])
    assert maps[1, 0].tolist() == np.rint(255 * np.sqrt(weights[0])).tolist()
    moved = array(blobs, parts[1]["frames"][1]["statistics"])[3, 1, 0]
    assert moved == pytest.approx(np.abs(weights[0] - before[0]).sum(1).mean() / 2, rel=1e-4)
    assert not array(blobs, parts[1]["frames"][0]["statistics"])[3].any()


def test_frames_of_a_run_are_its_checkpoints(trained: RunDirectory) -> None:
    frames = frames_of_run(trained.path)
    folders = checkpoint_folders(trained.checkpoints)
    assert [one.step for one in frames] == [step_of(folder) for folder in folders]
    subject = frames[-1].open()
    oldest = load_file(folders[-1] / "model.safetensors")
    name = "encoder.layers.0.attn.Wqkv.weight"
    assert torch.equal(subject.network.get_parameter(name), oldest[name])
