"""Which groups are held out: decided by a hash of the group's name and the seed, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError

SPLITS = ("train", "dev", "test")
TRAIN, DEV, TEST = range(3)


@dataclass(frozen=True)
class SplitSizes:
    """How much to hold out, and what may be.

    Attributes:
        dev: groups in the dev split: 1 and more is a number of groups, less than 1 a share of the eligible
            ones.
        test: groups in the test split, in the same unit as `dev`.
        min_languages: a group is eligible for dev and test when it is in at least this many languages. Among
            eligible groups each is as likely as any other.
        min_chars: and when its longest text has at least this many characters: "OK" tests nothing.
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
    """Give every group a split.

    A group's rank is a hash of its number and the seed. Test takes the eligible groups of lowest rank, dev
    the next. With shares, the bounds are ranks too, so that a group stays where it is when others come or go.

    Args:
        groups: (G,) different group numbers (`group_number`).
        languages: (G,) how many languages each is in.
        chars: (G,) characters of its longest text.
        sizes: how much to hold out.
        seed: another seed, another choice.

    Returns:
        (G,) uint8, places in `SPLITS`.

    Raises:
        InputError: when fewer groups are eligible than `sizes` asks for.
    """
    eligible = np.flatnonzero((languages >= sizes.min_languages) & (chars >= sizes.min_chars))
    rank = _mix(groups[eligible] ^ _mix(np.array([seed % 2**64], dtype=np.uint64)))
    order = np.lexsort((groups[eligible], rank))
    upto = [sizes.test, sizes.test + sizes.dev]
    if max(sizes.test, sizes.dev) < 1:
        ends = [int(np.searchsorted(rank[order] / 2.0**64, share)) for share in upto]
    else:
        ends = [int(count) for count in upto]
    if ends[1] > len(eligible):
        raise InputError(
            f"splits: {ends[1]:,} groups asked for dev and test, but of {len(groups):,} groups only "
            f"{len(eligible):,} have at least {sizes.min_languages} languages and "
            f"{sizes.min_chars} characters"
        )
    split = np.full(len(groups), TRAIN, dtype=np.uint8)
    split[eligible[order[: ends[0]]]] = TEST
    split[eligible[order[ends[0] : ends[1]]]] = DEV
    return split


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al. 2014): a bijection that spreads every bit over all."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
