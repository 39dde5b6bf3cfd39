"""The arithmetic of training: float32, or products in bfloat16 for training steps alone."""

from contextlib import AbstractContextManager, nullcontext

import torch
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins import Precision as Plugin
from typing_extensions import override

from benchmark.store.records import Record
from benchmark.training.options import Options, Precision
from datamodules.errors import UserError


class MixedTraining(MixedPrecision):
    """Rounds products to bfloat16 in training steps only: a model's figures are exact, however it was trained."""

    @override
    def val_step_context(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    @override
    def test_step_context(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def on_gpu(options: Options) -> bool:
    """Whether a run with these options trains on a GPU."""
    return options.accelerator != "cpu" and torch.cuda.is_available()


def precision_plugin(options: Options) -> Plugin:
    """The Lightning plugin for the precision that was asked for."""
    if options.precision == "32":
        return Plugin()
    return MixedTraining("bf16-mixed", "cuda" if on_gpu(options) else "cpu")


def require_precision(record: Record, precision: Precision) -> None:
    """Refuse a record of other arithmetic than was asked for, rather than pass it off as what was asked for.

    Raises:
        UserError: the record is of another precision.
    """
    if record.precision != precision:
        raise UserError(
            f"{record.row} seed {record.seed}: its record is of precision {record.precision}, not {precision}; "
            f"give --precision {record.precision}, another seed, or another --store"
        )
