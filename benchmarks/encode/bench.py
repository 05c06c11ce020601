"""Measure all sides in turns: first whether their vectors are right, then their speed."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xformer.interop.export.imported import give_back
from xformer.progress import Progress
from xformer.runs.find import find_run
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer

from ..environment import environment, version
from . import ShapeName
from .shapes import MAX_LENGTH, write_model
from .turns import Side, SideError

BASE = "sentence-transformers fp32"
FP32_LIMIT, INT8_LIMIT = 0.99999, 0.95
"""The lowest cosine with fp64 that a right vector may have."""
_CHECKED = 128
_BATCHES = (8, 16, 64, 128)


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        shapes: of the models.
        threads: numbers of threads.
        seconds: about how long a pass of `BASE` over the texts takes on one thread.
        rounds: passes of each side.
        onnx_python: the Python whose environment has sentence-transformers' ONNX and OpenVINO backends.
        model: an imported run, instead of random weights; None for none.
    """

    shapes: tuple[ShapeName, ...] = ("small", "minilm")
    threads: tuple[int, ...] = (1, 2)
    seconds: float = 2.0
    rounds: int = 5
    onnx_python: str = sys.executable
    model: str | None = None


@dataclass
class Result:
    """One side, with one model and number of threads.

    Attributes:
        shape: of the model.
        threads: that it computes with.
        side: its name.
        status: `ok`; `wrong`, its vectors are; `absent`, it could not be started; or `failed`.
        note: why, where it is not `ok`; else the peer's size of batches.
        texts: how many were encoded in a pass.
        tokens: how many they have.
        seconds: of each round's pass, tokenisation included.
        cpu_seconds: of the processor, of each round's pass: what other processes take is not in it.
        model_seconds: of the model alone.
        ratio: the median over the rounds of `BASE`'s seconds over its seconds; None without `BASE`.
        cpu_ratio: the same of the processor's seconds.
        cosine: mean and lowest cosine with fp64.
        peak_bytes: peak memory of its process.
    """

    shape: str
    threads: int
    side: str
    status: str = "ok"
    note: str = ""
    texts: int = 0
    tokens: int = 0
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    model_seconds: list[float] = field(default_factory=list)
    ratio: float | None = None
    cpu_ratio: float | None = None
    cosine: tuple[float, float] | None = None
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Sentences per second, at the median."""
        return self.texts / statistics.median(self.seconds)

    @property
    def model_rate(self) -> float:
        """The same of the model alone."""
        return self.texts / statistics.median(self.model_seconds)

    @property
    def ours(self) -> bool:
        """Whether this is a side of ours."""
        return self.side.startswith("xformer")


def sides(options: Options) -> dict[str, tuple[str, str, dict[str, Any], float]]:
    """Python, module, job and limit of the cosine of each side, by name; `BASE` is the first."""
    ours, peer = (f"xformer.benchmarks.encode.{name}" for name in ("ours", "peer"))
    here, there = sys.executable, options.onnx_python
    return {
        BASE: (here, peer, {"backend": "torch"}, FP32_LIMIT),
        "sentence-transformers onnx fp32": (there, peer, {"backend": "onnx"}, FP32_LIMIT),
        "sentence-transformers onnx int8": (there, peer, {"backend": "onnx-int8"}, INT8_LIMIT),
        "sentence-transformers openvino int8": (there, peer, {"backend": "openvino-int8"}, INT8_LIMIT),
        "xformer fp32": (here, ours, {"dtype": "fp32", "run": options.model}, FP32_LIMIT),
        "xformer int8": (here, ours, {"dtype": "int8", "run": options.model}, INT8_LIMIT),
    }


def run(
    texts: Sequence[str],
    tokenizer: TextTokenizer,
    options: Options,
    folder: Path,
    progress: Progress,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Measure.

    Args:
        texts: real ones; as many are used as `options.seconds` need. Longer ones than a model with random
            weights reads are left out.
        tokenizer: of both sides.
        options: what is measured.
        folder: for models and messages; empty, or that of an earlier call with the same imported run.
        progress: where to show what happens.
        on_result: called with each result.
    """
    if options.model is None:
        lengths = map(len, tokenizer.encode_batch(texts))
        texts = [text for text, n in zip(texts, lengths, strict=True) if 0 < n <= MAX_LENGTH]
    results = []
    for shape in options.shapes:
        model = folder / shape
        if options.model is not None:
            # What peers made of another model would not pass the comparison of vectors.
            if not model.is_dir():
                give_back(find_run(options.model), model, progress)
        else:
            assert isinstance(tokenizer, Tokenizer)
            write_model(model, shape, tokenizer)
        used: Sequence[str] = texts
        for threads in options.threads:
            with ExitStack() as stack:
                found, used = _measure(shape, model, threads, used, options, progress, stack)
            for one in found:
                on_result(one)
            results += found
    return results


def about(options: Options, source: str) -> dict[str, Any]:
    """The machine, the software, and where the texts come from."""
    packages = ("sentence-transformers", "transformers", "tokenizers", "onnxruntime", "optimum-onnx")
    return {
        "source": source,
        "options": asdict(options),
        "environment": asdict(environment(torch.device("cpu"))),
        "packages": {name: version(name) for name in packages},
    }


def _measure(
    shape: ShapeName,
    model: Path,
    threads: int,
    texts: Sequence[str],
    options: Options,
    progress: Progress,
    stack: ExitStack,
) -> tuple[list[Result], Sequence[str]]:
    """One shape and number of threads; the texts that were used."""
    results = {name: Result(shape, threads, name) for name in sides(options)}
    here = f"{shape}, {threads} thread{'s' if threads > 1 else ''}"
    progress.say(f"{here}: compare vectors with fp64")
    reference = _reference(model, texts[:_CHECKED], threads, options.model)
    ready: dict[str, Side] = {}
    for name, (python, module, job, limit) in sides(options).items():
        side = Side.start(name, python, module, {"folder": str(model), **job}, threads, model / f"{name}.log")
        stack.callback(side.stop)
        result = results[name]
        try:
            side.ask(do="read", texts=_written(model, texts[:_CHECKED]))
            side.ask(do="save", out=str(model / "vectors.npy"))
        except SideError as error:
            result.status, result.note = "absent", str(error)
            continue
        result.cosine = mean, lowest = _cosine(np.load(model / "vectors.npy"), reference)
        if lowest < limit:
            result.status = "wrong"
            result.note = f"cosines with fp64: mean {mean:.4f}, lowest {lowest:.4f}, wanted {limit}"
        else:
            ready[name] = side
    pace = ready.get(BASE) or next(iter(ready.values()), None)
    if pace is None:
        return list(results.values()), texts
    took = min(pace.ask(do="encode")["seconds"] for _ in range(2))
    if threads == options.threads[0]:
        texts = texts[: max(_CHECKED, int(options.seconds / took * min(_CHECKED, len(texts))))]
    for name, side in ready.items():
        tokens = side.ask(do="read", texts=_written(model, texts))["result"]
        results[name].texts, results[name].tokens = len(texts), tokens or 0
    batches = {name: _best_batch(side) for name, side in ready.items() if not results[name].ours}
    _take_turns(ready, results, batches, options.rounds, here, progress)
    found = list(results.values())
    tokens = max(one.tokens for one in found)
    for one in found:
        one.tokens = tokens if one.texts else 0
    return found, texts


def _take_turns(
    ready: dict[str, Side],
    results: dict[str, Result],
    batches: dict[str, int],
    rounds: int,
    here: str,
    progress: Progress,
) -> None:
    """Each round each side encodes once; the next round begins with the next side."""
    turns = [(name, name, {"batch": 32} if name in batches else {}) for name in ready]
    for name, fastest in batches.items():
        best = f"{name}, batches of {fastest}"
        if fastest != 32:
            results[best] = Result(**asdict(results[name]) | {"side": best})
            turns.append((name, best, {"batch": fastest}))
    for name, _, size in turns:
        if size:
            ready[name].ask(do="tokenise", **size)
    for number in range(rounds):
        first = number % len(turns)
        for name, shown, size in turns[first:] + turns[:first]:
            answer = ready[name].ask(do="encode", **size)
            results[shown].seconds.append(answer["seconds"])
            results[shown].cpu_seconds.append(answer["cpu_seconds"])
            results[shown].peak_bytes = answer["peak_bytes"]
            results[shown].model_seconds.append(ready[name].ask(do="model", **size)["seconds"])
        progress(here, number + 1, rounds)
    base = results.get(BASE)
    for _, shown, _ in turns if base is not None and base.seconds else ():
        assert base is not None
        found = results[shown]
        found.ratio = _ratio(base.seconds, found.seconds)
        found.cpu_ratio = _ratio(base.cpu_seconds, found.cpu_seconds)


def _ratio(base: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(before / after for before, after in zip(base, other, strict=True))


def _best_batch(side: Side) -> int:
    """The size of batches with which the peer is fastest, each tried once; its default is one of them."""
    side.ask(do="encode", batch=32)
    seconds = {size: side.ask(do="encode", batch=size)["seconds"] for size in (32, *_BATCHES)}
    return min(seconds, key=seconds.__getitem__)


def _reference(model: Path, texts: Sequence[str], threads: int, run: str | None) -> np.ndarray:
    """Unit vectors of our model in fp64, of texts without chunks."""
    from .ours import Ours

    before = torch.get_num_threads()
    try:
        return Ours(model, "fp64", threads, run).vectors(texts).astype(np.float64)
    finally:
        torch.set_num_threads(before)


def _cosine(vectors: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Mean and lowest cosine of rows; NaN is -1."""
    vectors = vectors.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-30)
    cosine = np.nan_to_num((vectors * reference).sum(1), nan=-1.0)
    return float(cosine.mean()), float(cosine.min())


def _written(folder: Path, texts: Sequence[str]) -> str:
    path = folder / "texts.json"
    path.write_text(json.dumps(list(texts)), encoding="utf-8")
    return str(path)
