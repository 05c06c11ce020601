"""Exact search beside faiss-cpu's flat index, and the memory of mining.

    xformer bench search
    xformer bench search --vectors 200000 --queries 1 256 --rounds 3
    xformer bench search --mine 50000

The vectors are random: groups around centres, of length 1, as wide as the demo's. Speed does not depend on
what they mean; how many pairs the first pass leaves in doubt does, a little.

**Both sides are processes** that wait for their turn: in each round each searches once for each number of
queries, and the next round goes the other way. Ours opens an index as `xformer search` does, whose files are
mapped; faiss has all vectors in memory (`IndexFlatIP`). Both have the same number of threads. faiss is
measured as it is, and with the setting by which it computes scores as a matrix product for any number of
queries; the ratio is to the faster of the two, and one that takes over 4 times as long as the other, for so
many queries, is measured once. Beside seconds by the clock there are those of the processor, which
other work on the machine changes less.

**First the answers are compared.** faiss sums in float32, in an order that depends on batch and threads, and
lists equal scores last first. So its answer is right if each score differs from ours by no more than such a
sum can, and its vectors are ours wherever the scores are further apart than that.

**Memory of mining** is what the process has beside the files of vectors, which the system may drop and read
again: the most `RssAnon` of `/proc/self/status` during the work.
"""
