"""What a device can do, as torch's compiler sees it."""

from __future__ import annotations

import pytest
import torch

from xformer.kernels.device import triton_absence


@pytest.mark.slow
def test_the_absence_of_triton_is_a_constant_to_the_compiler() -> None:
    """It is marked without importing the compiler; the mark must be the one that torch sets."""

    def marked() -> None: ...

    torch.compiler.assume_constant_result(marked)
    assert vars(marked)
    assert vars(marked).items() <= vars(triton_absence).items()
