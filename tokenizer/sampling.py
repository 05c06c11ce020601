"""Random segmentations for subword regularisation, from an explicit seed.

A draw depends on its arguments only. SentencePiece's own sampling uses one generator per thread, so a draw
depends on all earlier draws of the process.
"""

from __future__ import annotations

import math
import random

from .pieces import PieceTable
from .special import FIRST_BYTE_ID


def sample_unigram(table: PieceTable, text: str, alpha: float, seed: int) -> list[int]:
    """Forward filtering, backward sampling over the lattice of all segmentations (Kudo 2018, section 3.2).

    `forward[i]` is the log of the summed weights of all segmentations of the first i characters. From the end
    to the front, the last piece of a prefix is drawn with probability
    exp(forward[start] + alpha·score − forward[end]). A character without a piece is an edge of byte pieces,
    with a score 10 below the lowest, as in SentencePiece.
    """
    if not text:
        return []
    text = " " + text
    learnt, longest = table.learnt, table.longest
    scores = table.scores
    unknown = float(scores.min()) - 10.0
    size = len(text)
    forward = [0.0] + [-math.inf] * size
    edges: list[list[tuple[int, int, float]]] = [[] for _ in range(size + 1)]
    for end in range(1, size + 1):
        into = edges[end]
        for begin in range(max(0, end - longest), end):
            found = learnt.get(text[begin:end])
            if found is not None:
                into.append((begin, found, forward[begin] + alpha * float(scores[found])))
            elif begin == end - 1:
                into.append((begin, -1, forward[begin] + alpha * unknown))
        top = max(weight for _, _, weight in into)
        forward[end] = top + math.log(sum(math.exp(weight - top) for _, _, weight in into))
    draw = random.Random(seed)
    ids: list[int] = []
    end = size
    while end:
        begin, found = _choose(edges[end], forward[end], draw)
        ids += [found] if found >= 0 else _spelled(text[begin], backwards=True)
        end = begin
    ids.reverse()
    return ids


def _choose(edges: list[tuple[int, int, float]], total: float, draw: random.Random) -> tuple[int, int]:
    left = draw.random()
    for begin, found, weight in edges:
        left -= math.exp(weight - total)
        if left < 0:
            return begin, found
    begin, found, _ = edges[-1]  # because of rounding
    return begin, found


def sample_bpe(table: PieceTable, text: str, alpha: float, seed: int) -> list[int]:
    """BPE-dropout (Provilkov et al. 2020): every step drops each possible merge with probability alpha.

    Words are cut separately, which is faster and gives the same result, because no merge crosses a space.
    """
    if not text:
        return []
    draw = random.Random(seed)
    ids: list[int] = []
    for word in _words(" " + text):
        for part in _merge(table, word, alpha, draw):
            found = table.learnt.get(part)
            ids += [found] if found is not None else _spelled(part)
    return ids


def _merge(table: PieceTable, word: str, alpha: float, draw: random.Random) -> list[str]:
    learnt, scores = table.learnt, table.scores
    parts = list(word)
    while len(parts) > 1:
        best_score, best = -math.inf, -1
        for i in range(len(parts) - 1):
            found = learnt.get(parts[i] + parts[i + 1])
            if found is None or scores[found] <= best_score:
                continue
            if alpha == 0.0 or draw.random() >= alpha:
                best_score, best = scores[found], i
        if best < 0:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def _words(text: str) -> list[str]:
    """Cut before every space that follows another character."""
    words = [text[0]]
    for character in text[1:]:
        if character == " " and words[-1].strip(" "):
            words.append(character)
        else:
            words[-1] += character
    return words


def _spelled(text: str, *, backwards: bool = False) -> list[int]:
    ids = [FIRST_BYTE_ID + byte for byte in text.encode()]
    return ids[::-1] if backwards else ids
