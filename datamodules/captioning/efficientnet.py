"""EfficientNet-Lite in plain PyTorch, for inference with published weights (Tan & Le 2019, with Google's changes).

The "lite" networks have neither squeeze-and-excitation nor Swish, and batch normalization is frozen: each convolution
takes it up in its own weights.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage of EfficientNet-Lite0, and the stride of the first of them (Tan & Le 2019, Table 1)."""
STRIDES = tuple(stride if block == 0 else 1 for blocks, stride in STAGES for block in range(blocks))
"""Stride of each block."""
EPSILON = 1e-3
"""Added to the variances by batch normalization, as the weights were trained."""


class EfficientNetLite0:
    """The network up to its last pooling; widths and kernels are those of the weights.

    Args:
        weights: tensors by the names that the port to PyTorch by Melas-Kyriazi gives them; the classifier's are not
            used.

    Raises:
        KeyError: a tensor is missing.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.stem = _folded(weights, "_conv_stem", "_bn0")
        self.head = _folded(weights, "_conv_head", "_bn1")
        self.blocks = [_block(weights, f"_blocks.{number}.") for number in range(len(STRIDES))]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Means over all places of the last convolution's outputs, [images, width of the head].

        Args:
            images: [images, 3, height, width].
        """
        x = functional.relu6(_convolve(images, *self.stem, stride=2))
        for stride, (expand, depthwise, project) in zip(STRIDES, self.blocks, strict=True):
            inner = functional.relu6(_convolve(x, *expand)) if expand else x
            inner = functional.relu6(_convolve(inner, *depthwise, stride=stride))
            outputs = _convolve(inner, *project)
            x = x + outputs if outputs.shape == x.shape and stride == 1 else outputs
        return functional.relu6(_convolve(x, *self.head)).mean(dim=(2, 3))


Convolution = tuple[Tensor, Tensor]
"""Weights [outputs, inputs of a group, kernel, kernel] and bias [outputs]."""


def _block(weights: Mapping[str, Tensor], name: str) -> tuple[Convolution | None, Convolution, Convolution]:
    """The expanding convolution of a block, which the first block does not have, the depthwise and the projecting."""
    expand = _folded(weights, f"{name}_expand_conv", f"{name}_bn0") if name != "_blocks.0." else None
    depthwise = _folded(weights, f"{name}_depthwise_conv", f"{name}_bn1")
    return expand, depthwise, _folded(weights, f"{name}_project_conv", f"{name}_bn2")


def _folded(weights: Mapping[str, Tensor], convolution: str, normalization: str) -> Convolution:
    """A convolution that does what it and the batch normalization after it do."""
    scale, shift, mean, variance = (
        weights[f"{normalization}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / (variance + EPSILON).sqrt()
    return weights[f"{convolution}.weight"] * factor[:, None, None, None], shift - mean * factor


def _convolve(x: Tensor, weights: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """Convolution whose output has ceil(size / stride) places; what is padded of an odd rest is at the end."""
    kernel, groups = weights.shape[-1], x.shape[1] // weights.shape[1]
    padding: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        lacking = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        padding += [lacking // 2, lacking - lacking // 2]
    return functional.conv2d(functional.pad(x, padding), weights, bias, stride, groups=groups)
