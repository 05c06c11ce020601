"""The panel as a terminal shows it: as many languages, and as much of each, as there is room for.

Three ways, the first that fits: language, retrieval, bits per byte, share asked for and share seen; the first
three; the first three of the languages that retrieval serves worst. Where a terminal is too narrow for three,
it is the first two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

if TYPE_CHECKING:
    from xformer.evaluation.panel import Reading

_BETWEEN, _KEPT_FREE = 3, 10
"""Columns of space between two languages; rows for what lies above and below them."""


class PanelTable:
    """A reading, drawn anew for the width and height of the terminal."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        reading = self._reading
        for line in reading.headlines():
            yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")
        tags = sorted(reading.top1, key=lambda tag: (-reading.top1[tag], tag))
        if not tags:
            return
        name = max(4, *map(len, tags))
        height = max(4, (options.height or console.height) - _KEPT_FREE)
        narrow = options.max_width < name + len(" top-1 bits/B")
        for shares in (False,) if narrow else (True, False):
            heading = f"{'':{name}} top-1"
            heading += "" if narrow else " bits/B" + ("  asked   seen" if shares else "")
            columns = max(1, (options.max_width + _BETWEEN) // (len(heading) + _BETWEEN))
            if len(tags) <= columns * height:
                break
        left_out = max(0, len(tags) - columns * height)
        tags = tags[left_out:]
        rows = -(-len(tags) // columns)
        columns = -(-len(tags) // rows)
        between = " " * _BETWEEN
        yield Text(between.join([heading] * columns), style="dim", no_wrap=True)
        for row in range(rows):
            cells = Text(no_wrap=True)
            for place in range(row, len(tags), rows):
                cells.append(between if place > row else "")
                cells.append_text(self._cell(tags[place], name, bits=not narrow, shares=shares))
            yield cells
        if left_out:
            yield Text(f"and {left_out} more with higher top-1", style="dim", no_wrap=True)

    def _cell(self, tag: str, name: int, *, bits: bool, shares: bool) -> Text:
        reading = self._reading
        cell = Text(f"{tag:{name}}", style="bold")
        cell.append(f" {reading.top1[tag]:5.2f}", style="not bold green")
        if bits:
            found = reading.bits_per_byte.get(tag)
            cell.append(f" {found:6.2f}" if found is not None else " " * 7, style="not bold cyan")
        if shares:
            for share, style in ((reading.asked, "not bold dim"), (reading.seen, "not bold")):
                cell.append(f" {100 * share[tag]:5.1f}%" if tag in share else " " * 7, style=style)
        return cell
