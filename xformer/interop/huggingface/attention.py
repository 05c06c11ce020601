"""Our attention in encoders of transformers, under the name `xformer`.

    from xformer.interop.huggingface import attention

    attention.register()
    model = AutoModel.from_pretrained(NAME, attn_implementation="xformer")

Outputs and gradients at tokens are those of `sdpa`. The padding of a batch is taken out before attention is
computed, and stands as zeros in what it gives. A batch without padding, its texts end to end in one row with
`cu_seq_lens_q`, as `DataCollatorWithFlattening(return_flash_attn_kwargs=True)` makes it, goes through as it
is: there the whole model computes no padding, on a CPU, too.

What is not an encoder's attention to its own tokens is refused, not approximated.

Shapes: B rows padded to N positions, T tokens among them, H query heads, G key/value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.kernels import attention

NAME = "xformer"
MODEL_TYPES = frozenset(
    {
        "albert",
        "bert",
        "camembert",
        "data2vec-text",
        "distilbert",
        "electra",
        "ernie",
        "esm",
        "eurobert",
        "gte",
        "jina_embeddings_v3",
        "modernbert",
        "nomic_bert",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
    }
)
"""`model_type` of the encoders that are tested with it."""


def register(name: str = NAME) -> None:
    """Make `attn_implementation="xformer"` known to transformers, in this process.

    Args:
        name: another name for it.

    Raises:
        InputError: transformers is missing, or older than 5.0, whose encoders do not ask for attention by
            name.
    """
    try:
        version = metadata.version("transformers")
    except metadata.PackageNotFoundError as error:
        raise InputError("transformers: not installed; expected `pip install 'xformer[hf]'`") from error
    if int(version.split(".")[0]) < 5:
        raise InputError(
            f"transformers: expected 5.0 or newer, whose encoders take attention by name, got {version}"
        )
    import transformers

    transformers.AttentionInterface.register(name, attend)
    transformers.AttentionMaskInterface.register(name, unpadded)


@dataclass(frozen=True)
class Unpadded:
    """Where the tokens of a padded batch are; what layers get in place of a mask.

    Attributes:
        width: N.
        cu_seqlens: (B+1,) int32, of the rows without padding, longest first.
        max_length: tokens of the longest row.
        rows: (T,) int64, the place of each token in the flattened batch (B·N); None without padding.
        reach: greatest distance in tokens to which a token attends; None for any.
    """

    width: int
    cu_seqlens: Tensor
    max_length: int
    rows: Tensor | None
    reach: int | None

    @classmethod
    def of(cls, mask: Tensor, reach: int | None = None) -> Unpadded:
        """The layout of a mask (B, N) bool, True at tokens.

        Padding may stand before or behind them. Where attention reaches any token, it may stand between them,
        too: nothing then depends on how far tokens are apart.

        Raises:
            NotImplementedError: there is padding between tokens, and attention is local.
        """
        lengths, width = mask.sum(1), mask.shape[1]
        if reach is not None:
            place = torch.arange(width, device=mask.device)
            last = torch.where(mask, place, -1).amax(1) if width else lengths
            first = torch.where(mask, place, width).amin(1) if width else lengths
            torn = (lengths > 0) & (last - first + 1 != lengths)
            if torn.any():
                row = int(torn.nonzero()[0])
                raise NotImplementedError(
                    f"attention_mask: row {row} has padding between its tokens, over which a sliding window "
                    f"cannot go; expected it before or behind them, or attn_implementation='sdpa'"
                )
        order = torch.argsort(lengths, descending=True, stable=True)
        rank, column = mask.index_select(0, order).nonzero().unbind(1)
        ends = torch.cumsum(lengths.index_select(0, order), 0)
        cu_seqlens = torch.cat((ends.new_zeros(1), ends)).int()
        longest = int(lengths.max()) if len(lengths) else 0
        return cls(width, cu_seqlens, longest, order.index_select(0, rank) * width + column, reach)

    @classmethod
    def whole(cls, n_rows: int, width: int, device: torch.device, reach: int | None = None) -> Unpadded:
        """The layout of a batch without padding."""
        starts = torch.arange(n_rows + 1, dtype=torch.int32, device=device) * width
        return cls(width, starts, width, None, reach)


def unpadded(
    *,
    batch_size: int,
    kv_length: int,
    mask_function: Callable[..., Any],
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    use_vmap: bool = False,
    device: torch.device | str = "cpu",
    config: Any = None,
    **_: Any,
) -> Unpadded:
    """What transformers asks for in place of a mask, once for each kind of layer in a pass.

    Args:
        batch_size: B.
        kv_length: N.
        mask_function: which keys a query may attend to, by their places.
        attention_mask: (B, N), True or 1 at tokens; None where all are tokens.
        local_size: greatest distance in tokens to which a token attends; None for any.
        use_vmap: whether a caller added conditions of its own to the mask function.
        device: of the model's inputs.
        config: of the model.

    Raises:
        NotImplementedError: the mask is causal, has conditions of its own, or padding between the tokens of
            local attention; or the model is not among `MODEL_TYPES`.
    """
    if config is not None:
        _check_model(config)
    if use_vmap:
        raise _refused("a mask function of the caller's own")
    zero = torch.zeros((), dtype=torch.int64, device=device)
    if not bool(mask_function(zero, zero, zero, zero + 1)):
        raise _refused("a causal mask")
    if attention_mask is None:
        return Unpadded.whole(batch_size, kv_length, torch.device(device), local_size)
    mask = attention_mask.bool()
    if mask.dim() != 2 or mask.shape[1] != kv_length:
        raise _refused(f"an attention_mask of shape {tuple(mask.shape)} for {kv_length} keys")
    if bool(mask.all()):
        return Unpadded.whole(batch_size, kv_length, mask.device, local_size)
    return Unpadded.of(mask, local_size)


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Unpadded | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    position_bias: Tensor | None = None,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    max_length_q: int | None = None,
    output_attentions: bool | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of a layer, as transformers calls it.

    Args:
        module: the layer's attention.
        query: (B, H, N, D).
        key: (B, G, N, D).
        value: (B, G, N, D).
        attention_mask: what `unpadded` gave; None where all are tokens.
        dropout: probability of dropping an attention weight; drawn by torch's global generator.
        scaling: factor of q·k; 1/√D if None.
        is_causal: whether tokens see only those before them; None for what the module says.
        sliding_window: one more than the greatest distance in tokens to which a token attends; None for any.
            That of `attention_mask` counts, if there is one.
        softcap: bound of scores, or None.
        s_aux: (H,) sinks, or None.
        position_bias: of scores; only None.
        cu_seq_lens_q: (S+1,) where each of S texts begins, if they lie end to end in one row.
        cu_seq_lens_k: the same as `cu_seq_lens_q`.
        max_length_q: of the longest of these texts, in tokens.
        output_attentions: whether weights are wanted, which are never formed.

    Returns:
        (B, N, H, D), zeros at padding, and None for the weights.

    Raises:
        NotImplementedError: this is not an encoder's attention to its own tokens, or it wants what cannot be
            had here; the message says what, and names an implementation that has it.
    """
    _check_model(getattr(module, "config", None))
    if getattr(module, "is_causal", False) if is_causal is None else is_causal:
        raise _refused(f"causal attention of {type(module).__name__}")
    if output_attentions:
        raise _refused("output_attentions=True, for weights that are never formed,", "eager")
    if position_bias is not None:
        raise _refused("a position_bias")
    if attention_mask is not None and not isinstance(attention_mask, Unpadded):
        raise _refused(
            f"an attention_mask that is no mask of rows and tokens ({type(attention_mask).__name__})"
        )
    n_rows, _heads, width, _size = query.shape
    if key.shape[2] != width or (attention_mask is not None and attention_mask.width != width):
        raise _refused(f"{width} queries beside {key.shape[2]} keys (cross-attention, or a cache)")
    layout = attention_mask
    if layout is None:
        reach = None if sliding_window is None else sliding_window - 1
        layout = Unpadded.whole(n_rows, width, query.device, reach)
    if cu_seq_lens_q is not None:
        layout = _flattened(layout, n_rows, cu_seq_lens_q, cu_seq_lens_k, max_length_q)
    q, k, v = (_tokens(x, layout.rows) for x in (query, key, value))
    found = attention(
        q,
        k,
        v,
        layout.cu_seqlens,
        max_length_q=layout.max_length,
        window=None if layout.reach is None else 2 * layout.reach,
        softcap=softcap,
        scale=scaling,
        sink=s_aux,
        dropout=dropout,
        seed=int(torch.randint(2**62, ())) if dropout > 0 else None,
    )
    if layout.rows is not None:
        found = found.new_zeros(n_rows * width, *found.shape[1:]).index_copy(0, layout.rows, found)
    return found.unflatten(0, (n_rows, width)), None


def _tokens(x: Tensor, rows: Tensor | None) -> Tensor:
    """(B, H, N, D) to the tokens (T, H, D) among its places."""
    flat = x.transpose(1, 2).flatten(0, 1)
    return flat if rows is None else flat.index_select(0, rows)


def _flattened(
    layout: Unpadded, n_rows: int, starts: Tensor, starts_of_keys: Tensor | None, max_length: int | None
) -> Unpadded:
    """The layout of several texts in one row."""
    if n_rows != 1 or layout.rows is not None:
        raise _refused("cu_seq_lens_q for more than one row, or beside padding,")
    if starts_of_keys is not None and not torch.equal(starts, starts_of_keys):
        raise _refused("cu_seq_lens_k other than cu_seq_lens_q")
    longest = int(starts.diff().max()) if max_length is None else int(max_length)
    return Unpadded(layout.width, starts, longest, None, layout.reach)


def _check_model(config: Any) -> None:
    kind = getattr(config, "model_type", None)
    if kind not in MODEL_TYPES:
        raise _refused(f"a model of type {kind!r} (not of {', '.join(sorted(MODEL_TYPES))})")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise _refused(f"a {kind} that is a decoder")


def _refused(what: str, instead: str = "sdpa") -> NotImplementedError:
    return NotImplementedError(
        f"attention of xformer: {what} is refused; use attn_implementation={instead!r}"
    )
