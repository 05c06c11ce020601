"""Contexts that stand before a source text: `female^Archer`, as in the catalogues of Battle for Wesnoth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from xformer.data.readers.catalogue import Message

_CONTEXT = re.compile(r"[a-z][\w /+-]{0,30}\^(?=\S)")


class Contexts:
    """Tells contexts before source texts from texts with a `^`.

    A catalogue does not say which it is. But a text with a `^` has one in its translation, too, and a context
    is not translated. Some translators copy it, so all catalogues count together.
    """

    def __init__(self) -> None:
        self._untranslated = Counter[tuple[str, ...]]()

    def see(self, message: Message) -> bool:
        """Count a message whose source text may begin with a context; whether it may."""
        if _CONTEXT.match(message.ids[0]) is None:
            return False
        if any(message.texts) and not message.fuzzy:
            self._untranslated[message.ids] += -1 if any("^" in text for text in message.texts) else 1
        return True

    def without(self, message: Message) -> Message:
        """A message without the context before its source text, once all catalogues were seen."""
        if self._untranslated.get(message.ids, 0) <= 0 or (found := _CONTEXT.match(message.ids[0])) is None:
            return message
        ids, texts = (
            tuple(text.removeprefix(found[0]) for text in side) for side in (message.ids, message.texts)
        )
        return replace(message, ids=ids, texts=texts, context=message.context or found[0][:-1])

    def plurals(self) -> Iterable[tuple[str, ...]]:
        """The source texts of the messages that were counted, with their plurals and without contexts."""
        return (self.without(Message(ids, ())).ids for ids in self._untranslated)
