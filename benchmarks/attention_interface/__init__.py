"""Speed of transformers' encoders with our attention beside their own `sdpa`, on real texts.

    xformer bench attention-interface --run runs/demo --quick

Three ways to compute the same hidden states, in turns in one process, each batch of texts once a round:

- `sdpa`: the batch padded to its longest text, with a mask; what transformers does.
- `xformer`: the same batch with `attn_implementation="xformer"`, which skips the padding in attention alone.
- `xformer, end to end`: the same texts in one row (`cu_seq_lens_q`), so that no layer has padding.

Models have random weights, which speed does not depend on: a BERT in the shape of all-MiniLM-L6-v2, and a
ModernBERT as wide and deep, two thirds of whose layers have a window of 128 tokens. First the hidden states
are compared at all tokens, and a way that is wrong is not timed. Shown are the medians over the rounds of the
ratios of the processor's seconds, which leave out what other programs take.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["bert", "modernbert"]
