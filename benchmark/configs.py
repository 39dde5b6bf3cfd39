"""What a run is made of: one frozen dataclass per task, whose fields are the command line's overrides."""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from benchmark import UserError
from datamodules.base import TaskData
from datamodules.language_modeling import LanguageModelingData
from models.backbone import load_backbone
from models.base import TaskModel
from models.language_model import LanguageModel


@dataclass(frozen=True)
class Metric:
    """A figure that rows of a task are compared by."""

    name: str
    """As in records."""
    label: str
    """As in tables."""
    better: Literal["lower", "higher"]
    """Which way is up."""
    digits: int = 1
    """Decimals shown."""


@dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """What every task's configuration has: the backbone, and how it is trained."""

    task: ClassVar[str]
    """Name of the task, as in file names and on the command line."""
    protocol: ClassVar[int]
    """Version of the training and evaluation protocol, raised whenever code changes what a run would give."""
    unit: ClassVar[str]
    """What throughput counts."""
    headline: ClassVar[tuple[Metric, ...]]
    """What its tables show for each row, mean and spread over seeds; the last one decides."""
    training: ClassVar[Metric]
    """The same on the training set, of the last epoch as trained, dropout on: what shows overfitting."""

    source: str
    """Data set by name, or the path of the user's own."""
    hidden_size: int
    """Units of each layer."""
    layers: int
    """Recurrent layers."""
    dropout: float = 0.0
    """Probability of dropping a unit of a non-recurrent connection."""
    recurrent_dropout: float = 0.0
    """The same on the recurrent connections, which the paper argues against: for ablation rows."""
    cell: Literal["lstm", "rnn"] = "lstm"
    """LSTM, or the plain recurrent cell s_t = tanh(U x_t + W s_{t-1})."""
    backbone: str = "models.backbone.RegularizedLSTM"
    """Class path of the recurrent stack, called as RegularizedLSTM is."""
    init_range: float
    """Every parameter starts in U(-init_range, init_range)."""
    batch_size: int
    """Sequences trained in parallel."""
    lr: float
    """Learning rate of plain SGD."""
    clip: float
    """Largest norm of the gradient."""
    epochs: int
    """Passes over the training set; the model after the last one is evaluated."""

    def __post_init__(self) -> None:
        for name in ("hidden_size", "layers", "batch_size", "epochs"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("dropout", "recurrent_dropout"):
            self._require(name, 0 <= getattr(self, name) < 1, "at least 0 and below 1")
        for name in ("init_range", "lr", "clip"):
            self._require(name, getattr(self, name) > 0, "above 0")
        self._require("cell", self.cell in ("lstm", "rnn"), "lstm or rnn")

    def _require(self, name: str, holds: bool, right: str) -> None:
        if not holds:
            raise ValueError(f"{name}: {getattr(self, name)!r} is out of range, must be {right}")

    @abstractmethod
    def datamodule(self, data: Path) -> TaskData:
        """The data of a run; `data` is the folder that holds the named sources."""

    @abstractmethod
    def model(self, datamodule: Any) -> TaskModel:
        """The untrained model for data that has been set up."""

    @property
    @abstractmethod
    def work(self) -> float:
        """Arithmetic of a whole run, in a unit that compares rows of one task on one source; it orders the queue."""

    def fingerprint(self) -> str:
        """Checksum of all that decides what a run gives, but for its seed and its data.

        Covers the task, its protocol version, every field, and the source of a backbone of the user's own. A field
        at its default is left out, so that a field added later, whose default means "as before", changes nothing.

        Raises:
            UserError: the backbone cannot be loaded.
        """
        content: dict[str, Any] = {"task": self.task, "protocol": self.protocol}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                content[field.name] = float(value) if isinstance(value, int) else value  # 5 and 5.0 are one value
        if not self.backbone.startswith("models."):
            try:
                content["backbone_source"] = inspect.getsource(load_backbone(self.backbone))
            except (ValueError, OSError) as error:
                raise UserError(str(error)) from error
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(Config):
    """A language model and how it is trained and evaluated (paper section 4.1)."""

    task: ClassVar[str] = "language-modeling"
    protocol: ClassVar[int] = 1
    unit: ClassVar[str] = "tokens"
    headline: ClassVar[tuple[Metric, ...]] = (
        Metric("validation_perplexity", "validation perplexity", "lower"),
        Metric("test_perplexity", "test perplexity", "lower"),
    )
    training: ClassVar[Metric] = Metric("train_perplexity", "training perplexity", "lower")

    source: str = "ptb"
    """Text: ptb, sotu, or a folder with train.txt, valid.txt and test.txt (tokenised, one sentence a line)."""
    layers: int = 2
    """Recurrent layers."""
    batch_size: int = 20
    """Contiguous streams trained in parallel."""
    unroll: int
    """Time steps of truncated backpropagation through time."""
    lr: float = 1.0
    """Learning rate of plain SGD, for a loss summed over the unroll and averaged over the batch."""
    flat_epochs: int
    """Epochs at lr; before each later one it is divided by decay."""
    decay: float
    """What the learning rate is divided by."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("unroll", self.unroll >= 1, "at least 1")
        self._require("flat_epochs", self.flat_epochs >= 0, "at least 0")
        self._require("decay", self.decay >= 1, "at least 1")

    def datamodule(self, data: Path) -> LanguageModelingData:
        """See Config.datamodule."""
        return LanguageModelingData(self.source, data, self.batch_size, self.unroll)

    def model(self, datamodule: LanguageModelingData) -> LanguageModel:
        """See Config.model."""
        return LanguageModel(
            vocabulary=datamodule.vocabulary.words,
            hidden_size=self.hidden_size,
            layers=self.layers,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            cell=self.cell,
            backbone=self.backbone,
            init_range=self.init_range,
            lr=self.lr,
            flat_epochs=self.flat_epochs,
            decay=self.decay,
        )

    @property
    def work(self) -> float:
        """Multiplications per token times epochs, for a vocabulary of a few thousand; stepping in Python doubles it."""
        gates = 4 if self.cell == "lstm" else 1
        recurrent = 2 * gates * self.layers * self.hidden_size**2 * (2 if self.recurrent_dropout else 1)
        return self.epochs * (recurrent + 4000 * self.hidden_size)
