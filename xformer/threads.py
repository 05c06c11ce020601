"""How the threads of a CPU wait for one another. Imports nothing but the standard library.

PyTorch divides an operation among threads by OpenMP, and at its end each thread waits for the others. GNU's
library (`libgomp`, which PyTorch's wheels for Linux bundle) lets a waiting thread spin 300,000 times, about 7
ms, before it sleeps. On an idle machine that is the fastest. Where another process is busy, the thread that
spins takes a core from the thread that it waits for, at each of some thousand operations of a step.

20,000 spins are long enough for the pauses between two operations of a step, and short enough for company:
training has the speed of the default on idle cores, where no spinning at all loses a third
(docs/log/training-speed.md).

The libraries read these variables when they are loaded, so they must be set before torch is imported. They
are set in this process's environment, and processes that it starts inherit them. That is intended: its
workers share its cores. Other programs that are measured beside it get `environment_as_given`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping

SPIN_COUNT = "20000"
"""`GOMP_SPINCOUNT`: how often a thread looks for work before it sleeps."""

_OURS = {
    "GOMP_SPINCOUNT": SPIN_COUNT,
    "KMP_BLOCKTIME": "1",  # milliseconds; LLVM's and Intel's library, which wait 200 by default
}
_OF_THE_USER = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def set_wait_policy(
    environment: MutableMapping[str, str] | None = None, *, torch_is_loaded: bool | None = None
) -> bool:
    """Make OpenMP's threads wait for a short time only before they sleep; call it before importing torch.

    Nothing is changed where the user has set one of `OMP_WAIT_POLICY`, `GOMP_SPINCOUNT`, `KMP_BLOCKTIME` and
    `KMP_LIBRARY`.

    Args:
        environment: of the process; None for `os.environ`.
        torch_is_loaded: None to look.

    Returns:
        Whether threads wait as these variables say. False: torch was imported before any of them was set, so
        its threads spin for long.
    """
    environment = os.environ if environment is None else environment
    if any(name in environment for name in _OF_THE_USER):
        return True
    if "torch" in sys.modules if torch_is_loaded is None else torch_is_loaded:
        return False
    environment.update(_OURS)
    return True


def environment_as_given(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what `set_wait_policy` has added, for programs that are measured beside ours.

    A variable that the user has set to the very value that is added here is left out as well.
    """
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if _OURS.get(name) != value}
