"""A GPU that is the CPU: what is moved to it is marked, as what is computed from that, and must not meet other tensors.

It finds what a real one would trip over, where there is none: a tensor left or made on the CPU, or NumPy asked of one
that is not. It does not compute as CUDA does, so it says nothing of speed, of rounding or of CUDA's own kernels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lightning.pytorch.accelerators import CUDAAccelerator
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from models import graphs

GPU = torch.device("cuda", 0)

INDEXING = ("index", "index_put", "index_put_")
"""Operations that take indices from the CPU for a tensor on a GPU."""


class Marks:
    """The storages that are on the GPU; they are kept, so that no other gets the address of one that was."""

    def __init__(self) -> None:
        self.storages: dict[int, Any] = {}

    def put(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage._cdata] = storage
        return tensor

    def has(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self.storages


class Operations(TorchDispatchMode):
    """What is computed from marked tensors is marked; one without a mark among them is an error, but for scalars."""

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if name == "copy_" or not any(map(self.marks.has, given)):  # it reads on one device and writes on another
            return result
        strays = [list(tensor.shape) for tensor in given if tensor.dim() and not self.marks.has(tensor)]
        if strays and not (name in INDEXING and self.marks.has(given[0])):
            raise RuntimeError(f"{name}: tensors on the GPU met some on the CPU, of shapes {strays}")
        return tree_map_only(Tensor, self.marks.put, result)


class Calls(TorchFunctionMode):
    """Devices that are asked for and told: "cuda" is a mark."""

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        there = bool(args) and self.marks.has(args[0])
        if there and func == Tensor.device.__get__:
            return GPU
        if there and func == Tensor.is_cuda.__get__:
            return True
        if there and func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("a tensor on the GPU is not for NumPy")
        asked = [torch.device(value) for value in (*args[1:], *kwargs.values()) if is_device(value)]
        if func is Tensor.cpu:
            asked = [torch.device("cpu")]
        result = func(*args[:1], *map(on_cpu, args[1:]), **{name: on_cpu(value) for name, value in kwargs.items()})
        if not asked or not isinstance(result, Tensor) or (asked[0].type == "cuda") == self.marks.has(result):
            return result
        made_now = not (args and isinstance(args[0], Tensor))
        moved = result if made_now else torch.empty(result.shape, dtype=result.dtype).copy_(result)
        return self.marks.put(moved) if asked[0].type == "cuda" else moved


class NoSideStream:
    """In the place of a stream, on which nothing is captured: a launch does all anew."""

    def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        return work


def is_device(value: Any) -> bool:
    return isinstance(value, torch.device) or (isinstance(value, str) and value.startswith(("cpu", "cuda")))


def on_cpu(value: Any) -> Any:
    return "cpu" if is_device(value) else value


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within it there is one GPU, for Lightning and the suite too."""
    marks, gives = Marks(), lambda value: staticmethod(lambda *_, **__: value)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("is_available", True), ("device_count", 1), ("get_device_capability", (8, 0)),
                            ("get_device_name", "Pretended GPU"), ("current_device", 0), ("synchronize", None),
                            ("get_rng_state_all", []), ("set_rng_state_all", None),
                            ("get_rng_state", torch.zeros(1)), ("set_rng_state", None)):  # fmt: skip
            patch.setattr(torch.cuda, name, gives(value))
        for name, value in (("is_available", True), ("parse_devices", [0]), ("get_parallel_devices", [GPU]),
                            ("setup_device", None), ("setup", None), ("teardown", None)):  # fmt: skip
            patch.setattr(CUDAAccelerator, name, gives(value))
        patch.setattr(torch, "set_float32_matmul_precision", gives(None))  # it would be the CPU's
        patch.setattr(graphs, "SideStream", NoSideStream)
        patch.setattr(torch.backends.cudnn, "is_acceptable", gives(False))  # there is no cuDNN to lay weights out for
        with Calls(marks), Operations(marks):
            yield
