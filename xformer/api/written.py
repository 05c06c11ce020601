"""What `Model.translate` and `Model.summarize` share: many texts become others, in their order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from xformer.embedding.checked import as_texts, buffers
from xformer.errors import InputError
from xformer.generation.options import GenerationOptions
from xformer.progress import ShowProgress, shown

if TYPE_CHECKING:
    from xformer.translation.translator import Search, Translator

_MOST_TEXTS, _MOST_CHARS = 256, 1 << 20


def search_of(beam: int) -> Search:
    """The search of a width; 1 takes the likeliest token each time.

    Raises:
        InputError: the width is no positive number.
    """
    from xformer.translation.translator import Search

    try:
        return Search(GenerationOptions(method="greedy" if beam == 1 else "beam", beam=beam))
    except ValueError as error:
        raise InputError(str(error).replace("generation.", "")) from error


def write(
    writer: Translator,
    texts: Iterable[str],
    target: str,
    search: Search,
    what: str,
    progress: ShowProgress,
) -> list[str]:
    """The best that a run writes of each text.

    Args:
        writer: of the run.
        texts: texts; of a list all are checked first.
        target: language to write.
        search: how.
        what: what is done, for `progress`.
        progress: as in `Model.encode`.

    Raises:
        InputError: a text is no string, too long, or holds a lone surrogate.
    """
    given, found = as_texts(texts), list[str]()
    total = None
    if isinstance(given, list | tuple):
        writer.check(given)
        total = len(given)
    with shown(progress) as tell:
        for block in buffers(given, _MOST_TEXTS, _MOST_CHARS):
            its = writer.translate(block, target, search=search, first=len(found))
            found += [one[0].text for one in its]
            if tell is not None:
                tell(what, len(found), total)
    return found
