"""The loops over time of an LSTM layer, forward and backward, in few operations a step.

Tensors of all steps are [time, batch, ...], the gates in nn.LSTM's order i, f, g, o.
"""

import torch
from torch import Tensor

from models.products import product_with

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def forward(
    from_inputs: Tensor, weight_hh: Tensor, masks: Tensor | None, outputs: Tensor, dropped: Tensor, cells: Tensor
) -> tuple[Tensor, Tensor]:
    """Fill in outputs, dropped and cells; returns the gates and tanh of the cells."""
    gates = torch.empty_like(from_inputs, dtype=cells.dtype)
    squashed = torch.empty_like(cells[1:])
    i, f, g, o = (part.unbind() for part in gates.chunk(4, dim=2))
    i_and_f = gates[:, :, : 2 * cells.shape[2]].unbind()
    h_at, dropped_at, c_at, tanh_c, gates_at = map(torch.unbind, (outputs, dropped, cells, squashed, gates))
    multiply = product_with(weight_hh, cells.shape[1])
    for t, from_input in enumerate(from_inputs.unbind()):
        if masks is not None:
            torch.mul(h_at[t], masks[t], out=dropped_at[t])
        gates_at[t].copy_(multiply(dropped_at[t], from_input))
        i_and_f[t].sigmoid_()
        tanh_(g[t])
        o[t].sigmoid_()
        torch.mul(f[t], c_at[t], out=c_at[t + 1]).addcmul_(i[t], g[t])
        tanh_(tanh_c[t].copy_(c_at[t + 1]))
        torch.mul(o[t], tanh_c[t], out=h_at[t + 1])
    return gates, squashed


def backward(
    d_outputs: Tensor | None,
    d_h: Tensor,
    d_c: Tensor,
    d_gates: Tensor,
    weight_hh: Tensor,
    masks: Tensor | None,
    cells: Tensor,
    gates: Tensor,
    squashed: Tensor,
) -> tuple[Tensor, Tensor]:
    """Fill in the gradients of the gates; returns those of h and c before the first step."""
    f, by_cell, by_output, output_to_cell = _gate_derivatives(gates, cells, squashed)
    of_cell, of_output = _by_gate(d_gates)[:, :, :3].unbind(), _by_gate(d_gates)[:, :, 3].unbind()
    multiply = product_with(weight_hh.t(), len(d_c))
    no_sum = torch.zeros_like(d_h, dtype=d_gates.dtype)
    for t in reversed(range(len(d_gates))):
        if d_outputs is not None:
            d_h += d_outputs[t]
        d_c.addcmul_(d_h, output_to_cell[t])
        torch.mul(by_cell[t], d_c[:, None], out=of_cell[t])
        torch.mul(by_output[t], d_h, out=of_output[t])
        d_c *= f[t]
        d_h.copy_(multiply(d_gates[t], no_sum))
        if masks is not None:
            d_h *= masks[t]
    return d_h, d_c


def _gate_derivatives(
    gates: Tensor, cells: Tensor, squashed: Tensor
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """By time step: the forget gate, and the derivatives that the loop needs.

    Those are of c[t] with respect to the gates i, f, g before their nonlinearity [batch, 3, hidden], of h[t] with
    respect to o, and of h[t] with respect to c[t].
    """
    i, f, g, o = _by_gate(gates).unbind(2)
    of_gates = _by_gate(torch.empty_like(gates))
    _sigmoid_backward(g, i, grad_input=of_gates[:, :, 0])
    _sigmoid_backward(cells[:-1], f, grad_input=of_gates[:, :, 1])
    _tanh_backward(i, g, grad_input=of_gates[:, :, 2])
    _sigmoid_backward(squashed, o, grad_input=of_gates[:, :, 3])
    of_c = torch.ops.aten.tanh_backward(o, squashed)
    return f.unbind(), of_gates[:, :, :3].unbind(), of_gates[:, :, 3].unbind(), of_c.unbind()


def _by_gate(gates: Tensor) -> Tensor:
    """Gates [time, batch, 4 * hidden] as [time, batch, 4, hidden]."""
    return gates.view(*gates.shape[:2], 4, -1)


def tanh_(x: Tensor) -> Tensor:
    """Replace x by tanh x = 2 sigmoid(2 x) - 1, which on a CPU is twice as fast as torch.tanh."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1) if x.is_cpu else x.tanh_()
