"""The trial of a user's own recurrent stack, in the models of all tasks."""

import pytest
import torch
from test_backbone_arguments import OWN, STACK, TRAINING
from torch import Tensor, nn

from models.acoustic_model import AcousticModel
from models.backbone import RegularizedLSTM
from models.base import TaskModel
from models.own_backbones import try_backbones


class GRU(nn.Module):
    """A stack that is as it must be, with dropout in training."""

    def __init__(self, input_size: int, hidden_size: int, layers: int, **others: object) -> None:
        super().__init__()
        self.gru = nn.GRU(input_size, hidden_size, layers, dropout=0.5)

    def forward(self, inputs: Tensor, state: object = None) -> object:
        """See RegularizedLSTM."""
        return self.gru(inputs, state)


class BatchFirst(RegularizedLSTM):
    """Its outputs are [batch, time, units]."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        outputs, state = super().forward(inputs, state)
        return outputs.transpose(0, 1), state


class Mixed(RegularizedLSTM):
    """It takes the batch for the time."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        outputs, state = super().forward(inputs.transpose(0, 1), state)
        return outputs.transpose(0, 1), state


class Noisy(RegularizedLSTM):
    """It drops in evaluation too."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        return super().forward(nn.functional.dropout(inputs), state)


class Ahead(RegularizedLSTM):
    """It reads from the end."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        outputs, state = super().forward(inputs.flip(0), state)
        return outputs.flip(0), state


class Forgetful(RegularizedLSTM):
    """It begins anew at each call."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        return super().forward(inputs)


class Alone(RegularizedLSTM):
    """It returns no state."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        return super().forward(inputs, state)[0]


class Half(RegularizedLSTM):
    """Its outputs are of another precision."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        outputs, state = super().forward(inputs, state)
        return outputs.bfloat16(), state


class Broken(RegularizedLSTM):
    """It does not run."""

    def forward(self, inputs, state=None):
        """See RegularizedLSTM."""
        raise RuntimeError("broken\nin two lines")


def model_with(stack: type[nn.Module], kind: type[TaskModel]) -> TaskModel:
    """A small model with a stack."""
    torch.manual_seed(1)
    return kind(**{**OWN[kind], **TRAINING, **STACK, "backbone": f"{__name__}.{stack.__name__}"})


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("stack", [GRU, RegularizedLSTM])
def test_a_sound_stack_passes_and_nothing_is_left_of_its_trial(kind: type[TaskModel], stack: type[nn.Module]) -> None:
    model = model_with(stack, kind)
    model.get_submodule("backbone" if kind is AcousticModel else "decoder.backbone").eval()
    modes = [module.training for module in model.modules()]
    before = torch.random.get_rng_state()
    try_backbones(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (
            BatchFirst,
            r"gives torch.float32 \(3, 6, 4\) for inputs \(6, 3, .\), must give .* \(6, 3, 4\); see",
        ),
        (Mixed, "mixes the sequences of a batch"),
        (Noisy, "draws random numbers in evaluation too"),
        (Alone, "returns Tensor, must return outputs and the new state"),
        (Half, r"gives torch.bfloat16 \(6, 3, 4\)"),
        (Broken, r"fails on inputs \(6, 3, .\): RuntimeError: broken; see"),
    ],
)
@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.__name__)
def test_a_stack_of_which_no_figure_would_mean_anything_is_refused(kind, stack, message: str) -> None:
    with pytest.raises(ValueError, match=rf"backbone: {__name__}.{stack.__name__} {message}"):
        try_backbones(model_with(stack, kind))


@pytest.mark.parametrize(
    ("stack", "message"),
    [(Ahead, "looks at later inputs"), (Forgetful, "does not go on from the state that it has returned")],
)
def test_only_models_of_words_need_the_past_alone(stack, message: str) -> None:
    try_backbones(model_with(stack, AcousticModel))
    for kind in OWN.keys() - {AcousticModel}:
        with pytest.raises(ValueError, match=message):
            try_backbones(model_with(stack, kind))
