"""What follows from a record's configuration alone: the fingerprint, the learning rates, the number of parameters."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

from benchmark.audit.entries import quoted
from benchmark.audit.published import PUBLISHED_DATA
from benchmark.store.records import Record
from benchmark.tasks.base import Config, Row
from datamodules.errors import UserError
from datamodules.vocabulary import EOS, UNK


class ForeignBackbone(UserError):
    """The configuration names code that is nobody's row here; it is not loaded, so nothing can be recomputed."""


def configuration_of(record: Record, rows: Iterable[Row]) -> Config:
    """The configuration of a record, at the version of the protocol that the record names.

    Raises:
        UserError: there is no such task, a field is unknown, missing or out of range, or the backbone is code of
            somebody else's, which is not loaded.
    """
    every = list(rows)
    kinds = {row.config.task: type(row.config) for row in every}
    if record.task not in kinds:
        raise UserError(f"there is no task {quoted(record.task)}; there are {', '.join(kinds)}")
    kind: Any = kinds[record.task]
    if record.protocol != kind.protocol:
        kind = type(kind.__name__, (kind,), {"protocol": record.protocol})
    try:
        config: Config = kind(**record.configuration)
    except (TypeError, ValueError) as error:
        raise UserError(f"the configuration is none of {record.task}: {quoted(error)}") from error
    known = {row.config.backbone for row in every}
    if config.backbone not in known:
        raise ForeignBackbone(f"its backbone {quoted(config.backbone)} is code that is not loaded")
    return config


def learning_rate(config: Config, epoch: int) -> float:
    """The learning rate at the start of an epoch, which counts from 1 (paper sections 4.1 and 4.3)."""
    every = getattr(config, "decay_every", None)
    if every is None:
        decays: float = max(0, epoch - config.flat_epochs)
    else:
        decays = max(0, math.floor((epoch - 1 - config.flat_epochs) / every + 1e-9) + 1)
    return float(config.lr * config.decay**-decays)


def falls_on_plateaus(config: Config, curve: Sequence[Mapping[str, float]]) -> list[int]:
    """How often the learning rate had fallen before each epoch because validation had not improved."""
    metric = config.validation_metric()
    sign = 1 if metric.better == "lower" else -1
    losses = [sign * point.get(metric.name, math.nan) for point in curve]
    missed = [epoch > 0 and loss >= min(losses[:epoch]) for epoch, loss in enumerate(losses)]
    return [sum(missed[:epoch]) if config.decay_on_plateau else 0 for epoch in range(len(curve))]


def parameters_of(record: Record, config: Config) -> int | None:
    """The number of parameters of a record's model; None if the size of its vocabulary is not known."""
    sizes = _sizes(record)
    return None if sizes is None else _count(config, *sizes)


def words_of(record: Record, config: Config) -> float | None:
    """The words of a language model's vocabulary, from its number of parameters; None for the other tasks.

    The number of parameters grows by the same amount with every word, so a count that gives no whole number of words
    is no language model's of this configuration.
    """
    if record.task != "language-modeling" or record.is_ensemble:
        return None
    two, three = _count(config, 2), _count(config, 3)
    return 2 + (record.parameters - two) / (three - two)


def _sizes(record: Record) -> tuple[int, ...] | None:
    """The sizes of data that a model of the record's task is made for."""
    details = record.details
    if record.task == "language-modeling":
        known = PUBLISHED_DATA.get(str(record.configuration.get("source")))
        return (known.words,) if known and record.data_sha256 in known.sha256 else None
    if record.task == "translation" and "vocabulary" in details:
        return (int(details["vocabulary"]["source"]), int(details["vocabulary"]["target"]))
    if record.task == "captions" and "words" in details:
        return (int(details["words"]), int(details["features"]["size"]))
    if record.task == "speech" and "states" in details:
        return (int(details["states"]),)
    return None


LARGEST_SIZE = 10_000_000
"""A vocabulary beyond which no model is built to count its parameters, not even one without memory."""


@cache
def _count(config: Config, *sizes: int) -> int:
    """Parameters of the model of a configuration for data of these sizes; the model takes no memory."""
    import torch

    from datamodules.speech.features import FEATURES

    if max(*sizes, config.hidden_size, config.layers * 1000) > LARGEST_SIZE or min(sizes) < 1:
        raise UserError(f"a model of {config.layers} layers, {config.hidden_size} units and {sizes} words is no model")
    first = SimpleNamespace(words=[EOS, UNK, *map(str, range(sizes[0] - 2))])
    last = SimpleNamespace(words=[EOS, UNK, *map(str, range(sizes[-1] - 2))])
    stand_in: Any = SimpleNamespace(
        vocabulary=first,
        source_vocabulary=first,
        target_vocabulary=last,
        states=first.words,
        features=FEATURES if config.task == "speech" else SimpleNamespace(network="", size=sizes[-1]),
        statistics=None,
    )
    with torch.device("meta"):
        model = config.model(stand_in)
    return sum(parameter.numel() for parameter in model.parameters())
