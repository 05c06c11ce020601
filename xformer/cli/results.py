"""Results on standard output, which come while progress is shown on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xformer.progress import Progress


@contextmanager
def progress_beside_results() -> Iterator[Progress]:
    """Show progress while results are printed.

    Where a terminal shows the results, they are the progress, and nothing is drawn between them.
    """
    from rich.console import Console

    from xformer.progress import Progress

    results = sys.stdout
    shared = Console(stderr=True, quiet=True) if results is not None and results.isatty() else None
    with Progress(shared) as progress, redirect_stdout(results):
        # Bars take what is printed to standard output and show it above themselves, on standard error. So the
        # results have their stream back inside the block.
        yield progress
