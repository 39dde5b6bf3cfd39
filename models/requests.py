"""What a user may ask of a trained model: settings of drawing and of beam search, checked before the work begins."""

import math
from numbers import Integral, Real

from datamodules.errors import UserError

TEMPERATURES = (1e-6, 1e6)
"""Beyond these, logits divided by the temperature are infinite or all alike."""
LARGEST_SEED = 2**63 - 1
SEARCH_BOUNDS = {"beam": (1, 100), "length_normalization": (0, 10)}
"""The least and the largest value of each setting of beam search."""


def require_whole(name: str, value: object, least: int, most: float = math.inf) -> None:
    """Refuse what is no whole number between bounds.

    Raises:
        UserError: it is not; the message names the setting and says what would be right.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        upper = "" if most == math.inf else f" to {most}"
        raise UserError(f"{name} is {value!r}; expected a whole number from {least}{upper}")


def require_number(name: str, value: object, least: float, most: float) -> None:
    """Refuse what is no number between bounds.

    Raises:
        UserError: see require_whole.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not least <= float(value) <= most:
        raise UserError(f"{name} is {value!r}; expected a number from {least:g} to {most:g}")


def require_drawing(words: int, temperature: float, top_k: int | None, seed: int) -> None:
    """Refuse settings of drawing that no text can be drawn with."""
    require_whole("words", words, 0)
    require_number("temperature", temperature, *TEMPERATURES)
    if top_k is not None:
        require_whole("top_k", top_k, 1)
    require_whole("the seed of the drawing", seed, 0, LARGEST_SEED)


def require_search(beam: int | None, length_normalization: float | None) -> None:
    """Refuse settings of beam search that would take all memory or give no number; None stands for the model's own."""
    if beam is not None:
        require_whole("beam", beam, *SEARCH_BOUNDS["beam"])
    if length_normalization is not None:
        require_number("length_normalization", length_normalization, *SEARCH_BOUNDS["length_normalization"])
