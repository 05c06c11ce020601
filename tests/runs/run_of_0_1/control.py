"""Whether this machine computes with the bits of the one that made the run in this folder.

Matrix products, exponentials and sums come to other bits on other processors and in other releases of torch.
The control hashes the results of such operations, at the sizes of the run: where the hash is the stored one,
training comes to the stored bits as well; elsewhere only to close values.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sha256_of(tensors: list[Tensor]) -> str:
    """One hash of the bytes of many tensors, in this order."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()


def control() -> str:
    """The hash of what two training steps of a small network come to, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return sha256_of(_results())
    finally:
        torch.set_num_threads(threads)


def _results() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    table = nn.Parameter(torch.randn(320, 16, generator=generator))
    matrix = nn.Parameter(torch.randn(16, 48, generator=generator))
    results: list[Tensor] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        optimizer = torch.optim.AdamW([table, matrix], lr=0.01)
        for length in (37, 192):
            ids = torch.randint(320, (length,), generator=generator)
            hidden = F.layer_norm(F.embedding(ids, table), (16,))
            q, k, v = (part.view(1, length, 2, 8).transpose(1, 2) for part in (hidden @ matrix).split(16, -1))
            mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(length, 16)
            weights = F.dropout(torch.softmax(q @ k.mT / 3, -1), 0.1)
            gated = F.gelu(F.dropout(mixed, 0.1)) * (weights @ v).transpose(1, 2).reshape(length, 16)
            loss = F.cross_entropy(F.normalize(hidden + gated, dim=-1) @ table.T, ids)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([table, matrix], 1.0)
            optimizer.step()
            results += [
                mixed,
                gated,
                loss,
                torch.exp(hidden),
                torch.cos(hidden),
                torch.log1p(hidden.square()),
            ]
    return [*results, table, matrix]
