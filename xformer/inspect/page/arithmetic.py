"""What the page needs to show how one attention weight comes about, in numbers that add up.

Letters: n tokens of the text, L layers, H heads, D head size.

    score[i, j] = scale · q[i] · k[j] + bias[j - i]         weight[i, j] = exp(score[i, j] - lse[i])

With rotary positions q and k are turned by their positions before they are multiplied, and there is no bias.
The page keeps them as they were multiplied, and turns them back to show what the product was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.inspect.page.blobs import Blobs
from xformer.inspect.page.collect import WEIGHTS, Extra, Traced
from xformer.inspect.page.payload import JSON
from xformer.kernels.attention.relative_position import relative_buckets
from xformer.model.config import ModelConfig
from xformer.model.positions import alibi_slopes

BUDGET = 1_100_000
"""Bytes that queries and keys may take in a page, before base64, which adds a third."""

NEEDS = ("q", "k", "lse")
"""What a trace keeps of each layer's attention for the arithmetic."""

_CHANGED = 0.01
_WIDTHS = (("int16", 2), ("int8", 1))


@dataclass(frozen=True)
class Rows:
    """Vectors as whole numbers: `values * scale`, one scale a vector.

    Attributes:
        values: (…, D) int16 or int8.
        scale: (…) fp32.
    """

    values: NDArray[np.signedinteger]
    scale: NDArray[np.float32]

    def decode(self) -> NDArray[np.float64]:
        """The vectors (…, D) as the browser will have them."""
        return self.values.astype(np.float64) * self.scale[..., None].astype(np.float64)


def whole_numbers(rows: NDArray[np.floating], kind: str) -> Rows:
    """Round each vector to whole numbers, of which its largest coordinate is the largest.

    Args:
        rows: (…, D).
        kind: `int16` or `int8`.
    """
    most = np.iinfo(kind).max
    scale = (np.abs(rows).max(axis=-1) / most).astype(np.float32)
    safe = np.where(scale > 0, scale, 1)[..., None]
    return Rows(np.clip(np.rint(rows / safe), -most, most).astype(kind), scale)


def bias_by_distance(config: ModelConfig, table: Tensor | None, n: int) -> NDArray[np.float32] | None:
    """What a score gains by distance: (H, 2n - 1) for `j - i` from -(n - 1) to n - 1; None for nothing.

    Args:
        config: of the model.
        table: (K, H), the weight of T5's bias, where the model has one.
        n: tokens of the text, at least 1.
    """
    distance = torch.arange(-(n - 1), n)
    if config.positions == "alibi":
        return (-alibi_slopes(config.n_heads)[:, None] * distance.abs()).float().numpy()
    if config.positions == "t5" and table is not None:
        bucket = relative_buckets(distance, table.shape[0], config.t5_max_distance)
        return table.detach().float().cpu()[bucket].T.contiguous().numpy()
    return None


def scores(
    q: NDArray[np.floating],
    k: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    half_window: int | None,
) -> NDArray[np.float64]:
    """Scores (H, n, n) in fp64 of queries and keys (n, H, D), -inf where the window hides a key."""
    n = len(q)
    product = np.einsum("ihd,jhd->hij", q.astype(np.float64), k.astype(np.float64)) * q.shape[-1] ** -0.5
    distance = np.arange(n) - np.arange(n)[:, None]
    if bias is not None:
        product += bias[:, distance + n - 1]
    if half_window is not None:
        product[:, np.abs(distance) > half_window] = -np.inf
    return product


def arithmetic(trace: Traced, text: int, blobs: Blobs, budget: int = BUDGET) -> JSON:
    """The part `arithmetic` of a run, for one text.

    Args:
        trace: holds `attn.q`, `attn.k`, `attn.lse` and `attn.weights` of all layers.
        text: its number in the trace.
        blobs: takes the arrays.
        budget: bytes that queries and keys may take.

    Returns:
        `scale`; `positions`, how they enter; `bias`, a blob (H, 2n - 1) or None; `rotary`, the base of each
        layer or None; `windows`, tokens to either side in each layer or None; `kind` of the numbers; `error`,
        the largest differences of a score and of a weight that their rounding makes; and for each layer the
        blobs `q` and `k` (n, H, D), `q_scale` and `k_scale` (n, H) and `lse` (n, H). Where they would take
        more than the budget, or where an intervention changed the weights, only `why`.
    """
    config = trace.subject.config
    n, layers = len(trace.texts[text].ids), range(config.n_layers)
    values = 2 * config.n_layers * n * config.d_model
    kind = next((kind for kind, width in _WIDTHS if values * width <= budget), None)
    if kind is None:
        most = budget // (2 * config.n_layers * config.d_model)
        much = f"{values / 1e6:.1f} MB, more than the {budget / 1e6:.1f} MB that are left for them"
        return {
            "why": f"Queries and keys of {n} tokens take {much}. A page of at most {most} tokens has them."
        }
    bias = bias_by_distance(config, _table(trace), n)
    kept: list[dict[str, NDArray[np.generic]]] = []
    worst_score = worst_weight = 0.0
    for layer in layers:
        q, k, lse = (_array(trace, f"layers.{layer}.attn.{name}", text) for name in ("q", "k", "lse"))
        short = whole_numbers(q, kind), whole_numbers(k, kind)
        half = _half_window(config, layer)
        true = scores(q, k, bias, half)
        shown = scores(short[0].decode(), short[1].decode(), bias, half)
        seen = np.isfinite(true)
        rows = lse.T[:, :, None].astype(np.float64)
        from_scores = np.where(seen, np.exp(true - rows), 0)
        if _largest(from_scores - _array(trace, WEIGHTS.format(layer), text)) > _CHANGED:
            return {
                "why": f"An intervention changed the weights of layer {layer}: they follow from no scores."
            }
        worst_score = max(worst_score, _largest((shown - np.where(seen, true, 0))[seen]))
        worst_weight = max(worst_weight, _largest((np.exp(shown - rows) - np.exp(true - rows))[seen]))
        names = ("q", short[0].values), ("k", short[1].values), ("lse", lse.astype(np.float32))
        scales = ("q_scale", short[0].scale), ("k_scale", short[1].scale)
        kept.append(dict((*names, *scales)))
    return {
        "scale": config.d_head**-0.5,
        "positions": config.positions,
        "bias": None if bias is None else blobs.add(bias),
        "rotary": _bases(config, layers) if config.positions == "rotary" else None,
        "windows": [_half_window(config, layer) for layer in layers],
        "kind": kind,
        "error": {"score": worst_score, "weight": worst_weight},
        "layers": [{name: blobs.add(array) for name, array in arrays.items()} for arrays in kept],
    }


def arithmetic_part(budget: int = BUDGET) -> Extra:
    """The arithmetic of each weight; `budget` is the bytes that queries and keys of all texts may take.

    A trace that kept no queries, keys or log-sum-exps gets no such part.
    """

    def part(trace: Traced, blobs: Blobs) -> dict[str, JSON]:
        layers = range(trace.subject.config.n_layers)
        if any(f"layers.{layer}.attn.{name}" not in trace.names for layer in layers for name in NEEDS):
            return {}
        tokens = [len(text.ids) for text in trace.texts]
        shares = [budget * one // max(sum(tokens), 1) for one in tokens]
        return {"arithmetic": [arithmetic(trace, text, blobs, share) for text, share in enumerate(shares)]}

    return part


def _bases(config: ModelConfig, layers: Sequence[int]) -> list[float]:
    return [config.rotary_base if config.is_global(one) else config.rotary_base_local for one in layers]


def _half_window(config: ModelConfig, layer: int) -> int | None:
    return None if config.window is None or config.is_global(layer) else config.window // 2


def _table(trace: Traced) -> Tensor | None:
    bias = getattr(trace.subject.network.encoder, "relative_bias", None)
    return None if bias is None else bias.weight


def _array(trace: Traced, name: str, text: int) -> NDArray[np.float32]:
    return trace[name][text].detach().float().cpu().numpy()


def _largest(differences: NDArray[np.float64]) -> float:
    return float(np.abs(differences).max(initial=0.0))
