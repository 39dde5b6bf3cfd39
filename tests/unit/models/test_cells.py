"""The layers that step outside autograd and the masks of dropout, against PyTorch's own."""

import importlib.util
import math

import pytest
import torch
from torch import Tensor, nn

from models import cells, products
from models.backbone import RegularizedLSTM
from models.dropout import Dropout

TIME, BATCH, INPUTS, UNITS = 6, 3, 7, 5
LAYERS = {"lstm": (cells.LSTM, nn.LSTM), "rnn": (cells.RNN, nn.RNN)}


@pytest.fixture
def stepping(monkeypatch) -> None:
    """Every layer steps, and every weight is packed where oneDNN can."""
    monkeypatch.setattr(cells, "stepping_pays", lambda layer, inputs: True)
    monkeypatch.setattr(products, "PACKED", 1)


def tensors(found: object) -> list[Tensor]:
    return [found] if isinstance(found, Tensor) else [one for part in found for one in tensors(part)]


def call(layer: nn.Module, own: bool, dtype: torch.dtype, with_state: bool = True) -> list[Tensor]:
    """Outputs and states of a layer, and the gradients of everything that went into them."""
    torch.manual_seed(1)
    kind = type(layer)
    forward = kind.forward if own else kind.__bases__[0].forward
    inputs = torch.randn(TIME, BATCH, INPUTS, dtype=dtype, requires_grad=True)
    state = tuple(torch.randn(1, BATCH, UNITS, dtype=dtype, requires_grad=True) for _ in range(2))
    given = (state if issubclass(kind, nn.LSTM) else state[0]) if with_state else None
    found = tensors(forward(layer, inputs, given))
    loss = sum((one.float() if dtype == torch.float32 else one).mul(torch.randn(one.shape)).sum() for one in found)
    leaves = [inputs, *(tensors(given) if with_state else ()), *layer.parameters()]
    return [*(one.detach() for one in found), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("with_state", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_values_and_gradients_are_pytorchs(cell: str, dtype: torch.dtype, with_state: bool, stepping) -> None:
    layer = LAYERS[cell][0](INPUTS, UNITS).to(dtype)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-10, "atol": 1e-12}
    own, other = (call(layer, is_own, dtype, with_state) for is_own in (True, False))
    for one, expected in zip(own, other, strict=True):
        torch.testing.assert_close(one, expected, **tolerance)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_under_autocast_they_are_as_near_as_bfloat16_is(cell: str, stepping) -> None:
    layer = LAYERS[cell][0](INPUTS, UNITS)
    exact = call(layer, False, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = call(layer, True, torch.float32)
    for one, expected in zip(rounded, exact, strict=True):
        assert (one - expected).norm() < 0.03 * expected.norm()
    assert not torch.equal(rounded[0].float(), exact[0])
    assert all(gradient.dtype == torch.float32 for gradient in rounded[-len(list(layer.parameters())) :])


def test_only_the_state_may_have_a_gradient(stepping) -> None:
    """As in an encoder, of which nothing but the last state is used."""
    own, other = cells.LSTM(INPUTS, UNITS), nn.LSTM(INPUTS, UNITS)
    other.load_state_dict(own.state_dict())
    inputs = torch.randn(TIME, BATCH, INPUTS)
    for part in range(2):
        found, expected = (
            torch.autograd.grad(layer(inputs)[1][part].sum(), layer.parameters()) for layer in (own, other)
        )
        for one, gradient in zip(found, expected, strict=True):
            torch.testing.assert_close(one, gradient, rtol=1e-5, atol=1e-6)


def test_float32_without_masks_is_pytorchs_layer_bit_for_bit() -> None:
    own, other = cells.LSTM(500, 500), nn.LSTM(500, 500)
    other.load_state_dict(own.state_dict())
    inputs = torch.randn(TIME, BATCH, 500)
    assert torch.equal(own(inputs)[0], other(inputs)[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert own(inputs)[1][1].dtype == torch.float32  # its cell is kept in float32: it stepped


def test_state_carries_over_windows_under_autocast() -> None:
    backbone = RegularizedLSTM(UNITS, cells.STEPPED, 2)
    inputs = torch.randn(TIME, BATCH, UNITS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        whole, _ = backbone(inputs)
        first, state = backbone(inputs[:4])
        second, _ = backbone(inputs[4:], state)
    assert torch.equal(torch.cat([first, second]), whole)


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.5, 0.65, 1.0])
def test_masks_in_bfloat16_drop_with_their_probability(p: float) -> None:
    dropout, count = Dropout(p), 40_001
    with torch.autocast("cpu", torch.bfloat16):
        dropped = dropout(torch.ones(count)).float()
        assert torch.equal(dropout.eval()(torch.ones(9)), torch.ones(9))
    share = (dropped == 0).double().mean().item()
    assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / count) + 1e-12)
    if p < 1:
        assert dropped.max().item() == pytest.approx(1 / (1 - p), rel=2**-8)
        assert dropped.mean().item() == pytest.approx(1, abs=5 * math.sqrt(p / (1 - p) / count) + 2**-8)
    neighbors = (dropped[1:] == 0) & (dropped[:-1] == 0)
    assert neighbors.double().mean().item() == pytest.approx(p * p, abs=0.02)


def test_masks_in_float32_are_pytorchs() -> None:
    values = torch.randn(1000)
    torch.manual_seed(3)
    own = Dropout(0.3)(values)
    torch.manual_seed(3)
    assert torch.equal(own, nn.Dropout(0.3)(values))


def test_the_loops_run_on_a_cpu_wherever_they_were_imported() -> None:
    """`rnnreg verify` counts parameters on the device "meta", and may be the first to import them."""
    spec = importlib.util.find_spec("models.loops")
    module = importlib.util.module_from_spec(spec)
    with torch.device("meta"):
        spec.loader.exec_module(module)
    out = torch.empty(1)
    module._tanh(torch.ones(1), out)
    torch.testing.assert_close(out, torch.ones(1).tanh())


def test_a_small_layer_steps_where_pytorchs_own_has_no_bfloat16(monkeypatch) -> None:
    layer, inputs = cells.LSTM(4, 4), torch.randn(3, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        for lacks in (True, False):
            monkeypatch.setattr("models.cells.lacks_bfloat16", lambda lacks=lacks: lacks)
            assert cells.stepping_pays(layer, inputs) is lacks
    assert not cells.stepping_pays(layer, inputs)
