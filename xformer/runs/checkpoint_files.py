"""The safetensors files of a checkpoint: weights, optimizer state and random state.

A process that holds the whole model writes two files:

    model.safetensors               the weights, by parameter
    optimizer.safetensors           "exp_avg.encoder.…" and the like, by kind and parameter; random state

Processes that hold a part of the model each (FSDP2) write two files each, through
`torch.distributed.checkpoint`:

    model-00002-of-00008.safetensors        slices of tensors; the header holds their offsets
    optimizer-00002-of-00008.safetensors

Both have one format, and PyTorch's reader reads both into whole tensors or into other slices, so a process
needs memory for its own part only. PyTorch's usual format describes itself in a pickle; this one, made for
Hugging Face, does so in safetensors' JSON headers. Where one file becomes whole tensors, safetensors alone
reads it: PyTorch's reader would look into the files of the other kind too, and imports a third of PyTorch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from xformer.distributed.one_process import OneProcess
from xformer.errors import InputError
from xformer.storage.checksummed import FileEntry
from xformer.storage.files import sha256_of

if TYPE_CHECKING:
    from xformer.distributed.processes import Processes

Kind = Literal["model", "optimizer"]
KINDS: tuple[Kind, Kind] = ("model", "optimizer")
NAMES = 1
"""Version of the parameters' names (docs/pytorch.md), which `model.safetensors` has in its header.

They have not changed since version 0.1, whose files have no such entry. One that renames a parameter counts
on, and reads files of this version under their names.
"""
RNG, CUDA_RNG = "rng", "rng.cuda"
_HEADER = {"names": str(NAMES)}
"""One entry alone: safetensors writes several in an order that changes from file to file, and a run that is
resumed has the bytes of one that was not."""
_DIGEST = 32  # bytes of a SHA-256
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The data types of models, optimizers and random states, by their names in safetensors."""


@dataclass(frozen=True)
class Saved:
    """A tensor in a checkpoint.

    Attributes:
        shape: of the unsharded tensor.
        dtype: its data type.
    """

    shape: torch.Size
    dtype: torch.dtype


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name; of a sharded model, DTensors."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state tensors, by `kind.parameter`."""
    packed = optimizer.state_dict()
    names = {index: name for name, (index, _) in _places(model, optimizer, packed).items()}
    return {
        f"{kind}.{names[index]}": tensor
        for index, entry in packed["state"].items()
        for kind, tensor in entry.items()
    }


def restore_moments(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load the optimizer's state, or this process's part of it.

    Args:
        path: the checkpoint's folder.
        model: whose parameters are trained.
        optimizer: over the same parameters as the saved one, in any groups.

    Raises:
        InputError: the state belongs to a parameter that the model lacks.
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
        found[name] = _empty_like(like.detach(), saved)
        state.setdefault(index, {})[kind] = found[name]
    read_into(path, "optimizer", found)
    optimizer.load_state_dict(packed | {"state": state})


def random_state() -> dict[str, Tensor]:
    """The states of PyTorch's random generators."""
    found = {RNG: torch.get_rng_state()}
    if torch.cuda.is_initialized():
        found[CUDA_RNG] = torch.cuda.get_rng_state()
    return found


def set_random_state(saved: Mapping[str, Tensor]) -> None:
    """Set the random generators to states from `random_state`."""
    torch.set_rng_state(saved[RNG])
    if CUDA_RNG in saved and torch.cuda.is_available():
        torch.cuda.set_rng_state(saved[CUDA_RNG])


def restore_random_state(path: Path) -> None:
    """Set the random generators to the states in a checkpoint."""
    saved = {
        name: _empty(saved) for name, saved in names_of(path, "optimizer").items() if name in (RNG, CUDA_RNG)
    }
    read_into(path, "optimizer", saved)
    set_random_state(saved)


def names_of(path: Path, kind: Kind) -> dict[str, Saved]:
    """The tensors in a checkpoint's files of one kind; only headers are read.

    Raises:
        InputError: their names are of a later version.
    """
    if (file := _whole(path, kind)).is_file():
        with safe_open(file, "pt") as opened:
            if (names := (opened.metadata() or {}).get("names", "1")) != str(NAMES):
                raise InputError(
                    f"{file}: its parameters are named by version {names}; expected version {NAMES}. A newer "
                    f"xformer wrote it; open it with that one"
                )
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - not a mapping
            return {
                name: Saved(torch.Size(one.get_shape()), _DTYPES[one.get_dtype()])
                for name, one in slices.items()
            }
    from torch.distributed.checkpoint import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata

    metadata = HuggingFaceStorageReader(str(path)).read_metadata()
    stored = metadata.storage_data.items()
    here = {index.fqn for index, place in stored if Path(place.relative_path).name.startswith(kind)}
    return {
        name: Saved(found.size, found.properties.dtype)
        for name, found in metadata.state_dict_metadata.items()
        if name in here and isinstance(found, TensorStorageMetadata)
    }


def read_into(path: Path, kind: Kind, tensors: dict[str, Tensor]) -> None:
    """Read tensors, or this process's slices of them, from a checkpoint that has all of them.

    Args:
        path: the checkpoint's folder.
        kind: of the tensors.
        tensors: the tensors to fill, by name, in the shapes of the checkpoint.
    """
    if not tensors:
        return
    if (file := _whole(path, kind)).is_file() and all(type(tensor) is Tensor for tensor in tensors.values()):
        with safe_open(file, "pt") as opened:
            for name, tensor in tensors.items():
                tensor.copy_(opened.get_tensor(name))
        return
    from torch.distributed.checkpoint import HuggingFaceStorageReader, load

    with warnings.catch_warnings():
        # Each process reads its part without the others.
        warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)
        load(tensors, storage_reader=HuggingFaceStorageReader(str(path)), no_dist=True)


def read_whole(path: Path, kind: Kind) -> dict[str, Tensor]:
    """All tensors of one kind, unsharded, on the host, in alphabetical order of their names."""
    tensors = {name: _empty(saved) for name, saved in sorted(names_of(path, kind).items())}
    read_into(path, kind, tensors)
    return tensors


def write(
    folder: Path, tensors: Mapping[Kind, Mapping[str, Tensor]], processes: OneProcess
) -> tuple[FileEntry, ...]:
    """Write the tensors of each kind; all processes call this.

    Args:
        folder: one folder for all processes, which exists.
        tensors: the tensors of this process, by kind and name. One process writes those that several hold.
        processes: all processes.

    Returns:
        All files of all processes.

    Raises:
        OSError, SafetensorError: the disk is full, or the folder is not writable. With several processes, an
            OSError in all of them.
    """
    if processes.world > 1:
        return write_parts(folder, tensors, cast("Processes", processes))
    for kind in KINDS:
        whole = {name: tensor.contiguous() for name, tensor in tensors[kind].items()}
        save_file(whole, _whole(folder, kind), _HEADER if kind == "model" else None)
    return tuple(FileEntry.of(_whole(folder, kind)) for kind in KINDS)


def write_weights(folder: Path, model: nn.Module) -> FileEntry:
    """Write a model's weights alone, by one process."""
    whole = {name: tensor.contiguous() for name, tensor in weights(model).items()}
    save_file(whole, _whole(folder, "model"), _HEADER)
    return FileEntry.of(_whole(folder, "model"))


def write_parts(
    folder: Path, tensors: Mapping[Kind, Mapping[str, Tensor]], processes: Processes
) -> tuple[FileEntry, ...]:
    """`write` for several processes, each of which writes its part."""
    from torch.distributed.checkpoint import HuggingFaceStorageWriter, save
    from torch.distributed.checkpoint.api import CheckpointException

    numbers = {name: number for number, kind in enumerate(KINDS, 1) for name in tensors[kind]}
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=numbers, save_distributed=True)
    try:
        save({name: x for kind in KINDS for name, x in tensors[kind].items()}, storage_writer=writer)
    except CheckpointException as error:  # a BaseException, raised in all processes
        rank, (reason, _) = min(error.failures.items())
        raise OSError(f"process {rank}: {reason}") from error
    failure: OSError | None = None
    mine = torch.zeros(len(KINDS), 1 + _DIGEST, dtype=torch.int64)
    try:
        for number, kind in enumerate(KINDS):
            # PyTorch names all files `model`, and numbers processes and kinds from 1.
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
        if size  # a process may have no tensors of a kind
    )


def _whole(folder: Path, kind: Kind) -> Path:
    """Where one process that holds the whole model has written a kind."""
    return folder / f"{kind}.safetensors"


def _name(kind: Kind, rank: int, world: int) -> str:
    return f"{kind}-{rank + 1:05d}-of-{world:05d}.safetensors"


def _empty(saved: Saved) -> Tensor:
    return torch.empty(saved.shape, dtype=saved.dtype)


def _empty_like(parameter: Tensor, saved: Saved) -> Tensor:
    """An empty tensor for a parameter's optimizer state, on its device and sharded as it is."""
    for like in (parameter, parameter[:, :1] if parameter.ndim == 2 else parameter):
        if saved.shape == like.shape:
            return torch.empty_like(like, dtype=saved.dtype)
    return _empty(saved)  # the number of steps


def _places(
    model: nn.Module, optimizer: torch.optim.Optimizer, packed: Mapping[str, list[dict[str, list[int]]]]
) -> dict[str, tuple[int, Tensor]]:
    """By name, each trained parameter and its index in the optimizer's state."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (index, parameter)
        for group, numbered in zip(optimizer.param_groups, packed["param_groups"], strict=True)
        for index, parameter in zip(numbered["params"], group["params"], strict=True)
    }
