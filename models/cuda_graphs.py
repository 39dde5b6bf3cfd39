"""CUDA graphs: a training window's kernels are launched as two graphs, instead of one by one."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only


class GraphedWindows:
    """Runs a module on windows of one shape by replaying two CUDA graphs, one forward and one backward.

    At the paper's batch of 20 a window is hundreds of kernels of a few microseconds each, and launching them takes
    longer than running them. The graphs hold the same kernels and draw the same masks, so the numbers are the same.

    Args:
        module: a module that takes tensors, or nested tuples of them, without any step that waits for the GPU; what
            it returns is overwritten by the next call.
    """

    def __init__(self, module: nn.Module) -> None:
        self._plain, self._graphed, self._module = module.forward, module.forward, module
        self._shapes: tuple[torch.Size, ...] = ()

    def __call__(self, *arguments: Any) -> Any:
        """What the module returns for these arguments; a window of another shape than the first is run as it is."""
        shapes = tuple(leaf.shape for leaf in tree_leaves(arguments))
        if not self._shapes:
            self._graphed, self._shapes = self._capture(arguments), shapes
        return (self._graphed if shapes == self._shapes else self._plain)(*arguments)

    def _capture(self, arguments: Any) -> Any:
        """Record both graphs; the rehearsals that this takes leave the random numbers as they were."""
        numbers = torch.cuda.get_rng_state()
        with torch.autocast("cuda", enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
            graphed = torch.cuda.make_graphed_callables(self._module, tree_map_only(Tensor, Tensor.clone, arguments))
        torch.cuda.set_rng_state(numbers)
        return graphed
