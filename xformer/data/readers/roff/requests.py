"""The interpreter of roff's requests: what a page defines is expanded, what conditions exclude is left out.

What comes out is text and the calls of macros that the page does not define itself. Source: groff(7).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass

from xformer.data.readers.roff.escapes import (
    bare_name,
    expand,
    is_continued,
    plain,
    without_comment,
)
from xformer.data.readers.roff.numbers import evaluate, split_condition
from xformer.errors import InputError

# What preprocessors draw, up to the macro that ends it.
_DRAWN = {"TS": "TE", "EQ": "EN", "PS": "PE", "GS": "GE"}
_CONTROL = re.compile(r"[.'][ \t]*(?P<name>\\[{}]|[^ \t\\]*)(?P<rest>.*)", re.DOTALL)
_BRACE = re.compile(r"\\(?:([{}])|.)", re.DOTALL)
_ARGUMENT = re.compile(r'[ ]*(?:"((?:[^"]|"")*)"?|((?:\\.|[^ \\])+|\\$))', re.DOTALL)
_DEFINITIONS, _CONDITIONS = frozenset({"de", "de1", "dei", "am", "am1"}), frozenset({"if", "ie", "while"})
_REGISTERS = {".g": 1, ".x": 1, ".y": 22, ".l": 1560, ".t": 2400, ".H": 24, ".V": 40, ".v": 40, ".s": 10}
# A page has some thousand lines. One whose macros call themselves has no end.
_MOST_LINES, _LONGEST, _DEEPEST = 300_000, 200_000, 20
_MOST_EXPANSIONS, _MOST_EXPANDED = 100_000, 20_000_000


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; escapes that stand for characters are still in it."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A macro or a request that the page does not define.

    Attributes:
        name: `SH`; `TS`, `EQ`, … for a whole table or drawing.
        arguments: divided at spaces outside of quotation marks; escapes are still in them.
    """

    name: str
    arguments: tuple[str, ...]


class Interpreter:
    """A page, read line by line.

    Attributes:
        translation: the characters that `.tr` has others printed for.
    """

    def __init__(self, text: str, name: str, strings: Mapping[str, str], kept: Collection[str]) -> None:
        """Prepare to read a page.

        Args:
            text: the page.
            name: for error messages.
            strings: those that the macro package defines.
            kept: macros that a page may not define otherwise: what they mean is known.
        """
        self.translation: dict[int, str] = {}
        self._name, self._kept = name, kept
        self._strings, self._macros = dict(strings), dict[str, list[str]]()
        self._registers, self._aliases = dict(_REGISTERS), dict[str, str]()
        self._sources = [iter(text.replace("\r\n", "\n").split("\n"))]
        self._otherwise: list[bool] = []
        self._lines = self._expansions = self._expanded_to = 0

    def __iter__(self) -> Iterator[Text | Call]:
        """Yield what is printed and called.

        Raises:
            InputError: the page's definitions have no end.
        """
        while (line := self._next()) is not None:
            yield from self._read(line)

    def _next(self) -> str | None:
        """The next line of input, joined with those that it goes on in."""
        line = self._raw()
        while line is not None and is_continued(line):
            following = self._raw()
            line = line[:-1] + (following or "")
            if len(line) > _LONGEST:
                raise InputError(f"{self._name}: a line of this page has no end")
        return line

    def _raw(self) -> str | None:
        while self._sources:
            if (line := next(self._sources[-1], None)) is not None:
                self._lines += 1
                if self._lines > _MOST_LINES:
                    raise InputError(f"{self._name}: the macros of this page have no end")
                short = without_comment(line)
                # A line that is all comment is none, and no empty one either.
                return "." if short != line and not short.strip() else short
            self._sources.pop()
        return None

    def _push(self, *lines: str) -> None:
        if len(self._sources) > 10 * _DEEPEST:
            raise InputError(f"{self._name}: a macro of this page calls itself")
        self._sources.append(iter(lines))

    def _read(self, line: str) -> Iterator[Text | Call]:
        if (found := _CONTROL.match(line)) is None:
            text = _without_braces(line)
            if text.strip() or not line.strip():
                yield Text(self._expanded(text))
            return
        name, rest = found["name"], found["rest"].lstrip(" \t")
        name = self._aliases.get(name, name)
        if name in _DEFINITIONS:
            self._define(name, rest)
        elif name in _CONDITIONS:
            self._decide(name, rest)
        elif name == "el":
            self._take_or_skip(self._otherwise.pop() if self._otherwise else False, rest)
        elif name == "ig":
            self._body(rest.strip() or ".")
        elif name in ("do", "nop"):
            self._push(f".{rest}" if name == "do" else rest)
        elif name == "\\{":
            self._push(rest)
        elif name in _DRAWN:
            self._body(_DRAWN[name])
            yield Call(name, ())
        elif name and name != "\\}":
            yield from self._call(name, _without_braces(rest))

    def _call(self, name: str, rest: str) -> Iterator[Call]:
        rest = self._expanded(rest)
        if name in self._macros and name not in self._kept:
            arguments = _arguments(rest)
            self._push(*(self._with_arguments(line, name, arguments) for line in self._macros[name]))
        elif name in ("ds", "ds1", "as", "as1"):
            key, _, value = rest.partition(" ")
            value = value.lstrip(" ").removeprefix('"').replace("\\\\", "\\")
            self._strings[key] = (self._strings.get(key, "") if name.startswith("as") else "") + value
            if len(self._strings[key]) > _LONGEST:
                raise InputError(f"{self._name}: the string {key} of this page has no end")
        elif name == "nr":
            key, _, value = rest.partition(" ")
            self._count(key, value.strip())
        elif name in ("rm", "rr"):
            for key in rest.split():
                self._macros.pop(key, None)
                self._strings.pop(key, None)
        elif name in ("als", "rn"):
            self._rename(name, rest.split())
        elif name == "tr":
            self._translate(plain(rest))
        else:
            yield Call(name, tuple(_arguments(rest)))

    def _define(self, request: str, rest: str) -> None:
        name, _, end = rest.strip().partition(" ")
        body = [line.replace("\\\\", "\\") for line in self._body(end.strip() or ".")]
        self._macros[name] = (self._macros.get(name, []) if request.startswith("am") else []) + body

    def _body(self, end: str) -> list[str]:
        """The lines up to the one that calls `end`."""
        last = re.compile(rf"[.'][ \t]*{re.escape(end)}(\s|$)")
        body: list[str] = []
        while (line := self._raw()) is not None and not last.match(line):
            body.append(line)
        return body

    def _decide(self, request: str, rest: str) -> None:
        holds, rest = split_condition(self._expanded(rest), self._defined)
        holds = holds and request != "while"
        if request == "ie":
            self._otherwise.append(not holds)
        self._take_or_skip(holds, rest)

    def _take_or_skip(self, holds: bool, rest: str) -> None:
        opened = rest.startswith("\\{")
        if holds:
            if rest := rest.removeprefix("\\{").lstrip(" \t"):
                self._push(_without_braces(rest))
            return
        depth = _depth(rest) if opened else 0
        while depth > 0 and (line := self._raw()) is not None:
            depth += _depth(line)

    def _defined(self, letter: str) -> Container[str]:
        return self._registers if letter == "r" else {*self._macros, *self._strings, *self._kept}

    def _count(self, name: str, value: str) -> None:
        number = evaluate(value)[0]
        if value[:1] in ("+", "-"):
            number += self._registers.get(name, 0)
        self._registers[name] = number

    def _rename(self, request: str, names: list[str]) -> None:
        if len(names) < 2:
            return
        old, new = names[:2] if request == "rn" else reversed(names[:2])
        if old in self._macros:
            self._macros[new] = self._macros.pop(old) if request == "rn" else self._macros[old]
        elif old in self._strings:
            self._strings[new] = self._strings.pop(old) if request == "rn" else self._strings[old]
        elif request == "als":
            self._aliases[new] = self._aliases.get(old, old)

    def _translate(self, pairs: str) -> None:
        for one, other in zip(pairs[::2], pairs[1::2], strict=False):
            # ASCII is what was typed. Pages translate names of characters that nothing else prints.
            if not one.isascii():
                self.translation[ord(one)] = other

    def _with_arguments(self, line: str, name: str, arguments: list[str]) -> str:
        def value(sign: str, key: str) -> str:
            if sign == "n" and key == ".$":
                return str(len(arguments))
            if sign != "$":
                return f"\\{sign}[{key}]" if sign != "w" else str(len(key) * 24)
            if key in ("*", "^"):
                return " ".join(arguments)
            if key == "@":
                return " ".join(f'"{argument}"' for argument in arguments)
            if key == "0":
                return name
            number = int(key) if key.isdecimal() and len(key) < 4 else 0
            return arguments[number - 1] if 0 < number <= len(arguments) else ""

        return self._short(expand(line, value))

    def _expanded(self, line: str, depth: int = 0) -> str:
        def value(sign: str, key: str) -> str:
            self._expansions += 1
            if self._expansions > _MOST_EXPANSIONS or self._expanded_to > _MOST_EXPANDED:
                raise InputError(f"{self._name}: the strings of this page have no end")
            if sign == "n":
                return str(self._registers.get(bare_name(key), 0))
            if sign == "w":
                return str(len(plain(key)) * 24)
            key = key.partition(" ")[0]
            if sign == "$" or depth > _DEEPEST or key not in self._strings:
                return ""
            found = self._expanded(self._strings[key], depth + 1)
            self._expanded_to += len(found)
            return found

        return self._short(expand(line, value))

    def _short(self, line: str) -> str:
        if len(line) > _LONGEST:
            raise InputError(f"{self._name}: a line of this page has no end")
        return line


def _arguments(rest: str) -> list[str]:
    return [
        quoted.replace('""', '"') if quoted else word
        for quoted, word in _ARGUMENT.findall(rest.replace("\t", " ").rstrip(" "))
    ]


def _depth(line: str) -> int:
    return sum({"{": 1, "}": -1}.get(brace, 0) for brace in _BRACE.findall(line))


def _without_braces(rest: str) -> str:
    """A line without the brackets of conditions in it."""
    return _BRACE.sub(lambda found: "" if found[1] else found[0], rest) if "\\" in rest else rest
