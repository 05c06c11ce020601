"""A manual page: which macros it is written in, and its blocks."""

from __future__ import annotations

import re

from xformer.data.readers.roff.blocks import Block
from xformer.data.readers.roff.man_macros import KEPT_BY_MAN, MAN_STRINGS, read_man
from xformer.data.readers.roff.mdoc_macros import KEPT_BY_MDOC, MDOC_STRINGS, read_mdoc
from xformer.data.readers.roff.requests import Interpreter
from xformer.errors import InputError

_TITLE = re.compile(r"^[.'][ \t]*(TH|Dd)\b", re.MULTILINE)


def read_page(text: str, name: str) -> list[Block]:
    """The blocks of a page.

    Args:
        text: the page in roff.
        name: for error messages.

    Raises:
        InputError: it is no manual page, or its definitions have no end.
    """
    title = _TITLE.search(text)
    if title is None:
        raise InputError(f"{name}: expected a manual page, with .TH or .Dd in it")
    if title[1] == "Dd":
        calls = Interpreter(text, name, MDOC_STRINGS, KEPT_BY_MDOC)
        return read_mdoc(calls, calls.translation)
    calls = Interpreter(text, name, MAN_STRINGS, KEPT_BY_MAN)
    return read_man(calls, calls.translation)
