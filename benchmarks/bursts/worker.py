"""One side: `python -P WORKER`, with the code of a revision on `PYTHONPATH`.

It reads lines `WORK TIMES` and answers each with the seconds that so many passes took. Both sides have the
same weights and texts, made here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

TOKENS, VOCABULARY = 4_096, 4_096


def passes(threads: int) -> dict[str, Callable[[], object]]:
    """What can be repeated: `train`, a pass forward and backward; and `encode`, sentence vectors."""
    import numpy as np
    import torch

    from xformer.model.config import ModelConfig
    from xformer.model.multilingual import MultilingualModel
    from xformer.model.packed import pack

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = MultilingualModel(ModelConfig(vocab_size=VOCABULARY, zero_init_residual=False))
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(2.0, 0.8, 2_000), 1, 128).astype(int)
    lengths = lengths[np.cumsum(lengths) <= TOKENS]
    batch = pack([rng.integers(5, VOCABULARY, n) for n in lengths])
    selected = torch.arange(0, batch.n_tokens, 7)

    def train() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        logits = model.token_logits(batch, selected)
        torch.nn.functional.cross_entropy(logits, batch.tokens[selected]).backward()

    def encode() -> None:
        with torch.no_grad():
            model.sentence_vectors(batch)

    return {"train": train, "encode": encode}


def main(arguments: list[str]) -> int:
    """Answer until there is nothing more to read."""
    # The finder of an editable install would add this tree's modules to those of another revision.
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")
    ]
    known = passes(int(arguments[0]))
    for line in sys.stdin:
        work, times = line.split()
        began = time.perf_counter()
        for _ in range(int(times)):
            known[work]()
        sys.stdout.write(f"{time.perf_counter() - began}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
