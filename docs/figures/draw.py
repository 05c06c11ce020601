"""Draw the figures of docs/kernels.md: `python docs/figures/draw.py` writes the SVG files beside itself.

Shapes: M queries and N keys of one sequence; a tile is SIDE by SIDE of them.

Nothing is drawn by hand: masks are those of `xformer.kernels.attention`, numbers come of the recurrence, and
operations a byte are counted as `python -m xformer.kernels.ladder` counts them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from pathlib import Path

import torch

from xformer.kernels.attention.relative_position import distances, visible
from xformer.kernels.device import HOPPER
from xformer.kernels.ladder.counted import kernel_traffic, torch_traffic
from xformer.kernels.ladder.rungs import torch_rungs, triton_rungs

SIDE, CELL = 4, 6
INK, WHOLE, PARTLY, SKIPPED, ACCENT = "#1f2933", "#3b7dbd", "#9cc4e8", "#f1f3f5", "#c4572a"
# A bf16 product of 8192 x 8192 x 8192 and a large copy on an H100: what it gives, not what is printed on it.
H100_FLOPS, H100_BYTES = 798e12, 3.0e12


def main() -> None:
    """Write every figure."""
    for name, content in figures():
        (Path(__file__).parent / name).write_text(content, encoding="utf-8", newline="\n")


def figures() -> Iterator[tuple[str, str]]:
    """Name and content of each."""
    yield "masks.svg", masks()
    yield "online_softmax.svg", online_softmax()
    yield "intensity.svg", intensity()


def masks() -> str:
    """The tiles that are walked under each mask, and in a packed batch."""
    n = 30
    panels = [
        ("bidirectional", False, None),
        ("causal", True, None),
        ("window 12", False, 6),
        ("causal, window 12", True, 6),
    ]
    parts = []
    for number, (title, causal, half) in enumerate(panels):
        seen = visible(distances(n, n, torch.device("cpu")), causal, half)
        parts.append(_panel(20 + number * 205, 40, title, seen, [(0, n)]))
    lengths = (13, 9, 6, 2)
    packed = torch.zeros(n, n, dtype=torch.bool)
    pieces, start = [], 0
    for length in lengths:
        packed[start : start + length, start : start + length] = True
        pieces.append((start, start + length))
        start += length
    parts.append(_panel(20 + 4 * 205, 40, "packed: 13 + 9 + 6 + 2", packed, pieces))
    legend = [
        (WHOLE, "visible to all: no mask is computed"),
        (PARTLY, "visible in part: masked"),
        (SKIPPED, "not walked"),
    ]
    x = 20.0
    for colour, words in legend:
        parts.append(_box(x, 250, 14, 14, colour) + _text(x + 20, 261, words))
        x += 60 + 6.6 * len(words)
    words = f"Tiles of {SIDE} × {SIDE}, queries down, keys across. Dots: the visible pairs of a masked tile."
    parts.append(_text(20, 285, words))
    return _svg(1045, 300, parts)


def _panel(x: float, y: float, title: str, seen: torch.Tensor, pieces: list[tuple[int, int]]) -> str:
    size = seen.shape[0]
    parts = [_text(x, y - 12, title), _box(x, y, size * CELL, size * CELL, "#ffffff", INK)]
    dots = []
    for begin, end in pieces:
        for row in range(begin, end, SIDE):
            for column in range(begin, end, SIDE):
                height, width = min(SIDE, end - row), min(SIDE, end - column)
                tile = seen[row : row + height, column : column + width]
                # Rows beyond the sequence are free; keys beyond it must be hidden.
                whole = bool(tile.all()) and width == SIDE
                colour = WHOLE if whole else PARTLY if bool(tile.any()) else SKIPPED
                left, top = x + column * CELL, y + row * CELL
                parts.append(_box(left, top, width * CELL, height * CELL, colour, "#ffffff"))
                if colour == PARTLY:
                    dots += [(left + j * CELL, top + i * CELL) for i, j in tile.nonzero().tolist()]
    path = "".join(f"M{left + 2:g} {top + 2:g}h2v2h-2z" for left, top in dots)
    return "".join(parts) + f'<path d="{path}" fill="{INK}" fill-opacity="0.55"/>'


def online_softmax() -> str:
    """One row of nine scores, taken in three at a time."""
    scores = [0.3, 1.1, -0.4, 0.8, 2.2, 0.1, 1.5, -0.2, 1.8]
    blocks = [scores[i : i + 3] for i in range(0, 9, 3)]
    parts = []
    greatest, total = -math.inf, 0.0
    for number in range(3):
        x, base = 30 + number * 330, 210.0
        before = greatest
        greatest = max(greatest, *blocks[number])
        shrink = math.exp(before - greatest)
        total = total * shrink + sum(math.exp(s - greatest) for s in blocks[number])
        rule = (
            "first block" if number == 0 else f"all before times e^({before:g} − {greatest:g}) = {shrink:.3f}"
        )
        parts.append(_text(x, 30, f"block {number + 1}: {', '.join(f'{s:g}' for s in blocks[number])}"))
        parts.append(_text(x, 50, f"m = {greatest:g}   l = {total:.3f}"))
        parts.append(_text(x, 70, rule, ACCENT if number else INK))
        parts.append(f'<path d="M{x} {base}h290" stroke="{INK}"/>')
        for place, score in enumerate(scores[: 3 * number + 3]):
            height = 110 * math.exp(score - greatest)
            left = x + 4 + place * 32
            old = place < 3 * number
            if old:
                earlier = 110 * math.exp(score - before)
                parts.append(_box(left, base - earlier, 24, earlier, "none", ACCENT, "3 2"))
            parts.append(_box(left, base - height, 24, height, PARTLY if old else WHOLE))
            parts.append(_text(left, base + 15, f"{math.exp(score - greatest):.2f}", size=11))
    weights = ", ".join(f"{math.exp(s - greatest) / total:.3f}" for s in scores)
    parts.append(
        _text(30, 255, f"in the end, divided by l = {total:.3f}, the softmax of all nine:   {weights}")
    )
    parts.append(_text(30, 277, "dashed: as high as it was, relative to the maximum before", ACCENT))
    return _svg(1010, 295, parts)


def intensity() -> str:
    """Operations a byte of each rung, under what an H100's memory would allow if no cache helped."""
    length, head_size = 4096, 64
    points = [(r.name, torch_traffic(r.attend, length, head_size).intensity) for r in torch_rungs()]
    for rung in triton_rungs():
        if rung.name in ("online_softmax", "tiles"):
            queries = rung.queries(HOPPER, head_size)
            points.append((rung.name, kernel_traffic(queries, length, head_size).intensity))
    points.append(("everything read once", float(length) / 2))

    def place(operations_a_byte: float) -> tuple[float, float]:
        reached = min(H100_FLOPS, H100_BYTES * operations_a_byte)
        return 90 + 105 * math.log2(operations_a_byte) / 2, 300 - 26 * math.log2(reached / 1e12)

    line = " ".join(f"{x:g},{y:.1f}" for x, y in map(place, (1.0, H100_FLOPS / H100_BYTES, 4096.0)))
    parts = [f'<polyline points="{line}" fill="none" stroke="{INK}" stroke-width="2"/>']
    parts.append('<path d="M90 20V300H740" fill="none" stroke="#9aa5b1"/>')
    for power in range(0, 13, 2):
        parts.append(_text(place(2.0**power)[0] - 8, 318, f"{2**power}", size=12))
    for terms in (3, 30, 300):
        parts.append(_text(46, 304 - 26 * math.log2(terms), f"{terms}", size=12))
    parts.append(_text(330, 338, "operations a byte asked of memory"))
    parts.append(_text(10, 14, "TFLOP/s that memory allows"))
    for name, value in points:
        x, y = place(value)
        under = {"everything read once": (-60.0, 24.0)}.get(name, (12.0, 14.0))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{ACCENT}"/>')
        parts.append(_text(x + under[0], y + under[1], f"{name}: {value:.0f}"))
    ridge = place(H100_FLOPS / H100_BYTES)
    parts.append(_text(ridge[0] - 30, ridge[1] - 14, f"ridge: {H100_FLOPS / H100_BYTES:.0f}"))
    return _svg(830, 350, parts)


def _svg(width: int, height: int, parts: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif">\n{_box(0, 0, width, height, "#ffffff")}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _box(
    x: float, y: float, width: float, height: float, fill: str, stroke: str = "none", dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<rect x="{x:g}" y="{y:.1f}" width="{width:g}" height="{height:.1f}" fill="{fill}" '
        f'stroke="{stroke}"{dashed}/>'
    )


def _text(x: float, y: float, words: str, colour: str = INK, size: int = 13) -> str:
    return f'<text x="{x:g}" y="{y:.1f}" fill="{colour}" font-size="{size}">{escape(words)}</text>'


if __name__ == "__main__":
    main()
