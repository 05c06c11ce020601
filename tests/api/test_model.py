"""The Python door: a run's model encodes texts in order, whatever they are, and fills masks.

Covers xformer.api.opening, xformer.version, xformer.embedding.texts, xformer.embedding.precision,
xformer.pretraining.load, xformer.pretraining.abilities, xformer.runs.sentence_layer and
xformer.evaluation.sentence_layer.
"""

from __future__ import annotations

import doctest
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xformer
import xformer.api.model
import xformer.api.opening
import xformer.embedding.texts as embedding_texts
from xformer.data.chunks import cut_points
from xformer.embedding.encode import encode_tokens
from xformer.errors import InputError
from xformer.evaluation.sentence_layer import settle_sentence_layer
from xformer.model.reference import reference_forward, reference_pooling
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.sentence_layer import SentenceLayer, record_layer, recorded_layer

SENTENCES = ["dog sees house", "Hund sieht Haus", "cat buys apple", "γάτα βλέπει σπίτι", "", "a\u2581b", "x"]


@pytest.fixture(scope="module")
def model(trained: RunDirectory) -> xformer.Model:
    return xformer.load(trained.path)


def reference_vectors(model: xformer.Model, texts: list[str], dtype: torch.dtype) -> torch.Tensor:
    """Unit vectors by the padded reference, one text at a time; chunks weighted by their tokens."""
    network, layer = model._network, model.layer.layer
    weights = {name: value.to(dtype) for name, value in network.encoder.state_dict().items()}
    pooling = network.pooling.weight
    vectors = []
    for text in texts:
        ids = torch.from_numpy(model.tokenizer.encode(text).astype(np.int64))
        total = torch.zeros(model.dim, dtype=dtype)
        cuts = cut_points(len(ids), model.max_length) if len(ids) else []
        for start, end in pairwise(cuts):
            tokens = ids[None, start:end]
            mask = torch.ones_like(tokens, dtype=torch.bool)
            hidden = reference_forward(
                network.config,
                weights,
                tokens,
                mask,
                n_layers=layer,
                final_norm=network.config.pool_after_norm,
            )[..., : model.dim]
            total += (
                reference_pooling(hidden, mask, None if pooling is None else pooling.to(dtype))[0]
                * (end - start)
                / len(ids)
            )
        vectors.append(torch.nn.functional.normalize(total, dim=0))
    return torch.stack(vectors)


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(SENTENCES),
        st.text(max_size=30),
        st.integers(30, 400).map(lambda n: " ".join(SENTENCES[i % 4] for i in range(n // 10))),
    ),
    max_size=12,
)


@given(TEXTS, st.integers(0, 2))
@settings(max_examples=20)
def test_vectors_are_those_of_the_padded_reference_in_the_order_given(
    model: xformer.Model, texts: list[str], layer: int
) -> None:
    model._layer = SentenceLayer(model.step, layer, [])
    vectors = model.encode(texts)
    assert vectors.shape == (len(texts), model.dim)
    assert vectors.dtype == np.float32
    if not texts:
        return
    exact = reference_vectors(model, texts, torch.float64).numpy()
    plain = reference_vectors(model, texts, torch.float32).numpy()
    allowed = 2 * np.abs(plain - exact).max() + 1e-7
    assert np.abs(vectors - exact).max() <= allowed


def test_vectors_do_not_depend_on_the_batch(model: xformer.Model) -> None:
    texts = [*SENTENCES, "dog sees house " * 30]
    whole = model.encode(texts, batch_tokens=100_000)
    for batch_tokens in (1, 7, 50):
        np.testing.assert_allclose(model.encode(texts, batch_tokens=batch_tokens), whole, atol=1e-6)
    for text, vector in zip(texts, whole, strict=True):
        np.testing.assert_allclose(model.encode(text), vector, atol=1e-6)


def test_what_comes_out(model: xformer.Model) -> None:
    assert model.encode([]).shape == (0, model.dim)
    assert model.encode("dog").shape == (model.dim,)
    assert not model.encode("").any()
    assert model.encode(np.array(["dog", "cat"])).shape == (2, model.dim)
    tensor = model.encode(["dog"], as_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float32
    lengths = np.linalg.norm(model.encode(SENTENCES), axis=1)
    np.testing.assert_allclose(lengths, [float(text != "") for text in SENTENCES], atol=1e-6)
    raw = model.encode(SENTENCES[:2], normalise=False)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 1e-3
    np.testing.assert_allclose(
        raw / np.linalg.norm(raw, axis=1, keepdims=True), model.encode(SENTENCES[:2]), atol=1e-6
    )


def test_a_stream_reads_no_further_than_it_must_and_tells_what_it_did(
    model: xformer.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_texts, "BUFFER_TEXTS", 8)
    read: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(20):
            read.append(number)
            yield SENTENCES[number % 3] if number else "dog sees house " * 30

    stream = model.encode_stream(lines())
    assert read == []
    first = next(stream)
    assert (len(first), len(read)) == (8, 8)
    assert (stream.texts, stream.cut) == (8, 1)
    blocks = [first, *stream]
    assert [len(block) for block in blocks] == [8, 8, 4]
    assert (stream.texts, stream.cut) == (20, 1)
    assert stream.tokens == sum(map(len, model.tokenizer.encode_batch(list(lines()))))
    np.testing.assert_allclose(np.concatenate(blocks), model.encode(lines()), atol=1e-6)


def test_bad_texts_are_refused_before_work(model: xformer.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model._network, "sentence_vectors", None)  # nothing is encoded
    bad: Any = ["a", None]
    with pytest.raises(InputError, match=r"texts\[1\]: expected a string, got None"):
        model.encode(bad)
    with pytest.raises(InputError, match="text: expected Unicode, found the lone surrogate"):
        model.encode("a\ud800")
    with pytest.raises(InputError, match="texts: expected a list or an iterator of strings, got one string"):
        model.encode_stream("abc")
    with pytest.raises(InputError, match="batch_tokens: expected a whole number from 1, got 0"):
        model.encode(["a"], batch_tokens=0)
    with pytest.raises(InputError, match=r"to encode text: xformer\.load"):
        encode_tokens(model._network, ["hello"])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"to encode text: xformer\.load"):
        encode_tokens(model._network, "hello")  # type: ignore[arg-type]


def test_progress_is_told_by_function_or_shown(
    model: xformer.Model, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[str, int, int | None]] = []
    model.encode(SENTENCES, progress=lambda *call: told.append(call), batch_tokens=4)
    assert told[-1] == ("encode", len(SENTENCES), len(SENTENCES))
    done = [texts for what, texts, _ in told if what == "encode"]
    assert done == sorted(done)
    model.encode(iter(["a"]), progress=lambda *call: told.append(call))
    assert [total for _, _, total in told][-1] is None
    capsys.readouterr()
    model.encode(["dog sees house " * 30, "a"], progress=True)
    said = capsys.readouterr().err
    assert "encode: 2 of 2" in said
    assert "1 of 2 texts have more than 40 tokens; the vector of each is the mean of its chunks'" in said
    model.encode(["a"], progress=False)
    assert capsys.readouterr().err == ""


def test_similarity_takes_texts_and_vectors(model: xformer.Model) -> None:
    texts = ["dog sees house", "Hund sieht Haus", ""]
    vectors = model.encode(texts)
    expected = vectors @ vectors.T
    for a in (texts, vectors, torch.from_numpy(vectors), vectors.tolist(), iter(texts)):
        np.testing.assert_allclose(model.similarity(a, texts), expected, atol=1e-6)
    assert model.similarity(texts[0], texts).shape == (1, 3)


def test_nothing_global_is_changed(trained: RunDirectory) -> None:
    random, threads = torch.random.get_rng_state(), torch.get_num_threads()
    model = xformer.load(trained.path, threads=2, dtype="bf16")
    assert model.dtype == "bf16"
    exact = xformer.load(trained.path).encode(SENTENCES)
    found = model.encode(SENTENCES)
    model.fill_mask("dog <mask>")
    assert np.abs(found - exact).max() < 0.05
    assert torch.equal(torch.random.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_options_are_refused(trained: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dtype: expected one of auto, fp32, bf16"):
        xformer.load(trained.path, dtype="fp8")
    with pytest.raises(InputError, match="device: expected cpu, cuda or cuda:NUMBER, got 'tpu'"):
        xformer.load(trained.path, device="tpu")
    with pytest.raises(InputError, match="threads: expected a whole number from 1"):
        xformer.load(trained.path, threads=0)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="torch sees no GPU"):
            xformer.load(trained.path, device="cuda")
    other = tmp_path / "run"
    shutil.copytree(trained.path, other)
    (other / "task.txt").write_text("painting\n", encoding="utf-8")
    with pytest.raises(InputError, match="of pretraining or import, it is one of painting"):
        xformer.load(other)


def test_the_layer_is_chosen_once_and_kept_by_step(trained: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(trained.path, run.path)
    run.sentence_layer.unlink(missing_ok=True)
    model = xformer.load(run.path)
    assert "layer not chosen yet" in repr(model)
    chosen = model.layer
    assert len(chosen.dev_top1_by_layer) == 3
    assert chosen.layer == int(np.argmax(chosen.dev_top1_by_layer))
    assert recorded_layer(run, model.step) == chosen
    assert f"after {chosen.layer} of 2 blocks" in repr(xformer.load(run.path))
    # Whatever is recorded is used, and another step has none.
    record_layer(run, SentenceLayer(model.step, 1, [0.0, 1.0, 0.0]))
    assert xformer.load(run.path).layer.layer == 1
    assert recorded_layer(run, model.step + 1) is None
    # A choice whose checkpoint is gone is dropped.
    record_layer(run, SentenceLayer(model.step + 1, 2, []))
    record_layer(run, SentenceLayer(model.step, 0, []))
    assert recorded_layer(run, model.step + 1) is None
    # A file that cannot be read is measured again.
    run.sentence_layer.write_text("{", encoding="utf-8")
    assert settle_sentence_layer(run.path, None) == chosen


def test_the_choice_of_an_evaluation_of_an_earlier_version_holds() -> None:
    run = find_run(Path(__file__).parents[1] / "runs" / "run_of_0_1" / "run")
    report = json.loads(run.evaluation.read_text(encoding="utf-8"))
    found = recorded_layer(run, report["step"])
    assert found is not None
    assert found.layer == report["retrieval"]["layer"]
    assert recorded_layer(run, report["step"] + 1) is None


def test_languages_are_those_of_the_training_split(model: xformer.Model) -> None:
    assert model.languages == ("de", "el", "en")


@pytest.mark.parametrize("module", [xformer, xformer.api.model, xformer.api.opening])
def test_examples(
    trained: RunDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
) -> None:
    """The examples of the docstrings, with the run where they look for it."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "demo").symlink_to(trained.path)
    monkeypatch.chdir(tmp_path)
    names = {"xformer": xformer, "model": xformer.load("runs/demo")}
    failed, tried = doctest.testmod(module, extraglobs=names)
    assert tried
    assert not failed


def test_the_package_is_light_and_knows_its_names(trained: RunDirectory) -> None:
    """Also in use: opening a run and encoding texts need neither torch's compiler nor what it imports."""
    code = """
import os, sys
before = set(sys.modules)
import xformer
heavy = {"torch", "numpy", "sentencepiece", "triton", "safetensors"} & set(sys.modules)
assert not heavy, heavy
assert len(set(sys.modules) - before) < 60, sorted(set(sys.modules) - before)
assert set(xformer.__all__) == set(dir(xformer))
try:
    xformer.lod
except AttributeError as error:
    names = "Index, Model, Tokenizer, __version__, attention, finetune, inspect, load"
    assert f"it has {names}" in str(error), error
assert xformer.Tokenizer.__name__ == "Tokenizer" and "torch" not in sys.modules
model = xformer.load(sys.argv[1])
assert len(model.encode(["dog sees house", "x"])) == 2
assert "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ
compilers = {"torch._dynamo", "torch._inductor", "sympy", "triton", "matplotlib", "tyro"} & set(sys.modules)
assert not compilers, compilers
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, trained.path], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
