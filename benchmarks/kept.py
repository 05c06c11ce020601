"""The records that benches keep, each a JSON file; those of kernels and of encoding are lines of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
