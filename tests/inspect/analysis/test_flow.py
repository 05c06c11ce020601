"""Flow: textbook networks by hand, the smallest cut by trying all, scipy's answer, and attention by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.inspect.analysis.flow import FlowNetwork, attention_flow
from xformer.inspect.analysis.rollout import mixing


def network(nodes: int, edges: list[tuple[int, int, float]]) -> FlowNetwork:
    found = FlowNetwork(nodes)
    for edge in edges:
        found.edge(*edge)
    return found


def test_the_example_of_cormen() -> None:
    """Cormen et al., Introduction to Algorithms, figure 26.1: 23 crates from Vancouver to Winnipeg."""
    edges = [(0, 1, 16), (0, 2, 13), (2, 1, 4), (1, 3, 12), (3, 2, 9), (2, 4, 14), (4, 3, 7), (3, 5, 20)]
    found = network(6, [(a, b, float(c)) for a, b, c in [*edges, (4, 5, 4)]])
    assert found.largest(0, 5) == 23.0
    assert found.largest(0, 5) == 23.0  # the first answer left nothing behind
    assert found.largest(5, 0) == 0.0


def test_flow_is_rerouted() -> None:
    """A first path through the middle has to be taken back."""
    found = network(4, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0), (1, 3, 1.0), (2, 3, 1.0)])
    assert found.largest(0, 3) == 2.0
    with pytest.raises(ValueError, match="different"):
        found.largest(1, 1)


EDGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 9)), max_size=14)


@settings(max_examples=40)
@given(edges=EDGES)
def test_the_largest_flow_is_the_smallest_cut(edges: list[tuple[int, int, int]]) -> None:
    edges = [(a, b, c) for a, b, c in edges if a != b]
    sides = (dict(zip(range(1, 5), side, strict=True)) | {0: 1, 5: 0} for side in product((0, 1), repeat=4))
    cut = min(sum(c for a, b, c in edges if side[a] and not side[b]) for side in sides)
    assert network(6, [(a, b, c / 8) for a, b, c in edges]).largest(0, 5) == cut / 8


def test_attention_by_hand() -> None:
    # With the residual stream's half, layer 0 is [[1, 0], [1/4, 3/4]] and layer 1 [[1/2, 1/2], [1/2, 1/2]].
    first = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]], dtype=torch.float64)
    second = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)
    # To token 0: 1/2 straight, and of the other half 1/4. To token 1: only the half by way of token 1.
    assert attention_flow([first, second]).tolist() == [[0.75, 0.5], [0.75, 0.5]]
    assert attention_flow([first, second], queries=[1]).tolist() == [[0.75, 0.5]]
    assert attention_flow([second], residual=0.0).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@settings(max_examples=8)
@given(n=st.integers(2, 5), layers=st.integers(1, 4), seed=st.integers(0, 999))
def test_scipy_finds_the_same(n: int, layers: int, seed: int) -> None:
    csgraph = pytest.importorskip("scipy.sparse.csgraph")
    sparse = pytest.importorskip("scipy.sparse")
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(layers, 2, n, n, generator=generator, dtype=torch.float64).mul(2).softmax(-1)
    found = attention_flow(list(weights))
    size = 1 << 24  # scipy counts in whole numbers of 32 bits
    graph = np.zeros(((layers + 1) * n,) * 2, dtype=np.int32)
    for above, one in enumerate(weights, 1):
        graph[above * n : (above + 1) * n, (above - 1) * n : above * n] = (mixing(one) * size).round().numpy()
    for i in range(n):
        for j in range(n):
            flow = csgraph.maximum_flow(sparse.csr_matrix(graph), layers * n + i, j).flow_value
            assert float(found[i, j]) == pytest.approx(flow / size, abs=1e-5)


def test_what_has_no_flow_is_said() -> None:
    weights = torch.eye(3)[None]
    with pytest.raises(ValueError, match="from 0 to 2, got 3"):
        attention_flow([weights], queries=[3])
    with pytest.raises(ValueError, match="a layer"):
        attention_flow([])
    with pytest.raises(ValueError, match="those of layer 1 are not"):
        attention_flow([weights, weights / 0])  # 0 / 0 is no number, and no flow
