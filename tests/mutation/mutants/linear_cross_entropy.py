"""Ways to break the linear cross-entropy."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_KERNELS = "kernels/linear_cross_entropy/kernels.py"
_LAUNCH = "kernels/linear_cross_entropy/triton_backend.py"

LINEAR_CROSS_ENTROPY = Group(
    "linear_cross_entropy",
    (
        "tests/kernels/test_mutation_guards.py::test_every_entry_of_a_vocabulary_may_be_the_target",
        "tests/kernels/test_mutation_guards.py::test_a_slice_of_several_blocks",
        "tests/kernels/test_mutation_guards.py::test_a_steep_z_loss_does_not_overflow_fp16",
        "tests/kernels/test_mutation_guards.py::test_the_gradient_of_a_rare_token_survives_fp16",
        "tests/kernels/test_linear_cross_entropy.py::test_keeps_the_rule",
        "tests/kernels/test_linear_cross_entropy.py",
    ),
    (
        Mutant(
            _KERNELS,
            "row_total *= tl.exp2((row_peak - anchor) * LOG2_E)",
            "row_total *= 1.0",
            "sum not rescaled",
        ),
        Mutant(
            _KERNELS,
            "column = tl.load(targets + row) - start",
            "column = tl.load(targets + row) - 0 * start",
            "target looked for in every slice",
        ),
        Mutant(
            _KERNELS,
            "here = (column >= 0) & (column < n_columns)",
            "here = (column > 0) & (column < n_columns)",
            "first target of a slice missed",
        ),
        Mutant(
            _KERNELS,
            "tl.store(chosen + row, score, mask=here | (start == 0))",
            "tl.store(chosen + row, score, mask=here | (start >= 0))",
            "target's logit overwritten by later slices",
        ),
        Mutant(
            _KERNELS,
            "score += tl.load(bias + start + column, mask=here, other=0.0).to(tl.float32)",
            "score += 0.0",
            "bias of the target left out",
        ),
        Mutant(
            _KERNELS,
            "tl.load(bias + start + columns, mask=inside, other=0.0).to(tl.float32)\n        new_peak",
            "tl.load(bias + columns, mask=inside, other=0.0).to(tl.float32)\n        new_peak",
            "bias of the first slice",
        ),
        Mutant(
            _KERNELS,
            "loss = row_lse - (1.0 - smoothing) * tl.load(chosen",
            "loss = row_lse - tl.load(chosen",
            "smoothing takes nothing from the target",
        ),
        Mutant(
            _KERNELS,
            "loss -= smoothing / n_vocabulary",
            "loss += smoothing / n_vocabulary",
            "sign of the smoothing",
        ),
        Mutant(
            _KERNELS, "loss += z_loss * row_lse * row_lse", "loss += z_loss * row_lse", "z-loss not squared"
        ),
        Mutant(
            _KERNELS, "tl.where(ignored, 0.0, loss)", "tl.where(ignored, 1.0, loss)", "loss of ignored rows"
        ),
        Mutant(
            _KERNELS,
            "(1.0 + 2.0 * z_loss * row_lse)",
            "(1.0 + z_loss * row_lse)",
            "derivative of the z-loss",
        ),
        Mutant(
            _KERNELS, "grad -= smoothing / n_vocabulary", "grad -= 0.0", "smoothing left out of the gradient"
        ),
        Mutant(
            _KERNELS,
            "is_target = (start + columns)[None, :] == target[:, None]",
            "is_target = columns[None, :] == target[:, None]",
            "gradient at the target of the first slice",
        ),
        Mutant(
            _KERNELS,
            "tl.where(is_target, 1.0 - smoothing, 0.0)",
            "tl.where(is_target, 1.0, 0.0)",
            "smoothing takes nothing from the target's gradient",
        ),
        Mutant(
            _KERNELS,
            "rows.to(tl.int64) * stride_grad",
            "rows.to(tl.int64)",
            "a dense gradient expected",
        ),
        Mutant(
            _KERNELS,
            "tl.where((target != ignore_index)[:, None] & there, grad, 0.0)",
            "tl.where(there, grad, 0.0)",
            "gradient of ignored rows",
        ),
        Mutant(
            _LAUNCH,
            "grads, vocabulary, columns.start > 0)",
            "grads, vocabulary, False)",
            "rows' gradient of the last slice",
        ),
        Mutant(
            _LAUNCH, "rows[part], part.start > 0)", "rows[part], False)", "weight's gradient of the last rows"
        ),
        Mutant(
            _LAUNCH,
            "bias_total[columns] += partial",
            "bias_total[columns] = partial",
            "bias' gradient of the last rows",
        ),
        Mutant(_LAUNCH, "unit = scale / gain", "unit = scale * 1.0", "gain not divided out, fp16"),
        Mutant(
            _LAUNCH,
            "GAINS = {torch.float16: 1024.0}",
            "GAINS = {torch.float16: 1.0}",
            "small probabilities rounded away, fp16",
        ),
        Mutant(
            _LAUNCH,
            "size = size * (1.0 + 2.0 * z_loss * lse.abs())",
            "size = size * 1.0",
            "z-loss left out of the largest gradient",
        ),
        Mutant(
            _LAUNCH,
            "size = size * (1.0 + 2.0 * z_loss * lse.abs())",
            "size = size * (1.0 + 2.0 * z_loss * lse)",
            "largest gradient of a log-sum-exp below 0",
        ),
        Mutant(
            _LAUNCH,
            "torch.where(targets != ignore_index, grad_items.abs(), 0.0)",
            "torch.where(targets != ignore_index, grad_items, 0.0)",
            "largest of negative gradients",
        ),
        Mutant(
            _KERNELS,
            "row_peak = tl.load(peak + row, mask=start > 0",
            "row_peak = tl.load(peak + row, mask=start < 0",
            "maximum forgets earlier slices",
        ),
        Mutant(
            _KERNELS,
            "row_total += tl.sum(tl.exp2(",
            "row_total = tl.sum(tl.exp2(",
            "sum forgets earlier blocks",
        ),
        Mutant(
            _KERNELS,
            "row_sum += tl.sum(",
            "row_sum = tl.sum(",
            "smoothed over the last block alone",
        ),
        Mutant(
            _KERNELS,
            'anchor = tl.where(new_peak == float("-inf"), 0.0, new_peak)',
            "anchor = new_peak",
            "-inf - -inf where a slice is forbidden",
        ),
        Mutant(
            _KERNELS,
            "columns = first + tl.arange(0, BLOCK)",
            "columns = tl.arange(0, BLOCK)",
            "a row's first block again and again",
        ),
        Mutant(
            _KERNELS,
            "rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
            "rows = tl.arange(0, BLOCK)",
            "losses of the first rows alone",
        ),
        Mutant(
            _KERNELS,
            "tl.log2(row_total) * LN_2",
            "tl.log2(row_total)",
            "log-sum-exp to base 2",
        ),
        Mutant(
            _KERNELS,
            "tl.load(targets + rows, mask=inside, other=0) == ignore_index",
            "tl.load(targets + rows, mask=inside, other=0) < 0",
            "every target below 0 ignored",
        ),
        Mutant(
            _KERNELS,
            "tl.store(lse + rows, row_lse, mask=inside)",
            "tl.store(lse + rows, row_lse, mask=inside & (rows < n_rows - 1))",
            "log-sum-exp of the last row not kept",
        ),
        Mutant(
            _KERNELS,
            "rows = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)",
            "rows = tl.arange(0, BLOCK_R)",
            "gradients of the first rows alone",
        ),
        Mutant(
            _KERNELS,
            "columns = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)",
            "columns = tl.arange(0, BLOCK_N)",
            "gradients of the first columns alone",
        ),
        Mutant(
            _KERNELS,
            "partial + tl.program_id(0).to(tl.int64) * stride_partial + columns",
            "partial + columns",
            "bias' gradient of the last block of rows",
        ),
        Mutant(
            _KERNELS,
            "tl.load(bias + start + columns, mask=inside, other=0.0).to(tl.float32)[None, :]",
            "tl.load(bias + columns, mask=inside, other=0.0).to(tl.float32)[None, :]",
            "gradient with the bias of the first slice",
        ),
    ),
)

GROUPS = (LINEAR_CROSS_ENTROPY,)
