"""Tokens per second of `xformer.generation` beside Hugging Face's `generate` and CTranslate2, same weights.

    xformer bench generation --quick
    xformer bench generation --ct2-python ct2/bin/python
    xformer bench generation --ends ragged --beam 4 --threads 2 --ct2-python ct2/bin/python

The model is a MarianMTModel with random weights (transformer-base: 6 and 6 blocks of 512), which all sides
read: ours as `Seq2Seq`, Hugging Face's from its folder, CTranslate2's converted from that. All sources, of 5
to 34 tokens, are one batch.

**Targets** either never end (`--ends never`), so that all sides make the same number of tokens, or end where
the model says so (`ragged`): the bias of the end is such that greedy targets have about half of the greatest
length. Sources that are done leave our batch and CTranslate2's; Hugging Face's goes on until the last.

**First the targets are compared** with our fp32 ones. A side in fp32 of whose targets fewer than nine in ten
are the same is not timed (two candidates may be alike up to rounding). Of int8 the share is shown.

**Sides take turns**, each a process of its own with the same number of threads; the next round begins with
the next side. Shown are medians, and medians of the ratio to `Hugging Face fp32` in each round.

**Memory**: after the last step of a beam, the bytes of our cache are compared with the formula of
`xformer.model.cache.cache_bytes`.

CTranslate2 may need an environment of its own, with transformers and torch for the conversion:

    pip install 'xformer[bench-generation]'
"""

from __future__ import annotations

from typing import Literal

Ends = Literal["never", "ragged"]
ShapeName = Literal["marian", "tiny"]

SMALLEST_VOCABULARY = 100
