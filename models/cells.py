"""Recurrent layers as nn.LSTM and nn.RNN, which can also mask what they feed back, and are fast in bfloat16 on a CPU.

PyTorch's own layers cannot drop h[t-1], and on a CPU their backward pass in bfloat16 is slower than in single
precision. The layers here then step through time outside autograd: the products that need no earlier step are made for
all steps at once, those of the inputs before the loop and those of the weights' gradients after it, so that a step has
one small product and a few operations on gates. Under autocast, products have its precision; gates and cells are in
single precision always.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from models import loops
from models.loops import Kept, Masks, Normalized
from models.products import lacks_bfloat16, product_type, product_with, rounds_on_cpu, transposed_product

STEPPED = 400
"""Fewest units of an LSTM for which stepping is faster than PyTorch's layer, in bfloat16 on a CPU."""

_tanh_backward = torch.ops.aten.tanh_backward.grad_input


class LSTM(nn.LSTM):
    """One LSTM layer (paper equations 4 to 6), with the parameters of nn.LSTM."""

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        masks: Masks | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As nn.LSTM.forward, for inputs [time, batch, input_size].

        Args:
            inputs: [time, batch, input_size].
            state: h and c, each [1, batch, hidden_size]; zeros if None.
            masks: what methods have drawn for this call.
        """
        if masks is None and not stepping_pays(self, inputs):
            return super().forward(inputs, state)  # type: ignore[no-any-return, has-type]
        zeros = inputs.new_zeros(1, inputs.shape[1], self.hidden_size)
        h, c = state or (zeros, zeros)
        weights: list[Tensor] = list(self.parameters())
        if masks and masks.weights is not None:
            weights[1] = weights[1] * masks.weights
            masks = masks._replace(weights=None)
            if masks.empty and not stepping_pays(self, inputs):
                outputs, h, c = torch.lstm(inputs, (h, c), weights, True, 1, 0.0, self.training, False, False)
                return outputs, (h, c)
        outputs, c = _LSTMSteps.apply(  # type: ignore[no-untyped-call]
            inputs, h[0], c[0], *weights, product_type(inputs), *(masks or Masks())
        )
        return outputs, (outputs[-1:], c[None])


class NormalizedLSTM(LSTM):
    """One LSTM layer with layer normalization (Ba et al. 2016, equations 20 to 22).

    The gates are LN(W_x x[t]) + LN(W_h h[t-1]) + b, and h[t] = o * tanh(LN(c[t])). Each LN has a gain and a bias.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.of_inputs, self.of_sums = nn.LayerNorm(4 * hidden_size), nn.LayerNorm(4 * hidden_size)
        self.of_cells = nn.LayerNorm(hidden_size)

    def forward(
        self,
        inputs: Tensor,
        state: tuple[Tensor, Tensor] | None = None,
        masks: Masks | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As LSTM.forward."""
        zeros = inputs.new_zeros(1, inputs.shape[1], self.hidden_size)
        h, c = state or (zeros, zeros)
        masks = masks or Masks()
        weights: list[Tensor] = list(self.parameters())
        weight_ih, weight_hh, bias_ih, bias_hh = weights[:4]
        if masks.weights is not None:
            weight_hh = weight_hh * masks.weights
        of_inputs, biases = self.of_inputs, self.of_inputs.bias + self.of_sums.bias + bias_ih + bias_hh
        from_inputs = nn.functional.linear(inputs, weight_ih)
        from_inputs = nn.functional.layer_norm(
            from_inputs, of_inputs.normalized_shape, of_inputs.weight, biases, of_inputs.eps
        )
        outputs, c = _NormalizedSteps.apply(  # type: ignore[no-untyped-call]
            from_inputs, h[0], c[0], weight_hh, self.of_sums.weight, self.of_cells.weight, self.of_cells.bias,
            product_type(inputs), *masks._replace(weights=None),
        )  # fmt: skip
        return outputs, (outputs[-1:], c[None])


class RNN(nn.RNN):
    """One plain recurrent layer, s_t = tanh(U x_t + W s_{t-1}) (paper section 3), with the parameters of nn.RNN."""

    def forward(self, inputs: Tensor, state: Tensor | None = None, masks: Masks | None = None) -> tuple[Tensor, Tensor]:
        """As LSTM.forward, with a state [1, batch, hidden_size] and no masks but that of h[t-1]."""
        if masks is None and not stepping_pays(self, inputs):
            return super().forward(inputs, state)  # type: ignore[no-any-return, has-type]
        h = inputs.new_zeros(1, inputs.shape[1], self.hidden_size) if state is None else state
        outputs = _RNNSteps.apply(  # type: ignore[no-untyped-call]
            inputs, h[0], *self.parameters(), masks and masks.recurrent, product_type(inputs)
        )
        return outputs, outputs[-1:]


def stepping_pays(layer: nn.RNNBase, inputs: Tensor) -> bool:
    """Whether stepping is faster than PyTorch's layer, by measurement, or the only way.

    Float32 keeps PyTorch's numbers in any case.
    """
    return rounds_on_cpu(inputs) and (layer.mode != "LSTM" or layer.hidden_size >= STEPPED or lacks_bfloat16())


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
        dtype: torch.dtype,
        *masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        weight_ih, weight_hh, x = weight_ih.to(dtype), weight_hh.to(dtype), inputs.to(dtype)
        from_inputs = _input_products(x, weight_ih, bias_ih + bias_hh)
        outputs, dropped, cells = _room(from_inputs, h, c, Masks(*masks))
        kept = loops.forward(from_inputs, weight_hh, Masks(*masks), outputs, dropped, cells)
        ctx.save_for_backward(x, weight_ih, weight_hh, dropped, cells, *kept, *masks)
        ctx.types = inputs.dtype, h.dtype, c.dtype
        ctx.set_materialize_grads(False)  # the last cell state is seldom part of a loss
        return outputs[1:], cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c: Tensor | None) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, dropped, cells, *rest = ctx.saved_tensors
        kept, masks = Kept(*rest[: len(Kept._fields)]), Masks(*rest[len(Kept._fields) :])
        d_gates = torch.empty_like(kept.gates, dtype=x.dtype)
        d_h, d_c, _, _ = loops.backward(d_outputs, *_begin(cells, d_c), d_gates, weight_hh, masks, cells, kept)
        d_x, *of_parameters = _gradients(d_gates, x, dropped, weight_ih, cells.dtype)
        of_inputs, of_h, of_c = ctx.types
        return d_x.to(of_inputs), d_h.to(of_h), d_c.to(of_c), *of_parameters, None, *(None for _ in masks)


class _NormalizedSteps(torch.autograd.Function):
    """All steps of an LSTM layer with layer normalization, from what the inputs give the gates."""

    @staticmethod
    def forward(
        ctx: Any,
        from_inputs: Tensor,
        h: Tensor,
        c: Tensor,
        weight_hh: Tensor,
        sum_gain: Tensor,
        cell_gain: Tensor,
        cell_bias: Tensor,
        dtype: torch.dtype,
        *masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        weight = weight_hh.to(dtype)
        outputs, dropped, cells = _room(from_inputs.to(dtype), h, c, Masks(*masks))
        of_sums = Normalized(sum_gain, None, torch.empty_like(from_inputs))
        proposed = cells[1:] if Masks(*masks).kept_cell is None else torch.empty_like(cells[1:])
        of_cells = Normalized(cell_gain, cell_bias, proposed)
        kept = loops.forward(from_inputs, weight, Masks(*masks), outputs, dropped, cells, of_sums, of_cells)
        ctx.save_for_backward(weight, dropped, cells, *kept, *masks)
        ctx.norms = of_sums, of_cells
        ctx.types = h.dtype, c.dtype
        ctx.set_materialize_grads(False)
        return outputs[1:], cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_outputs: Tensor | None, d_c: Tensor | None) -> tuple[Tensor | None, ...]:
        weight, dropped, cells, *rest = ctx.saved_tensors
        kept, masks = Kept(*rest[: len(Kept._fields)]), Masks(*rest[len(Kept._fields) :])
        of_sums, of_cells = ctx.norms
        d_gates = torch.empty_like(kept.gates)
        d_h, d_c, d_sums, d_normalized = loops.backward(
            d_outputs, *_begin(cells, d_c), d_gates, weight, masks, cells, kept, of_sums, of_cells
        )
        d_weight = transposed_product(d_sums.flatten(0, 1).to(weight.dtype), dropped.flatten(0, 1)).to(cells.dtype)
        of_h, of_c = ctx.types
        return (
            d_gates, d_h.to(of_h), d_c.to(of_c), d_weight, of_sums.gradients(d_gates)[0],
            *of_cells.gradients(d_normalized), None, *(None for _ in masks),
        )  # fmt: skip


def _room(from_inputs: Tensor, h: Tensor, c: Tensor, masks: Masks) -> tuple[Tensor, Tensor, Tensor]:
    """Room for outputs, for what is fed back, and for cells, as loops.forward fills them in."""
    outputs, dropped = _fed_back(h, masks.recurrent, len(from_inputs), from_inputs.dtype)
    cells = c.new_empty(len(from_inputs) + 1, *c.shape, dtype=torch.promote_types(c.dtype, torch.float32))
    cells[0] = c
    return outputs, dropped, cells


def _begin(cells: Tensor, d_c: Tensor | None) -> tuple[Tensor, Tensor]:
    """The gradients of h and c after the last step, from which the backward loop starts."""
    d_h = torch.zeros_like(cells[0])
    return d_h, torch.zeros_like(d_h) if d_c is None else d_c.to(cells.dtype, copy=True)


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
            multiply(dropped[t], from_input, outputs[t + 1])
            outputs[t + 1].tanh_()
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
            multiply(d_sums[t], no_sum, d_h)
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
