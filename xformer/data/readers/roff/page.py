"""A manual page: which macros it is written in, and its blocks."""

from __future__ import annotations

import re

from xformer.data.readers.roff.blocks import Block, BlockWriter
from xformer.data.readers.roff.man_macros import KEPT_BY_MAN, MAN_STRINGS, ManMacros
from xformer.data.readers.roff.mdoc_macros import KEPT_BY_MDOC, MDOC_STRINGS, MdocMacros
from xformer.data.readers.roff.requests import Interpreter, Text
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
    is_mdoc = title[1] == "Dd"
    strings, kept = (MDOC_STRINGS, KEPT_BY_MDOC) if is_mdoc else (MAN_STRINGS, KEPT_BY_MAN)
    calls = Interpreter(text, name, strings, kept)
    out = BlockWriter(calls.translation)
    macros = MdocMacros(out) if is_mdoc else ManMacros(out)
    for call in calls:
        if isinstance(call, Text):
            macros.line(call.text)
        else:
            macros.call(call.name, call.arguments)
    return out.finish()
