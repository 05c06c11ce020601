"""A step of a decoder with a cache: its new tokens attend to themselves and to what the cache keeps.

Shapes: G groups, W hypotheses of each, H heads, D head size, C d_model, n tokens that are kept, S longest
source, T new tokens of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xformer.kernels import attention, attention_step, relative_buckets
from xformer.model.cache import DecoderCache
from xformer.model.context import AttentionContext
from xformer.model.layers import Attention
from xformer.model.packed import Packed

MOST_SHARED = 16
"""Up to so many hypotheses look at the keys of their whole group; of more, each gets a copy of its own."""


@dataclass
class CacheStep:
    """Some new tokens of each row, and what all layers need to attend to them and to earlier ones.

    Attributes:
        cache: which holds the earlier ones.
        batch: the new ones, their positions those in the whole row.
        before: of each group, the tokens there were before.
        counts: of each group, the new ones a row.
    """

    cache: DecoderCache
    batch: Packed
    before: list[int]
    counts: list[int]

    def __post_init__(self) -> None:
        one_each = all(count == 1 for count in self.counts)
        #: whether each row has one new token, so that keys need not be packed
        self.dense = one_each
        #: the position of each new token, where they have the same; otherwise None
        self.at = self.before[0] if one_each and len(set(self.before)) == 1 else None
        rows = self.batch.sequence_ids()
        self.group, self.beam = rows // self.cache.n_beams, rows % self.cache.n_beams
        self.biases: dict[bool, Tensor | None] = {}

    def layer(self, number: int) -> StepLayer:
        """The keys and values of one layer."""
        return StepLayer(self, number)

    def bias(self, context: AttentionContext, dtype: torch.dtype) -> Tensor | None:
        """What a kind of layer adds to the scores of a dense step: (G, H, W, n·W), (G·W, H, 1, n) or None."""
        kind = context.window is None
        if kind not in self.biases:
            self.biases[kind] = self._bias(context, dtype)
        return self.biases[kind]

    def _bias(self, context: AttentionContext, dtype: torch.dtype) -> Tensor | None:
        cache, device = self.cache, self.batch.tokens.device
        n, beams = cache.length, cache.n_beams
        time = torch.arange(n, device=device)
        here = torch.tensor(self.before if self.at is None else self.before[:1], device=device)
        distance = time - here[:, None]  # (G or 1, n): key - query
        added = None
        if context.alibi_slopes is not None:
            added = -context.alibi_slopes.to(dtype)[:, None] * distance[:, None].abs()  # (G, H, n)
        if context.bias_table is not None:
            rows = relative_buckets(distance, len(context.bias_table), context.bias_max_distance, False)
            added = context.bias_table[rows].movedim(-1, 1).to(dtype)
        seen = distance <= 0
        if context.window is not None:
            seen = seen & (distance >= -(context.window // 2))
        if beams == 1 or beams > MOST_SHARED:
            if added is None and (self.at is not None and (context.window is None or bool(seen.all()))):
                return None
            hidden = torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(~seen, -torch.inf)
            hidden = (hidden[:, None] if added is None else added + hidden[:, None])[:, :, None]
            return hidden if len(hidden) == 1 else hidden.repeat_interleave(beams, 0)  # (G·W, H, 1, n)
        slots = torch.arange(beams, device=device)
        its = cache.ancestors[:, :, :n, None] == slots  # (G, W, n, W)
        its = its & seen[:, None, :, None]
        hidden = torch.zeros(its.shape, dtype=dtype, device=device).masked_fill(~its, -torch.inf)[:, None]
        if added is not None:
            hidden = hidden + added[:, :, None, :, None]
        return hidden.flatten(3)


@dataclass(frozen=True)
class StepLayer:
    """One layer's keys and values in a step: a `LayerCache`."""

    step: CacheStep
    number: int

    def attend(self, attention: Attention, x: Tensor, context: AttentionContext) -> Tensor:
        """Outputs of the heads (T, H, D) for new tokens (T, C), which also see the earlier ones."""
        if attention.cross:
            return self._over_memory(attention.queries(x), context)
        q, k, v = attention.qkv(x, context)
        self._append(self.step.cache.keys[self.number], k)
        self._append(self.step.cache.values[self.number], v)
        return self._over_tokens(q, context)

    def _append(self, kept: Tensor, new: Tensor) -> None:
        step, cache = self.step, self.step.cache
        if step.at is not None:
            rows = new.view(cache.n_groups, cache.n_beams, *new.shape[1:])
            kept[:, :, step.at] = rows.transpose(1, 2)
        else:
            kept[step.group, :, step.batch.positions, step.beam] = new

    def _over_tokens(self, q: Tensor, context: AttentionContext) -> Tensor:
        step, cache = self.step, self.step.cache
        keys, values = cache.keys[self.number], cache.values[self.number]
        if step.dense:
            n, bias = cache.length, step.bias(context, q.dtype)
            if cache.n_beams > MOST_SHARED:
                k, v = (self._own(kept[:, :, :n]) for kept in (keys, values))
                return attention_step(q[:, :, None], k, v, bias)[:, :, 0]
            k, v = (kept[:, :, :n].flatten(2, 3) for kept in (keys, values))
            return _rows(attention_step(_by_group(q, cache), k, v, bias))
        group, beam, time, starts = _places(cache, q.device)
        slot = cache.ancestors[group, beam, time]
        k, v = (kept[group, :, time, slot] for kept in (keys, values))
        options = context.options() | {"cu_seqlens_k": starts, "max_length_k": cache.length}
        return attention(q, k, v, context.batch.cu_seqlens, **options)

    def _own(self, kept: Tensor) -> Tensor:
        """Each hypothesis' own keys or values, (G·W, H, n, D), of those of all slots (G, H, n, W, D)."""
        slots = self.step.cache.ancestors[:, :, : kept.shape[2]].transpose(1, 2)
        own = kept.gather(3, slots[:, None, :, :, None].expand_as(kept))
        return own.permute(0, 3, 1, 2, 4).flatten(0, 1)

    def _over_memory(self, q: Tensor, context: AttentionContext) -> Tensor:
        step, cache = self.step, self.step.cache
        keys, values = cache.memory_keys[self.number], cache.memory_values[self.number]
        if self.number == len(cache.keys) - 1:
            self._cover(q, keys)
        if step.dense:
            return _rows(attention_step(_by_group(q, cache), keys, values, cache.memory_bias))
        # All queries of a group are one sequence: nothing is causal here.
        seen, starts = cache.memory_seen, context.batch.cu_seqlens[:: cache.n_beams].contiguous()
        ends = torch.tensor((0, *cache.source_lengths), device=q.device).cumsum(0)
        k, v = (kept.transpose(1, 2)[seen] for kept in (keys, values))
        return attention(q, k, v, starts, ends.to(starts.dtype))

    def _cover(self, q: Tensor, keys: Tensor) -> None:
        """Add the attention of the new tokens (T, H, D) to the coverage."""
        step, cache = self.step, self.step.cache
        if cache.coverage is None:
            return
        hidden = ~cache.memory_seen[step.group]
        score = torch.einsum("thd,thsd->ths", q, keys[step.group]) / q.shape[2] ** 0.5
        lowest = torch.finfo(score.dtype).min
        share = torch.softmax(score.masked_fill(hidden[:, None], lowest), -1).mean(1).masked_fill(hidden, 0.0)
        rows = cache.coverage.flatten(0, 1).index_add(0, step.group * cache.n_beams + step.beam, share)
        cache.coverage = rows.view_as(cache.coverage)


def next_step(cache: DecoderCache, tokens: Tensor, counts: Sequence[int] | None) -> CacheStep:
    """Lay out the next tokens; see `xformer.model.decoder.Decoder.extend`."""
    if counts is not None and all(count == 1 for count in counts):
        counts = None
    total = cache.n_rows if counts is None else sum(counts) * cache.n_beams
    if len(tokens) != total or (counts is not None and len(counts) != cache.n_groups):
        raise ValueError(f"tokens: expected {total} for {cache.n_rows} rows, got {len(tokens)}")
    counts = [1] * cache.n_groups if counts is None else list(counts)
    before = list(cache.lengths)
    cache.lengths = [length + count for length, count in zip(before, counts, strict=True)]
    cache.reserve(cache.length)
    step = CacheStep(cache, _layout(tokens, before, counts, cache.n_beams), before, counts)
    own = torch.arange(cache.n_beams, device=tokens.device)
    if step.at is not None:
        cache.ancestors[:, :, step.at] = own
    else:
        cache.ancestors[step.group, step.beam, step.batch.positions] = step.beam
    return step


def _by_group(q: Tensor, cache: DecoderCache) -> Tensor:
    """(G·W, H, D) to (G, H, W, D)."""
    return q.view(cache.n_groups, cache.n_beams, *q.shape[1:]).transpose(1, 2)


def _rows(out: Tensor) -> Tensor:
    """The inverse of `_by_group`."""
    return out.transpose(1, 2).flatten(0, 1)


def _places(cache: DecoderCache, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Group, hypothesis and position of each token of each row, and where each row begins."""
    lengths = torch.tensor([length for length in cache.lengths for _ in range(cache.n_beams)], device=device)
    rows = torch.arange(cache.n_rows, device=device).repeat_interleave(lengths)
    starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    time = torch.arange(len(rows), device=device) - starts[:-1].repeat_interleave(lengths)
    return rows // cache.n_beams, rows % cache.n_beams, time, starts.int()


def _layout(tokens: Tensor, before: Sequence[int], counts: Sequence[int], beams: int) -> Packed:
    """The new tokens of each row, packed, at their positions in the whole row."""
    device = tokens.device
    lengths = [count for count in counts for _ in range(beams)]
    sizes = torch.tensor(lengths)
    first = torch.tensor([start for start in before for _ in range(beams)])
    starts = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    torch.cumsum(sizes, 0, out=starts[1:])
    shift = (first - starts[:-1]).repeat_interleave(sizes)
    positions = torch.arange(len(tokens)) + shift
    order = torch.arange(len(lengths))
    return Packed(tokens, positions.to(device), starts.int().to(device), tuple(lengths), order.to(device))
