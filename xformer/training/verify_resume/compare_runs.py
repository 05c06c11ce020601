"""A comparison of two run directories, bit by bit, without measured times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from xformer.errors import InputError
from xformer.runs.checkpoint import Checkpoint, newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics

CLOCK = ("elapsed", "tokens_per_s", "data_wait")
"""Fields of a line of metrics.jsonl that are measured times."""


@dataclass(frozen=True)
class Comparison:
    """One thing that two runs must agree in.

    Attributes:
        what: its name.
        compared: how much of it was compared.
        differences: names of the parts that differ.
    """

    what: str
    compared: str
    differences: tuple[str, ...]


def compare_runs(one: RunDirectory, other: RunDirectory) -> tuple[Comparison, ...]:
    """Compare the prepared data, the log and the newest checkpoint of two runs with the same settings.

    Raises:
        InputError: one of them has no complete checkpoint.
    """
    runs = (one, other)
    saved = [_newest(run) for run in runs]
    weights = [_bits(found.whole("model")) for found in saved]
    optimizers = [_bits(found.whole("optimizer")) for found in saved]
    random_states = [
        {k: moments.pop(k) for k in list(moments) if k.startswith("rng")} for moments in optimizers
    ]
    states = [_without_clock(found) for found in saved]
    data = [{key: state.pop(key) for key in ("step", "tokens", "data_digest")} for state in states]
    logs = [{f"line {n}": line for n, line in enumerate(read_metrics(run.metrics), 1)} for run in runs]
    rates = [{name: line["lr_factor"] for name, line in log.items()} for log in logs]
    lines = [{name: _without(line, CLOCK) for name, line in log.items()} for log in logs]
    return (
        _compare("prepared data", "files", [_prepared(run) for run in runs]),
        _compare("data order", "values: steps, tokens, digest of all plans", data),
        _compare("weights", f"tensors, {_size(weights[0]):,} bytes", weights),
        _compare("optimizer", f"tensors, {_size(optimizers[0]):,} bytes", optimizers),
        _compare("random state", "generator state(s)", random_states),
        _compare("other state", "fields, without the clock", states),
        _compare("learning rates", "lines", rates),
        _compare("metrics.jsonl", f"lines, without {', '.join(CLOCK)}", lines),
    )


def _compare(what: str, unit: str, pair: Sequence[Mapping[str, object]]) -> Comparison:
    one, other = pair
    missing = object()
    names = dict.fromkeys([*one, *other])
    different = tuple(name for name in names if one.get(name, missing) != other.get(name, missing))
    return Comparison(what, f"{len(one):,} {unit}", different)


def _newest(run: RunDirectory) -> Checkpoint:
    checkpoint = newest_checkpoint(run.checkpoints)
    if checkpoint is None:
        raise InputError(f"{run.checkpoints}: expected a checkpoint, found none")
    return checkpoint


def _prepared(run: RunDirectory) -> dict[str, bytes]:
    places = (run.manifest, run.tokenizer, run.corpus, run.path / "shards")
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in files}


def _bits(tensors: Mapping[str, Tensor]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Data type, shape and bytes of each tensor. As bytes, 0 differs from -0, and NaN equals itself."""
    return {
        name: (str(tensor.dtype), tuple(tensor.shape), tensor.reshape(-1).numpy().tobytes())
        for name, tensor in tensors.items()
    }


def _size(bits: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> int:
    return sum(len(raw) for _, _, raw in bits.values())


def _without_clock(checkpoint: Checkpoint) -> dict[str, Any]:
    state = _without(asdict(checkpoint.state), CLOCK)
    return state | {"stage_began": checkpoint.state.stage_began[0]}


def _without(table: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in names}
