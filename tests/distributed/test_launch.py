"""What the environment says of many processes."""

from __future__ import annotations

import pytest

from xformer.distributed.launch import Launch
from xformer.errors import InputError

TORCHRUN = {
    "WORLD_SIZE": "4",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "localhost",
    "MASTER_PORT": "29500",
}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TORCHRUN:
        monkeypatch.delenv(name, raising=False)


def _set(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)


def test_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Launch.of_environment() == Launch(rank=0, local_rank=0, world=1)
    _set(monkeypatch, TORCHRUN)
    assert Launch.of_environment() == Launch(rank=3, local_rank=1, world=4)
    _set(monkeypatch, {"WORLD_SIZE": "1", "RANK": "0"})
    assert Launch.of_environment() == Launch()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WORLD_SIZE", "abc", "a whole number from 1, found 'abc'"),
        ("WORLD_SIZE", "", "a whole number from 1, found ''"),
        ("WORLD_SIZE", "0", "a whole number from 1, found '0'"),
        ("RANK", None, "a whole number from 0 to 3, since WORLD_SIZE is 4, found nothing"),
        ("RANK", "4", "a whole number from 0 to 3, since WORLD_SIZE is 4, found '4'"),
        ("RANK", "-1", "a whole number from 0 to 3, since WORLD_SIZE is 4, found '-1'"),
        ("LOCAL_RANK", "x", "a whole number from 0, found 'x'"),
        ("MASTER_ADDR", None, "the address of process 0, found nothing"),
        ("MASTER_PORT", "http", "a whole number, found 'http'"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, expected: str
) -> None:
    _set(monkeypatch, TORCHRUN)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        Launch.of_environment()
    assert str(caught.value).startswith(f"{name}: expected {expected}. torchrun sets it")
