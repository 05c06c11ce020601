"""`xformer settings`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from xformer.runs.reference import Setting


@dataclass(frozen=True)
class Settings:
    """Show the settings of training: names, values, defaults, units, meanings, and those of a run.

    xformer settings

    xformer settings d_model optimizer

    xformer settings --search "learning rate"

    xformer settings --run runs/demo --changed

    xformer settings --schema > xformer.schema.json
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Settings, such as model.d_model or d_model, or tables, such as model. Left out: all."""
    search: str | None = None
    """Only those with these words in their name or meaning."""
    run: Path | None = None
    """Show the values of this run beside the defaults."""
    changed: bool = False
    """With --run: only settings whose value in the run is not the default."""
    json: bool = False
    """Print one JSON list and nothing else on standard output."""
    markdown: bool = False
    """Print the page docs/settings.md."""
    schema: bool = False
    """Print JSON Schema (draft 2020-12) of files of settings, for editors; see docs/settings.md."""

    def run_command(self) -> int:
        """Print the settings, and return the exit status."""
        from xformer.runs.find import find_run
        from xformer.runs.reference import all_settings, find, markdown, search
        from xformer.storage.describe import value_of

        if self.markdown:
            if self.names or self.search or self.run or self.changed or self.json or self.schema:
                raise InputError("--markdown: expected no other option; the page has all settings")
            print(markdown(), end="")
            return 0
        if self.schema:
            from xformer.runs.settings_schema import settings_schema

            if self.names or self.search or self.run or self.changed or self.json:
                raise InputError("--schema: expected no other option; the schema has all settings")
            print(json.dumps(settings_schema(), indent=2, ensure_ascii=False))
            return 0
        if self.changed and self.run is None:
            raise InputError("--changed: expected --run as well")
        found = all_settings()
        found = find(self.names, found) if self.names else found
        found = search(self.search, found) if self.search else found
        values: dict[str, Any] | None = None
        if self.run is not None:
            config = find_run(self.run).load_config()
            values = {one.name: value_of(config, one.name) for one in found}
            if self.changed:
                found = [one for one in found if values[one.name] != one.about.default]
        if self.json:
            of_run = {} if values is None else values
            print(
                json.dumps(
                    [one.to_json() | _value(one, of_run) for one in found], indent=2, ensure_ascii=False
                )
            )
        else:
            self._show(found, values)
        return 0

    def _show(self, found: Sequence[Setting], values: dict[str, Any] | None) -> None:
        from rich.console import Console

        console = Console(highlight=False)
        if not found:
            console.print("All of these have their defaults.")
        elif len(found) <= 3 and (self.names or self.search):
            for one in found:
                _print_one(console, one, values)
        else:
            _print_tables(console, found, values)


def _value(one: Setting, values: dict[str, Any]) -> dict[str, Any]:
    """The run's value, for JSON."""
    from dataclasses import asdict

    from xformer.data.source_rules import SourceRule

    if one.name not in values:
        return {}
    value = values[one.name]
    if isinstance(value, tuple):
        value = [asdict(item) if isinstance(item, SourceRule) else item for item in value]
    return {"value": value}


def _print_one(console: Console, one: Setting, values: dict[str, Any] | None) -> None:
    """A setting in full."""
    from rich.table import Table
    from rich.text import Text

    from xformer.storage.toml import spelled

    table = Table(title=Text(one.name, style="bold"), title_justify="left", show_header=False, box=None)
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    rows = [("meaning", one.about.meaning), ("values", one.values), ("unit", one.about.unit)]
    rows.append(("default", spelled(one.about.default)))
    if values is not None:
        differs = values[one.name] != one.about.default
        rows.append(("in the run", spelled(values[one.name]) + (" (not the default)" if differs else "")))
    rows += [("may change", one.changes), ("acts", one.acts), ("earlier names", ", ".join(one.was))]
    rows.append(("example", f"--set {one.name}={_example(one, spelled)}"))
    for what, text in rows:
        if text:
            table.add_row(f"  {what}", Text(text))
    console.print(table)


def _example(one: Setting, spelled: Callable[[Any], str]) -> str:
    """Another value than the default where there are choices; otherwise the default."""
    choices = [choice for choice in one.about.choices if choice != one.about.default]
    if one.about.kind == "choice" and choices:
        return choices[0]
    if one.about.kind == "true or false":
        return spelled(not one.about.default)
    if one.name == "data.sources":
        return """'[{pattern = "cldr-*/*", weight = 0.2, min_chars = 20}]'"""
    text = spelled(one.about.default)
    return f"'{text}'" if one.about.kind.startswith("list") else text


def _print_tables(console: Console, found: Sequence[Setting], values: dict[str, Any] | None) -> None:
    """A table for each table of settings, with a line for each setting."""
    from itertools import groupby

    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from xformer.storage.toml import spelled

    for group, members in groupby(found, key=lambda one: one.group):
        table = Table(title=Text(group, style="bold"), title_justify="left", box=SIMPLE_HEAD, expand=True)
        table.add_column("setting", no_wrap=True)
        if values is not None:
            table.add_column("run", overflow="fold")
        table.add_column("default", overflow="fold", max_width=16)
        table.add_column("values", max_width=22)
        table.add_column("meaning", ratio=1)
        for one in members:
            row = [Text(one.name.removeprefix(f"{group}."))]
            if values is not None:
                differs = values[one.name] != one.about.default
                mark = ("* ", "bold") if differs else ("  ", "")
                row.append(Text(mark[0] + spelled(values[one.name]), style=mark[1]))
            unit = one.about.unit or ("" if one.about.kind in ("text", "true or false") else one.values)
            row += [Text(spelled(one.about.default)), Text(unit), Text(one.summary)]
            table.add_row(*row)
        console.print(table)
    if values is not None:
        console.print("* not the default", style="dim")
    console.print("`xformer settings NAME` shows one in full.", style="dim")
