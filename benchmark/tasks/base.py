"""The parts of a row: its configuration, whose fields are options of `rnnreg run`, and the paper's figures for it."""

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_type_hints

from benchmark.tasks.metrics import DataSet as DataSet
from benchmark.tasks.metrics import Metric as Metric
from benchmark.tasks.metrics import Published as Published
from benchmark.tasks.row_checks import Profile as Profile
from benchmark.tasks.row_checks import Size as Size
from benchmark.tasks.row_checks import limits, require_row
from benchmark.tasks.spaces import Space
from datamodules.errors import UserError
from models.options import expected, fits, own_options, shown

if TYPE_CHECKING:  # torch and Lightning are loaded when a model or its data is made
    from datamodules.base import TaskData
    from models.base import Evaluation, TaskModel

NOT_IN_PAPER = "not in the paper"
"""Note of a row that the paper does not have."""

BLEU_FLOOR = 5.0
"""BLEU below which a model hardly matches more than single words: differences there say nothing."""


@dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """The configuration that all tasks share: the backbone, and how it is trained.

    Raises:
        ValueError: a field is out of range.
    """

    task: ClassVar[str]
    """Name of the task, as in file names and on the command line."""
    protocol: ClassVar[int]
    """Version of the training and evaluation protocol, raised whenever a change of code changes the result of a run."""
    unit: ClassVar[str]
    """Unit that throughput counts."""
    headline: ClassVar[tuple[Metric, ...]]
    """Final metrics of the task's tables, in their order."""
    training: ClassVar[Metric]
    """Metric of the last training epoch, measured with dropout on; beside the others it shows overfitting."""
    least_layers: ClassVar[int] = 1
    """Fewest recurrent layers; 0 for a task whose baseline is the model without its backbone."""
    probabilities: ClassVar[tuple[str, ...]] = (
        "dropout", "recurrent_dropout", "input_dropout", "output_dropout", "update_dropout", "zoneout_cell",
        "zoneout_hidden", "weight_drop", "averaging_decay",
    )  # fmt: skip
    """Fields that are at least 0 and below 1."""
    of_lstms_only: ClassVar[tuple[str, ...]] = (
        "update_dropout", "zoneout_cell", "zoneout_hidden", "weight_drop", "layer_norm",
    )  # fmt: skip
    """Fields for which the plain recurrent cell has no place."""
    beside_paper: ClassVar[tuple[str, ...]] = (
        *of_lstms_only, "dropout_mask", "input_dropout", "output_dropout", "weight_decay", "decay_on_plateau",
        "averaging",
    )  # fmt: skip
    """Fields that are methods of others, with which a model is not compared as the paper's."""
    of_data: ClassVar[tuple[str, ...]] = ("source",)
    """Fields that change the data and with them their checksum."""

    source: str
    """Data set by name, or the path of the user's own."""
    hidden_size: int
    """Units of each layer."""
    layers: int
    """Recurrent layers."""
    dropout: float = 0.0
    """Probability of dropping a unit of a non-recurrent connection."""
    recurrent_dropout: float = 0.0
    """Probability of dropping a unit of a recurrent connection, which the paper argues against: for ablation rows."""
    dropout_mask: Literal["step", "window"] = "step"
    """Masks drawn at each time step, as in the paper, or once a window (variational dropout, Gal & Ghahramani 2016)."""
    input_dropout: float | None = None
    """Probability of dropping a unit of the first layer's input; that of dropout if not given."""
    output_dropout: float | None = None
    """Probability of dropping a unit of the last layer's output; that of dropout if not given."""
    update_dropout: float = 0.0
    """Probability of dropping a unit of an LSTM's update (without memory loss, Semeniuta et al. 2016)."""
    zoneout_cell: float = 0.0
    """Probability that a unit of an LSTM's cell keeps its value (zoneout, Krueger et al. 2017)."""
    zoneout_hidden: float = 0.0
    """Probability that a unit of an LSTM's output keeps its value (zoneout, Krueger et al. 2017)."""
    weight_drop: float = 0.0
    """Probability of dropping a hidden-to-hidden weight of an LSTM for a window (Merity et al. 2018)."""
    layer_norm: bool = False
    """Normalize the sums and the cell of an LSTM over its units (layer normalization, Ba et al. 2016)."""
    cell: Literal["lstm", "rnn"] = "lstm"
    """Recurrent cell: an LSTM, or the plain s_t = tanh(U x_t + W s_{t-1})."""
    backbone: str = "models.backbone.RegularizedLSTM"
    """Class path of the recurrent stack, called as RegularizedLSTM is."""
    backbone_options: dict[str, str | bool | int | float] = field(default_factory=dict, hash=False)  # "8" is text
    """Values by name of options that a class of your own declares, as keywords of its constructor."""
    init_range: float
    """Parameters are initialized from U(-init_range, init_range)."""
    batch_size: int
    """Sequences trained in parallel."""
    lr: float
    """Learning rate of plain SGD."""
    weight_decay: float = 0.0
    """Factor of the weights that is added to their gradients."""
    clip: float
    """Largest norm of the gradient; a larger gradient is scaled down to it."""
    flat_epochs: float
    """Epochs at the full learning rate; before each later epoch it is divided by decay."""
    decay: float
    """Divisor of the learning rate."""
    decay_on_plateau: bool = False
    """Divide the learning rate also after an epoch that did not improve the best validation metric."""
    averaging: Literal["none", "triggered", "exponential"] = "none"
    """Evaluate averaged weights: of all steps since validation got worse (NT-ASGD, Merity et al. 2018), or decaying."""
    averaging_patience: int = 5
    """With triggered averaging, validation is compared with the best epoch so far but for so many most recent ones."""
    averaging_decay: float = 0.999
    """With exponential averaging, factor of the average at each step."""
    epochs: int
    """Passes over the training set; the model after the last one is evaluated."""
    validation_only: bool = False
    """Evaluate on the validation set alone, as long as settings are being chosen: the test set is not read."""

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for one in fields(self):
            value = getattr(self, one.name)
            if not fits(value, hints[one.name]):
                raise ValueError(f"{one.name}: expected {expected(hints[one.name])}, got {shown(value)}")
            self._require(one.name, *limits(one.name, value, hints[one.name]))
        for name in ("hidden_size", "batch_size", "epochs"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("layers", self.layers >= self.least_layers, f"at least {self.least_layers}")
        for name in self.probabilities:
            self._require(name, 0 <= (getattr(self, name) or 0) < 1, "at least 0 and below 1")
        for name in ("init_range", "lr", "clip"):
            self._require(name, getattr(self, name) > 0, "above 0")
        for name in ("flat_epochs", "weight_decay", "averaging_patience"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("decay", self.decay >= 1, "at least 1")
        for name in self.of_lstms_only:
            self._require(name, self.cell == "lstm" or not getattr(self, name), "left out unless the cell is an LSTM")

    def _require(self, name: str, holds: bool, right: str) -> None:
        if not holds:
            raise ValueError(f"{name}: {getattr(self, name)!r} is out of range, must be {right}")

    @property
    def methods(self) -> tuple[str, ...]:
        """The fields of `beside_paper` that are set."""
        return tuple(one.name for one in fields(self) if one.name in self.beside_paper and self._is_set(one))

    def _is_set(self, one: "Field[Any]") -> bool:
        """Whether a field is not at its default."""
        default = one.default if one.default_factory is MISSING else one.default_factory()
        return bool(getattr(self, one.name) != default)

    @abstractmethod
    def datamodule(self, data: Path) -> "TaskData":
        """The data of a run; `data` is the folder that holds the named sources."""

    @abstractmethod
    def model(self, datamodule: Any) -> "TaskModel":
        """The untrained model for data that has been set up."""

    @property
    def data_set_name(self) -> str:
        """Name of the data as the model sees them, a key of DATA_SETS: rows of the same name are compared."""
        return self.source

    @property
    def data_key(self) -> tuple[Any, ...]:
        """Settings that identify the data before it is read; if runs share these, but no checksum, it was changed."""
        return (self.task, self.protocol, *(getattr(self, name) for name in self.of_data))

    def taken_by(self, model: "type[TaskModel]") -> dict[str, Any]:
        """The fields that a model's constructor takes by the same names, one by one or as a typed group."""
        taken: set[str] = set()
        for name, parameter in inspect.signature(model).parameters.items():
            groups = get_args(parameter.annotation) if parameter.kind is parameter.VAR_KEYWORD else ()
            taken |= {name, *(key for group in groups for key in group.__annotations__)}  # **arguments: Unpack[group]
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name in taken}

    def evaluate_ensemble(self, models: "Sequence[TaskModel]", datamodule: Any) -> "Evaluation":
        """Metrics of an ensemble that need its models, which are on the device to use, such as BLEU."""
        raise NotImplementedError

    @classmethod
    def shown_metrics(cls) -> tuple[Metric, ...]:
        """The training metrics, with dropout on and off, and the headline, in the order of the tables."""
        return (cls.training, cls.training_without_dropout(), *cls.headline)

    @classmethod
    def training_without_dropout(cls) -> Metric:
        """The training metric of the final evaluation, with dropout off, as that of other data is measured.

        The paper does not say that its training figures are, so they are compared with the metric as trained.
        """
        name, label = f"{cls.training.name}_without_dropout", f"{cls.training.label}, dropout off"
        return replace(cls.training, name=name, label=label, as_published=cls.training.name)

    @classmethod
    def primary_metrics(cls) -> tuple[Metric, ...]:
        """The metrics that rows are compared by, in the order of the tables."""
        return tuple(metric for metric in cls.headline if metric.primary)

    @classmethod
    def validation_metric(cls) -> Metric:
        """The metric of the validation set, which is measured after every epoch."""
        return next(metric for metric in cls.headline if metric.split == "validation")

    @property
    @abstractmethod
    def relative_cost(self) -> float:
        """Arithmetic of a whole run, in a unit common to the rows of a task on a source; it orders the queue."""

    def fingerprint(self) -> str:
        """Checksum of everything that determines the result of a run, except its seed and its data.

        Covers the task, its protocol version, every field, and the source of a backbone of the user's own. A field
        at its default is left out, so that adding a field whose default means "as before" changes nothing. A default
        that has changed comes from a factory, and is not left out.

        Raises:
            UserError: the backbone cannot be loaded, or does not declare an option that is set.
        """
        content: dict[str, Any] = {"task": self.task, "protocol": self.protocol}
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default and one.name != "backbone_options":
                content[one.name] = float(value) if isinstance(value, int) else value  # 5 and 5.0 are one value
        if self.backbone_options or not self.backbone.startswith("models."):
            content.update(self._of_backbone())
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def _of_backbone(self) -> dict[str, Any]:
        """Source and options of a backbone of the user's own, as the fingerprint covers them."""
        from models.backbone import load_backbone, sources

        try:
            kind = load_backbone(self.backbone)
            options = own_options(kind, self.backbone_options)
            source = {} if self.backbone.startswith("models.") else sources(kind)
        except (ValueError, OSError) as error:
            raise UserError(str(error)) from error
        return {**source, **({"backbone_options": options} if options else {})}


_hints = cache(get_type_hints)
"""The types of a configuration's fields, by its class."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: a configuration, its place in the tables, and the paper's figures for it."""

    name: str
    """Name on the command line: data set, size and variant."""
    profiles: tuple[Profile, ...]
    """Profiles that run it."""
    size: Size
    """The paper's name for its size."""
    config: Config
    """Everything that determines the result of a run, except the seed."""
    published: Published | None = None
    """The paper's figures; None if the paper has no such row."""
    note: str = ""
    """Remark for the reader, in a few words."""
    tried: str = ""
    """Settings that were tried on validation data before these were chosen, in words; empty if there is no record of
    any. They are the same for the rows without dropout and with it, except for dropout itself."""
    space: Space = field(default_factory=dict, hash=False)
    """Settings that `rnnreg tune` draws, by the name of the field, or of an option as backbone_options.NAME."""
    label: str = ""
    """Name of its model in tables; the size if empty."""
    seeds: int = 1
    """Fewest runs that a grid makes of it, however few seeds were asked for: the members of an ensemble."""
    ensemble_of: str = ""
    """Name of the row whose runs are averaged, for a row that is an ensemble; such a row is not trained."""
    members: int = 1
    """Models averaged."""

    def __post_init__(self) -> None:
        require_row(self)

    def variant(self, name: str, note: str = "", **changes: Any) -> "Row":
        """The row with changed fields under another name; the paper has no such row.

        Raises:
            ValueError: a field is out of range.
        """
        return replace(self, name=name, note=note, published=None, config=replace(self.config, **changes))
