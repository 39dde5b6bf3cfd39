"""The trial of a recurrent stack of the user's own, before it is trained: whether its figures would mean anything."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from datamodules.errors import in_one_line
from models.acoustic_model import AcousticModel
from models.base import TaskModel
from models.tokens import TokenDecoder
from models.translator import Translator

STEPS, STREAMS = 6, 3


class Place(NamedTuple):
    """A recurrent stack in a model."""

    stack: nn.Module
    inputs: int
    """Units of its input."""
    outputs: int
    """Units of its output."""
    predicts: bool
    """Whether its outputs predict its later inputs, window after window."""


def try_backbones(model: TaskModel) -> None:
    """Run the stacks of a model on a few random numbers; nothing is left of that.

    A stack that returns other shapes fails at its first step, or not at all: with batch and time exchanged, it trains
    on the wrong words.

    Raises:
        ValueError: a stack does not do what `docs/add-a-row.md` says that it must; the message says what.
    """
    for place in _places(model):
        kind = type(place.stack)
        modes = [(module, module.training) for module in place.stack.modules()]
        try:
            place.stack.eval()
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(0)
                wrong = _fault(place)
        finally:
            for module, mode in modes:
                module.training = mode
        if wrong:
            raise ValueError(f"backbone: {kind.__module__}.{kind.__qualname__} {wrong}; see docs/add-a-row.md")


def _places(model: TaskModel) -> Iterator[Place]:
    for module in model.modules():
        if isinstance(module, TokenDecoder):
            yield Place(module.backbone, module.embedding.embedding_dim, module.output.in_features, predicts=True)
    if isinstance(model, AcousticModel):
        yield Place(model.backbone, model.hparams["features"], model.output.in_features, predicts=False)
    if isinstance(model, Translator):
        width = model.embedding.embedding_dim
        yield Place(model.encoder, width, width, predicts=False)


def _fault(place: Place) -> str:
    """What a stack in evaluation mode does that it must not; nothing if all is well."""
    stack, inputs = place.stack, torch.randn(STEPS, STREAMS, place.inputs)
    try:
        found: Any = stack(inputs)
        if not isinstance(found, tuple) or len(found) != 2:
            return f"returns {type(found).__name__}, must return outputs and the new state"
        outputs, expected = found[0], (STEPS, STREAMS, place.outputs)
        if not isinstance(outputs, Tensor) or outputs.shape != expected or outputs.dtype != inputs.dtype:
            has = f"{outputs.dtype} {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            return f"gives {has} for inputs {tuple(inputs.shape)}, must give {inputs.dtype} {expected}"
        if not _same(stack(inputs)[0], outputs):
            return "draws random numbers in evaluation too, so that no figure could be measured twice"
        if not _same(stack(inputs[:, 1:2].contiguous())[0], outputs[:, 1:2]):  # the one in the middle of three
            return "mixes the sequences of a batch, which is the second dimension of inputs and outputs"
        return _fault_of_prediction(place, inputs, outputs) if place.predicts else ""
    except Exception as error:  # anything can go wrong in a user's class
        return f"fails on inputs {tuple(inputs.shape)}: {type(error).__name__}: {in_one_line(error)}"


def _fault_of_prediction(place: Place, inputs: Tensor, outputs: Tensor) -> str:
    """What a stack whose outputs predict its later inputs does that it must not."""
    half = STEPS // 2
    changed = torch.cat([inputs[:half], torch.randn_like(inputs[half:])])
    if not _same(place.stack(changed)[0][:half], outputs[:half]):
        return "looks at later inputs, which are the words that are to be predicted"
    first, state = place.stack(inputs[:half])
    second, _ = place.stack(inputs[half:], state)
    if not _same(torch.cat([first, second]), outputs):
        return (
            "does not go on from the state that it has returned: a text in two windows gives other outputs than in one"
        )
    return ""


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)
