"""A training step's forward and backward pass as a CUDA graph: launched once as a whole, not kernel by kernel.

A step of the paper's small model is some 200 short kernels, and a GPU waits for each of them to be launched. A graph
holds them all with their addresses, so that what changes from step to step is written into tensors that stay.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from datamodules.errors import UserError
from models.backbone import State

Result = TypeVar("Result")
Batch = Sequence[Tensor]
Passes = Callable[[Batch, State | None], tuple[Tensor, Tensor, State]]
"""From a batch and the state carried into it: the loss, the log-probabilities of true tokens, and the new state."""

EAGER = 3
"""Steps that are taken kernel by kernel first, in which libraries choose their kernels and get their memory."""


class SideStream:
    """A CUDA stream on which work is done, and captured as a graph.

    Autograd ties gradients to the stream that they were first computed on, so that what is captured on a stream has to
    have been done on it before.
    """

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def run(self, work: Callable[[], Result]) -> Result:
        """Do work after what has been given to the current stream, and before what will be."""
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture work without doing it; what is returned does it, on the current stream."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            work()
        launch: Callable[[], None] = graph.replay
        return launch


class GraphedPasses:
    """Forward and backward pass of windows of one shape, whose state is carried from one to the next.

    Random numbers are drawn as without a graph: each launch moves the generator on, and a new seed holds at once.

    Args:
        passes: the forward pass.
        parameters: what gradients are taken of.

    Raises:
        UserError: the passes cannot be captured, as where they wait for the GPU.
    """

    def __init__(self, passes: Passes, parameters: Sequence[nn.Parameter]) -> None:
        self.passes, self.parameters = passes, [one for one in parameters if one.requires_grad]
        self._eager, self._side = EAGER, SideStream()
        self._launch: Callable[[], None] | None = None

    def __call__(self, batch: Batch, state: State | None) -> tuple[Tensor, Tensor, State]:
        """What `passes` returns; where the loss has no history, `give_gradients` has its gradients.

        The tensors returned are written anew by the next call.

        Args:
            batch: tensors of the window.
            state: the state carried into it; None for zeros.
        """
        if self._launch is None and self._eager <= 0 and state is not None:
            self._launch = self._capture(batch, state)
        if self._launch is None or any(one.shape != kept.shape for one, kept in zip(batch, self._batch, strict=True)):
            self._eager -= 1
            return self._side.run(lambda: self.passes(batch, state))
        _write(batch, self._batch)
        if state is None:
            apply_to_collection(self._state, Tensor, Tensor.zero_)
        elif state is not self._state:
            _write(state, self._state)
        self._launch()
        return self._loss, self._log_probabilities, self._state

    def give_gradients(self) -> None:
        """Give each parameter its gradient of the last loss without a history."""
        for parameter, gradient in zip(self.parameters, self._gradients, strict=True):
            parameter.grad = gradient

    def _capture(self, batch: Batch, state: State) -> Callable[[], None]:
        """Make room for what a launch reads, and capture what it does."""
        self._batch = [one.clone() for one in batch]
        self._state: State = apply_to_collection(state, Tensor, torch.clone)

        def work() -> None:
            loss, log_probabilities, new_state = self.passes(self._batch, self._state)
            self._gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
            self._loss, self._log_probabilities = loss.detach(), log_probabilities.detach()
            _write(new_state, self._state)

        try:
            return self._side.capture(work)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"a training step is no CUDA graph here ({reason}); give --no-cuda_graphs") from error


def _write(values: object, places: object) -> None:
    """Copy each tensor of nested tuples into its place."""
    for value, place in zip(tree_leaves(values), tree_leaves(places), strict=True):
        place.copy_(value)
