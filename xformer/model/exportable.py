"""An encoder behind tensors alone, which is what `torch.export` and servers pass around.

`Encoder` takes a `Packed` batch, which knows the lengths of its sequences on the host. A program that is
exported once for all batches cannot.

Shapes: T tokens, B sequences padded to N tokens, C d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xformer.model.encoder import Encoder
from xformer.model.packed import PackedTensors


class PackedEncoder(nn.Module):
    """An encoder of tokens that lie end to end, as FlashAttention's variable-length functions take them.

    Attributes:
        encoder: that computes; parameters have its names behind `encoder.`.
        max_length: tokens of the longest sequence that will come.
    """

    def __init__(self, encoder: Encoder, max_length: int | None = None) -> None:
        """Wrap an encoder, whose parameters are shared.

        Args:
            encoder: to wrap.
            max_length: at least the longest sequence in any batch, in tokens; left out,
                `encoder.config.max_length`.

        Raises:
            ValueError: it is below 1, or above what learned positions have rows for.
        """
        super().__init__()
        self.encoder = encoder
        config = encoder.config
        self.max_length = config.max_length if max_length is None else max_length
        if self.max_length < 1:
            raise ValueError(f"max_length: expected a number of tokens from 1, got {max_length}")
        if config.positions == "learned" and self.max_length > config.max_length:
            limit = f"at most model.max_length={config.max_length} with learned positions"
            raise ValueError(f"max_length: expected {limit}, got {max_length}")

    def forward(self, tokens: Tensor, cu_seqlens: Tensor) -> Tensor:
        """Encode.

        Args:
            tokens: (T,) int64.
            cu_seqlens: (B+1,) int32 or int64; sequence b is `tokens[cu_seqlens[b]:cu_seqlens[b + 1]]`. Empty
                sequences are allowed.

        Returns:
            (T, C).

        Raises:
            ValueError: a sequence is longer than `max_length`, or `cu_seqlens` does not rise from 0 to T.
                Checked on a CPU, and not in an exported or compiled program.
        """
        if not torch.compiler.is_compiling() and cu_seqlens.is_cpu:
            self._check(tokens, cu_seqlens)
        place = torch.arange(tokens.shape[0], device=tokens.device)
        starts = cu_seqlens.long()
        sequence = torch.searchsorted(starts, place, right=True) - 1
        positions = place - starts.index_select(0, sequence)
        hidden: Tensor = self.encoder(PackedTensors(tokens, positions, cu_seqlens, self.max_length))
        return hidden

    def _check(self, tokens: Tensor, cu_seqlens: Tensor) -> None:
        starts, lengths = cu_seqlens.tolist(), cu_seqlens.diff()
        n_tokens = tokens.shape[0]
        if starts[:1] != [0] or starts[-1] != n_tokens or (lengths < 0).any():
            raise ValueError(f"cu_seqlens: expected to rise from 0 to the {n_tokens} tokens, got {starts}")
        if lengths.numel() and (longest := int(lengths.max())) > self.max_length:
            raise ValueError(
                f"cu_seqlens: expected sequences of at most max_length={self.max_length}, got {longest}"
            )


class PaddedEncoder(nn.Module):
    """An encoder of sequences that are padded behind their ends, with a mask, as transformers takes them.

    Nothing of a sequence depends on its padding, which is computed as a sequence of its own.

    Attributes:
        packed: the encoder of tokens end to end that computes.
    """

    def __init__(self, encoder: Encoder, max_length: int | None = None) -> None:
        """Wrap an encoder, whose parameters are shared; arguments as of `PackedEncoder`.

        `max_length` bounds N, the length with padding.
        """
        super().__init__()
        self.packed = PackedEncoder(encoder, max_length)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode.

        Args:
            input_ids: (B, N) int64.
            attention_mask: (B, N), 1 or True at tokens, which come before any padding.

        Returns:
            (B, N, C), zero at padding.

        Raises:
            ValueError: padding comes before a token. Checked on a CPU, and not in an exported or compiled
                program.
        """
        mask = attention_mask.bool()
        lengths = mask.sum(1)
        place = torch.arange(input_ids.shape[1], device=input_ids.device)
        kept = place < lengths[:, None]
        if not torch.compiler.is_compiling() and mask.is_cpu and not torch.equal(mask, kept):
            row = int((mask != kept).any(1).nonzero()[0])
            raise ValueError(f"attention_mask: expected tokens before padding, in row {row} they are not")
        # The tokens of a row, then its padding: two sequences that do not see one another.
        ends = torch.stack((lengths, torch.full_like(lengths, input_ids.shape[1])), 1)
        ends = ends + input_ids.shape[1] * torch.arange(input_ids.shape[0], device=ends.device)[:, None]
        cu_seqlens = torch.cat((ends.new_zeros(1), ends.flatten()))
        hidden: Tensor = self.packed(input_ids.flatten(), cu_seqlens)
        return hidden.unflatten(0, input_ids.shape) * kept[..., None].to(hidden.dtype)
