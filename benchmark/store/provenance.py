"""Provenance of a run: the machine, the versions and the commit that decide its numbers and its speed."""

import ctypes
import json
import platform
import re
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.files import replacing
from benchmark.formatting import count

if TYPE_CHECKING:
    import torch
    from lightning import Trainer


RESULTS = "results"
"""Folder of the project, in its top folder, that holds what was found and nothing that decides a number."""

SPECIAL = re.compile("[\x7f-\xa0\u2028\u2029\ufeff]")
"""Characters that JSON has in strings as they are, and YAML does not."""


def keep_freed_memory() -> None:
    """Make glibc keep the large blocks that each step frees, instead of giving them back to the system.

    Without it every step of a CPU run faults its logits in again page by page, which costs up to a third of its speed.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-2, 1 << 28)  # M_TOP_PAD
    except (OSError, AttributeError):
        return  # another C library: only the speed differs


def describe_device(trainer: "Trainer") -> str:
    """Describe the devices of a run for a reader, such as "2 x CPU <model>, 1 thread"."""
    import torch

    several = f"{trainer.world_size} x " if trainer.world_size > 1 else ""
    name = name_of_device(trainer.strategy.root_device)
    if trainer.strategy.root_device.type == "cuda":
        return several + name
    return f"{several}{name}, {count(torch.get_num_threads(), 'thread')}"


def name_of_device(device: "torch.device") -> str:
    """A GPU's name, or "CPU" and the processor's name."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU {name}"


def describe_versions(device: "torch.device | None" = None) -> dict[str, str]:
    """Python, the packages, the kind of processor and, for a GPU, CUDA: all that decides the numbers bit for bit."""
    packages = ("torch", "lightning", "torchmetrics", "numpy")
    found = {"python": platform.python_version(), **{package: version(package) for package in packages}}
    if device and device.type == "cuda":
        found["cuda"] = describe_cuda(device)
    return {**found, "processor": describe_processor()}


def describe_cuda(device: "torch.device") -> str:
    """CUDA, cuDNN and the precision of products: by default cuDNN's LSTM rounds to TF32 on GPUs that have it."""
    import torch

    cudnn: Any = torch.backends.cudnn
    tf32 = torch.cuda.get_device_capability(device) >= (8, 0)
    lstm = "TF32" if tf32 and cudnn.allow_tf32 else "float32"
    other = "TF32" if tf32 and torch.backends.cuda.matmul.allow_tf32 else "float32"
    return f"{torch.version.cuda}, cuDNN {cudnn.version()}, LSTM in {lstm}, other products in {other}"


def describe_processor() -> str:
    """Identify the processor by what its rounding depends on: vendors sell several generations under one name."""
    import torch

    fields = dict.fromkeys(("cpu family", "model", "stepping"), "?")
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = (part.strip() for part in line.partition(":"))
            if fields.get(name) == "?":
                fields[name] = value
    named = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{platform.machine()}, {named}, {torch.backends.cpu.get_cpu_capability()}"


def describe_commit() -> str:
    """The suite's own Git commit, with "-dirty" if its working tree has changes; "unknown" outside a checkout.

    Changes in results/ do not count: no number comes from there, and records that are collected are such changes.
    """
    git = ["git", "-C", str(Path(__file__).parent)]
    status = [*git, "status", "--porcelain", "--", ":(top)", f":(top,exclude){RESULTS}"]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("-dirty" if changed.strip() else "")


def describe_sitting(trainer: "Trainer", precision: str) -> dict[str, Any]:
    """What a stretch of training depended on, from its beginning or a resumption to its end: an entry of a record."""
    import torch

    return {
        "commit": describe_commit(),
        "versions": describe_versions(trainer.strategy.root_device),
        "device": describe_device(trainer),
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


def is_committed(commit: str) -> bool:
    """Whether a commit, as `describe_commit` gives it, names code that others can get."""
    return commit != "unknown" and not commit.endswith("-dirty")


def rebuild_command(
    row: str, seed: int, rows_file: Path | None = None, changes: Mapping[str, Any] | None = None
) -> str:
    """The command line that trains a run again, with the user's file of rows and overridden fields if there are any."""
    words = ["rnnreg", "run", row, "--seed", str(seed), *(["--rows_file", str(rows_file)] if rows_file else [])]
    return shlex.join([*words, *(_option(name, value) for name, value in (changes or {}).items())])


def write_configuration(
    path: Path, command: str, configuration: Mapping[str, Any], arithmetic: Mapping[str, Any]
) -> None:
    """Write the options that train a run again, as YAML for `rnnreg run --config`.

    Args:
        path: the file.
        command: the run's command line, as `rebuild_command` makes it.
        configuration: every field of the run's configuration.
        arithmetic: its precision, and other options on which its last digits depend where they are not the defaults.

    Raises:
        UserError: the file cannot be written.
    """
    import yaml

    words = shlex.split(command)
    named = {name: words[words.index(f"--{name}") + 1] for name in ("seed", "rows_file") if f"--{name}" in words}
    options = {"row": words[2], **named, "seed": int(named["seed"]), **configuration, **arithmetic}
    plain = json.loads(json.dumps(options))  # without subclasses of float, as numpy has them
    with replacing(path) as scratch:
        scratch.write_text(f"# {command}\n{yaml.safe_dump(plain, sort_keys=False)}", encoding="utf-8")


def _option(name: str, value: Any) -> str:
    """A field's value on the command line, where a flag is named or negated and what is left out is null."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    if isinstance(value, Mapping):
        text = json.dumps(value, ensure_ascii=False)  # a surrogate pair is no character in YAML, which this is read as
        value = SPECIAL.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
    return f"--{name}={'null' if value is None else value}"
