"""transformers without its bars, its hints and the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the bars and hints of transformers from the terminal, and it from the network."""
    from transformers.utils import logging

    level, before = logging.get_verbosity(), os.environ.get("HF_HUB_OFFLINE")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before
