"""From the equation of attention to a persistent kernel, one idea a file; `docs/kernels.md` climbs them.

Each file has one public function, `attend(q, k, v, cu_seqlens, max_length)`, and all of them mean the same:
plain bidirectional attention over packed sequences, forward, with scale 1/√D. That is what
`xformer.kernels.attention` means without any of its options. The files are to be read in this order, and each
differs from the one before by what its first line says:

    naive.py            the equation in PyTorch, with the whole matrix of scores
    recurrence.py       the same without the matrix: online softmax over blocks of keys, still PyTorch
    online_softmax.py   the recurrence in one kernel, a program a query
    exp2.py             scale, maximum and change of base in one instruction
    tiles.py            many queries a program, so that products run on tensor cores
    descriptors.py      the hardware copies tiles, and knows where a sequence ends
    persistent.py       as many programs as the machine holds, each taking one work item after another

`backward.py` is the same way for the gradients, in PyTorch. `xformer bench ladder` and `xformer bench
ladder-backward` measure the steps; `python -m xformer.kernels.ladder` counts what they ask of a machine. For
work, use `xformer.kernels.attention`.
"""
