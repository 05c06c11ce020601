"""The reader of Unicode's CLDR in JSON: the names of characters, languages, territories, units and times.

What has the same key in two locales is a translation: the character of an annotation, the code of a language,
the name of a unit. Format: Unicode TR 35, and the packages `cldr-*-full` of npm, in which each locale's file
also has what the locale inherits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from xformer.data.import_notes import ImportNotes
from xformer.data.languages import likely_script
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import Member, check_any_read, open_members
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

# Where the texts of each kind stand below `main` and the locale; `*` is any key, `**` any number of keys.
_PLACES: dict[str, tuple[str, ...]] = {
    "languages": ("localeDisplayNames", "languages", "*"),
    "territories": ("localeDisplayNames", "territories", "*"),
    "scripts": ("localeDisplayNames", "scripts", "*"),
    "variants": ("localeDisplayNames", "variants", "*"),
    "settings": ("localeDisplayNames", "keys", "*"),
    "setting values": ("localeDisplayNames", "types", "*", "*"),
    "measurement systems": ("localeDisplayNames", "measurementSystemNames", "*"),
    "character labels": ("characterLabels", "*"),
    "typographic axes": ("typographicNames", "axisNames", "*"),
    "typographic styles": ("typographicNames", "styleNames", "*"),
    "units": ("units", "long", "*", "displayName"),
    "currencies": ("numbers", "currencies", "*", "displayName"),
    "fields of dates": ("dates", "fields", "*", "*"),
    "months": ("dates", "calendars", "gregorian", "months", "stand-alone", "wide", "*"),
    "days": ("dates", "calendars", "gregorian", "days", "stand-alone", "wide", "*"),
    "quarters": ("dates", "calendars", "gregorian", "quarters", "stand-alone", "wide", "*"),
    "eras": ("dates", "calendars", "gregorian", "eras", "eraNames", "*"),
    "cities": ("dates", "timeZoneNames", "zone", "**", "exemplarCity"),
    "time zones": ("dates", "timeZoneNames", "metazone", "*", "long", "*"),
}
CLDR_KINDS = frozenset({"characters", "keywords", *_PLACES})
_CODES = frozenset({"languages", "territories", "scripts", "variants", "currencies"})
_FILE = re.compile(r"(.*/)?(main|annotations|annotationsDerived)/([^/]+)/[^/]+\.json")
_ALTERNATIVE = re.compile(r"-alt-(?P<kind>.+)|-(?P<part>menu-.+)")
_SCRIPT = re.compile(r"[A-Z][a-z]{3}")
_PATTERN = re.compile(r"\{\d\}")
_SHORT = re.compile(r".*-(short|narrow)")  # "yr.", "y"
_FALLBACKS = ("und", "root")  # the locale that all others inherit from, now and in old versions
_ENGLISH = "en"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text: its kind, its key there, what tells it from other texts with that key, and the text itself."""

    kind: str
    key: str
    form: str
    text: str


def is_cldr_file(path: str) -> bool:
    """Whether a file is of CLDR's locales, by its path: `main/de/units.json`."""
    return _FILE.fullmatch(path) is not None


def read_cldr(
    paths: Iterable[FilePath],
    *,
    languages: Collection[str] | None = None,
    kinds: Collection[str] | None = None,
    notes: ImportNotes | None = None,
) -> Iterator[Record]:
    """Stream the names that CLDR has for characters, languages, territories, scripts, units, days and so on.

    Left out are: names equal to their code, such as `US`; names that the locale inherits, as `de-AT` does
    most of `de`'s, `pt-AO` of `pt-PT`'s, and languages without units of their own the root's `km`; names
    equal to the English ones in another language, most of which no one has translated; forms for sorted
    menus ("Kurdish, Central"); abbreviations of times; patterns with gaps (`{0}`). Other names of the same
    code (`-alt-short`, `-alt-variant`) are in its group.

    The spoken name of a character is a text. Its keywords are another, joined by commas in the order of the
    file, with a group of their own: they are sorted by alphabet, no keyword is the translation of another.
    Keywords of derived annotations are left out: they repeat those of the character without its skin tone.

    Memory holds one file, and those of English and of the parent locale that have the same name.

    Args:
        paths: JSON files of CLDR, or folders, zips or tars, such as `cldr-annotations-full-48.2.0.tgz`.
        languages: keep only these; `pt` also keeps `pt-BR`. None: all.
        kinds: keep only these of `CLDR_KINDS`. None: all.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or holds no such file; or a file that is named in `paths`,
            or all files of a folder or archive, are damaged or of another kind. The message names the line
            or the field.
        ValueError: there is no such kind.
    """
    notes = notes or ImportNotes()
    if unknown := set(kinds or ()) - CLDR_KINDS:
        raise ValueError(f"kinds: expected some of {', '.join(sorted(CLDR_KINDS))}, got {unknown.pop()!r}")
    wanted = None if languages is None else {normalize_language(language) for language in languages}
    read = 0
    for path in paths:
        with open_members(path, is_cldr_file, "files of CLDR (main/de/units.json)") as members:
            files = _Files(members)
            for member in members:
                try:
                    locale, texts = files.texts(member)
                    tag = "und" if locale in _FALLBACKS else _tag(locale, member.name, notes)
                except InputError as error:
                    member.refuse(error, notes)
                    continue
                read += 1
                if tag == "und" or not (wanted is None or tag in wanted or tag.partition("-")[0] in wanted):
                    continue
                inherited = files.relatives(member, locale)
                for text in texts:
                    place = f"{member.label}:{text.key}"
                    if kinds is not None and text.kind not in kinds:
                        continue
                    if reason := _reason(text, inherited):
                        notes.leave_out(reason, tag, text.text, place)
                        continue
                    group = content_group("cldr", text.kind, text.key)
                    yield Record(text.text, tag, group, place, id=text.key)
    check_any_read(notes, read, "files of CLDR")


def _tag(locale: str, name: str, notes: ImportNotes) -> str:
    try:
        return notes.normalize(locale)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _reason(text: _Text, relatives: Mapping[str, frozenset[_Text]]) -> str | None:
    """Why a text is left out; None if it stays."""
    if text.form.startswith("menu"):
        return "form for sorted menus"
    if not text.text.strip():
        return "no text"
    if text.kind in _CODES and text.text == text.key:
        return "same as its code"
    return next((reason for reason, texts in relatives.items() if text in texts), None)


class _Files:
    """The files of one path, of which each may be compared with its relatives."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.path: member for member in members}
        # English, two files in between, and the parent: children come after their parents.
        self._parsed = lru_cache(maxsize=4)(_parse)

    def texts(self, member: Member) -> tuple[str, tuple[_Text, ...]]:
        """The locale of a file and its texts.

        Raises:
            InputError: it is damaged, or no file of CLDR's locales.
        """
        return self._parsed(member)

    def relatives(self, member: Member, locale: str) -> dict[str, frozenset[_Text]]:
        """What the locale's texts may be equal to, by the reason that this is for leaving them out."""
        if locale == _ENGLISH:  # the root has some of its names
            return {}
        parent = _parent(locale)
        found = {"inherited": self._of(member, *([parent] if parent else _FALLBACKS))}
        if locale.partition("-")[0] != _ENGLISH:
            found["same as in English"] = self._of(member, _ENGLISH)
        return found

    def _of(self, member: Member, *locales: str) -> frozenset[_Text]:
        """The texts of the file of that name of other locales; none where it is not there or damaged."""
        folder, _, name = member.path.rpartition("/")
        others = (f"{folder.rpartition('/')[0]}/{locale}/{name}".lstrip("/") for locale in locales)
        try:
            found = [self._parsed(self._members[other])[1] for other in others if other in self._members]
        except InputError:
            return frozenset()
        return frozenset(text for texts in found for text in texts)


def _parent(locale: str) -> str | None:
    """The locale that another one inherits from: `pt-PT` for `pt-AO`; None if it is the root."""
    from babel.core import get_global

    exceptions: Mapping[str, str] = get_global("parent_exceptions")
    if (parent := exceptions.get(locale.replace("-", "_"))) is not None:
        return None if parent == "root" else parent.replace("_", "-")
    shorter, _, last = locale.rpartition("-")
    # A script that the language is not mostly written in inherits from no other.
    if not shorter or (_SCRIPT.fullmatch(last) and likely_script(shorter) != last):
        return None
    return shorter


def _parse(member: Member) -> tuple[str, tuple[_Text, ...]]:
    """The locale and the texts of a file."""
    data = member.read()
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{member.name}:{line}: expected UTF-8, byte {error.start + 1} of the file is not"
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(f"{member.name}:{error.lineno}: expected JSON: {error.msg}") from error
    except RecursionError as error:
        raise InputError(f"{member.name}: expected JSON of CLDR, this is nested too deeply") from error
    fields = content if isinstance(content, dict) else {}
    if isinstance(main := fields.get("main"), dict) and len(main) == 1:
        ((locale, sections),) = main.items()
        return locale, tuple(_main_texts(_object(sections, f"{member.name}: main.{locale}"), member.name))
    for name in ("annotations", "annotationsDerived"):
        if name in fields:
            inside = _object(fields[name], f"{member.name}: {name}")
            # A locale that inherits all of its annotations has none.
            entries = _object(inside.get("annotations", {}), f"{member.name}: {name}.annotations")
            texts = _annotations(entries, member.name, derived=name != "annotations")
            return _locale(inside, member.name), tuple(texts)
    raise InputError(f"{member.name}: expected a file of CLDR's locales, with `main` or `annotations`")


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: expected an object, got {str(value)[:40]!r}")
    return value


def _locale(inside: Mapping[str, Any], name: str) -> str:
    """The locale that the field `identity` of annotations describes."""
    identity = _object(inside.get("identity"), f"{name}: identity")
    parts = [identity.get(part) for part in ("language", "script", "territory", "variant")]
    if not isinstance(parts[0], str):
        raise InputError(f"{name}: identity.language: expected a language, got {parts[0]!r}")
    return "-".join(str(part) for part in parts if part)


def _annotations(entries: Mapping[str, Any], name: str, derived: bool) -> Iterator[_Text]:
    for character, entry in entries.items():
        place = f"{name}: annotations.{character}"
        entry = _object(entry, place)
        for field, kind in (("tts", "characters"), ("default", "keywords")):
            texts = entry.get(field, [])
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise InputError(f"{place}.{field}: expected a list of texts, got {str(texts)[:40]!r}")
            if kind == "characters":
                yield from (_Text(kind, character, "", text) for text in texts)
            elif len(texts) > 1 and not derived:
                yield _Text(kind, character, "", ", ".join(texts))


def _main_texts(sections: Mapping[str, Any], name: str) -> Iterator[_Text]:
    for kind, place in _PLACES.items():
        for keys, value in _find(sections, place):
            if not isinstance(value, str):
                if kind == "fields of dates":  # patterns of several forms, beside the texts
                    continue
                raise InputError(f"{name}: {'.'.join(keys)}: expected a text, got {str(value)[:40]!r}")
            if _PATTERN.search(value) or any(
                map(_SHORT.fullmatch, keys[2:3] if kind == "fields of dates" else ())
            ):
                continue
            varying = [key for key, part in zip(keys[-len(place) :], place, strict=False) if part == "*"]
            key = " ".join(varying) if "**" not in place else "/".join(keys[3:-1])
            other = _ALTERNATIVE.search(key)
            form = "" if other is None else other["kind"] or other["part"]
            yield _Text(kind, key if other is None else key[: other.start()], form, value)


def _find(
    value: Any, place: tuple[str, ...], keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values at a place, each with the keys that lead there."""
    if not place:
        yield keys, value
        return
    if not isinstance(value, dict):
        return
    first, *rest = place
    if first == "**":
        yield from _find(value, tuple(rest), keys)
        for key, inside in value.items():
            yield from _find(inside, place, (*keys, key))
        return
    for key in value if first == "*" else (first,) if first in value else ():
        yield from _find(value[key], tuple(rest), (*keys, key))
