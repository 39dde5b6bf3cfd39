"""Products of matrices: the type that they are made in, and the way in which they are made fastest."""

from collections.abc import Callable

import torch
from torch import Tensor

PACKED = 400_000
"""Fewest weights of a matrix for which the layout that oneDNN multiplies fastest is worth making."""
WIDE = 400
"""Fewest columns of a product of two tall matrices that is made faster transposed, in float32 on a CPU."""


def product_type(inputs: Tensor) -> torch.dtype:
    """The type in which products of inputs are made: that of autocast where it is on."""
    device = inputs.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype


def rounds_on_cpu(inputs: Tensor) -> bool:
    """Whether autocast makes products of inputs in bfloat16, on a CPU."""
    return inputs.device.type == "cpu" and product_type(inputs) == torch.bfloat16


def lacks_bfloat16() -> bool:
    """Whether this processor has no bfloat16 for PyTorch's own recurrent layers, which then fail."""
    return torch.backends.mkldnn.is_available() and not torch.ops.mkldnn._is_mkldnn_bf16_supported()  # type: ignore[no-untyped-call]


def product_with(weight: Tensor, rows: int) -> Callable[[Tensor, Tensor, Tensor], object]:
    """The function (x [rows, k], y [rows, n], out) that makes out x @ weight.T + y, for many products with one weight.

    The type of out may be another than theirs.
    """
    transposed = weight.t()
    if _packs(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        return lambda x, y, out: out.copy_(torch.ops.mkldnn._linear_pointwise.binary(x, y, packed, None, "add"))
    return lambda x, y, out: (
        torch.addmm(y, x, transposed, out=out) if out.dtype == y.dtype else out.copy_(torch.addmm(y, x, transposed))
    )


def _packs(weight: Tensor) -> bool:
    """Whether oneDNN has a layout of its own for a weight that is large enough for it."""
    if weight.device.type != "cpu" or weight.numel() < PACKED or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and not lacks_bfloat16())


def transposed_product(one: Tensor, other: Tensor) -> Tensor:
    """one.T @ other [m, n], in the order that is faster; the other order gives the same numbers.

    Products of large matrices in float32 on a CPU are so much faster with the result transposed that copying it pays.
    """
    if one.is_cpu and one.dtype == torch.float32 and other.shape[1] >= WIDE:
        return (other.t() @ one).t()
    return one.t() @ other
