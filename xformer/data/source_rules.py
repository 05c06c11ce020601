"""Rules about sources: how often their texts are drawn, and which of them are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath

from xformer.errors import InputError
from xformer.storage.rules import COUNT_OR_NONE, FROM_ZERO, NOT_NEGATIVE, Rule, Rules, check, require

OTHER = "other"
"""The source of texts that come from none of the manifest's."""

_SHOWN = 12
_REMEMBERED = 1 << 16


@dataclass(frozen=True)
class SourceRule:
    """What holds for the texts of some sources.

    Attributes:
        pattern: of names of sources, as in a shell: `cldr-*/*`. A name is one of the corpus's manifest.
        weight (factor): how often a text is drawn, relative to one of weight 1; 0 leaves the texts out.
        min_chars (characters): shorter texts are left out.
        max_chars (characters): longer texts are left out; None for no limit.
        min_translations (languages): texts with translations into fewer other languages are left out. Those
            in the training split count.
        languages (language tags): texts in other languages are left out; patterns as in a shell, `sr*`.
            Empty: all languages.
    """

    pattern: str
    weight: float = 1.0
    min_chars: int = 0
    max_chars: int | None = None
    min_translations: int = 0
    languages: tuple[str, ...] = ()

    @staticmethod
    def rules() -> Rules:
        """What each field must be."""
        return [
            (Rule(bool, "a pattern of names, such as 'cldr-*/*'", {"minLength": 1}), "pattern"),
            (NOT_NEGATIVE, "weight"),
            (FROM_ZERO, "min_chars min_translations"),
            (COUNT_OR_NONE, "max_chars"),
        ]

    def __post_init__(self) -> None:
        check(self, "", self.rules())
        least = self.max_chars is None or self.max_chars >= self.min_chars
        require(least, "max_chars", self.max_chars, f"at least min_chars={self.min_chars}")

    def admits(self, language: str) -> bool:
        """Whether texts in a language are not left out."""
        return not self.languages or any(fnmatchcase(language, one) for one in self.languages)


def rules_of(rules: Sequence[SourceRule], names: Sequence[str]) -> list[int | None]:
    """For each source the number of the first rule whose pattern fits its name; None if none does.

    Args:
        rules: in order.
        names: of the sources.
    """
    return [
        next((number for number, rule in enumerate(rules) if fnmatchcase(name, rule.pattern)), None)
        for name in names
    ]


def require_matches(
    rules: Sequence[SourceRule], names: Sequence[str], languages: Iterable[str], corpus: object
) -> None:
    """Check that each rule is about something.

    Args:
        rules: in order.
        names: of the sources that have texts.
        languages: tags of the languages.
        corpus: named in errors.

    Raises:
        InputError: a rule fits no source, or only such as an earlier rule fits, or no language.
    """
    found, tags = rules_of(rules, names), sorted(languages)
    for number, rule in enumerate(rules):
        if number not in found:
            taken = [name for name in names if fnmatchcase(name, rule.pattern)]
            if taken:
                raise InputError(
                    f"data.sources: {rule.pattern!r} comes too late: rules before it hold for all sources"
                    f" that it fits ({_some(taken)}); of several rules the first holds"
                )
            raise InputError(
                f"data.sources: {rule.pattern!r} fits no source of {corpus}; it has {_some(names)}"
            )
        for pattern in rule.languages:
            if not any(fnmatchcase(tag, pattern) for tag in tags):
                raise InputError(
                    f"data.sources: {rule.pattern!r}: {pattern!r} fits no language of {corpus}; it has"
                    f" {_some(tags)}"
                )


class SourcePlaces:
    """Finds the place of a text's source among the names of a manifest.

    `Record.source` begins with such a name and a colon: `django-5.1.whl:django/conf/…/django.mo`. Of a file
    in a folder that was imported whole, the name is that of the folder.

    Attributes:
        names: the names in their order, each once, and `OTHER`.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = (*dict.fromkeys(name for name in names if name != OTHER), OTHER)
        self._places: Mapping[str, int] = {name: place for place, name in enumerate(self.names)}
        self._found: dict[str, int] = {}
        self._colons = any(":" in name for name in self.names)

    def __call__(self, source: str) -> int:
        """The place of the name that `source` begins with; that of `OTHER` if there is none."""
        prefix = source.partition(":")[0]
        found = self._places.get(prefix)
        if found is None:
            key = source if self._colons else prefix
            found = self._found.get(key)
            if found is None:
                found = self._search(key)
                if len(self._found) < _REMEMBERED:
                    self._found[key] = found
        return found

    def _search(self, source: str) -> int:
        parts = source.split(":")
        for count in range(1, len(parts) + 1):  # a name may have colons itself
            prefix = ":".join(parts[:count])
            if (place := self._places.get(prefix)) is not None:
                return place
            for folder in PurePath(prefix).parts:
                if (place := self._places.get(folder)) is not None:
                    return place
        return self._places[OTHER]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names) if rest <= 0 else f"{', '.join(names[:_SHOWN])} and {rest} more"
