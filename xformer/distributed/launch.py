"""The environment variables that `torchrun` sets for each process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn

from xformer.errors import InputError


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Attributes:
        rank: its number.
        local_rank: its number on its machine.
        world: number of processes.
    """

    rank: int = 0
    local_rank: int = 0
    world: int = 1

    @classmethod
    def of_environment(cls) -> Launch:
        """Read the environment; without WORLD_SIZE, or with WORLD_SIZE=1, this is one process alone.

        Raises:
            InputError: a variable is missing or invalid; it is named.
        """
        world = _number("WORLD_SIZE", "1")
        if world is None or world < 1:
            _refuse("WORLD_SIZE", "a whole number from 1")
        if world == 1:
            return cls()
        rank, local_rank = _number("RANK"), _number("LOCAL_RANK", "0")
        if rank is None or not 0 <= rank < world:
            _refuse("RANK", f"a whole number from 0 to {world - 1}, since WORLD_SIZE is {world}")
        if local_rank is None or local_rank < 0:
            _refuse("LOCAL_RANK", "a whole number from 0")
        if not os.environ.get("MASTER_ADDR"):
            _refuse("MASTER_ADDR", "the address of process 0")
        if _number("MASTER_PORT") is None:
            _refuse("MASTER_PORT", "a whole number")
        return cls(rank, local_rank, world)


def _number(name: str, default: str = "") -> int | None:
    text = os.environ.get(name, default)
    return int(text) if text.isascii() and text.isdigit() else None


def _refuse(name: str, expected: str) -> NoReturn:
    found = repr(os.environ[name]) if name in os.environ else "nothing"
    raise InputError(
        f"{name}: expected {expected}, found {found}. torchrun sets it for each of many processes; to train"
        " with one, unset WORLD_SIZE"
    )
