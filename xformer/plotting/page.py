"""The shell of every HTML page: head, light and dark styles, sections, tables. A page makes no request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xformer.plotting.shapes import COLOURS, SERIES, SHADES
from xformer.plotting.svg import escape

_SCALES = (*(f"s{n}" for n in range(SERIES)), *(f"q{n}" for n in range(SHADES)))


@dataclass(frozen=True)
class Section:
    """A part of a page that its navigation leads to.

    Attributes:
        anchor: its id.
        title: its heading.
        content: HTML.
        text: a paragraph before the content.
    """

    anchor: str
    title: str
    content: str
    text: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is shown.
        value: what it is sorted and filtered by; `text` if left out.
        style: classes of the cell.
        detail: shown after the text, less prominently.
        hint: shown where the pointer rests.
        language: the text's own language; it then runs in its own direction.
    """

    text: str
    value: str | None = None
    style: str = ""
    detail: str = ""
    hint: str = ""
    language: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its head.
        number: whether it holds numbers.
        hidden: it is not shown, but its texts are found by a search.
    """

    name: str
    number: bool = False
    hidden: bool = False


def page(
    title: str,
    sections: Sequence[Section] = (),
    text: str = "",
    *,
    body: str = "",
    styles: str = "",
    scripts: str = "",
) -> str:
    """A page that opens anywhere.

    Args:
        title: of the page.
        sections: in their order; those without content are left out.
        text: a paragraph before all of them.
        body: HTML after the sections.
        styles: CSS after that of every page.
        scripts: `<script>` elements after that of every page.
    """
    sections = [one for one in sections if one.content]
    parts = {
        "title": escape(title),
        "colours": _colours(0),
        "dark": _colours(1),
        "series": " ".join(f".{name} {{ color: var(--{name}); }}" for name in _SCALES),
        "nav": "".join(f'<a href="#{one.anchor}">{escape(one.title)}</a>' for one in sections),
        "text": _paragraph(text),
        "sections": "\n".join(
            f'<section id="{one.anchor}"><h2>{escape(one.title)}</h2>{_paragraph(one.text)}\n'
            f"{one.content}</section>"
            for one in sections
        ),
        "body": body,
        "styles": styles,
        "scripts": scripts,
    }
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    # In one pass: text that looks like a placeholder stays text.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def pictures(figures: Sequence[str]) -> str:
    """Figures and tables side by side; empty if all of them are."""
    return f'<div class="pictures">{"".join(figures)}</div>' if any(figures) else ""


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    styles: Sequence[str] = (),
    filters: Sequence[str] | None = None,
    caption: str = "",
) -> str:
    """A table; on a narrow screen each row is a card.

    Args:
        columns: without names there is no head, and the first column heads the rows.
        rows: a cell for each column.
        styles: a class for each row.
        filters: names of columns to choose rows by. The table can then be searched and sorted, too.
        caption: above the table, which then is a figure.
    """
    searchable = filters is not None
    heads = "".join(_head(column, searchable) for column in columns)
    named = any(column.name for column in columns)
    body = "\n".join(
        f"<tr{_class(style)}>{''.join(map(_cell, columns, row))}</tr>"
        for style, row in zip(styles or [""] * len(rows), rows, strict=True)
    )
    head = f"<thead><tr>{heads}</tr></thead>" if named else ""
    kinds = " ".join(["cards"] * named + ["searchable"] * searchable)
    whole = f'<div class="scroll"><table{_class(kinds)}>{head}<tbody>\n{body}\n</tbody></table></div>'
    if filters is not None:
        whole = f"{_form(columns, rows, filters)}\n{whole}"
    if caption:
        whole = f'<figure class="wide"><figcaption dir="auto">{escape(caption)}</figcaption>{whole}</figure>'
    return whole


def _head(column: Column, sortable: bool) -> str:
    name = escape(column.name)
    inner = f"<button type=button>{name}</button>" if sortable else name
    return f'<th scope="col"{_class(_kinds(column))}>{inner}</th>'


def _cell(column: Column, cell: Cell) -> str:
    kinds = _class(" ".join(filter(None, (_kinds(column), "" if cell.text else "empty", cell.style))))
    detail = f' <span class="soft">{escape(cell.detail)}</span>' if cell.detail else ""
    hint = f' title="{escape(cell.hint)}"' if cell.hint else ""
    language = f' lang="{escape(cell.language)}" dir="auto"' if cell.language else ""
    inner = escape(cell.text) + detail
    if not column.name:
        return f"<td{kinds}{hint}{language}>{inner}</td>"
    value = escape(cell.text if cell.value is None else cell.value)
    return f'<td{kinds}{hint}{language} data-name="{escape(column.name)}" data-value="{value}">{inner}</td>'


def _form(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], filters: Sequence[str]) -> str:
    """A search field, and a choice among the values of each column that has several."""
    choices = ""
    for place, column in enumerate(columns):
        values = sorted({row[place].text for row in rows} - {""})
        if column.name in filters and len(values) > 1:
            options = "".join(f'<option value="{escape(value)}">{escape(value)}</option>' for value in values)
            choices += (
                f'<label>{escape(column.name)}<select data-column="{place}">'
                f'<option value="">all</option>{options}</select></label>'
            )
    return (
        "<noscript><p>Sorting and filtering need JavaScript, which is part of this file.</p></noscript>"
        '<form hidden><label>Search<input type="search" autocomplete="off"></label>'
        f'{choices}<button type="reset">Show all</button>'
        '<output class="soft" aria-live="polite"></output></form>'
    )


def _kinds(column: Column) -> str:
    return " ".join(["number"] * column.number + ["aside"] * column.hidden)


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _colours(which: int) -> str:
    return " ".join(f"--{name}: {pair[which]};" for name, pair in COLOURS.items())
