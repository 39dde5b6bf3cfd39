"""The loops over time of an LSTM layer, forward and backward, in few operations a step.

Tensors of all steps are [time, batch, ...], the gates in nn.LSTM's order i, f, g, o. What a method does to a step is
written here, and nowhere else: see Masks and Normalized.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.products import product_with

EPSILON = 1e-5
"""Added to a variance before its root is taken, as nn.LayerNorm does."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
_layer_norm_backward = torch.ops.aten.native_layer_norm_backward.default
_OF_X = [True, False, False]
_MINUS_ONE = torch.tensor(-1.0, device="cpu")
"""Operations with a tensor start sooner than those with a number of Python's."""


class Masks(NamedTuple):
    """The random part of a layer's call, [time, batch, hidden_size] but for weights; None where nothing is drawn."""

    recurrent: Tensor | None = None
    """Factor of h[t-1]: dropout on the recurrent connections (paper section 3.2, Gal & Ghahramani 2016)."""
    update: Tensor | None = None
    """Factor d of the update: c[t] = f * c[t-1] + i * d(g), recurrent dropout without memory loss (Semeniuta et al.
    2016, equation 12)."""
    kept_cell: Tensor | None = None
    """Share d of c[t-1] that is kept: c[t] = d * c[t-1] + (1 - d) * (f * c[t-1] + i * g), zoneout (Krueger et al. 2017,
    equation 5); in training 0 or 1, in evaluation its expectation."""
    kept_hidden: Tensor | None = None
    """Share d of h[t-1] that is kept: h[t] = d * h[t-1] + (1 - d) * o * tanh(f * c[t-1] + i * g)."""
    weights: Tensor | None = None
    """Factor [4 * hidden_size, hidden_size] of the hidden-to-hidden weights, one for all steps: weight drop, which is
    DropConnect on them (Merity et al. 2018, section 2)."""

    @property
    def empty(self) -> bool:
        """Whether nothing is drawn."""
        return all(mask is None for mask in self)


class Normalized:
    """Layer normalization y = gain * (x - mean) / deviation + bias over the last dimension, step by step.

    Ba et al. 2016, equations 20 to 22: an LSTM's sums W h[t-1] and W x[t] and its cell are normalized, each with a gain
    and a bias of its own.

    Args:
        gain, bias: [units]; no bias if None.
        room: a tensor [time, batch, units] that takes the x of every step.
    """

    def __init__(self, gain: Tensor, bias: Tensor | None, room: Tensor) -> None:
        self.gain, self.bias, self.x = gain, bias, room
        self.x_at, self.shape = room.unbind(), gain.shape
        self.statistics: list[tuple[Tensor, Tensor]] = []

    def forward(self, t: int) -> Tensor:
        """The y of step t, whose x is in its room."""
        y, mean, inverse = torch.native_layer_norm(self.x_at[t], self.shape, self.gain, self.bias, EPSILON)
        self.statistics.append((mean, inverse))
        return y

    def backward(self, t: int, d_y: Tensor) -> Tensor:
        """The gradient of the x of step t."""
        found: Tensor = _layer_norm_backward(
            d_y, self.x_at[t], self.shape, *self.statistics[t], self.gain, self.bias, _OF_X
        )[0]
        return found

    def gradients(self, d_y: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of gain and bias, from those of y [time, batch, units]."""
        mean, inverse = (torch.stack(parts) for parts in zip(*self.statistics, strict=True))
        return (d_y * (self.x - mean) * inverse).sum((0, 1)), d_y.sum((0, 1))


class Kept(NamedTuple):
    """Values of all steps that the backward loop needs."""

    gates: Tensor
    updates: Tensor
    """What i lets into the cell: g, or what the mask of updates leaves of it."""
    squashed: Tensor
    """tanh of that cell, or of what its normalization makes of it."""


def forward(
    from_inputs: Tensor,
    weight_hh: Tensor,
    masks: Masks,
    outputs: Tensor,
    dropped: Tensor,
    cells: Tensor,
    of_sums: Normalized | None = None,
    of_cells: Normalized | None = None,
) -> Kept:
    """Fill in outputs, dropped and cells.

    Args:
        from_inputs: the part of the gates that comes from the inputs.
        weight_hh: hidden-to-hidden weights.
        masks: what methods do to the steps.
        outputs: h of the steps -1 to the last one, the first filled in.
        dropped: h[t-1] as it is fed back; without a mask of its own the outputs but for the last.
        cells: c of the steps -1 to the last one, the first filled in.
        of_sums, of_cells: layer normalization of W h[t-1] and of the cell; the room of the latter is cells[1:], unless
            zoneout changes the cell afterward.
    """
    gates = torch.empty_like(from_inputs, dtype=cells.dtype)
    i, f, g, o = (part.unbind() for part in gates.chunk(4, dim=2))
    i_and_f = gates[:, :, : 2 * cells.shape[2]].unbind()
    squashed = torch.empty_like(cells[1:])
    updates = gates.chunk(4, dim=2)[2] if masks.update is None else torch.empty_like(squashed)
    proposed = of_cells.x if of_cells else cells[1:] if masks.kept_cell is None else torch.empty_like(squashed)
    h_at, dropped_at, c_at, tanh_c = map(torch.unbind, (outputs, dropped, cells, squashed))
    gates_at, updates_at, proposed_at = map(torch.unbind, (gates, updates, proposed))
    multiply = product_with(weight_hh, cells.shape[1])
    no_sum = torch.zeros_like(from_inputs[0])
    for t, from_input in enumerate(from_inputs.unbind()):
        if masks.recurrent is not None:
            torch.mul(h_at[t], masks.recurrent[t], out=dropped_at[t])
        if of_sums is None:
            multiply(dropped_at[t], from_input, gates_at[t])
        else:
            multiply(dropped_at[t], no_sum, of_sums.x_at[t])
            torch.add(of_sums.forward(t), from_input, out=gates_at[t])
        i_and_f[t].sigmoid_()
        _tanh(g[t], g[t])
        o[t].sigmoid_()
        if masks.update is not None:
            torch.mul(g[t], masks.update[t], out=updates_at[t])
        torch.mul(f[t], c_at[t], out=proposed_at[t]).addcmul_(i[t], updates_at[t])
        _tanh(of_cells.forward(t) if of_cells else proposed_at[t], tanh_c[t])
        torch.mul(o[t], tanh_c[t], out=h_at[t + 1])
        _zone_out(masks, t, h_at, c_at, proposed_at)
    return Kept(gates, updates, squashed)


def _zone_out(
    masks: Masks, t: int, h_at: tuple[Tensor, ...], c_at: tuple[Tensor, ...], proposed: tuple[Tensor, ...]
) -> None:
    if masks.kept_cell is not None:
        torch.lerp(proposed[t], c_at[t], masks.kept_cell[t], out=c_at[t + 1])
    if masks.kept_hidden is not None:
        h_at[t + 1].lerp_(h_at[t], masks.kept_hidden[t])


def backward(
    d_outputs: Tensor | None,
    d_h: Tensor,
    d_c: Tensor,
    d_gates: Tensor,
    weight_hh: Tensor,
    masks: Masks,
    cells: Tensor,
    kept: Kept,
    of_sums: Normalized | None = None,
    of_cells: Normalized | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fill in the gradients of the gates.

    Returns:
        The gradients of h and c before the first step, and those of the sums W h[t-1] and of the normalized cells of
        all steps, which are the gradients of the gates, and nothing, without layer normalization.
    """
    f, by_cell, by_output, output_to_cell = _gate_derivatives(masks, cells, kept)
    of_cell, of_output = _by_gate(d_gates)[:, :, :3].unbind(), _by_gate(d_gates)[:, :, 3].unbind()
    d_sums = torch.empty_like(d_gates) if of_sums else d_gates
    d_normalized = torch.empty_like(cells[1:] if of_cells else cells[:0])
    d_outputs_at, d_sums_at, d_gates_at = ((() if x is None else x.unbind()) for x in (d_outputs, d_sums, d_gates))
    multiply = product_with(weight_hh.t(), len(d_c))
    no_sum = torch.zeros_like(d_h, dtype=d_gates.dtype)
    d_c_of_gates = d_c[:, None]
    for t in reversed(range(len(d_gates))):
        if d_outputs_at:
            d_h += d_outputs_at[t]
        past_h, past_c = _split_off_past(masks, t, d_h, d_c)
        if of_cells is None:
            d_c.addcmul_(d_h, output_to_cell[t])
        else:
            d_c += of_cells.backward(t, torch.mul(d_h, output_to_cell[t], out=d_normalized[t]))
        torch.mul(by_cell[t], d_c_of_gates, out=of_cell[t])
        torch.mul(by_output[t], d_h, out=of_output[t])
        d_c *= f[t]
        if of_sums is not None:
            d_sums_at[t].copy_(of_sums.backward(t, d_gates_at[t]))
        multiply(d_sums_at[t], no_sum, d_h)
        if masks.recurrent is not None:
            d_h *= masks.recurrent[t]
        if past_h is not None:
            d_h += past_h
        if past_c is not None:
            d_c += past_c
    return d_h, d_c, d_sums, d_normalized


def _split_off_past(masks: Masks, t: int, d_h: Tensor, d_c: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Take from the gradients of h[t] and c[t] the parts that zoneout hands to h[t-1] and c[t-1] as they are."""
    past = []
    for gradient, share in ((d_h, masks.kept_hidden), (d_c, masks.kept_cell)):
        past.append(None if share is None else gradient * share[t])
        if past[-1] is not None:
            gradient -= past[-1]
    return past[0], past[1]


def _gate_derivatives(
    masks: Masks, cells: Tensor, kept: Kept
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """By time step: the forget gate, and the derivatives that the loop needs.

    Those are of c[t] with respect to the gates i, f, g before their nonlinearity [batch, 3, hidden], of h[t] with
    respect to o, and of h[t] with respect to what tanh takes.
    """
    i, f, g, o = _by_gate(kept.gates).unbind(2)
    of_gates = _by_gate(torch.empty_like(kept.gates))
    _sigmoid_backward(kept.updates, i, grad_input=of_gates[:, :, 0])
    _sigmoid_backward(cells[:-1], f, grad_input=of_gates[:, :, 1])
    _tanh_backward(i if masks.update is None else i * masks.update, g, grad_input=of_gates[:, :, 2])
    _sigmoid_backward(kept.squashed, o, grad_input=of_gates[:, :, 3])
    of_c = torch.ops.aten.tanh_backward(o, kept.squashed)
    return f.unbind(), of_gates[:, :, :3].unbind(), of_gates[:, :, 3].unbind(), of_c.unbind()


def _by_gate(gates: Tensor) -> Tensor:
    """Gates [time, batch, 4 * hidden] as [time, batch, 4, hidden]."""
    return gates.view(*gates.shape[:2], 4, -1)


def _tanh(x: Tensor, out: Tensor) -> None:
    """Make out tanh x = 2 sigmoid(2 x) - 1, which on a CPU is twice as fast as torch.tanh."""
    if x.is_cpu:
        torch.add(x, x, out=out).sigmoid_()
        torch.add(_MINUS_ONE, out, alpha=2, out=out)
    else:
        torch.tanh(x, out=out)
