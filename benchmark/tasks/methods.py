"""The settings that are tuned of each method of the atlas, and what `rnnreg tune` found."""

from collections.abc import Mapping
from typing import Any

from benchmark.tasks.spaces import SHARED, Choice, Range, Space

PROBABILITY = Range(0.05, 0.6)
"""Where the probability of dropping is looked for, if nothing else is said."""
MAYBE = Range(0.0, 0.5)
"""The same beside other probabilities, where none at all may be right."""
FACTOR = Range(0.1, 10.0, log=True)
"""Where the factor of a penalty is looked for."""

OWN: Mapping[str, Space] = {
    "none": {},
    "dropout": {"dropout": PROBABILITY},
    "variational": {"dropout": PROBABILITY, "recurrent_dropout": MAYBE, "embedding_dropout": MAYBE},
    "update-dropout": {"update_dropout": PROBABILITY, "dropout": MAYBE},
    "zoneout": {"zoneout_cell": PROBABILITY, "zoneout_hidden": Range(0.0, 0.3)},
    "weight-drop": {"weight_drop": Range(0.1, 0.8)},
    "embedding-dropout": {"embedding_dropout": PROBABILITY},
    "layer-norm": {},
    "tied": {},
    "ar-tar": {
        "dropout": PROBABILITY,
        "activation_regularization": FACTOR,
        "temporal_activation_regularization": FACTOR,
    },
    "nt-asgd": {"averaging_patience": Choice((1, 2, 3))},
    "ema": {"averaging_decay": Choice((0.98, 0.99, 0.995, 0.998))},
    "awd-lstm": {
        "dropout": MAYBE,
        "input_dropout": MAYBE,
        "output_dropout": MAYBE,
        "weight_drop": Range(0.1, 0.8),
        "embedding_dropout": MAYBE,
    },
}
"""The settings of each method itself."""

SPACES: Mapping[str, Space] = {method: {**SHARED, **own} for method, own in OWN.items()}
"""What is drawn for the row of each method: what is tuned of every row, and the method's own settings."""

TUNED: Mapping[str, Mapping[str, Any]] = {}
"""The best trial of each method on the State of the Union, as `rnnreg tune` printed it: its settings are the row's."""
