"""Options of `rnnreg evaluate`: what is evaluated, and the settings of evaluation methods."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jsonargparse.typing import NonNegativeFloat, OpenUnitInterval, PositiveFloat, PositiveInt

from models.requests import TEMPERATURES, require_number

MOST = {
    "samples": 10_000, "temperature": TEMPERATURES[1], "size": 1_000_000, "flatness": 1000, "segment": 1_000_000,
    "rate": 1000, "decay": 1000,
}  # fmt: skip
"""Largest settings that make sense: beyond them there is no memory for it, or probabilities are no numbers."""
LEAST = {"temperature": TEMPERATURES[0]}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of evaluation methods; those that are not given are chosen on the validation set or have a default."""

    samples: PositiveInt | None = None
    """With mc-dropout, number of passes with dropout on; 20 by default."""
    mean: Literal["arithmetic", "geometric"] | None = None
    """With mc-dropout, mean of the probabilities (arithmetic, the default) or of their logarithms (geometric)."""
    temperature: PositiveFloat | None = None
    """With temperature, divisor of the logits."""
    size: PositiveInt | None = None
    """With neural-cache, number of words that it remembers; 500 by default."""
    flatness: NonNegativeFloat | None = None
    """With neural-cache, weight of the likeness of hidden states, theta in the paper."""
    weight: OpenUnitInterval | None = None
    """With neural-cache, its share in the prediction, lambda in the paper."""
    segment: PositiveInt | None = None
    """With dynamic, tokens between two changes of the parameters; 20 by default."""
    rate: PositiveFloat | None = None
    """With dynamic, learning rate."""
    decay: NonNegativeFloat | None = None
    """With dynamic, part of the way back to the trained parameters that each change takes."""

    def __post_init__(self) -> None:
        for name, most in MOST.items():
            if (value := getattr(self, name)) is not None:
                require_number(name, value, LEAST.get(name, 0), most)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that the user has given."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a model is evaluated on, if not on the data of its run."""

    text: Path | None = None
    """File to evaluate: a text, one sentence a line, or for a translator source sentences, with --reference."""
    reference: Path | None = None
    """File of the translations of --text, line by line."""
    source: str = ""
    """Another data set, by name or folder: its test set, and all of a folder of pictures or recordings."""
    features: Path | None = None
    """File (.npz) of the vectors of pictures, for a captioner that was trained on such a file."""

    @property
    def is_own(self) -> bool:
        """Whether nothing is given, so that it is the data of the run."""
        return self == Inputs()
