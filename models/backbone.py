"""The regularized LSTM: dropout on the non-recurrent connections, and nowhere else.

This file is the only place that knows where dropout goes (paper section 3.2, figure 2).
"""

import importlib
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from models.cells import LSTM, RNN
from models.dropout import Dropout

Cell = Literal["lstm", "rnn"]

LayerState = Any
"""State of one layer: (h, c) for an LSTM, h for a plain cell, each [1, batch, hidden]."""

State = tuple[LayerState, ...]
"""State of a backbone, one entry a layer, lowest first."""


class BackboneArguments(TypedDict):
    """The arguments of every model that decide its recurrent stack: its class, and what the class is called with."""

    hidden_size: int
    """Units of each layer."""
    layers: int
    """Recurrent layers."""
    dropout: float
    """Probability of dropping a unit of a non-recurrent connection."""
    recurrent_dropout: float
    """Probability of dropping a unit of h[l, t-1], for ablation rows only."""
    cell: Cell
    """LSTM or plain recurrent cell."""
    backbone: str
    """Class path of the recurrent stack, whose constructor is called as that of RegularizedLSTM."""


class RegularizedLSTM(nn.Module):
    """Stack of recurrent layers with dropout D on every non-recurrent connection (paper section 3.2).

    D acts on the input of each layer and on the output of the last one, with a fresh mask at each time step:
    information passes it exactly layers + 1 times, however many steps it is remembered for.

    Args:
        input_size: units of the input.
        hidden_size: units of each layer.
        layers: number of layers stacked; with none, the outputs are the inputs after D.
        dropout: probability with which D zeroes a unit; the others are scaled by 1 / (1 - dropout).
        recurrent_dropout: the same probability for h[l, t-1], which the paper argues against; for ablation rows only.
        cell: "lstm" for equations 4 to 6 of the paper, "rnn" for s_t = tanh(U x_t + W s_{t-1}) (section 3).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layers: int = 2,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        cell: Cell = "lstm",
    ) -> None:
        super().__init__()
        sizes = ([input_size] + [hidden_size] * (layers - 1))[:layers]
        layer = {"lstm": LSTM, "rnn": RNN}[cell]
        self.hidden_size = hidden_size
        self.layers = nn.ModuleList(layer(size, hidden_size) for size in sizes)
        # nn.LSTM's own dropout argument skips the first input and the last output, hence one-layer modules.
        self.dropout = Dropout(dropout)
        self.recurrent_dropout = Dropout(recurrent_dropout) if recurrent_dropout else None
        self.register_load_state_dict_pre_hook(_rename_cells)  # type: ignore[no-untyped-call]

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over a window of time steps.

        Args:
            inputs: [time, batch, input_size].
            state: state that the last call returned, to continue its streams; None starts from zeros.

        Returns:
            Outputs [time, batch, hidden_size] and the state after the last step.
        """
        outputs, new_state = inputs, []
        for layer, layer_state in zip(self.layers, state or (None,) * len(self.layers), strict=True):
            outputs = self.dropout(outputs)
            outputs, layer_state = layer(outputs, layer_state, self._recurrent_masks(outputs))
            new_state.append(layer_state)
        return self.dropout(outputs), tuple(new_state)

    def _recurrent_masks(self, inputs: Tensor) -> Tensor | None:
        """What multiplies h[t-1] at each step [time, batch, hidden_size], for the ablation of section 3.2 only."""
        if self.recurrent_dropout is None or not self.training:
            return None
        ones = torch.ones(inputs.shape[1], self.hidden_size, device=inputs.device)
        return torch.stack([self.recurrent_dropout(ones) for _ in inputs])


def _rename_cells(backbone: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Read checkpoints of rows with recurrent dropout from when those had layers of their own, each around a cell."""
    for name in [name for name in state_dict if name.startswith(f"{prefix}layers.") and ".cell." in name]:
        state_dict[name.replace(".cell.", ".") + "_l0"] = state_dict.pop(name)


def load_backbone(class_path: str) -> type[nn.Module]:
    """Find a backbone class by its dotted path, such as "models.backbone.RegularizedLSTM".

    Raises:
        ValueError: there is no such module, or no such class in it.
    """
    module_name, _, class_name = class_path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"backbone: cannot load {class_path!r} as module.Class: {error}") from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"backbone: {class_path!r} is not a torch.nn.Module class")
    return found


def build_backbone(input_size: int, **arguments: Unpack[BackboneArguments]) -> nn.Module:
    """Build a recurrent stack, a user's own class too, by calling its constructor as that of RegularizedLSTM.

    Raises:
        ValueError: see load_backbone.
    """
    own = {name: value for name, value in arguments.items() if name != "backbone"}
    return load_backbone(arguments["backbone"])(input_size=input_size, **own)


def initialize_uniform(module: nn.Module, bound: float) -> None:
    """Draw every parameter, biases and embeddings too, from U(-bound, bound) (paper section 4.1)."""
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound)
