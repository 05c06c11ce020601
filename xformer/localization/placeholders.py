"""Parts of a message that its translation must have as well: `%s %(name)s {0} {name} <b> &accel; $name`.

`msgfmt --check` sees fewer of them: it checks only messages that are marked with a format, one brace without
a name in the original switches its checks of braces off, and a plural form may lack `%(n)d`.

Unnamed ones take what is given in order, so their order stays. Named and numbered ones may change places.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

_CONVERSION = r"(?:hh|ll|[hlLqjzt])?[diouxXeEfFgGaAcrsSpn@]"
_WIDTH = r"(?:\*|\d+)?(?:\.(?:\*|\d+)?)?"
_PERCENT = (
    r"%%"
    rf"|%\([^()\n]*\)[-+0# ]*{_WIDTH}{_CONVERSION}"  # named: Python
    rf"|%\d+\$[-+0#'I ]*{_WIDTH}{_CONVERSION}"  # numbered: C, PHP
    r"|%[-+0#'I ]*\d*<PRI[a-zA-Z0-9]+>"  # C, integers of a given width
    r"|%L?(?:\d{1,2}|n)\b"  # Qt and KDE
    rf"|(?P<unnamed>%[-+0#'I{{space}}]*{_WIDTH}{_CONVERSION})"
)
_OTHERS = (
    r"|\{\{|\}\}"
    r"|(?P<brace>\{(?:![rsa])?(?::[^{}]*)?\})"  # unnamed: Python
    r"|\{[\w.\-\[\]]+(?:![rsa])?(?::[^{}]*)?\}"
    r"|\$\{\w+\}|\$[A-Za-z_]\w*"
    r"|(?P<tag></?[A-Za-z][\w:.-]*(?:\s[^<>]*)?/?>)"
    r"|&(?:\#\d+|\#x[0-9a-fA-F]+|[A-Za-z]\w*);"
)
# In text that is no format, "100% of" has a number and a word, not an octal number with a space in front.
_FORMAT = re.compile(_PERCENT.replace("{space}", " ") + _OTHERS)
_TEXT = re.compile(_PERCENT.replace("{space}", "") + _OTHERS)


def difference(source: str, target: str, flags: Collection[str] = ()) -> str:
    """What a translation does wrong with the placeholders of its source; empty if nothing.

    Args:
        source: the original.
        target: the translation.
        flags: of the message in its catalogue, such as `python-format`.
    """
    ours, theirs = (_Found(text, flags) for text in (source, target))
    if missing := ours.all - theirs.all:
        return f"lacks {_listed(missing)}"
    if extra := theirs.all - ours.all:
        return f"has {_listed(extra)}, which the original lacks"
    if ours.unnamed != theirs.unnamed:
        return f"has {', '.join(theirs.unnamed)} in another order"
    if ours.nested and not theirs.nested:
        return "closes tags in another order"
    return ""


def has_words(text: str) -> bool:
    """Whether a message has a letter outside of its placeholders, so that there is something to translate."""
    return any(character.isalpha() for character in _TEXT.sub("", text))


class _Found:
    """The placeholders of a text.

    Attributes:
        all: how often each stands in it.
        unnamed: those without a name or number, in order.
        nested: whether its tags close what they open.
    """

    def __init__(self, text: str, flags: Collection[str]) -> None:
        marked = any(flag.endswith("-format") and not flag.startswith("no-") for flag in flags)
        found = list((_FORMAT if marked else _TEXT).finditer(text))
        self.all = Counter(match[0] for match in found)
        self.unnamed = [match[0] for match in found if match["unnamed"] or match["brace"]]
        self.nested = _nested([match["tag"] for match in found if match["tag"]])


def _nested(tags: list[str]) -> bool:
    opened: list[str] = []
    for tag in tags:
        name = re.split(r"[\s/>]", tag.lstrip("</"), maxsplit=1)[0]
        if tag.startswith("</"):
            if not opened or opened.pop() != name:
                return False
        elif not tag.endswith("/>"):
            opened.append(name)
    return not opened


def _listed(counts: Counter[str]) -> str:
    return ", ".join(one if n == 1 else f"{one} ({n} times)" for one, n in counts.items())
