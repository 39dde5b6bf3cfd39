"""Each method against its source's equations in the plainest PyTorch, forward and backward."""

import itertools

import pytest
import torch
from torch import Tensor

from models.backbone import RegularizedLSTM
from models.loops import Masks

TIME, BATCH, INPUTS, UNITS = 5, 3, 4, 6


def normalized(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Ba et al. 2016, equations 3 and 4."""
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return gain * (x - mean) / torch.sqrt(variance + 1e-5) + bias


def steps(p: dict[str, Tensor], inputs: Tensor, h: Tensor, c: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
    """Outputs and last cell of a layer with parameters p, each method as its source has it."""
    outputs = []
    for t, x in enumerate(inputs):
        fed_back = h if masks.recurrent is None else h * masks.recurrent[t]  # Gal & Ghahramani 2016, equation 7
        weights = (
            p["weight_hh_l0"] if masks.weights is None else p["weight_hh_l0"] * masks.weights
        )  # Merity et al. 2018
        from_input, from_h = x @ p["weight_ih_l0"].T, fed_back @ weights.T
        if "of_sums.weight" in p:  # Ba et al. 2016, equation 20
            from_input = normalized(from_input, p["of_inputs.weight"], p["of_inputs.bias"])
            from_h = normalized(from_h, p["of_sums.weight"], p["of_sums.bias"])
        i, f, g, o = (from_input + from_h + p["bias_ih_l0"] + p["bias_hh_l0"]).chunk(4, dim=1)
        update = torch.tanh(g) if masks.update is None else masks.update[t] * torch.tanh(g)  # Semeniuta et al. 2016
        new_c = torch.sigmoid(f) * c + torch.sigmoid(i) * update
        squashed = normalized(new_c, p["of_cells.weight"], p["of_cells.bias"]) if "of_cells.weight" in p else new_c
        new_h = torch.sigmoid(o) * torch.tanh(squashed)
        if masks.kept_cell is not None:  # Krueger et al. 2017, section 3.2
            new_c = masks.kept_cell[t] * c + (1 - masks.kept_cell[t]) * new_c
        if masks.kept_hidden is not None:
            new_h = masks.kept_hidden[t] * h + (1 - masks.kept_hidden[t]) * new_h
        h, c = new_h, new_c
        outputs.append(h)
    return torch.stack(outputs), c


DRAWN = [frozenset(names) for n in (0, 1, 2, 5) for names in itertools.combinations(Masks._fields, n)]


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: "+".join(sorted(drawn)) or "nothing")
@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_layer_equals_the_sources_equations(layer_norm: bool, drawn: frozenset[str]) -> None:
    torch.manual_seed(1)
    layer = RegularizedLSTM(INPUTS, UNITS, 1, layer_norm=layer_norm).double().layers[0]
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    shapes = {name: (4 * UNITS, UNITS) if name == "weights" else (TIME, BATCH, UNITS) for name in drawn}
    masks = Masks(**{name: torch.rand(shape, dtype=torch.double) for name, shape in shapes.items()})
    inputs = torch.randn(TIME, BATCH, INPUTS, dtype=torch.double, requires_grad=True)
    h, c = (torch.randn(BATCH, UNITS, dtype=torch.double, requires_grad=True) for _ in range(2))
    leaves = [inputs, h, c, *layer.parameters()]

    outputs, (last_h, last_c) = layer(inputs, (h[None], c[None]), None if masks.empty else masks)
    expected, expected_c = steps(dict(layer.named_parameters()), inputs, h, c, masks)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last_h[0], expected[-1])
    torch.testing.assert_close(last_c[0], expected_c)
    by_outputs, by_cell = torch.randn_like(expected), torch.randn_like(expected_c)
    gradients = torch.autograd.grad((outputs * by_outputs).sum() + (last_c[0] * by_cell).sum(), leaves)
    own = torch.autograd.grad((expected * by_outputs).sum() + (expected_c * by_cell).sum(), leaves)
    for gradient, expected_gradient in zip(gradients, own, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)
