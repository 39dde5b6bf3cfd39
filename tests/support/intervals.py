"""The interval of a difference, put together as the product does."""

from collections.abc import Sequence

import numpy as np

from benchmark.analysis.intervals import CONFIDENCE, Interval, difference, interval, seeds


def welch(before: Sequence[float], after: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Welch's interval over seeds of the difference of two means, that of `after` less that of `before`."""
    return interval(float(np.mean(after) - np.mean(before)), difference(seeds(before), seeds(after)), confidence)
