"""Recurrent layers as nn.LSTM and nn.RNN, which can also mask what they feed back, and are fast in bfloat16 on a CPU.

PyTorch's own layers cannot drop h[t-1], and on a CPU their backward pass in bfloat16 is slower than in single
precision. The layers here then step through time outside autograd: the products that need no earlier step are made for
all steps at once, those of the inputs before the loop and those of the weights' gradients after it, so that a step has
one small product and a few operations on gates. Under autocast, products have its precision; gates and cells are in
single precision always.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PACKED = 400_000
"""Fewest weights of a matrix for which the layout that oneDNN multiplies fastest is worth making."""
STEPPED = 400
"""Fewest units of an LSTM for which stepping is faster than PyTorch's layer, in bfloat16 on a CPU."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class LSTM(nn.LSTM):
    """One LSTM layer (paper equations 4 to 6), with the parameters of nn.LSTM."""

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None, masks: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As nn.LSTM.forward, for inputs [time, batch, input_size].

        Args:
            inputs: [time, batch, input_size].
            state: h and c, each [1, batch, hidden_size]; zeros if None.
            masks: [time, batch, hidden_size], by which h[t-1] is multiplied at each step.
        """
        if masks is None and not stepping_pays(self, inputs):
            return super().forward(inputs, state)  # type: ignore[no-any-return, has-type]
        zeros = inputs.new_zeros(1, inputs.shape[1], self.hidden_size)
        h, c = state or (zeros, zeros)
        outputs, c = _LSTMSteps.apply(  # type: ignore[no-untyped-call]
            inputs, h[0], c[0], *self.parameters(), masks, product_type(inputs)
        )
        return outputs, (outputs[-1:], c[None])


class RNN(nn.RNN):
    """One plain recurrent layer, s_t = tanh(U x_t + W s_{t-1}) (paper section 3), with the parameters of nn.RNN."""

    def forward(
        self, inputs: Tensor, state: Tensor | None = None, masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As LSTM.forward, with a state [1, batch, hidden_size]."""
        if masks is None and not stepping_pays(self, inputs):
            return super().forward(inputs, state)  # type: ignore[no-any-return, has-type]
        h = inputs.new_zeros(1, inputs.shape[1], self.hidden_size) if state is None else state
        outputs = _RNNSteps.apply(  # type: ignore[no-untyped-call]
            inputs, h[0], *self.parameters(), masks, product_type(inputs)
        )
        return outputs, outputs[-1:]


def product_type(inputs: Tensor) -> torch.dtype:
    """The type in which products of inputs are made: that of autocast where it is on."""
    device = inputs.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype


def stepping_pays(layer: nn.RNNBase, inputs: Tensor) -> bool:
    """Whether stepping is faster than PyTorch's layer, by measurement; float32 keeps PyTorch's numbers in any case."""
    return rounds_on_cpu(inputs) and (layer.mode != "LSTM" or layer.hidden_size >= STEPPED)


def rounds_on_cpu(inputs: Tensor) -> bool:
    """Whether autocast makes products of inputs in bfloat16, on a CPU."""
    return inputs.device.type == "cpu" and product_type(inputs) == torch.bfloat16


class _LSTMSteps(torch.autograd.Function):
    """All steps of an LSTM layer: tensors [time, batch, ...], the gates in nn.LSTM's order i, f, g, o."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h: Tensor,
        c: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        masks: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        weight_ih, weight_hh, x = weight_ih.to(dtype), weight_hh.to(dtype), inputs.to(dtype)
        from_inputs = _input_products(x, weight_ih, bias_ih + bias_hh)
        outputs, dropped = _fed_back(h, masks, len(x), dtype)
        cells = h.new_empty(len(x) + 1, *c.shape, dtype=bias_ih.dtype)
        cells[0] = c
        steps = _LoopOnCPU if x.is_cpu else _LoopOnGPU
        kept = steps.forward(from_inputs, weight_hh, masks, outputs, dropped, cells)
        ctx.save_for_backward(x, weight_ih, weight_hh, dropped, masks, cells, *kept)
        ctx.types = inputs.dtype, h.dtype, c.dtype
        ctx.set_materialize_grads(False)  # the last cell state is seldom part of a loss
        return outputs[1:], cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, dropped, masks, cells, *kept = ctx.saved_tensors
        d_h = torch.zeros_like(cells[0])
        d_c = torch.zeros_like(cells[0]) if d_c is None else d_c.to(cells.dtype, copy=True)
        d_gates = torch.empty_like(kept[0], dtype=x.dtype)
        steps = _LoopOnCPU if x.is_cpu else _LoopOnGPU
        d_h, d_c = steps.backward(d_outputs, d_h, d_c, d_gates, weight_hh, masks, cells, *kept)
        d_x, *of_parameters = _gradients(d_gates, x, dropped, weight_ih, cells.dtype)
        of_inputs, of_h, of_c = ctx.types
        return d_x.to(of_inputs), d_h.to(of_h), d_c.to(of_c), *of_parameters, None, None


class _LoopOnCPU:
    """The loops over time in plain operations, few of them a step, since each takes microseconds to call."""

    @staticmethod
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

    @staticmethod
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


class _LoopOnGPU:
    """The same loops with CUDA's kernels for all that a step does to its gates, since each launch takes its time."""

    cell = torch.ops.aten._thnn_fused_lstm_cell
    cell_backward = torch.ops.aten._thnn_fused_lstm_cell_backward_impl

    @classmethod
    def forward(
        cls,
        from_inputs: Tensor,
        weight_hh: Tensor,
        masks: Tensor | None,
        outputs: Tensor,
        dropped: Tensor,
        cells: Tensor,
    ) -> tuple[Tensor]:
        """Fill in outputs, dropped and cells; returns the gates."""
        gates = torch.empty_like(from_inputs, dtype=cells.dtype)
        from_inputs, transposed, kept = from_inputs.to(cells.dtype), weight_hh.t(), []
        h, c, all_h, all_c, fed_back = outputs[0], cells[0], [], [], []
        for t, from_input in enumerate(from_inputs.unbind()):
            fed_back.append(h if masks is None else (h * masks[t]).to(weight_hh.dtype))
            h, c, gate = cls.cell(from_input, (fed_back[-1] @ transposed).to(cells.dtype), c)
            all_h.append(h)
            all_c.append(c)
            kept.append(gate)
        outputs[1:] = torch.stack(all_h)
        cells[1:] = torch.stack(all_c)
        if masks is not None:
            torch.stack(fed_back, out=dropped)
        return (torch.stack(kept, out=gates),)

    @classmethod
    def backward(
        cls,
        d_outputs: Tensor | None,
        d_h: Tensor,
        d_c: Tensor,
        d_gates: Tensor,
        weight_hh: Tensor,
        masks: Tensor | None,
        cells: Tensor,
        gates: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Fill in the gradients of the gates; returns those of h and c before the first step."""
        found = []
        for t in reversed(range(len(gates))):
            if d_outputs is not None:
                d_h = d_h + d_outputs[t]
            of_gates, d_c, _ = cls.cell_backward(d_h, d_c, cells[t], cells[t + 1], gates[t], False)
            found.append(of_gates.to(weight_hh.dtype))
            d_h = (found[-1] @ weight_hh).to(cells.dtype)
            if masks is not None:
                d_h = d_h * masks[t]
        torch.stack(found[::-1], out=d_gates)
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


class _RNNSteps(torch.autograd.Function):
    """All steps of a plain recurrent layer, as _LSTMSteps."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        masks: Tensor | None,
        dtype: torch.dtype,
    ) -> Tensor:
        weight_ih, weight_hh, x = weight_ih.to(dtype), weight_hh.to(dtype), inputs.to(dtype)
        from_inputs = _input_products(x, weight_ih, bias_ih + bias_hh)
        outputs, dropped = _fed_back(h, masks, len(x), dtype)
        multiply = product_with(weight_hh, len(h))
        for t, from_input in enumerate(from_inputs):
            if masks is not None:
                torch.mul(outputs[t], masks[t], out=dropped[t])
            torch.tanh(multiply(dropped[t], from_input), out=outputs[t + 1])
        ctx.save_for_backward(x, weight_ih, weight_hh, outputs, dropped, masks)
        ctx.types = inputs.dtype, h.dtype, bias_ih.dtype
        return outputs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, outputs, dropped, masks = ctx.saved_tensors
        of_inputs, of_h, of_parameters = ctx.types
        d_sums = torch.empty_like(dropped)
        d_h = torch.zeros_like(dropped[0])
        multiply = product_with(weight_hh.t(), len(d_h))
        no_sum = torch.zeros_like(d_h)
        for t in reversed(range(len(x))):
            d_h += d_outputs[t]
            _tanh_backward(d_h, outputs[t + 1], grad_input=d_sums[t])
            d_h = multiply(d_sums[t], no_sum)
            if masks is not None:
                d_h *= masks[t]
        d_x, *rest = _gradients(d_sums, x, dropped, weight_ih, of_parameters)
        return d_x.to(of_inputs), d_h.to(of_h), *rest, None, None


def _fed_back(h: Tensor, masks: Tensor | None, steps: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Room for h of the steps -1 to the last one, the first filled in, and for each h[t-1] as it is fed back."""
    outputs = h.new_empty(steps + 1, *h.shape, dtype=dtype)
    outputs[0] = h
    return outputs, outputs[:-1] if masks is None else torch.empty_like(outputs[:-1])


def _input_products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The part of the gates that comes from the inputs x [time, batch, units], for all steps."""
    return torch.addmm(bias.to(x.dtype), x.flatten(0, 1), weight.t()).view(*x.shape[:2], len(weight))


def _gradients(
    d_gates: Tensor, x: Tensor, dropped: Tensor, weight_ih: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of inputs, of both weights and of both biases, from those of the gates of all steps."""
    flat = d_gates.flatten(0, 1)
    d_x = (flat @ weight_ih).view_as(x)
    d_weight_ih, d_weight_hh = (transposed_product(flat, below.flatten(0, 1)) for below in (x, dropped))
    d_bias = flat.sum(0, dtype=dtype)
    return d_x, d_weight_ih.to(dtype), d_weight_hh.to(dtype), d_bias, d_bias


def tanh_(x: Tensor) -> Tensor:
    """Replace x by tanh x = 2 sigmoid(2 x) - 1, which on a CPU is twice as fast as torch.tanh."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1) if x.is_cpu else x.tanh_()


def transposed_product(one: Tensor, other: Tensor) -> Tensor:
    """one.T @ other [m, n], in the order that is faster; the other order gives the same numbers.

    Products of large matrices in float32 on a CPU are so much faster with the result transposed that copying it pays.
    """
    if one.dtype == torch.float32 and other.shape[1] >= STEPPED:
        return (other.t() @ one).t()
    return one.t() @ other


def product_with(weight: Tensor, rows: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The function (x [rows, k], y [rows, n]) -> x @ weight.T + y, for many products with one weight [n, k]."""
    if _packs(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        return lambda x, y: torch.ops.mkldnn._linear_pointwise.binary(x, y, packed, None, "add")
    transposed = weight.t()
    return lambda x, y: torch.addmm(y, x, transposed)


def _packs(weight: Tensor) -> bool:
    """Whether oneDNN has a layout of its own for a weight that is large enough for it."""
    if weight.device.type != "cpu" or weight.numel() < PACKED or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype == torch.float32 or (
        weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
