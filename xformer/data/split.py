"""The split of each group, which depends only on the group's hash and the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import fold_in, random_bits
from xformer.errors import InputError

SPLITS = ("train", "dev", "test")
TRAIN, DEV, TEST = range(3)


@dataclass(frozen=True)
class SplitSizes:
    """How many groups to hold out, and which are eligible.

    Attributes:
        dev: size of the dev split: from 1 a number of groups, below 1 a share of the eligible groups.
        test: size of the test split, in the same unit as `dev`.
        min_languages: languages that an eligible group has at least. All eligible groups are equally likely.
        min_chars: characters that its longest text has at least: "OK" tests nothing.
    """

    dev: float = 0.01
    test: float = 0.01
    min_languages: int = 1
    min_chars: int = 1

    def __post_init__(self) -> None:
        for name in ("dev", "test"):
            value = getattr(self, name)
            if not (0 <= value < 1 or (value >= 1 and value % 1 == 0)):
                raise ValueError(f"{name}: expected a whole number of groups or a share below 1, got {value}")
        if self.dev and self.test and (self.dev < 1) != (self.test < 1):
            raise ValueError(
                f"dev and test: expected two numbers or two shares, got {self.dev} and {self.test}"
            )
        if 0 < self.dev < 1 and self.dev + self.test >= 1:
            raise ValueError(f"dev + test: expected a share below 1, got {self.dev} + {self.test}")
        for name in ("min_languages", "min_chars"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


def assign_splits(
    groups: NDArray[np.uint64],
    languages: NDArray[np.integer],
    chars: NDArray[np.integer],
    sizes: SplitSizes,
    seed: int,
) -> NDArray[np.uint8]:
    """Assign every group to a split.

    A group's rank is a hash of its `group_hash` and the seed. Test takes the eligible groups of lowest rank,
    dev the next. Shares are bounds on the rank itself, so a group keeps its split when others come or go.

    Args:
        groups: (G,) different `group_hash` values.
        languages: (G,) number of languages of each.
        chars: (G,) characters of its longest text.
        sizes: how many to hold out.
        seed: selects which groups are held out.

    Returns:
        (G,) uint8, places in `SPLITS`.

    Raises:
        InputError: fewer groups are eligible than `sizes` needs.
    """
    eligible = np.flatnonzero((languages >= sizes.min_languages) & (chars >= sizes.min_chars))
    rank = fold_in(random_bits(np.array([seed % 2**64], dtype=np.uint64)), groups[eligible])
    order = np.lexsort((groups[eligible], rank))
    upto = [sizes.test, sizes.test + sizes.dev]
    if max(sizes.test, sizes.dev) < 1:
        ends = [int(np.searchsorted(rank[order] / 2.0**64, share)) for share in upto]
    else:
        ends = [int(count) for count in upto]
    if ends[1] > len(eligible):
        raise InputError(
            f"splits: expected {ends[1]:,} groups for dev and test, but only {len(eligible):,} of "
            f"{len(groups):,} groups have at least {sizes.min_languages} languages and "
            f"{sizes.min_chars} characters"
        )
    split = np.full(len(groups), TRAIN, dtype=np.uint8)
    split[eligible[order[: ends[0]]]] = TEST
    split[eligible[order[ends[0] : ends[1]]]] = DEV
    return split
