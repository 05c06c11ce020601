"""Token counts per language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_every_token_is_counted_once(
    make_shards: Callable[..., TokenShards], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("xformer.data.counts._TOKENS_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    sequences = [rng.integers(5, 40, n).tolist() for n in rng.integers(1, 9, 50)]
    language = rng.integers(0, 4, 50)
    shards = make_shards(sequences, language.tolist(), range(50), vocab_size=40)
    kept = rng.random(50) < 0.5
    for chosen in (None, kept, np.zeros(50, dtype=bool)):
        expected = Counter(
            (int(language[row]), token)
            for row, sequence in enumerate(sequences)
            for token in sequence
            if chosen is None or chosen[row]
        )
        seen: list[tuple[str, int, int | None]] = []
        counts = count_tokens(shards, chosen, progress=lambda *said, seen=seen: seen.append(said))
        assert counts.shape == (4, 40)
        assert {(int(a), int(b)): int(counts[a, b]) for a, b in np.argwhere(counts)} == expected
        shares = [count_tokens(shards, chosen, rank=rank, world=3) for rank in range(3)]
        assert np.sum(shares, axis=0).tolist() == counts.tolist()
        whole = 50 if chosen is None else int(chosen.sum())
        assert not whole or seen[-1] == ("count tokens", whole, whole)
