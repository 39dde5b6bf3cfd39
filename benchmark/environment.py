"""The machine that a run is on: what decides its numbers and its speed."""

import ctypes
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch
from lightning import Trainer


def keep_freed_memory() -> None:
    """Have glibc keep the large blocks that each step frees, instead of giving them back to the system.

    Without it every step of a CPU run faults its logits in again page by page, which costs up to a third of its speed.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD
        libc.mallopt(-2, 1 << 28)  # M_TOP_PAD
    except (OSError, AttributeError):
        return  # another C library: only the speed differs


def describe_device(trainer: Trainer) -> str:
    """What a run trains on, as a reader would name it."""
    several = f"{trainer.world_size} x " if trainer.world_size > 1 else ""
    if trainer.strategy.root_device.type == "cuda":
        return several + torch.cuda.get_device_name(trainer.strategy.root_device)
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in cpuinfo if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{several}CPU {name}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def describe_versions() -> dict[str, str]:
    """Python, the packages and the kind of processor that decide the numbers, to the last bit."""
    packages = ("torch", "lightning", "torchmetrics", "numpy")
    found = {"python": platform.python_version(), **{package: version(package) for package in packages}}
    return {**found, "processor": describe_processor()}


def describe_processor() -> str:
    """What tells processors apart that round differently: vendors sell several generations under one name."""
    fields = dict.fromkeys(("cpu family", "model", "stepping"), "?")
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = (part.strip() for part in line.partition(":"))
            if fields.get(name) == "?":
                fields[name] = value
    named = ", ".join(f"{name} {value}" for name, value in fields.items())
    return f"{platform.machine()}, {named}, {torch.backends.cpu.get_cpu_capability()}"


def describe_commit() -> str:
    """The suite's own commit, marked when its working tree had changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("-dirty" if changed.strip() else "")
