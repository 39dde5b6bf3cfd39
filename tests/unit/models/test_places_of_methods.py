"""Where each method acts, on what it is drawn, and for how long: by hand, from the sources' equations."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbone import RegularizedLSTM
from models.language_model import LanguageModel
from models.loops import Masks

TIME, BATCH, UNITS, WORDS = 4, 3, 500, 7


class Noted(nn.Module):
    """A layer that notes what it is given, and returns ones."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_hh_l0 = nn.Parameter(torch.ones(4 * hidden_size, hidden_size))
        self.calls: list[tuple[Tensor, Masks | None]] = []

    def forward(self, inputs: Tensor, state: object, masks: Masks | None) -> tuple[Tensor, object]:
        self.calls.append((inputs, masks))
        return torch.ones_like(inputs), state


def noted(**options) -> RegularizedLSTM:
    torch.manual_seed(0)
    backbone = RegularizedLSTM(UNITS, UNITS, 2, **options)
    backbone.layers = nn.ModuleList(Noted(UNITS) for _ in range(2))
    return backbone


def called(backbone: RegularizedLSTM) -> tuple[list[tuple[Tensor, Masks | None]], Tensor]:
    """What both layers are given for inputs of ones, and the outputs."""
    outputs, _ = backbone(torch.ones(TIME, BATCH, UNITS))
    return [layer.calls[-1] for layer in backbone.layers], outputs


def assert_dropped(values: Tensor, p: float) -> None:
    """Zeros with probability p, and 1 / (1 - p)."""
    dropped = values == 0
    torch.testing.assert_close(values[~dropped], torch.full_like(values[~dropped], 1 / (1 - p)))
    deviation = (p * (1 - p) / values.numel()) ** 0.5
    assert abs(float(dropped.float().mean()) - p) < 5 * deviation


def assert_one_for_all_steps(values: Tensor) -> None:
    assert all(torch.equal(values[0], later) for later in values)
    assert not torch.equal(values[0, 0], values[0, 1])  # each sequence has its own


def assert_another_at_each_step(values: Tensor) -> None:
    assert not any(torch.equal(values[0], later) for later in values[1:])


def test_a_window_has_one_mask_for_all_its_steps_and_the_next_call_another() -> None:
    """Gal & Ghahramani 2016, section 4."""
    backbone = noted(dropout=0.5, recurrent_dropout=0.2, update_dropout=0.2, dropout_mask="window")
    first, second = called(backbone), called(backbone)
    assert not torch.equal(first[1], second[1])
    for (inputs, masks), (later, later_masks) in zip(first[0], second[0], strict=True):
        for values, after, p in (
            (inputs, later, 0.5),
            (masks.recurrent, later_masks.recurrent, 0.2),
            (masks.update, later_masks.update, 0.2),
        ):
            assert_one_for_all_steps(values)
            assert_dropped(values[0], p)
            assert not torch.equal(values, after)
    assert_one_for_all_steps(first[1])
    assert not torch.equal(first[0][0][1].recurrent, first[0][1][1].recurrent)  # each layer has its own


@pytest.mark.parametrize("mask", ["step", "window"])
def test_inputs_and_outputs_may_have_a_probability_of_their_own(mask: str) -> None:
    """The first layer's inputs, those between layers, and the last one's outputs."""
    (first, second), outputs = called(noted(dropout=0.5, input_dropout=0.2, output_dropout=0.75, dropout_mask=mask))
    for values, p in ((first[0], 0.2), (second[0], 0.5), (outputs, 0.75)):
        assert_dropped(values if mask == "step" else values[0], p)
    (first, second), outputs = called(noted(dropout=0.5, input_dropout=0.0, output_dropout=0.0, dropout_mask=mask))
    assert first[0].eq(1).all()
    assert_dropped(second[0] if mask == "step" else second[0][0], 0.5)
    assert outputs.eq(1).all()


def test_masks_within_a_layer_are_drawn_at_each_step_and_weights_for_a_call() -> None:
    backbone = noted(recurrent_dropout=0.3, update_dropout=0.2, zoneout_cell=0.4, zoneout_hidden=0.1, weight_drop=0.6)
    (first, second), _ = called(backbone)
    again = called(backbone)[0][0][1]
    for masks in (first[1], second[1]):
        assert_dropped(masks.recurrent, 0.3)
        assert_dropped(masks.update, 0.2)
        assert_dropped((1 - masks.kept_cell) / 0.6, 0.4)  # a unit keeps its value with the probability
        assert_dropped((1 - masks.kept_hidden) / 0.9, 0.1)
        assert_dropped(masks.weights, 0.6)
        for values in masks[:4]:
            assert_another_at_each_step(values)
    for mine, other, later in zip(first[1], second[1], again, strict=True):
        assert not torch.equal(mine, other)
        assert not torch.equal(mine, later)


def test_in_evaluation_zoneout_has_its_expectation_and_nothing_else_is_left() -> None:
    """Krueger et al. 2017, section 3.2."""
    options = {"dropout": 0.5, "recurrent_dropout": 0.3, "update_dropout": 0.2, "weight_drop": 0.6}
    (first, second), outputs = called(noted(**options, zoneout_cell=0.4, zoneout_hidden=0.1).eval())
    assert (first[0] == 1).all()
    assert (second[0] == 1).all()
    assert (outputs == 1).all()
    for _, masks in (first, second):
        assert (masks.recurrent, masks.update, masks.weights) == (None, None, None)
        assert masks.kept_cell.eq(0.4).all()
        assert masks.kept_hidden.eq(0.1).all()
    assert called(noted(**options).eval())[0][0][1] is None


def model(**options) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(
        [f"w{index}" for index in range(WORDS)], 0.5, 1.0, 1, 1, hidden_size=6, layers=1, dropout=0.0,
        recurrent_dropout=0.0, cell="lstm", backbone="models.backbone.RegularizedLSTM", **options,
    )  # fmt: skip


TOKENS = torch.tensor([[0, 1, 2], [3, 3, 4], [0, 5, 6], [1, 2, 0]])
TARGETS = torch.tensor([[3, 3, 4], [0, 5, 6], [1, 2, 0], [2, 2, 2]])


def test_tied_weights_are_one_tensor_whose_two_gradients_add_up() -> None:
    """Press & Wolf 2017, section 2; Inan et al. 2017, section 3.2."""
    tied, apart = model(tied=True), model()
    assert tied.decoder.output.weight is tied.decoder.embedding.weight
    assert len(list(tied.parameters())) == len(list(apart.parameters())) - 1
    apart.load_state_dict(tied.state_dict())
    for one in (tied, apart):
        one.training_step((TOKENS, TARGETS), 0).backward()
    both = apart.decoder.embedding.weight.grad + apart.decoder.output.weight.grad
    torch.testing.assert_close(tied.decoder.embedding.weight.grad, both)
    assert apart.decoder.embedding.weight.grad.any()


def test_a_tied_embedding_of_another_size_has_a_last_layer_of_that_size() -> None:
    """As in AWD-LSTM, whose layers have 1150, 1150 and 400 units (Merity et al. 2018, section 5)."""
    narrow = model(tied=True, embedding_size=4).decoder
    assert narrow.embedding.weight.shape == narrow.output.weight.shape == (WORDS, 4)
    assert [(layer.input_size, layer.hidden_size) for layer in narrow.backbone.layers] == [(4, 4)]
    assert narrow(TOKENS)[0].shape == (*TOKENS.shape, WORDS)


def test_embedding_dropout_drops_words_in_all_their_places() -> None:
    """Merity et al. 2018, section 4.3."""
    decoder, read = model(embedding_dropout=0.4).decoder, []
    backbone = decoder.backbone.forward
    decoder.backbone.forward = lambda inputs, state: read.append(inputs) or backbone(inputs, state)
    kept = torch.zeros(WORDS)
    for _ in range(300):
        decoder(TOKENS)
        of_words = torch.stack([read[-1][TOKENS.eq(word)].abs().amax(0) for word in range(WORDS)])
        present = of_words.amax(1) > 0
        expected = decoder.embedding.weight * present[:, None] / 0.6
        torch.testing.assert_close(read[-1], expected[TOKENS])
        kept += present
    assert abs(float(kept.sum()) / 300 / WORDS - 0.6) < 5 * (0.24 / 300 / WORDS) ** 0.5
    assert all(0 < count < 300 for count in kept.tolist())
    decoder.eval()(TOKENS)
    assert torch.equal(read[-1], decoder.embedding(TOKENS))


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.0), (0.0, 1.5), (2.0, 1.5)])
def test_activations_are_regularized_as_dropped_and_their_change_as_not_dropped(alpha: float, beta: float) -> None:
    """Merity et al. 2017: alpha L2(m * h[t]) and beta L2(h[t] - h[t+1]), L2 as their code's mean of squares."""
    own = model(output_dropout=0.5, activation_regularization=alpha, temporal_activation_regularization=beta)
    with torch.no_grad():
        h, _ = own.eval().decoder.hidden(TOKENS)  # of dropout there is that of the outputs alone
    torch.manual_seed(3)
    mask = F.dropout(torch.ones_like(h), 0.5)
    assert mask.eq(0).any()
    torch.manual_seed(3)
    loss = own.train().training_step((TOKENS, TARGETS), 0)

    dropped = mask * h
    entropy = F.cross_entropy(own.decoder.output(dropped).flatten(0, 1), TARGETS.flatten())
    change = torch.stack([(h[t] - h[t + 1]).square() for t in range(len(h) - 1)]).mean()
    expected = len(TOKENS) * (entropy + alpha * dropped.square().mean() + beta * change)  # a loss is summed over steps
    torch.testing.assert_close(loss, expected)
