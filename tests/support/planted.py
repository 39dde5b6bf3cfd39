"""Causes of a different number, planted in the training of a tiny language model, for `rnnreg compare` to name.

Each is a fault of the kind that reimplementations have. The record of a run that has one says nothing of it, except
where the cause is a setting of the run itself.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import torch

from benchmark.audit.compare import Comparison, compare
from benchmark.audit.history import History
from benchmark.audit.sides import resolve
from benchmark.store.records import Record, Store
from benchmark.tasks import language_modeling, registry
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.language_modeling import datamodule, sources
from datamodules.language_modeling.datamodule import LanguageModelingData, StreamWindows
from models import language_model
from models.language_model import LanguageModel

SIZES = {
    "hidden_size": 48, "unroll": 10, "batch_size": 10, "epochs": 5, "flat_epochs": 2, "decay": 2.0, "clip": 1.0,
    "dropout": 0.2,
}  # fmt: skip


def write_language(folder: Path, lines: int = 1500) -> Path:
    """A text of three splits in a language of 150 words, each of which is followed by few others."""
    generator = random.Random(0)
    words = [f"w{place}" for place in range(150)]
    weights = [1 / (place + 2) for place in range(150)]
    follow = {word: generator.choices(words, weights, k=4) for word in words}
    folder.mkdir(parents=True)
    for split, count in (("train", lines), ("valid", lines // 5), ("test", lines // 5)):
        text = []
        for _ in range(count):
            line = generator.choices(words, weights)
            while len(line) < 3 or generator.random() < 0.85:
                line.append(generator.choice(follow[line[-1]] if generator.random() < 0.8 else words))
            text.append(" ".join(line) + "\n")
        (folder / f"{split}.txt").write_text("".join(text))
    return folder


def row_of(text: Path, **changes: object) -> Row:
    return language_modeling.PTB_SMALL.variant("planted", source=str(text), **{**SIZES, **changes})


def trained(row: Row, store: Path, seed: int = 1, threads: int = 1) -> Record:
    """One run in a store."""
    options = Options(store=store, accelerator="cpu", threads=threads, wandb="off")
    return train(row, seed, options, progress=lambda *_: None)


@contextmanager
def optimizer_of(change: Callable[[LanguageModel], None]) -> Iterator[None]:
    original = LanguageModel.configure_optimizers

    def configure(self: LanguageModel) -> object:
        change(self)
        return original(self)

    with patch.object(LanguageModel, "configure_optimizers", configure):
        yield


def other_learning_rate() -> AbstractContextManager[None]:
    return optimizer_of(lambda model: setattr(model, "lr", model.lr / 2))


def schedule_off_by_one() -> AbstractContextManager[None]:
    return optimizer_of(lambda model: setattr(model, "flat_epochs", model.flat_epochs + 1))


@contextmanager
def clip_on_the_token_mean() -> Iterator[None]:
    """The norm that is held against the limit is that of the mean over tokens, which is `unroll` times less."""

    def clipped(self: LanguageModel, optimizer: object, gradient_clip_val: float, **_: object) -> None:
        torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val * SIZES["unroll"])

    with patch.object(LanguageModel, "configure_gradient_clipping", clipped):
        yield


@contextmanager
def loss_averaged_over_tokens() -> Iterator[None]:
    original = LanguageModel.training_step

    def step(self: LanguageModel, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return original(self, batch, batch_idx) / len(batch[0])

    with patch.object(LanguageModel, "training_step", step):
        yield


@contextmanager
def other_unroll() -> Iterator[None]:
    original = LanguageModelingData.__init__

    def longer(
        self: LanguageModelingData, source: str, data: Path, batch_size: int, unroll: int, *others: float
    ) -> None:
        original(self, source, data, batch_size, 2 * unroll, *others)

    with patch.object(LanguageModelingData, "__init__", longer):
        yield


@contextmanager
def around_each_step(around: Callable[[LanguageModel, Callable[[], torch.Tensor]], torch.Tensor]) -> Iterator[None]:
    """Do something around each step, in training and in evaluation."""
    step, evaluate = LanguageModel.training_step, LanguageModel._log_probabilities
    training = patch.object(
        LanguageModel, "training_step", lambda self, batch, number: around(self, lambda: step(self, batch, number))
    )
    evaluation = patch.object(
        LanguageModel, "_log_probabilities", lambda self, batch: around(self, lambda: evaluate(self, batch))
    )
    with training, evaluation:
        yield


def state_not_carried() -> AbstractContextManager[None]:
    def forgetful(model: LanguageModel, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        model.state = None
        return step()

    return around_each_step(forgetful)


@contextmanager
def tokens_changed(change: Callable[[list[str]], list[str]]) -> Iterator[None]:
    original = sources.Corpus.tokens
    tokens = patch.object(sources.Corpus, "tokens", lambda self, split: change(original(self, split)))
    with tokens, patch.object(sources.Corpus, "sha256", "f" * 64):
        yield


def merged_words() -> AbstractContextManager[None]:
    """Every 40th space is lost, as in a copy whose lines were stripped."""

    def merge(tokens: list[str]) -> list[str]:
        merged: list[str] = []
        for place, token in enumerate(tokens):
            if place % 40 == 0 and merged and "<eos>" not in (token, merged[-1]):
                merged[-1] += token
            else:
                merged.append(token)
        return merged

    return tokens_changed(merge)


def eos_twice() -> AbstractContextManager[None]:
    return tokens_changed(lambda tokens: [same for one in tokens for same in [one] * (1 + (one == "<eos>"))])


@contextmanager
def last_window_dropped() -> Iterator[None]:
    def whole_windows(tokens: torch.Tensor, streams: int, window: int, keep_partial: bool) -> StreamWindows:
        return StreamWindows(tokens, streams, window, keep_partial=False)

    with patch.object(datamodule, "StreamWindows", whole_windows):
        yield


@contextmanager
def dropout_at_evaluation() -> Iterator[None]:
    original = LanguageModel._log_probabilities

    def noisy(self: LanguageModel, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        self.decoder.backbone.dropout.train()
        return original(self, batch)

    with patch.object(LanguageModel, "_log_probabilities", noisy):
        yield


@contextmanager
def other_initialization() -> Iterator[None]:
    original = language_model.initialize_uniform
    with patch.object(language_model, "initialize_uniform", lambda module, bound: original(module, bound / 2)):
        yield


def bfloat16() -> AbstractContextManager[None]:
    def half(_: LanguageModel, step: Callable[[], torch.Tensor]) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return step().float()

    return around_each_step(half)


@contextmanager
def convention_taken_for_exact() -> Iterator[None]:
    original = LanguageModel.log
    exact, convention = "validation_perplexity", "validation_perplexity_authors_convention"

    def log(self: LanguageModel, name: str, value: object, **arguments: object) -> None:
        if name == convention:
            original(self, exact, value, **arguments)
        if name != exact or not self.trainer.testing:
            original(self, name, value, **arguments)

    with patch.object(LanguageModel, "log", log):
        yield


@contextmanager
def sums_in_two_halves() -> Iterator[None]:
    """What two threads do to a long sum: each adds up a part. At this size a library's own threads do not.

    The run says that it has two threads and has one, as two would wait for each other on a busy machine.
    """

    def linear(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        half = weight.shape[1] // 2
        return inputs[..., half:] @ weight[:, half:].T + (inputs[..., :half] @ weight[:, :half].T + bias)

    halves = patch.object(torch.nn.Linear, "forward", lambda self, inputs: linear(inputs, self.weight, self.bias))
    with halves, patch.object(torch, "set_num_threads"), patch.object(torch, "get_num_threads", lambda: 2):
        yield


CAUSES: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "learning rate": other_learning_rate,
    "clipping": clip_on_the_token_mean,
    "loss averaged over tokens": loss_averaged_over_tokens,
    "schedule": schedule_off_by_one,
    "unroll": other_unroll,
    "state not carried": state_not_carried,
    "merged words": merged_words,
    "<eos> twice": eos_twice,
    "last window dropped": last_window_dropped,
    "dropout at evaluation": dropout_at_evaluation,
    "initialization": other_initialization,
    "precision": bfloat16,
    "authors' convention": convention_taken_for_exact,
    "seed": nullcontext,
    "threads": sums_in_two_halves,
}
"""Each cause by the name that `rnnreg compare` has for it; seed and number of threads are settings of the run."""


class Bench:
    """A store of reference runs, and one of a run with each cause planted.

    Args:
        folder: where text and runs go.
        lines: of the training text.
        changes: fields of the configuration.
    """

    def __init__(self, folder: Path, lines: int = 1500, **changes: object) -> None:
        self.folder, self.reference = folder, folder / "reference"
        text = folder / "text"
        self.row = row_of(text if text.exists() else write_language(text, lines), **changes)

    def plant(self, cause: str) -> Path:
        """The folder of a run with a cause planted."""
        folder = f"planted-{cause.replace(' ', '-')}"
        with CAUSES[cause]():
            record = trained(
                self.row, self.folder / folder, seed=9 if cause == "seed" else 1, threads=2 if cause == "threads" else 1
            )
        return self.folder / folder / record.run

    @property
    def first(self) -> Path:
        """The reference run that a planted one is held against."""
        (folder,) = self.reference.glob("planted/seed-1-*")
        return folder

    def train_references(self, seeds: int) -> None:
        for seed in range(1, seeds + 1):
            trained(self.row, self.reference, seed)

    def first_cause(self, a: object, b: object) -> tuple[Comparison, str]:
        """The comparison of two sides, and the cause that it names first."""
        history = History()
        ((one,), (other,)) = (resolve(str(side), self.reference, history).values() for side in (a, b))
        found = compare(one, other, [*registry.ROWS, self.row], history, list(Store(self.reference).records()))
        return found, found.causes[0].name if found.causes else ""
