"""Sealed JSON: what is said of one that is missing, or another version's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from xformer.data.sealed import read_sealed, write_sealed
from xformer.errors import InputError


@dataclass(frozen=True)
class _Before:
    number: int


@dataclass(frozen=True)
class _Now:
    number: int
    name: str


def test_what_is_wrong_is_said_without_names_of_the_program_s(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(InputError, match=r"state\.json: missing; it says what the files beside it are$"):
        read_sealed(path, _Now)
    write_sealed(path, _Before(3))
    with pytest.raises(
        InputError, match=r"state\.json: expected the fields that this version writes: "
    ) as said:
        read_sealed(path, _Now)
    assert "name" in str(said.value)
    assert "_Now" not in str(said.value)
