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

TUNED: Mapping[str, Mapping[str, Any]] = {
    "none": {"clip": 7.002, "decay": 1.725, "epochs": 10, "lr": 0.5719},
    "dropout": {"clip": 3.979, "decay": 1.587, "dropout": 0.08752, "epochs": 10, "lr": 1.016},
    "variational": {
        "clip": 1.373,
        "decay": 1.173,
        "dropout": 0.2185,
        "embedding_dropout": 0.2724,
        "epochs": 16,
        "lr": 2.203,
        "recurrent_dropout": 0.165,
    },
    "update-dropout": {
        "clip": 1.317,
        "decay": 1.617,
        "dropout": 0.1842,
        "epochs": 10,
        "lr": 2.583,
        "update_dropout": 0.096,
    },
    "zoneout": {
        "clip": 1.575,
        "decay": 1.283,
        "epochs": 16,
        "lr": 2.841,
        "zoneout_cell": 0.1638,
        "zoneout_hidden": 0.08241,
    },
    "weight-drop": {"clip": 2.197, "decay": 1.495, "epochs": 16, "lr": 1.814, "weight_drop": 0.4864},
    "embedding-dropout": {"clip": 2.932, "decay": 1.208, "embedding_dropout": 0.3124, "epochs": 16, "lr": 1.856},
    "layer-norm": {"clip": 1.17, "decay": 1.326, "epochs": 6, "lr": 1.822},
    "tied": {"clip": 5.605, "decay": 1.638, "epochs": 16, "lr": 0.4453},
    "ar-tar": {
        "activation_regularization": 0.6009,
        "clip": 1.826,
        "decay": 1.298,
        "dropout": 0.07366,
        "epochs": 16,
        "lr": 2.57,
        "temporal_activation_regularization": 0.9119,
    },
    "nt-asgd": {"averaging_patience": 3, "clip": 9.917, "decay": 1.293, "epochs": 16, "lr": 1.425},
    "ema": {"averaging_decay": 0.99, "clip": 3.01, "decay": 1.524, "epochs": 6, "lr": 1.74},
    "awd-lstm": {
        "clip": 7.118,
        "decay": 1.742,
        "dropout": 0.1231,
        "embedding_dropout": 0.02044,
        "epochs": 16,
        "input_dropout": 0.07442,
        "lr": 0.6092,
        "output_dropout": 0.248,
        "weight_drop": 0.4437,
    },
}
"""The best of twelve trials of each method on the State of the Union, which `rnnreg tune` has found."""
