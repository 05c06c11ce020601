"""Time to quality: how long other trainers and `xformer pretrain` need for the same quality on the same text.

    python -m benchmarks.training --quick          from the root of a checkout; the same as
    xformer bench training --quick

Six trainers run one after another, each in a process of its own, for the same time. They use the same texts,
the same tokenizer and about the same number of parameters: the feed-forward width of BERT makes them equal.

padded: Hugging Face's BERT in its usual form. 32 texts per step (256 on a GPU), padded to the longest of
them, 15% of the tokens hidden, dropout 0.1; fp32 (bf16 on a GPU).

blocks: BERT over texts, each `<s>` text `</s>`, end to end and cut into blocks of 128 tokens; 8 blocks per
step (256 on a GPU), no dropout. It runs in the fastest of fp32 and bf16, eager and compiled, as measured just
before. (`--quick` does not try compiled ones, which takes a minute or more.)

blocks-from-counts: the same, with an output layer that starts from the token frequencies of the training
text, as xformer's does. This is not usual; without it, a masked LM spends its first minutes learning these
frequencies.

sentence-transformers: its loss (MultipleNegativesRankingLoss) and mean pooling over the same BERT with random
weights. 64 pairs (256 on a GPU) of a text with its translation in the pivot language; no two pairs of a step
have the same meaning. The precision is that of padded.

static-embedding: sentence-transformers' model for CPUs (StaticEmbedding): no encoder, the mean of token
embeddings of the same width, with the same loss; 512 pairs per step (2,048 on a GPU), AdamW at 0.2.

xformer: `xformer pretrain` with its default settings.

All peers have AdamW, a warm-up, a decay that ends with the time, clipping at 1, and a learning rate for a
small model from random weights (1e-3; 5e-4 for the contrastive loss). Their own defaults (5e-5, 2e-5) are for
fine-tuning.

**The clock** runs during steps, including their batches. It is stopped during imports, compiling, trying
variants, joining texts to blocks, checkpoints and evaluation. The time in which xformer counts the token
frequencies for its output layer counts as training.

**Tokens** are those of texts that go through the blocks of the model, without padding and special tokens.
Texts that xformer reads only as a bag of subwords do not count, and its embedding warm-up stage is not part
of its rate, tokens and seconds.

**Held-out bits per byte** and **retrieval** are those of `xformer evaluate`, for all trainers on the same
held-out texts: for retrieval all languages of all messages of the test split, or with `--quick` some
languages of some messages. As in `xformer evaluate`, xformer's vectors are taken after the number of blocks
that is best on the dev split; BERT's are the mean of its last states. A trainer without an output layer has
no bits per byte.

**Time to the same quality**: the time after which a peer first reaches its final value, over the time after
which xformer first reaches it; null if it never does. Between two evaluations a curve is a straight line.
xformer starts as a unigram model of the text. A peer that ends no better was matched before the first step;
the first point of its curve shows when.

**Share of the matrix rate**: the operations per second of the matrix products that a step needs for its real
and its hidden tokens (forward, and twice that backward), over those of a large product in the same precision,
measured in the same process before and after. Padding, and outputs that no loss reads, do not count. For
xformer it is that of the stage with blocks.

**Peak memory** is the largest of the process while it trains, without evaluation.
"""

from __future__ import annotations

from typing import Literal

TrainerName = Literal[
    "padded", "blocks", "blocks-from-counts", "sentence-transformers", "static-embedding", "xformer"
]
DeviceName = Literal["cpu", "cuda"]
