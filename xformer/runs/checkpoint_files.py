"""The tensors of a checkpoint: which there are, and the safetensors files that hold them.

A process that has everything writes two files:

    model.safetensors               the weights, by parameter
    optimizer.safetensors           "exp_avg.encoder.…" and the like, by kind and parameter; random state

Processes that have a part each (FSDP2) write two each, through `torch.distributed.checkpoint`:

    model-00002-of-00008.safetensors        slices, and in the header where each of them begins
    optimizer-00002-of-00008.safetensors

Both are one format: a file without a word on where its tensors begin has them whole. Whatever was written is
read by the same reader, into whole tensors or into slices cut otherwise, so no process ever needs more than
its own part. PyTorch's usual format describes itself in a pickle; this one, in which it keeps checkpoints
for Hugging Face, does so in safetensors' JSON headers.

Shapes: those of the parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry
from xformer.storage.files import sha256_of

if TYPE_CHECKING:
    from xformer.distributed.processes import Processes

Kind = Literal["model", "optimizer"]
KINDS: tuple[Kind, Kind] = ("model", "optimizer")
RNG, CUDA_RNG = "rng", "rng.cuda"
_DIGEST = 32  # bytes of a SHA-256


@dataclass(frozen=True)
class Saved:
    """A tensor in a checkpoint.

    Attributes:
        shape: of the whole.
        dtype: of its numbers.
    """

    shape: torch.Size
    dtype: torch.dtype


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name; those of a sharded model know which part of the whole they are."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers of each parameter, as `kind.parameter`."""
    packed = optimizer.state_dict()
    names = {index: name for name, (index, _) in _places(model, optimizer, packed).items()}
    return {
        f"{kind}.{names[index]}": tensor
        for index, entry in packed["state"].items()
        for kind, tensor in entry.items()
    }


def restore_moments(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimizer back what it remembered, each process its part.

    Args:
        path: the checkpoint's folder.
        model: whose parameters are trained.
        optimizer: over the same parameters as the one that was saved, in any groups.

    Raises:
        InputError: it is of other parameters.
    """
    packed = optimizer.state_dict()
    places = _places(model, optimizer, packed)
    found: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    for name, saved in names_of(path, "optimizer").items():
        if name in (RNG, CUDA_RNG):
            continue
        kind, _, parameter = name.partition(".")
        if parameter not in places:
            raise InputError(
                f"{path}: the optimizer's {kind} is of {parameter}, which this run's model lacks"
            )
        index, like = places[parameter]
        found[name] = _empty_beside(like.detach(), saved)
        state.setdefault(index, {})[kind] = found[name]
    read_into(path, found)
    optimizer.load_state_dict(packed | {"state": state})


def random_state() -> dict[str, Tensor]:
    """The generators' states."""
    found = {RNG: torch.get_rng_state()}
    if torch.cuda.is_initialized():
        found[CUDA_RNG] = torch.cuda.get_rng_state()
    return found


def set_random_state(saved: Mapping[str, Tensor]) -> None:
    """Put the generators where they were when `random_state` was called."""
    torch.set_rng_state(saved[RNG])
    if CUDA_RNG in saved and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved[CUDA_RNG])


def restore_random_state(path: Path) -> None:
    """Put the generators where they were when a checkpoint was written."""
    saved = {
        name: _empty(saved) for name, saved in names_of(path, "optimizer").items() if name in (RNG, CUDA_RNG)
    }
    read_into(path, saved)
    set_random_state(saved)


def names_of(path: Path, kind: Kind) -> dict[str, Saved]:
    """The tensors of a checkpoint that are in files of one kind; only headers are read."""
    from torch.distributed.checkpoint import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    metadata = HuggingFaceStorageReader(str(path)).read_metadata()
    here = {
        index.fqn
        for index, place in metadata.storage_data.items()
        if Path(place.relative_path).name.startswith(kind)
    }
    return {
        name: Saved(found.size, found.properties.dtype)
        for name, found in metadata.state_dict_metadata.items()
        if name in here and isinstance(found, TensorStorageMetadata)
    }


def read_into(path: Path, tensors: dict[str, Tensor]) -> None:
    """Fill tensors, or the slices of them that are here, from a checkpoint that has them all.

    Args:
        path: the checkpoint's folder.
        tensors: by name, in the shapes that they have there.
    """
    from torch.distributed.checkpoint import HuggingFaceStorageReader, load

    if not tensors:
        return
    with warnings.catch_warnings():
        # Each process finds its part by itself.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        load(tensors, storage_reader=HuggingFaceStorageReader(str(path)), no_dist=True)


def read_whole(path: Path, kind: Kind) -> dict[str, Tensor]:
    """All tensors of one kind, whole, on the host, by name in alphabetical order."""
    tensors = {name: _empty(saved) for name, saved in sorted(names_of(path, kind).items())}
    read_into(path, tensors)
    return tensors


def write_whole(folder: Path, tensors: Mapping[Kind, Mapping[str, Tensor]]) -> tuple[FileEntry, ...]:
    """Write everything from one process.

    Raises:
        OSError, SafetensorError: there is no room, or the folder is closed.
    """
    for kind in KINDS:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors[kind].items()},
            folder / f"{kind}.safetensors",
        )
    return tuple(FileEntry.of(folder / f"{kind}.safetensors") for kind in KINDS)


def write_parts(
    folder: Path, tensors: Mapping[Kind, Mapping[str, Tensor]], processes: Processes
) -> tuple[FileEntry, ...]:
    """Write each process's part; all must call this together.

    Args:
        folder: the same for all, made already.
        tensors: what of each kind is here. What is whole in several processes is written by one of them.
        processes: who they are.

    Returns:
        All files, of all processes.

    Raises:
        OSError: it failed, here or elsewhere; then it raises in all of them.
    """
    from torch.distributed.checkpoint import HuggingFaceStorageWriter, save
    from torch.distributed.checkpoint.api import CheckpointException

    numbers = {name: number for number, kind in enumerate(KINDS, 1) for name in tensors[kind]}
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=numbers, save_distributed=True)
    try:
        save({name: x for kind in KINDS for name, x in tensors[kind].items()}, storage_writer=writer)
    except CheckpointException as error:  # no Exception, and the same in all processes
        rank, (reason, _) = min(error.failures.items())
        raise OSError(f"process {rank}: {reason}") from error
    failure: OSError | None = None
    mine = torch.zeros(len(KINDS), 1 + _DIGEST, dtype=torch.int64)
    try:
        for number, kind in enumerate(KINDS):
            # PyTorch numbers both processes and kinds from 1, and calls everything a model.
            for written in folder.glob(f"shard-{processes.rank + 1:05d}-model-{number + 1:05d}-of-*"):
                path = written.rename(folder / _name(kind, processes.rank, processes.world))
                digest = torch.frombuffer(bytearray.fromhex(sha256_of(path)), dtype=torch.uint8)
                mine[number] = torch.cat([torch.tensor([path.stat().st_size]), digest])
    except OSError as error:
        failure = error
    entries = processes.gather(mine)
    if processes.any(failure is not None):
        raise failure or OSError("another process could not read what it wrote")
    return tuple(
        FileEntry(_name(kind, rank, processes.world), size, bytes(digest).hex())
        for rank, rows in enumerate(entries.tolist())
        for kind, (size, *digest) in zip(KINDS, rows, strict=True)
        if size  # a process may have nothing of a kind
    )


def _name(kind: Kind, rank: int, world: int) -> str:
    return f"{kind}-{rank + 1:05d}-of-{world:05d}.safetensors"


def _empty(saved: Saved) -> Tensor:
    return torch.empty(saved.shape, dtype=saved.dtype)


def _empty_beside(parameter: Tensor, saved: Saved) -> Tensor:
    """Room for what an optimizer remembers: where the parameter's rows are, or whole in each process."""
    for like in (parameter, parameter[:, :1] if parameter.ndim == 2 else parameter):
        if saved.shape == like.shape:
            return torch.empty_like(like, dtype=saved.dtype)
    return _empty(saved)  # a count of steps


def _places(
    model: nn.Module, optimizer: torch.optim.Optimizer, packed: Mapping[str, list[dict[str, list[int]]]]
) -> dict[str, tuple[int, Tensor]]:
    """Each trained parameter's number in the optimizer's state, and the parameter, by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (index, parameter)
        for group, numbered in zip(optimizer.param_groups, packed["param_groups"], strict=True)
        for index, parameter in zip(numbered["params"], group["params"], strict=True)
    }
