"""The command that measures speed: benchmark."""

import sys
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from jsonargparse.typing import PositiveFloat, PositiveInt

from benchmark.commands.arguments import listed, refuse_unused
from benchmark.training.options import STORE, Precision
from datamodules.errors import UserError

Word = TypeVar("Word", bound=str)

SIZES = ("small", "medium", "large")
PRECISIONS: tuple[Precision, ...] = ("32", "bf16-mixed")


def benchmark(
    sizes: str = ",".join(SIZES),
    precision: str = ",".join(PRECISIONS),
    accelerator: Literal["auto", "cpu", "gpu"] = "auto",
    rounds: PositiveInt = 5,
    seconds: PositiveFloat = 3.0,
    methods: bool = False,
    quick: bool = False,
    output: Path = STORE / "benchmark",
) -> int:
    """Measure how fast language models train, compared with loops written without this suite.

    Whole training steps are timed: data, forward, backward, clipping and update. Contenders take turns round by round,
    each in a process of its own that is kept to its cores. The suite and the plain loop are also measured with two
    threads and with two processes side by side on a CPU, with two, four and eight processes on a GPU, unless --quick is
    given. With --methods the suite alone is measured, with each method of the atlas, beside the paper's dropout. The
    outcome is benchmark-cpu.json or benchmark-cuda.json, of methods benchmark-methods-cpu.json or
    benchmark-methods-cuda.json, with a table and figures of all such files of the folder. What has been measured is
    kept if the command is stopped.

    Args:
        sizes: The paper's sizes to train, separated by commas.
        precision: Precisions of matrix multiplication to train in, separated by commas.
        accelerator: Device kind; auto takes a GPU if there is one.
        rounds: Rounds of each contender, of which the median counts.
        seconds: Time of a round.
        methods: Measure the methods of the atlas.
        quick: Measure only the small size, on one core, in at most 3 rounds of at most half a second: about a minute.
        output: Folder to write to.
    """
    chosen, precisions = _choices("sizes", sizes, SIZES), _choices("precision", precision, PRECISIONS)
    if quick:
        refuse_unused(benchmark, "with --quick, which measures the small size", sizes=sizes)
        chosen, rounds, seconds = ["small"], min(rounds, 3), min(seconds, 0.5)
    import torch

    from benchmark.reports import write
    from benchmark.speed.measure import BESIDE, measure, of_loops, of_methods
    from benchmark.store import speeds
    from benchmark.training.devices import check_gpus
    from datamodules.cache import cores

    check_gpus(1, accelerator)
    device = "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        precisions = _possible(precisions)
    beside = BESIDE[device] if cores() > 1 and not quick else ()
    groups = of_methods(chosen, precisions) if methods else of_loops(chosen, precisions, beside)
    path = output / f"benchmark-{'methods-' * methods}{device}.json"
    command = ["rnnreg", *sys.argv[1:]]
    say = partial(print, flush=True)
    for so_far in measure(groups, device, rounds=rounds, seconds=seconds, command=command, say=say):
        speeds.write(so_far, path)
    print(f"written: {path}", *write.write(write.of_speed(output)), sep=", ")
    return 0


def _possible(precisions: list[Precision]) -> list[Precision]:
    """The precisions that PyTorch's own layer has on this processor.

    Raises:
        UserError: there is none among them.
    """
    from models.products import lacks_bfloat16

    if "bf16-mixed" not in precisions or not lacks_bfloat16():
        return precisions
    why = "PyTorch's LSTM, beside which the suite is measured, does not compute in bfloat16 on this processor"
    if precisions == ["bf16-mixed"]:
        raise UserError(f"--precision bf16-mixed: {why}; measure 32")
    print(f"rnnreg: bf16-mixed is left out: {why}", file=sys.stderr)
    return [one for one in precisions if one != "bf16-mixed"]


def _choices(option: str, given: str, allowed: tuple[Word, ...]) -> list[Word]:
    """The words of an option, separated by commas.

    Raises:
        UserError: one of them is not allowed.
    """
    words = listed(f"--{option}", given)
    if wrong := [word for word in words if word not in allowed]:
        raise UserError(f"--{option}: expected some of {','.join(allowed)}, got {wrong[0] or 'nothing'}")
    return [word for word in allowed if word in words]
