"""The order of an epoch's data: it follows from a seed and the number of the epoch alone.

A run that was stopped and goes on therefore sees what an undisturbed run sees. Tasks derive the seed of an epoch in
different ways; each way is part of what a seed of a run means, so that none of them can change.
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch.utils.data import Sampler

Derivation = Callable[[int, int], int]
"""From a seed and an epoch, which counts from 0, the seed of the epoch's random numbers."""

Item = TypeVar("Item")


def mix(seed: int, epoch: int, rank: int = 0) -> int:
    """A seed for one epoch of one run on one of its devices, unrelated to all others; epoch 0 is initialization."""
    return int(np.random.SeedSequence([seed, epoch, *([rank] if rank else [])]).generate_state(1, np.uint64)[0] >> 1)


def added(seed: int, epoch: int) -> int:
    """Derive the seed of an epoch of speech."""
    return (seed + 1_000_003 * epoch) % 2**63


def multiplied(seed: int, epoch: int) -> int:
    """Derive the seed of an epoch of translation."""
    return seed * 1_000_003 + epoch


def hashed(seed: int, epoch: int) -> int:
    """Derive the seed of an epoch of captions."""
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch}".encode()).digest()[:7], "big")


def epoch_generator(derive: Derivation, seed: int, epoch: int) -> torch.Generator:
    """Random numbers for the order of one epoch."""
    return torch.Generator().manual_seed(derive(seed, epoch))


def permutation(count: int, generator: torch.Generator | None) -> list[int]:
    """A random order of so many items, or with no generator the given one."""
    return list(range(count)) if generator is None else torch.randperm(count, generator=generator).tolist()


class EpochSampler(Sampler[Item]):
    """A sampler with another order each epoch, of which Lightning tells it the number by `set_epoch`.

    The random state at an epoch's start would not do: it is that of the step before, which a resumed run has not taken.

    Args:
        seed: seed of the order; None keeps the given one.
        derive: derivation of the task.
    """

    def __init__(self, seed: int | None, derive: Derivation) -> None:
        self.seed, self.derive, self.epoch = seed, derive, 0

    def set_epoch(self, epoch: int) -> None:
        """Take the number of the next epoch, from 0."""
        self.epoch = epoch

    def generator(self) -> torch.Generator | None:
        """Random numbers for the order of this epoch; None keeps the given one."""
        return None if self.seed is None else epoch_generator(self.derive, self.seed, self.epoch)
