"""Time to quality: how soon what people use today, and `xformer pretrain`, know the same of the same text.

    python -m benchmarks.training --quick          from the root of a checkout; the same as
    xformer bench training --quick

Six trainers run one after another, each in a process of its own, on the same texts with the same
tokenizer, at about the same number of parameters (BERT's feed-forward is as wide as makes them equal), for
the same time:

padded: Hugging Face's BERT as people write it. 32 texts a step (256 on a GPU), padded to the longest of
them, 15% of the tokens hidden, dropout 0.1; fp32 (bf16 on a GPU).

blocks: the same with texts, each `<s>` text `</s>`, end to end and cut into 128 tokens, 8 a step (256 on a
GPU), no dropout, in the fastest of fp32 and bf16, eager and compiled, as measured just before. (`--quick`
leaves out compiling, which takes a minute or more.)

blocks-from-counts: the same, whose output layer begins with the frequencies of tokens in the training text,
as xformer's does. People do not write it so; without it, most of what a masked LM learns in its first
minutes is how often which token occurs.

sentence-transformers: its loss (MultipleNegativesRankingLoss) and its mean pooling over the same BERT with
random weights. 64 pairs (256 on a GPU) of a text with its translation in the pivot language, no two of a
step with the same meaning; in the precision of padded.

static-embedding: what sentence-transformers has for CPUs (StaticEmbedding): no encoder, the mean of token
embeddings of the same width, under the same loss; 512 pairs a step (2,048 on a GPU), AdamW at 0.2.

xformer: `xformer.training` with its default settings, but for its table of bigrams (`model.bigrams`): those
parameters are looked up, and at equal numbers the others would have to multiply with as many. With
`--set model.bigrams=4` they do.

All peers have AdamW, a warm-up, a decay that ends with the time, clipping at 1, and a learning rate that
suits a small model from random weights (1e-3; 5e-4 for the contrastive loss) where their own defaults
(5e-5, 2e-5) suit fine-tuning.

**The clock** runs while steps are taken, batches included. It stands still for imports, for compiling and
trying variants, for joining texts to blocks, for checkpoints and for evaluating. Counting the token
frequencies that xformer's output layer starts from replaces training, so that is on its clock.

**Tokens** are those of texts that go through the model's blocks: neither pad nor special tokens, and not
those that xformer reads as a bag of subwords. The stage in which it is nothing but that bag is left out of
its rate, tokens and seconds.

**Held-out bits per byte** and **retrieval** are those of `xformer evaluate`, of all trainers alike, on
held-out texts drawn once: all languages of all messages of the test split for retrieval, or with `--quick`
some languages of some messages. As there, xformer's vectors are taken after as many blocks as the dev split
likes best; BERT's are the mean of its last states. A trainer without an output layer has no bits per byte.

**Time to the same quality**: the time after which a peer's curve first has the value that it ends with,
over the time after which xformer's first has it; null where it never has. Between two evaluations a curve
is a straight line. xformer starts as a unigram model of all text, so a peer that ends no better was matched
before the first step: the first point of its curve says where that is.

**Share of the matrix rate**: the operations of matrix products that a step's real tokens and hidden tokens
ask for (forward, and twice that backward), a second, over those a second of a large product in the same
precision, measured in the same process before and after. What goes to padding, or to outputs that no loss
reads, is no useful work. For xformer it is that of the stage with blocks.

**Peak memory** is the process's largest while it trains, evaluation left out.
"""

from __future__ import annotations

from typing import Literal

TrainerName = Literal[
    "padded", "blocks", "blocks-from-counts", "sentence-transformers", "static-embedding", "xformer"
]
DeviceName = Literal["cpu", "cuda"]
