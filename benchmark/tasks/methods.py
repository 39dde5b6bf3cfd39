"""The methods of the atlas: what each is called, the settings of its source, and what `rnnreg tune` found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.tasks.spaces import Choice, Range, Space

AWD: Mapping[str, Any] = {
    "dropout": 0.25,
    "input_dropout": 0.4,
    "output_dropout": 0.4,
    "dropout_mask": "window",
    "weight_drop": 0.5,
    "embedding_dropout": 0.1,
    "activation_regularization": 2.0,
    "temporal_activation_regularization": 1.0,
    "averaging": "triggered",
}
"""Regularization of AWD-LSTM on the Penn Treebank: the command in the README of its authors' code, and that code's
defaults. Between layers (dropout) the paper has 0.3 (Merity et al. 2018, section 5)."""
AWD_WEIGHT_DECAY = 1.2e-6
"""Its weight decay, for a loss that is a mean over the unroll."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of the atlas.

    A method is combined with dropout only where its source does so. Methods that average weights keep the learning rate
    constant in every trial.
    """

    label: str
    """What tables and figures call it."""
    of_source: Mapping[str, Any] = field(default_factory=dict)
    """Its settings as in its source, by field of LanguageModelConfig."""
    space: Space = field(default_factory=dict)
    """Those of its own settings that are tuned, beside what is tuned of every method."""
    tuned: Mapping[str, Any] = field(default_factory=dict)
    """The best of twelve trials on the State of the Union, which `rnnreg tune` has found."""

    @property
    def elsewhere(self) -> Mapping[str, Any]:
        """Its own settings as tuned, without how long and how fast that text is learned."""
        return {**self.of_source, **{name: value for name, value in self.tuned.items() if name in self.space}}


PROBABILITY = Range(0.05, 0.6)
"""Where the probability of dropping is looked for, if nothing else is said."""
MAYBE = Range(0.0, 0.5)
"""The same beside other probabilities, where none at all may be right."""
FACTOR = Range(0.1, 10.0, log=True)
"""Where the factor of a penalty is looked for."""

METHODS: Mapping[str, Method] = {
    "none": Method(
        label="no regularization",
        tuned={"clip": 7.002, "decay": 1.725, "epochs": 10, "lr": 0.5719},
    ),
    "dropout": Method(
        label="dropout (the paper's)",
        of_source={"dropout": 0.2},
        space={"dropout": PROBABILITY},
        tuned={"clip": 3.979, "decay": 1.587, "dropout": 0.08752, "epochs": 10, "lr": 1.016},
    ),
    # Gal's large model drops words and h with 0.3, inputs and outputs with 0.5 (his code).
    "variational": Method(
        label="variational dropout",
        of_source={"dropout_mask": "window", "dropout": 0.2, "recurrent_dropout": 0.2, "embedding_dropout": 0.2},
        space={"dropout": PROBABILITY, "recurrent_dropout": MAYBE, "embedding_dropout": MAYBE},
        tuned={
            "clip": 1.373,
            "decay": 1.173,
            "dropout": 0.2185,
            "embedding_dropout": 0.2724,
            "epochs": 16,
            "lr": 2.203,
            "recurrent_dropout": 0.165,
        },
    ),
    "update-dropout": Method(
        label="recurrent dropout without memory loss",
        of_source={"update_dropout": 0.25, "dropout": 0.25},
        space={"update_dropout": PROBABILITY, "dropout": MAYBE},
        tuned={"clip": 1.317, "decay": 1.617, "dropout": 0.1842, "epochs": 10, "lr": 2.583, "update_dropout": 0.096},
    ),
    # Krueger et al. have 0.5 and 0.05 on the Penn Treebank (README of their code), halved here.
    "zoneout": Method(
        label="zoneout",
        of_source={"zoneout_cell": 0.25, "zoneout_hidden": 0.025},
        space={"zoneout_cell": PROBABILITY, "zoneout_hidden": Range(0.0, 0.3)},
        tuned={
            "clip": 1.575,
            "decay": 1.283,
            "epochs": 16,
            "lr": 2.841,
            "zoneout_cell": 0.1638,
            "zoneout_hidden": 0.08241,
        },
    ),
    # From here to activation regularization, as in AWD-LSTM.
    "weight-drop": Method(
        label="weight drop",
        of_source={"weight_drop": 0.5},
        space={"weight_drop": Range(0.1, 0.8)},
        tuned={"clip": 2.197, "decay": 1.495, "epochs": 16, "lr": 1.814, "weight_drop": 0.4864},
    ),
    "embedding-dropout": Method(
        label="embedding dropout",
        of_source={"embedding_dropout": 0.1},
        space={"embedding_dropout": PROBABILITY},
        tuned={"clip": 2.932, "decay": 1.208, "embedding_dropout": 0.3124, "epochs": 16, "lr": 1.856},
    ),
    "layer-norm": Method(
        label="layer normalization",
        of_source={"layer_norm": True},
        tuned={"clip": 1.17, "decay": 1.326, "epochs": 6, "lr": 1.822},
    ),
    "tied": Method(
        label="tied weights",
        of_source={"tied": True},
        tuned={"clip": 5.605, "decay": 1.638, "epochs": 16, "lr": 0.4453},
    ),
    "ar-tar": Method(
        label="activation regularization",
        of_source={"dropout": 0.2, "activation_regularization": 2.0, "temporal_activation_regularization": 1.0},
        space={
            "dropout": PROBABILITY,
            "activation_regularization": FACTOR,
            "temporal_activation_regularization": FACTOR,
        },
        tuned={
            "activation_regularization": 0.6009,
            "clip": 1.826,
            "decay": 1.298,
            "dropout": 0.07366,
            "epochs": 16,
            "lr": 2.57,
            "temporal_activation_regularization": 0.9119,
        },
    ),
    "nt-asgd": Method(
        label="NT-ASGD",
        of_source={"averaging": "triggered", "averaging_patience": 2, "flat_epochs": 16},
        space={"averaging_patience": Choice((1, 2, 3))},
        tuned={"averaging_patience": 3, "clip": 9.917, "decay": 1.293, "epochs": 16, "lr": 1.425},
    ),
    "ema": Method(
        label="exponential moving average",
        of_source={"averaging": "exponential", "averaging_decay": 0.99},
        space={"averaging_decay": Choice((0.98, 0.99, 0.995, 0.998))},
        tuned={"averaging_decay": 0.99, "clip": 3.01, "decay": 1.524, "epochs": 6, "lr": 1.74},
    ),
    "awd-lstm": Method(
        label="AWD-LSTM",
        of_source={
            **AWD,
            "averaging_patience": 2,
            "flat_epochs": 16,
            "tied": True,
            "weight_decay": 20 * AWD_WEIGHT_DECAY,
        },
        space={
            "dropout": MAYBE,
            "input_dropout": MAYBE,
            "output_dropout": MAYBE,
            "weight_drop": Range(0.1, 0.8),
            "embedding_dropout": MAYBE,
        },
        tuned={
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
    ),
}
"""The methods, by the end of the names of their rows."""
