"""The command that exports a trained model."""

import shlex
import sys
from pathlib import Path
from typing import Literal

from jsonargparse.typing import NonNegativeInt

from benchmark.commands.arguments import RowName, refuse_unused
from benchmark.formatting import print_left_out
from benchmark.tasks import registry
from benchmark.training.options import DATA, STORE


def export(
    model: RowName,
    folder: Path,
    seed: NonNegativeInt | None = None,
    half: bool = False,
    onnx: bool = False,
    verify: bool = False,
    records: Path | None = None,
    store: Path = STORE,
    data: Path = DATA,
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    rows_file: Path | None = None,
) -> int:
    """Write a trained model to a folder that can be shared: safetensors, JSON, record and model card.

    Nothing is uploaded; the command that does so is printed.

    Args:
        model: Name of a trained row or of a variant of it, or folder of a run.
        folder: Folder to write to: new, empty, or of an earlier export.
        seed: Seed of the run; the run with the best validation metric if not given.
        half: Keep the weights in half precision, provided that each figure of the record comes out to 0.01.
        onnx: Write the graphs in ONNX too, and check them by the final evaluation.
        verify: Evaluate the exported model, and compare it with the record.
        records: Store whose runs of the same row, configuration and data give the mean and the interval in the card; it
            must have one. --store if not given.
        store: Folder that holds the runs.
        data: Folder that holds the data, for what is evaluated.
        accelerator: Device kind that evaluates it: auto takes a GPU if there is one.
        rows_file: Python file with rows of your own.
    """
    from benchmark.sharing.card import unreadable_runs
    from benchmark.sharing.evaluation import finished_record
    from benchmark.sharing.export import export as export_model
    from benchmark.sharing.trained import find_trained

    if not (half or onnx or verify):
        refuse_unused(export, "without --half, --onnx or --verify, since nothing is evaluated", accelerator=accelerator)
    left_out: list[str] = []
    trained = find_trained(model, seed, store, registry.load(rows_file), left_out)
    print_left_out(left_out)
    for line in unreadable_runs(finished_record(trained), records or store, required=records is not None):
        print(f"rnnreg: left out of the card's means: {line}", file=sys.stderr)
    done = export_model(
        trained,
        folder,
        half=half,
        onnx=onnx,
        verify=verify,
        data=data,
        records=records or store,
        accelerator=accelerator,
    )
    print(f"{trained.name} exported to {folder}:")
    for path in done.files:
        print(f"  {path.name}  {path.stat().st_size / 1e6:.2f} MB")
    for remark in done.remarks:
        print(f"checked: {remark}")
    print(f"to share it: hf upload {shlex.quote(f'YOUR_NAME/{trained.row}')} {shlex.quote(str(folder))}")
    return 0
