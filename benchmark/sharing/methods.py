"""Evaluation of language models by the methods of the literature, with settings that the validation set decides."""

import datetime
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmark.formatting import count
from benchmark.sharing.evaluation import Outcome, own_data
from benchmark.sharing.own_texts import perplexity
from benchmark.store.evaluations import EvaluationRecord
from benchmark.store.provenance import describe_commit, describe_processor, describe_versions
from benchmark.store.records import Record
from datamodules.errors import UserError
from datamodules.language_modeling.datamodule import LanguageModelingData
from models.base import EVALUATIONS
from models.evaluation_methods import METHODS, Method, choose
from models.loaded import Loaded, LoadedLanguageModel


def language_model(loaded: Loaded, asked: str) -> LoadedLanguageModel:
    """The model, which must be a language model for what is asked.

    Raises:
        UserError: it is of another task.
    """
    if not isinstance(loaded, LoadedLanguageModel):
        raise UserError(f"{loaded.saved.place} holds a {loaded.saved.kind}; {asked} is for language models")
    return loaded


def candidates(name: str, given: Mapping[str, Any]) -> list[Method]:
    """The settings of a method among which the validation set decides.

    Args:
        name: name of the method.
        given: settings that the user has given.

    Raises:
        UserError: the method has no such setting.
    """
    method = METHODS[name]()
    if others := sorted(given.keys() - method.settings.keys()):
        raise UserError(f"{name} has no setting {others[0]}; it has {', '.join(method.settings) or 'none'}")
    return method.candidates(given)


def evaluate_by_method(
    loaded: LoadedLanguageModel, record: Record, name: str, given: Mapping[str, Any], data: Path, command: str
) -> tuple[Outcome, EvaluationRecord]:
    """Validation and test perplexity of a language model by one method.

    Args:
        loaded: the model.
        record: record of its run.
        name: name of the method.
        given: settings that the user has given; the others are chosen on the validation set.
        data: folder of the data.
        command: command line that does it again, for the record.

    Raises:
        UserError: the run was kept from its test set, or its settings or data do not go with the method.
    """
    if missing := [split for split in EVALUATIONS if f"{split}_perplexity" not in record.metrics]:
        raise UserError(
            f"{record.row} seed {record.seed} was trained with --validation_only, so that its record has no "
            f"{missing[0]} perplexity to hold --method {name} against; train it without"
            if record.configuration.get("validation_only")
            else f"the record of {record.row} seed {record.seed} has no {missing[0]}_perplexity"
        )
    tried = candidates(name, given)
    text = own_data(record, data)
    assert isinstance(text, LanguageModelingData)
    begin = time.perf_counter()
    method = choose(tried, loaded.model, text.tokens["validation"])
    metrics = {
        f"{split}_perplexity": perplexity(method.log_probabilities(loaded.model, text.tokens[split]))
        for split in EVALUATIONS
    }
    if not all(map(math.isfinite, metrics.values())):
        raise UserError(f"{name} diverged: {metrics}; a smaller --rate or another setting may help")
    chosen = sorted(setting for setting in method.grid if setting not in given)
    plain = {metric: record.metrics[metric] for metric in metrics}
    kept = EvaluationRecord(
        row=record.row,
        seed=record.seed,
        fingerprint=record.fingerprint,
        data_sha256=record.data_sha256,
        log_probabilities_sha256=record.log_probabilities_sha256,
        method=name,
        settings=method.settings,
        chosen=chosen,
        metrics=metrics,
        plain=plain,
        seconds=time.perf_counter() - begin,
        device=f"CPU {describe_processor()}, {count(torch.get_num_threads(), 'thread')}",
        versions=describe_versions(),
        commit=describe_commit(),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        command=command,
    )
    return Outcome(metrics, remarks=[described(method, chosen, len(tried))]), kept


def described(method: Method, chosen: list[str], tried: int) -> str:
    """A sentence that says by which method and settings an evaluation was made."""
    settings = ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in
                         method.settings.items())  # fmt: skip
    how = f"; {' and '.join(chosen)} chosen among {tried} on the validation set" if chosen else ""
    return f"{method.name} ({method.source}): {settings}{how}"
