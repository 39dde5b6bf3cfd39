"""Training steps as CUDA graphs: the steps are those taken kernel by kernel. A launch here does its work anew."""

from collections.abc import Callable

import pytest
import torch
from support.pretended_gpu import NoSideStream
from torch import Tensor, nn

from datamodules.errors import UserError
from models import graphs
from models.graphs import EAGER, GraphedPasses


class Carrying(nn.Module):
    """A small recurrent model with dropout, whose passes count how often they are done."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.unused = nn.LSTM(3, 2), nn.Parameter(torch.ones(1))
        self.done = 0

    def passes(self, batch: list[Tensor], state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, object]:
        self.done += 1
        outputs, state = self.lstm(nn.functional.dropout(batch[0], 0.5), state)
        return outputs.sum(), outputs[..., 0], (state[0].detach(), state[1].detach())


def train(model: Carrying, passes: object, windows: list[Tensor], begins: tuple[int, ...]) -> list[tuple[float, ...]]:
    """Losses, sums of log-probabilities and norms of gradients of steps of plain gradient descent."""
    found, state = [], None
    torch.manual_seed(3)
    for step, window in enumerate(windows):
        state = None if step in begins else state
        loss, log_probabilities, state = passes([window], state)
        model.zero_grad()
        if loss.requires_grad:
            loss.backward()
        else:
            passes.give_gradients()
        gradients = [one.grad for one in model.lstm.parameters()]
        found.append(
            (float(loss.detach()), float(log_probabilities.detach().sum()), *(float(one.norm()) for one in gradients))
        )
        with torch.no_grad():
            for parameter, gradient in zip(model.lstm.parameters(), gradients, strict=True):
                parameter -= 0.1 * gradient
    return found


@pytest.mark.parametrize("begins", [(0,), (0, EAGER), (0, EAGER + 3)])
def test_steps_of_a_graph_are_those_without_one(begins, monkeypatch) -> None:
    """With state carried, begun anew at any step, a shorter last window, and masks from the same random numbers."""
    monkeypatch.setattr(graphs, "SideStream", NoSideStream)
    torch.manual_seed(0)
    plain, graphed = Carrying(), Carrying()
    graphed.load_state_dict(plain.state_dict())
    windows = [*torch.randn(EAGER + 6, 4, 2, 3), torch.randn(2, 2, 3)]
    passes = GraphedPasses(graphed.passes, list(graphed.parameters()))
    assert train(graphed, passes, windows, begins) == train(plain, plain.passes, windows, begins)
    assert graphed.unused.grad is None
    assert graphed.done == len(windows)


def test_the_first_steps_are_taken_without_a_graph_and_one_is_captured_once(monkeypatch) -> None:
    captures = []

    class Counting(NoSideStream):
        def capture(self, work: Callable[[], None]) -> Callable[[], None]:
            captures.append(work)
            return work

    monkeypatch.setattr(graphs, "SideStream", Counting)
    model = Carrying()
    passes = GraphedPasses(model.passes, list(model.parameters()))
    state, histories = None, []
    for window in torch.randn(EAGER + 3, 4, 2, 3):
        loss, _, state = passes([window], state)
        histories.append(loss.requires_grad)
    assert histories == [True] * EAGER + [False] * 3
    assert len(captures) == 1


def test_what_cannot_be_captured_says_what_to_do(monkeypatch) -> None:
    class Failing(NoSideStream):
        def capture(self, work: Callable[[], None]) -> Callable[[], None]:
            raise RuntimeError("operation not permitted when stream is capturing\nCompile with ...")

    monkeypatch.setattr(graphs, "SideStream", Failing)
    model = Carrying()
    with pytest.raises(UserError, match=r"no CUDA graph here \(.* is capturing\); give --no-cuda_graphs$"):
        train(model, GraphedPasses(model.passes, list(model.parameters())), [*torch.randn(EAGER + 1, 4, 2, 3)], (0,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_graph_on_a_gpu_gives_what_its_kernels_give() -> None:
    torch.manual_seed(0)
    plain, graphed = Carrying().cuda(), Carrying().cuda()
    graphed.load_state_dict(plain.state_dict())
    windows = [*torch.randn(EAGER + 6, 4, 2, 3, device="cuda")]
    passes = GraphedPasses(graphed.passes, list(graphed.parameters()))
    assert train(graphed, passes, windows, (0, 6)) == pytest.approx(train(plain, plain.passes, windows, (0, 6)))
    assert graphed.done == EAGER + 1
