"""Sentences per second of `Model.encode` beside sentence-transformers, same weights and text.

    xformer bench encode --run runs/demo --quick
    xformer bench encode --text sentences.txt --onnx-python onnx/bin/python
    xformer bench encode --text sentences.txt --memory
    xformer bench encode --model runs/minilm --text sentences.txt --onnx-python onnx/bin/python

Every side is a process of its own that waits for its turn: in each round each side encodes all texts once,
and the next round begins with the next side. Shown are medians over the rounds, and the median over the
rounds of the ratio to `sentence-transformers fp32`.

**The models** are BERTs with random weights, which speed does not depend on: `small` is as wide and deep as
the model of `xformer demo` and has as many products (2 blocks of 256, feed-forward 576), `minilm` has the
shape of all-MiniLM-L6-v2 (6 blocks of 384). Their folder is what both sides read: `config.json`,
`model.safetensors`, and the run's vocabulary as a `tokenizers` unigram model, so that both sides encode the
same tokens. Texts of more than 512 tokens, which the peer would cut, are left out.

**First the vectors are compared** with ours in fp64, on some of the texts. A side whose lowest cosine is
below its limit is wrong and is not timed.

With `--model` the model is an imported run (`xformer import hf`): its own weights and tokenizer, in the
folder that it gives back. There a text longer than the model reads is cut, on both sides.

**The peer** is used through its own API, `SentenceTransformer.encode`, which sorts by length: its PyTorch
backend with batches of 32, its default, and with the best of some other sizes; and its ONNX backend, fp32 and
dynamically quantised to int8. That needs `optimum-onnx`, of which release 0.1.0 does not work with the
transformers 5 that sentence-transformers 6 needs. So it wants an environment of its own, in which pip chooses
an older sentence-transformers:

    python -m venv onnx && onnx/bin/pip install 'sentence-transformers[onnx,openvino]' datasets

Its OpenVINO backend is quantised statically, on texts of the bench itself, and has the same environment.

**Sentences per second** include tokenisation on both sides; `model alone` leaves it out.
"""

from __future__ import annotations

from typing import Literal

ShapeName = Literal["tiny", "small", "minilm", "imported"]
