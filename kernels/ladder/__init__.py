"""From the equation of attention to a persistent kernel, one idea a file; `docs/kernels.md` explains them.

Each file has one public function, `attend(q, k, v, cu_seqlens, max_length)`, and all of them compute the
same: plain bidirectional attention over packed sequences, forward, with scale 1/√D. That is
`xformer.kernels.attention` without any of its options. Read the files in this order. Each differs from the
one before by what its first line says:

    naive.py            the equation in PyTorch, with the whole matrix of scores
    recurrence.py       the same without the matrix: online softmax over blocks of keys, still PyTorch
    online_softmax.py   the recurrence in one kernel, a program a query
    exp2.py             scale, maximum and change of base in one instruction
    tiles.py            many queries a program, so that products run on tensor cores
    descriptors.py      the hardware copies tiles, and stops where a sequence ends
    persistent.py       as many programs as the machine holds, each computing one work item after another

`backward.py` does the same for the gradients, in PyTorch. `xformer bench ladder` and `xformer bench
ladder-backward` measure the steps; `python -m xformer.kernels.ladder` counts their memory traffic and
instructions. Use `xformer.kernels.attention` in a model.
"""
