"""The records that benches keep: a JSON file of one measurement, or a file that gets a line for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from xformer.storage.files import atomic_write
from xformer.storage.outputs import check_output_file

from .environment import environment


def begin_record(path: Path, device: str = "cpu") -> dict[str, str | bool]:
    """Check that a record can be written, and say what is measured: call it before the work begins.

    A bench may take an hour, and the checkout may have another commit when it ends.

    Args:
        path: the file of the record.
        device: what the bench computes on.

    Returns:
        What the record says of machine and code: device, torch, commit, whether tracked files differ from
        it (`dirty`), and the time.

    Raises:
        InputError: the file cannot be written.
    """
    check_output_file(path)
    here = environment(torch.device(device))
    return {
        "device": here.device,
        "torch": here.torch,
        "commit": here.commit,
        "dirty": here.dirty,
        "time": here.time,
    }


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all, in place of an earlier one."""
    with atomic_write(path) as file:
        file.write(json.dumps(record, indent=2) + "\n")


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines at the end of a file, which is made when there is none, and see them onto the disk.

    A last line that a cut-off run left without its end is dropped first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines).encode()
    with path.open("ab+") as file:
        _drop_broken_end(file.fileno(), file.seek(0, os.SEEK_END))
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _drop_broken_end(file: int, size: int) -> None:
    """Cut a file after its last line feed."""
    stop = size
    while stop > 0:
        start = max(0, stop - 2**16)
        found = os.pread(file, stop - start, start).rfind(b"\n")
        if found >= 0:
            stop = start + found + 1
            break
        stop = start
    if stop < size:
        os.ftruncate(file, stop)
