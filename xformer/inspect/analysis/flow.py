"""Attention flow: the largest flow from a token's state back to an input token, through all layers'
attention.

Shapes: L layers, H heads, n tokens of one text, V nodes, E edges.

The layers are a network. Each token's state after each layer is a node, (L + 1) n in all; from token i after
layer l an edge leads to token j after layer l - 1, which can carry

    Â_l[i, j] = (1 - r) mean_h A_l[h, i, j] + r [i = j]

The flow of (i, j) is the most that can go from i after the last layer to the input of j: by the theorem of
Ford and Fulkerson, the smallest capacity whose removal parts the two. Abnar and Zuidema (2020), "Quantifying
Attention Flow in Transformers". Unlike rollout, it is bounded by the narrowest place, and does not sum to 1
over j.

What it is not: a measure of causal importance; see `rollout`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from xformer.inspect.analysis.rollout import mixing

LABEL = "attention flow: capacity of attention weights alone, no measure of causal importance"
"""What a figure of flow is to say."""

_NOTHING = 1e-12
"""A capacity that rounding left over."""


class FlowNetwork:
    """A directed network with capacities, in which the largest flow between two nodes is found.

    By the algorithm of Dinic (1970): shortest paths are filled until none is left, in O(V² E).
    """

    def __init__(self, nodes: int) -> None:
        self._out: list[list[int]] = [[] for _ in range(nodes)]
        self._to: list[int] = []
        self._capacity: list[float] = []

    def edge(self, start: int, end: int, capacity: float) -> None:
        """Add an edge, and the one back, which undoes its flow."""
        for node, other, most in ((start, end, capacity), (end, start, 0.0)):
            self._out[node].append(len(self._to))
            self._to.append(other)
            self._capacity.append(most)

    def largest(self, source: int, sink: int) -> float:
        """The largest flow from `source` to `sink`; the network stays as it is.

        Raises:
            ValueError: they are the same node.
        """
        if source == sink:
            raise ValueError(f"largest: expected two different nodes, got {source} twice")
        left, total = self._capacity.copy(), 0.0
        while (depth := self._depths(left, source, sink))[sink] >= 0:
            tried = [0] * len(self._out)
            while (pushed := self._push(left, depth, tried, source, sink)) > 0:
                total += pushed
        return total

    def _depths(self, left: Sequence[float], source: int, sink: int) -> list[int]:
        """Each node's distance from the source along edges that can carry more; -1 out of reach."""
        depth = [-1] * len(self._out)
        depth[source] = 0
        waiting = deque([source])
        while waiting and depth[sink] < 0:
            node = waiting.popleft()
            for edge in self._out[node]:
                if left[edge] > _NOTHING and depth[other := self._to[edge]] < 0:
                    depth[other] = depth[node] + 1
                    waiting.append(other)
        return depth

    def _push(
        self, left: list[float], depth: Sequence[int], tried: list[int], source: int, sink: int
    ) -> float:
        """Fill one shortest path; how much it took, 0 where there is none.

        Args:
            left: what each edge can still carry.
            depth: of each node.
            tried: for each node, how many of its edges lead nowhere any more.
            source: where paths begin.
            sink: where they end.
        """
        path: list[int] = []
        node = source
        while node != sink:
            edges = self._out[node]
            while tried[node] < len(edges):
                edge = edges[tried[node]]
                if left[edge] > _NOTHING and depth[self._to[edge]] == depth[node] + 1:
                    break
                tried[node] += 1
            if tried[node] < len(edges):
                path.append(edge)
                node = self._to[edge]
            elif path:
                node = self._to[path.pop() ^ 1]
                tried[node] += 1
            else:
                return 0.0
        most = min(left[edge] for edge in path)
        for edge in path:
            left[edge] -= most
            left[edge ^ 1] += most
        return most


def attention_flow(
    layers: Sequence[Tensor], queries: Sequence[int] | None = None, residual: float = 0.5
) -> Tensor:
    """The largest flow from tokens after the last layer to each input token: (queries, n), in fp64.

    Each pair is a flow problem of its own, with L n² edges: for sentences, not for pages. Name the queries
    that are wanted.

    Args:
        layers: the weights of each layer (H, n, n), from the first on.
        queries: tokens whose flow is computed; None for all.
        residual: r, from 0 to 1.

    Raises:
        ValueError: there is no layer, a weight is not finite, a query is no token, or as `mixing`.
    """
    if not len(layers):
        raise ValueError("attention_flow: expected a layer or more, got none")
    if wrong := [layer for layer, weights in enumerate(layers) if not weights.isfinite().all()]:
        raise ValueError(f"attention_flow: expected finite weights, those of layer {wrong[0]} are not")
    capacity = [mixing(weights.double(), residual).tolist() for weights in layers]
    n = len(capacity[0])
    wanted = range(n) if queries is None else queries
    if wrong := [query for query in wanted if not 0 <= query < n]:
        raise ValueError(f"queries: expected tokens from 0 to {n - 1}, got {wrong[0]}")
    network = FlowNetwork((len(layers) + 1) * n)
    for above, rows in enumerate(capacity, 1):
        for i, row in enumerate(rows):
            for j, most in enumerate(row):
                if most > _NOTHING:
                    network.edge(above * n + i, (above - 1) * n + j, most)
    top = len(layers) * n
    found = [[network.largest(top + i, j) for j in range(n)] for i in wanted]
    return torch.tensor(found, dtype=torch.float64).reshape(len(found), n)
