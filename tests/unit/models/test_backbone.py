"""The dropout rule and the cells, against the paper's equations written out."""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmark.tasks import language_modeling, registry
from benchmark.tasks.base import Row
from models.backbone import RegularizedLSTM, initialize_uniform, load_backbone
from models.language_model import LanguageModel

TIME, BATCH, SIZE, LAYERS = 6, 3, 5, 2


class GivenMasks(nn.Module):
    """Dropout with masks that the test chose, taken in order."""

    def __init__(self, masks: list[Tensor]) -> None:
        super().__init__()
        self.masks, self.used = masks, 0

    def forward(self, values: Tensor) -> Tensor:
        self.used += 1
        return values * self.masks[self.used - 1]


class _MarkGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * MARK


MARK = 3.0


class Marker(nn.Module):
    """Stands where dropout stands and multiplies what flows back through it, so that applications can be counted."""

    def forward(self, values: Tensor) -> Tensor:
        return _MarkGradient.apply(values)


def paper_step(
    cell: str, parameters: dict[str, Tensor], below: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Equations of paper section 3.1 (LSTM) and section 3 (plain cell), one step, h and c as [batch, hidden]."""
    h, c = state
    total = (
        below @ parameters["weight_ih_l0"].T
        + parameters["bias_ih_l0"]
        + h @ parameters["weight_hh_l0"].T
        + parameters["bias_hh_l0"]
    )
    if cell == "rnn":
        return torch.tanh(total), c
    i, f, g, o = total.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def paper_forward(
    cell: str, backbone: RegularizedLSTM, inputs: Tensor, masks: list[Tensor], recurrent: list[Tensor] | None = None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The regularized stack written out step by step with given masks [time, batch, units] for each of L + 1 places.

    The ablation drops h[t-1] too, with a mask [batch, units] for each step of each layer in turn.
    """
    zeros = torch.zeros(BATCH, SIZE, dtype=inputs.dtype)
    states = [(zeros, zeros) for _ in range(LAYERS)]
    outputs = []
    for t, values in enumerate(inputs):
        for layer in range(LAYERS):
            parameters = dict(backbone.layers[layer].named_parameters())
            h, c = states[layer]
            h = h if recurrent is None else h * recurrent[layer * TIME + t]
            states[layer] = paper_step(cell, parameters, values * masks[layer][t], (h, c))
            values = states[layer][0]
        outputs.append(values * masks[LAYERS][t])
    return torch.stack(outputs), states


@pytest.mark.parametrize("recurrent_dropout", [0.0, 0.5])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_equals_the_papers_equations_forward_and_backward(cell: str, recurrent_dropout: float) -> None:
    backbone = RegularizedLSTM(SIZE, SIZE, LAYERS, 0.5, recurrent_dropout, cell).double()
    initialize_uniform(backbone, 0.5)
    masks = [torch.bernoulli(torch.full((TIME, BATCH, SIZE), 0.5)).double() * 2 for _ in range(LAYERS + 1)]
    recurrent = [torch.bernoulli(torch.full((BATCH, SIZE), 0.5)).double() * 2 for _ in range(LAYERS * TIME)]
    inputs = torch.randn(TIME, BATCH, SIZE, dtype=torch.double, requires_grad=True)
    weight = torch.randn(TIME, BATCH, SIZE, dtype=torch.double)
    leaves = [inputs, *backbone.parameters()]

    expected, states = paper_forward(cell, backbone, inputs, masks, recurrent if recurrent_dropout else None)
    expected_gradients = torch.autograd.grad((expected * weight).sum(), leaves)
    backbone.dropout = GivenMasks(masks)
    if recurrent_dropout:
        backbone.recurrent_dropout = GivenMasks(recurrent)
    outputs, new_state = backbone(inputs)
    gradients = torch.autograd.grad((outputs * weight).sum(), leaves)

    assert backbone.dropout.used == LAYERS + 1
    assert not recurrent_dropout or backbone.recurrent_dropout.used == LAYERS * TIME
    torch.testing.assert_close(outputs, expected)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)
    for layer_state, (h, c) in zip(new_state, states, strict=True):
        torch.testing.assert_close(layer_state[0][0] if cell == "lstm" else layer_state[0], h)
        if cell == "lstm":
            torch.testing.assert_close(layer_state[1][0], c)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_dropout_is_passed_layers_plus_one_times_at_any_distance(layers: int) -> None:
    backbone = RegularizedLSTM(SIZE, SIZE, layers, dropout=0.5).double()
    inputs = torch.randn(TIME, 1, SIZE, dtype=torch.double, requires_grad=True)

    def influence() -> list[Tensor]:
        """d output[-1] / d input[t] for each t."""
        gradient = torch.autograd.grad(backbone(inputs)[0][-1].sum(), inputs)[0]
        return list(gradient)

    backbone.dropout = nn.Identity()
    plain = influence()
    backbone.dropout = Marker()
    for marked, unmarked in zip(influence(), plain, strict=True):
        torch.testing.assert_close(marked, unmarked * MARK ** (layers + 1))


def test_no_mask_touches_the_recurrent_path() -> None:
    """With every non-recurrent connection cut, state still evolves from itself as the equations say."""
    backbone = RegularizedLSTM(SIZE, SIZE, 1, dropout=0.5).double()
    h = c = torch.randn(BATCH, SIZE, dtype=torch.double)
    state = ((h[None], c[None]),)
    backbone.dropout = GivenMasks([torch.zeros(1)] * 2)
    outputs, ((new_h, new_c),) = backbone(torch.randn(TIME, BATCH, SIZE, dtype=torch.double), state)

    parameters = dict(backbone.layers[0].named_parameters())
    for _ in range(TIME):
        h, c = paper_step("lstm", parameters, torch.zeros(BATCH, SIZE, dtype=torch.double), (h, c))
    assert not outputs.any()
    torch.testing.assert_close(new_h[0], h)
    torch.testing.assert_close(new_c[0], c)


def test_masks_are_fresh_at_each_step_scaled_and_off_in_evaluation() -> None:
    backbone = RegularizedLSTM(400, 400, 1, dropout=0.65)
    backbone.layers[0] = _PassThrough()
    dropped, _ = backbone(torch.ones(2, 1, 400))
    kept = 1 / 0.35**2
    assert {round(value, 3) for value in dropped.unique().tolist()} == {0.0, round(kept, 3)}
    assert not torch.equal(dropped[0], dropped[1])
    assert dropped.mean().item() == pytest.approx(1, abs=6 * math.sqrt((1 / 0.35**2 - 1) / 800))
    assert torch.equal(backbone.eval()(torch.ones(2, 1, 400))[0], torch.ones(2, 1, 400))


class _PassThrough(nn.Module):
    def forward(self, inputs: Tensor, state: None, masks: None) -> tuple[Tensor, None]:
        return inputs, None


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_recurrent_dropout_is_off_in_evaluation(cell: str) -> None:
    ablation = RegularizedLSTM(SIZE, SIZE, LAYERS, recurrent_dropout=0.5, cell=cell)
    plain = RegularizedLSTM(SIZE, SIZE, LAYERS, cell=cell)
    plain.load_state_dict(ablation.state_dict())
    inputs = torch.randn(TIME, BATCH, SIZE)
    assert not torch.allclose(ablation(inputs)[0], plain(inputs)[0])
    torch.testing.assert_close(ablation.eval()(inputs), plain(inputs), rtol=0, atol=0)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_recurrent_dropout_draws_the_masks_that_dropping_each_step_draws(cell: str) -> None:
    """As rows of the ablation were trained until 0.1.0: nn.Dropout on h[t-1], then the cell, step by step."""
    backbone = RegularizedLSTM(SIZE, SIZE, 1, recurrent_dropout=0.5, cell=cell)
    stepping = {"lstm": nn.LSTMCell, "rnn": nn.RNNCell}[cell](SIZE, SIZE)
    before = {f"layers.0.cell.{name}": parameter for name, parameter in stepping.state_dict().items()}
    backbone.load_state_dict(before)  # as in checkpoints of that time
    inputs = torch.randn(TIME, BATCH, SIZE)
    torch.manual_seed(1)
    outputs, _ = backbone(inputs)

    torch.manual_seed(1)
    h = c = torch.zeros(BATCH, SIZE)
    for values, output in zip(inputs, outputs, strict=True):
        dropped = nn.functional.dropout(h, 0.5)
        h, c = stepping(values, (dropped, c)) if cell == "lstm" else (stepping(values, dropped), c)
        torch.testing.assert_close(output, h)


def test_state_carries_over_windows() -> None:
    backbone = RegularizedLSTM(SIZE, SIZE, LAYERS)
    inputs = torch.randn(TIME, BATCH, SIZE)
    whole, _ = backbone(inputs)
    first, state = backbone(inputs[:4])
    second, _ = backbone(inputs[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)


@pytest.mark.parametrize(
    ("name", "count"), [("ptb-small", 4_653_200), ("ptb-medium", 19_780_400), ("ptb-large", 66_034_000)]
)
@pytest.mark.parametrize("suffix", ["", "-dropout"])
def test_parameter_counts_of_the_paper(name: str, suffix: str, count: int) -> None:
    row = registry.find(name + suffix)
    with torch.device("meta"):
        model = language_model(row)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize("row", language_modeling.ROWS, ids=lambda row: row.name)
def test_every_row_builds_and_its_parameters_start_uniform(row: Row) -> None:
    """Every parameter, biases and embedding too, spans (-init_range, init_range) (section 4.1), but for gains of 1."""
    model = language_model(row, words=50)
    bound = row.config.init_range
    for name, parameter in model.named_parameters():
        if ".of_" in name:  # layer normalization
            assert torch.equal(parameter, torch.full_like(parameter, float(name.endswith("weight")))), name
            continue
        assert parameter.abs().max() <= bound, name
        if parameter.numel() >= 200:
            assert parameter.abs().max() > 0.95 * bound, name
            deviation = bound / math.sqrt(3)
            assert parameter.std().item() == pytest.approx(deviation, rel=0.2), name


def language_model(row: Row, words: int = 10_000) -> LanguageModel:
    class Data:
        class vocabulary:
            words = None

    Data.vocabulary.words = [str(index) for index in range(words)]
    return row.config.model(Data)


@pytest.mark.parametrize(
    "path", ["", "nowhere", "models.backbone.Nothing", "models.backbone.initialize_uniform", "math.pi"]
)
def test_a_backbone_that_cannot_be_loaded_is_named(path: str) -> None:
    with pytest.raises(ValueError, match="backbone"):
        load_backbone(path)
