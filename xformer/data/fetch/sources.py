"""What the parts of a fetch have in common: the plan that a source makes, and the names it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from xformer.data.fetch.errors import Missing, Refused
from xformer.data.fetch.files import Remote
from xformer.data.fetch.http import Client
from xformer.data.languages import canonical_language, language_name, language_named
from xformer.errors import InputError
from xformer.storage.suggest import did_you_mean

# Codes of ISO 639-2/B, which no source here uses.
_BIBLIOGRAPHIC = "alb arm baq bur chi cze dut fre geo ger gre ice mac mao may per rum slo tib wel"


@dataclass(frozen=True)
class Plan:
    """What to fetch, and how it is imported.

    Attributes:
        format: of `xformer data import`.
        remotes: the files, in the order that the import takes them.
        licence: tells the licence of a file that is here.
        options: of `xformer data import`, by their names there.
    """

    format: str
    remotes: tuple[Remote, ...]
    licence: Callable[[Path], str]
    options: dict[str, float]


def always(licence: str) -> Callable[[Path], str]:
    """The same licence for every file."""
    return lambda path: licence


def linked_names(client: Client, url: str) -> list[str] | None:
    """What a page links to: the names in a folder, as servers list it; None if there is no such page."""
    try:
        text = client.text(url)
    except (Missing, Refused):
        return None
    found = _Links()
    found.feed(text)
    return found.names


class _Links(HTMLParser):
    """Collects the addresses of links, without what comes before the last `/`."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if tag == "a" and name == "href" and value and "?" not in value:
                self.names.append(unquote(value).rstrip("/").rpartition("/")[2])


def find_codes(wanted: Iterable[str], known: Sequence[str] | None, of: str) -> list[str]:
    """The codes that a source has for languages.

    Args:
        wanted: `deu`, `de` or `German`.
        known: the codes of the source; None if it does not list them.
        of: the source, for messages.

    Raises:
        InputError: it has no such language, or a code is named twice; the message names what is like it.
    """
    codes = [_code(name, known, of) for name in wanted]
    for code in codes:
        if codes.count(code) > 1:
            raise InputError(f"{code}: named twice")
    return codes


def _code(wanted: str, known: Sequence[str] | None, of: str) -> str:
    tag = language_named(wanted) or wanted
    if known is None:
        return tag if len(tag) != 2 else _three_letters(tag, of)
    if wanted in known:
        return wanted
    shape = canonical_language(tag.replace("_", "-"))
    found = [code for code in known if canonical_language(code.replace("_", "-")) == shape]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{wanted}: expected one of {', '.join(found)}, which {of} has for it")
    names = {language_name(code).casefold(): code for code in known}
    meant = did_you_mean(wanted, [*known, *names]) if len(wanted) > 1 else ""
    raise InputError(f"{wanted}: {of} has no such language{meant or '; --list shows all'}")


def _three_letters(tag: str, of: str) -> str:
    """The three-letter code of ISO 639-3 for a two-letter one, as CLDR has it."""
    from babel.core import get_global

    aliases = get_global("language_aliases")
    found = sorted(code for code, short in aliases.items() if short == tag and len(code) == 3)
    found = [code for code in found if code not in _BIBLIOGRAPHIC.split()]
    if len(found) == 1:
        return found[0]
    options = f", such as {' or '.join(found)}" if found else ""
    raise InputError(f"{tag}: {of} does not list its languages; expected a three-letter code{options}")


def pairs_of(names: Sequence[str], of: str) -> list[tuple[str, str]]:
    """The pairs of languages that were named: `de-en fr-en`, or two languages alone, `de en`.

    The languages of a pair come in the order of their codes, as all sources name it.

    Raises:
        InputError: something else was named.
    """
    if len(names) == 2 and not any("-" in name for name in names):
        names = ["-".join(names)]
    pairs = []
    for name in names:
        first, _, second = name.partition("-")
        if not first or not second or "-" in second or first == second:
            raise InputError(f"{name}: expected a pair of languages such as de-en for {of}")
        pairs.append((min(first, second), max(first, second)))
    if not pairs:
        raise InputError(f"{of}: expected pairs of languages, such as de-en; --list shows what there is")
    if len(set(pairs)) < len(pairs):
        raise InputError(f"{of}: expected each pair once")
    return pairs
