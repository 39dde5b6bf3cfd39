"""The regularized LSTM: dropout on the non-recurrent connections, and nowhere else.

This file is the only place that knows where dropout goes (paper section 3.2, figure 2).
"""

import importlib
import inspect
import re
import sys
from contextlib import suppress
from itertools import pairwise
from types import FunctionType
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn

from models.cells import LSTM, RNN, NormalizedLSTM
from models.dropout import Dropout, LockedDropout
from models.loops import Masks
from models.options import BackboneArguments as BackboneArguments
from models.options import Cell, declared, own_options

LayerState = Any
"""State of one layer: (h, c) for an LSTM, h for a plain cell, each [1, batch, hidden]."""

State = tuple[LayerState, ...]
"""State of a backbone, one entry a layer, lowest first."""


class RegularizedLSTM(nn.Module):
    """Stack of recurrent layers with dropout D on every non-recurrent connection (paper section 3.2).

    D acts on the input of each layer and on the output of the last one, with a fresh mask at each time step:
    information passes it exactly layers + 1 times, however many steps it is remembered for.

    The methods that came after the paper are options beside it, all off by default. What they do to a step of a layer
    is written in models/loops.py; here is where their masks go, and how long each is kept.

    Args:
        input_size: units of the input.
        hidden_size: units of each layer.
        layers: number of layers stacked; with none, the outputs are the inputs after D.
        dropout: probability with which D zeroes a unit; the others are scaled by 1 / (1 - dropout).
        recurrent_dropout: probability with which units of h[l, t-1] are zeroed, which the paper argues against.
        cell: "lstm" for equations 4 to 6 of the paper, "rnn" for s_t = tanh(U x_t + W s_{t-1}) (section 3).
        dropout_mask: "step" for masks drawn at each time step, "window" for masks drawn at each call, the same at all
            its steps (variational dropout, Gal & Ghahramani 2016), on the recurrent connections too.
        input_dropout: the probability for the first layer's input; that of dropout if None.
        output_dropout: the probability for the last layer's output; that of dropout if None.
        update_dropout: the probability for the update of an LSTM's cell (Semeniuta et al. 2016).
        zoneout_cell: probability that a unit of the cell keeps its value (zoneout, Krueger et al. 2017).
        zoneout_hidden: the same for h.
        weight_drop: probability of dropping a hidden-to-hidden weight, W_hh * m / (1 - weight_drop), with one m a call
            (DropConnect as in Merity et al. 2018, section 2).
        layer_norm: whether layers are normalized (Ba et al. 2016).
        output_size: units of the last layer, if they are not hidden_size.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        layers: int = 2,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        cell: Cell = "lstm",
        *,
        dropout_mask: Literal["step", "window"] = "step",
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        update_dropout: float = 0.0,
        zoneout_cell: float = 0.0,
        zoneout_hidden: float = 0.0,
        weight_drop: float = 0.0,
        layer_norm: bool = False,
        output_size: int | None = None,
    ) -> None:
        super().__init__()
        sizes = [input_size] + [hidden_size] * layers
        if layers and output_size:
            sizes[-1] = output_size
        layer = {"lstm": NormalizedLSTM if layer_norm else LSTM, "rnn": RNN}[cell]
        drop = {"step": Dropout, "window": LockedDropout}[dropout_mask]
        self.hidden_size = hidden_size
        self.layers = nn.ModuleList(layer(below, units) for below, units in pairwise(sizes))
        # nn.LSTM's own dropout argument skips the first input and the last output, hence one-layer modules.
        self.dropout = drop(dropout)
        self.input_dropout = None if input_dropout is None else drop(input_dropout)
        self.output_dropout = None if output_dropout is None else drop(output_dropout)
        self.recurrent_dropout = drop(recurrent_dropout) if recurrent_dropout else None
        self.update_dropout = drop(update_dropout) if update_dropout else None
        self.zoneout_cell, self.zoneout_hidden, self.weight_drop = zoneout_cell, zoneout_hidden, weight_drop
        self._draws = any((recurrent_dropout, update_dropout, zoneout_cell, zoneout_hidden, weight_drop))
        self.undropped: Tensor | None = None
        """The last layer's outputs in the last call in training, before D."""
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
        drop = self.input_dropout or self.dropout
        for layer, layer_state in zip(self.layers, state or (None,) * len(self.layers), strict=True):
            outputs = drop(outputs)
            outputs, layer_state = layer(outputs, layer_state, self._masks(layer, outputs))
            new_state.append(layer_state)
            drop = self.dropout
        self.undropped = outputs if self.training else None
        return (self.output_dropout or self.dropout)(outputs), tuple(new_state)

    def _masks(self, layer: nn.Module, inputs: Tensor) -> Masks | None:
        """What methods besides D draw for a layer; None if there are none."""
        if not self._draws:
            return None
        shape = *inputs.shape[:2], layer.hidden_size
        masks = Masks(
            self._dropped(self.recurrent_dropout, inputs, shape),
            self._dropped(self.update_dropout, inputs, shape),
            self._zoned_out(self.zoneout_cell, inputs, shape),
            self._zoned_out(self.zoneout_hidden, inputs, shape),
            self._weights_dropped(layer),
        )
        return None if masks.empty else masks

    def _dropped(self, drop: Dropout | None, inputs: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        """A factor of dropout for each unit of each step; None if there is none."""
        if drop is None or not self.training:
            return None
        ones = torch.ones(shape, device=inputs.device)
        if drop is self.recurrent_dropout and not isinstance(drop, LockedDropout):
            return torch.stack([drop(one) for one in ones])  # as the ablation's first runs drew them
        mask: Tensor = drop(ones)
        return mask

    def _weights_dropped(self, layer: nn.Module) -> Tensor | None:
        """A factor of weight drop for each hidden-to-hidden weight; None if there is none."""
        if not (self.weight_drop and self.training):
            return None
        weight: Tensor = layer.get_parameter("weight_hh_l0")
        return nn.functional.dropout(torch.ones_like(weight), self.weight_drop)

    def _zoned_out(self, probability: float, inputs: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        """The share of each unit that zoneout keeps at each step: 0 or 1 in training, in evaluation the probability."""
        if not probability:
            return None
        share = torch.full((), probability, device=inputs.device).expand(shape)
        return share.bernoulli() if self.training else share


def _rename_cells(backbone: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Rename parameters in old checkpoints, in which rows with recurrent dropout had layers wrapped around a cell."""
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


def sources(kind: type) -> dict[str, Any]:
    """The source code of a class and of everything in its file or package that it refers to by name, for a fingerprint.

    These are functions, classes, numbers and strings, and whatever they use in turn.

    Raises:
        OSError: the class has no source code.
    """
    own = inspect.getsource(kind)
    found: dict[str, str] = {}
    pending: list[tuple[type | FunctionType, str]] = [(kind, own)]
    package = kind.__module__.partition(".")[0]
    while pending:
        user, source = pending.pop()
        scope = vars(sys.modules[user.__module__])
        for name in set(re.findall(r"\b(?!__)\w+", source)) & scope.keys():
            used, place = scope[name], f"{user.__module__}.{name}"
            if place in found or used is kind:
                continue
            if isinstance(used, bool | int | float | str | None):
                found[place] = repr(used)
            elif isinstance(used, type | FunctionType) and str(used.__module__).partition(".")[0] == package:
                with suppress(OSError, TypeError):
                    found[place] = inspect.getsource(used)
                    pending.append((used, found[place]))
    return {"backbone_source": own, **({"backbone_uses": found} if found else {})}


def build_backbone(input_size: int, **arguments: Unpack[BackboneArguments]) -> nn.Module:
    """Build a recurrent stack, a user's own class too, by calling its constructor as that of RegularizedLSTM.

    An argument that BackboneArguments does not require is passed on where it is set; a class that does not have it is
    then refused.

    Raises:
        ValueError: the class has not an option that is set, there is no such option, or see load_backbone and
            own_options.
    """
    if unknown := sorted(arguments.keys() - BackboneArguments.__annotations__.keys()):
        raise ValueError(f"backbone: there is no option {', '.join(unknown)}; those of a class are backbone_options")
    kind = load_backbone(arguments["backbone"])
    defaults = {name: one.default for name, one in declared(RegularizedLSTM).items()}
    given: dict[str, Any] = {name: value for name, value in arguments.items() if name in defaults}
    given = {
        name: value
        for name, value in given.items()
        if name in BackboneArguments.__required_keys__ or value != defaults[name]
    }
    takes_any = any(one.kind is one.VAR_KEYWORD for one in inspect.signature(kind).parameters.values())
    if lacking := [] if takes_any else sorted(given.keys() - declared(kind).keys()):
        raise ValueError(f"backbone: {arguments['backbone']} does not take {', '.join(lacking)}")
    return kind(input_size=input_size, **given, **own_options(kind, arguments.get("backbone_options", {})))


def initialize_uniform(module: nn.Module, bound: float) -> None:
    """Draw every parameter, biases and embeddings too, from U(-bound, bound) (paper section 4.1).

    Gains of layer normalization stay 1, and its biases 0.
    """
    normalized = {id(one) for part in module.modules() if isinstance(part, nn.LayerNorm) for one in part.parameters()}
    for parameter in module.parameters():
        if id(parameter) not in normalized:
            nn.init.uniform_(parameter, -bound, bound)
