"""Understand, measure and train small multilingual Transformers.

>>> import xformer
>>> model = xformer.load("runs/demo")
>>> model.encode(["Open the file", "Datei öffnen"]).shape
(2, 192)

`import xformer` imports neither torch nor numpy; the names below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xformer.threads import set_wait_policy
from xformer.version import __version__

if TYPE_CHECKING:
    from xformer import inspect
    from xformer.api import Index, Model, finetune, load
    from xformer.kernels import attention
    from xformer.tokenizer import Tokenizer

__all__ = ["Index", "Model", "Tokenizer", "__version__", "attention", "finetune", "inspect", "load"]

_PLACES = {
    "Index": "xformer.api",
    "Model": "xformer.api",
    "Tokenizer": "xformer.tokenizer",
    "attention": "xformer.kernels",
    "finetune": "xformer.api.finetune",
    "inspect": "xformer.inspect",
    "load": "xformer.api",
}
"""The module of each name that is imported when it is first used (PEP 562); some are modules themselves."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    if name != "Tokenizer":  # all others import torch, whose threads read this when they start
        set_wait_policy()
    module = importlib.import_module(_PLACES[name])
    found = module if module.__name__.endswith(f".{name}") else getattr(module, name)
    globals()[name] = found  # the next use finds it without this function
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
