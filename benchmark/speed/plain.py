"""The paper's language model trained as one would write it without this suite: what its speed is compared with.

Everything is at PyTorch's and Lightning's defaults, and nothing is shared with the suite's own models.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmark.tasks.language_modeling import LanguageModelConfig
from benchmark.training.options import Precision

Batch = tuple[Tensor, Tensor]
"""Inputs and targets, ids [time, batch]."""


class WithLSTM(nn.Module):
    """Embedding, nn.LSTM with its own dropout, softmax layer."""

    def __init__(self, words: int, config: LanguageModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.embedding = nn.Embedding(words, size)
        self.lstm = nn.LSTM(size, size, config.layers, dropout=config.dropout)
        self.output = nn.Linear(size, words)

    def forward(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits [time, batch, words] and the new state."""
        outputs, state = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.output(self.dropout(outputs)), state


class WithCells(nn.Module):
    """Embedding, nn.LSTMCell step by step, softmax layer."""

    def __init__(self, words: int, config: LanguageModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.dropout = nn.Dropout(config.dropout)
        self.embedding = nn.Embedding(words, size)
        self.cells = nn.ModuleList(nn.LSTMCell(size, size) for _ in range(config.layers))
        self.output = nn.Linear(size, words)

    def forward(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits [time, batch, words] and the new state."""
        states = list(state or [None] * len(self.cells))
        outputs = []
        for values in self.embedding(tokens):
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(self.dropout(values), states[layer])
                values = states[layer][0]
            outputs.append(self.dropout(values))
        return self.output(torch.stack(outputs)), states


def detached(state: Any) -> Any:
    """A state without its history."""
    return state.detach() if isinstance(state, Tensor) else tuple(map(detached, state))


def loop(
    network: Callable[..., nn.Module],
    words: int,
    config: LanguageModelConfig,
    batches: Iterable[Batch],
    device: str,
    precision: Precision,
) -> Iterator[None]:
    """Train a network on batches in a plain loop, which pauses after each step."""
    model = network(words, config).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.lr)
    state = None
    for inputs, targets in batches:
        inputs, targets = inputs.to(device), targets.to(device)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed"):
            logits, state = model(inputs, state)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) * len(inputs)
        state = detached(state)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        yield


class Module(LightningModule):
    """The same model in Lightning, with its loss logged."""

    def __init__(self, words: int, config: LanguageModelConfig) -> None:
        super().__init__()
        self.model, self.lr = WithLSTM(words, config), config.lr
        self.state: Any = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one window."""
        inputs, targets = batch
        logits, state = self.model(inputs, self.state)
        self.state = detached(state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten()) * len(inputs)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def lightning(
    words: int,
    config: LanguageModelConfig,
    batches: list[Batch],
    device: str,
    precision: Precision,
    folder: str,
    clock: Callback,
) -> None:
    """Train with Lightning's Trainer, whose logging and checkpoints are as they are by default."""
    trainer = Trainer(
        accelerator=device,
        devices=1,
        precision=precision,
        max_epochs=1,
        gradient_clip_val=config.clip,
        callbacks=[clock],
        default_root_dir=folder,
    )
    loader: DataLoader[Batch] = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    trainer.fit(Module(words, config), loader)
