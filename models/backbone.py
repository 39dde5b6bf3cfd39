"""The regularized LSTM: dropout on the non-recurrent connections, and nowhere else.

This file is the only place that knows where dropout goes (paper section 3.2, figure 2).
"""

import importlib
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

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
        recurrent_dropout: the same on h[l, t-1], the way the paper argues against; for ablation rows only.
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
        if recurrent_dropout:
            stack = [RecurrentDropoutLayer(size, hidden_size, recurrent_dropout, cell) for size in sizes]
        else:
            fused = {"lstm": nn.LSTM, "rnn": nn.RNN}[cell]
            stack = [fused(size, hidden_size) for size in sizes]
        self.layers = nn.ModuleList(stack)
        # nn.LSTM's own dropout argument skips the first input and the last output, hence one-layer modules.
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Run over a window of time steps.

        Args:
            inputs: [time, batch, input_size].
            state: what the last call returned, to continue its streams; None starts from zeros.

        Returns:
            Outputs [time, batch, hidden_size] and the state after the last step.
        """
        outputs, new_state = inputs, []
        for layer, layer_state in zip(self.layers, state or (None,) * len(self.layers), strict=True):
            outputs, layer_state = layer(self.dropout(outputs), layer_state)
            new_state.append(layer_state)
        return self.dropout(outputs), tuple(new_state)


class RecurrentDropoutLayer(nn.Module):
    """One recurrent layer that drops h[t-1] too: the ablation of paper section 3.2, not the method.

    It steps through time in Python, since a fused kernel cannot mask what it feeds back. Same call as nn.LSTM.
    """

    def __init__(self, input_size: int, hidden_size: int, dropout: float, cell: Cell) -> None:
        super().__init__()
        self.cell = {"lstm": nn.LSTMCell, "rnn": nn.RNNCell}[cell](input_size, hidden_size)
        self.recurrent_dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, state: LayerState | None = None) -> tuple[Tensor, LayerState]:
        """Run over inputs [time, batch, input_size]; see RegularizedLSTM.forward."""
        is_lstm = isinstance(self.cell, nn.LSTMCell)
        if state is None:
            zeros = inputs.new_zeros(1, inputs.shape[1], self.cell.hidden_size)
            state = (zeros, zeros) if is_lstm else zeros
        h: Tensor = state[0][0] if is_lstm else state[0]
        c: Tensor | None = state[1][0] if is_lstm else None
        outputs = []
        for step in inputs:
            dropped = self.recurrent_dropout(h)
            if is_lstm:
                h, c = self.cell(step, (dropped, c))
            else:
                h = self.cell(step, dropped)
            outputs.append(h)
        return torch.stack(outputs), h[None] if c is None else (h[None], c[None])


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
