"""Runs on a GPU, a pretended one: no tensor is where it should not be, and all of a run is there."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.devices import Stop, stop_after_one
from support.factories import TASKS, tiny_rows
from support.pretended_gpu import pretended_gpu
from torch import nn

from benchmark.analysis import ensembles
from benchmark.grid.grid import silent
from benchmark.store.records import Store
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import train
from models.base import TaskModel

MISTAKES = {
    "made on the CPU": lambda there: there + torch.ones(2),
    "not moved back": lambda there: there.numpy(),
    "converted without being asked": np.asarray,
    "a module left on the CPU": nn.Linear(2, 2),
    "an LSTM's state left on the CPU": lambda there: nn.LSTM(2, 3).to("cuda")(there[None], (torch.zeros(1, 3),) * 2),
    "indexed from the GPU": lambda there: torch.ones(2)[there.long()],
    "labels left on the CPU": lambda there: nn.functional.cross_entropy(there[None], torch.tensor([1])),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_pretended_gpu_notices(mistake) -> None:
    with pretended_gpu(), pytest.raises((RuntimeError, TypeError), match="GPU"):
        MISTAKES[mistake](torch.ones(2, device="cuda"))


def test_the_pretended_gpu_takes_what_a_real_one_does() -> None:
    with pretended_gpu():
        there = torch.ones(2, device="cuda", requires_grad=True)
        (there * torch.tensor(2.0) + there.new_zeros(2))[torch.tensor([0])].sum().backward()
        assert (there.device.type, there.grad.device.type, there.detach().cpu().device.type) == ("cuda", "cuda", "cpu")
        assert there.grad.cpu().numpy().tolist() == [2, 0]
        assert nn.LSTM(2, 3).to("cuda")(there[None])[0].is_cuda
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "Pretended GPU"


def options(folder: Path, accelerator: str) -> Options:
    return Options(data=folder / "data", store=folder / accelerator, accelerator=accelerator, threads=1, wandb="off")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("gpu")


@pytest.fixture(scope="module")
def tiny(folder: Path) -> dict[str, Row]:
    made = tiny_rows(folder)
    language_model = made["language-modeling"]
    made["recurrent dropout"] = language_model.variant("ablation", recurrent_dropout=0.3)
    made["plain cell"] = language_model.variant("plain-cell", cell="rnn")
    return made


@pytest.mark.parametrize("kind", [*TASKS, "recurrent dropout", "plain cell"])
def test_a_run_on_a_gpu_is_that_of_a_cpu_and_goes_on_after_a_stop(kind, tiny, folder, monkeypatch) -> None:
    """To the last bit, as the pretended one rounds as the CPU does; masks, too, are drawn by its generator."""
    on_cpu = train(tiny[kind], 1, options(folder, "cpu"), progress=silent)
    trained_on = set()

    def look(model: TaskModel, _: torch.optim.Optimizer) -> None:
        trained_on.update(tensor.device.type for weight in model.parameters() for tensor in (weight, weight.grad))

    monkeypatch.setattr(TaskModel, "on_before_optimizer_step", look)
    with pretended_gpu(), pytest.raises(Stop):
        train(tiny[kind], 1, options(folder, "gpu"), progress=stop_after_one)
    with pretended_gpu():
        on_gpu = train(tiny[kind], 1, options(folder, "gpu"), progress=silent)
    assert trained_on == {"cuda"}
    assert (on_gpu.device, "LSTM in TF32" in on_gpu.versions["cuda"]) == ("Pretended GPU", True)
    assert on_gpu.metrics == on_cpu.metrics
    assert on_gpu.details == on_cpu.details
    assert on_gpu.log_probabilities_sha256 == on_cpu.log_probabilities_sha256


def test_an_average_of_models_on_a_gpu_is_that_on_a_cpu(tiny, folder) -> None:
    """Captions alone are averaged with the models at hand, in the beam search; the others by log-probabilities."""
    row = tiny["captioning"].variant("pictures")
    average = replace(row, name="average", ensemble_of=row.name, members=2)
    for seed in (1, 2):
        train(row, seed, options(folder, "cpu"), progress=silent)
    (on_cpu,) = ensembles.update([average], [row, average], Store(folder / "cpu"), folder / "data")
    shutil.rmtree(folder / "cpu" / on_cpu.run)
    with pretended_gpu():
        (on_gpu,) = ensembles.update([average], [row, average], Store(folder / "cpu"), folder / "data", "cuda")
    assert any(sample["caption"] for sample in on_cpu.details["samples"])
    assert (on_gpu.metrics, on_gpu.details) == (on_cpu.metrics, on_cpu.details)


def test_a_graph_can_be_done_without(tiny, folder, monkeypatch) -> None:
    monkeypatch.setattr("models.language_model.GraphedPasses", None)
    with pretended_gpu(), pytest.raises(TypeError):
        train(tiny["language-modeling"], 3, options(folder, "gpu"), progress=silent)
    with pretended_gpu():
        train(tiny["language-modeling"], 3, replace(options(folder, "gpu"), cuda_graphs=False), progress=silent)
