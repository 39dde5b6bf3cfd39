"""Which evaluation a user's own input needs, by the task of the model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.sharing import own_inputs, own_texts
from benchmark.sharing.evaluation import Outcome, finished_record
from benchmark.sharing.methods import candidates, language_model
from benchmark.sharing.options import Inputs
from benchmark.sharing.trained import Trained
from benchmark.sharing.training_items import note_pairs, note_sentences
from benchmark.tasks import registry
from datamodules.errors import UserError
from models.evaluation_methods import Method
from models.loaded import Loaded, LoadedAcousticModel, LoadedCaptioner, LoadedLanguageModel, LoadedTranslator


def evaluate_inputs(
    loaded: Loaded,
    trained: Trained,
    inputs: Inputs,
    running: bool,
    method: str,
    settings: Mapping[str, Any],
    data: Path,
) -> Outcome:
    """Evaluate a model on what a user has given.

    Args:
        loaded: the model.
        trained: where it is from.
        inputs: the data.
        running: whether the text is running text.
        method: name of the evaluation method.
        settings: settings of the method that are given.
        data: folder of the named sources.

    Raises:
        UserError: the input is not one for this model, or it cannot be read.
    """
    if method != "plain":
        language_model(loaded, f"--method {method}")
    if running:
        language_model(loaded, "--running")
    if inputs.features and not isinstance(loaded, LoadedCaptioner):
        raise UserError(f"--features is for captioners, and {trained.name} is a {loaded.saved.kind}")
    place = str(inputs.text or inputs.source)
    if isinstance(loaded, LoadedTranslator):
        if inputs.text and not inputs.reference:
            raise UserError("--text of a translator goes with --reference; `rnnreg translate` needs none")
        first, second = loaded.model.languages
        pairs = own_inputs.pairs_of(place, inputs.reference, data, (first, second))
        outcome = own_inputs.evaluate_pairs(loaded, pairs, place)
        return _with_seen(outcome, lambda config: note_pairs(pairs, config, data), trained, inputs)
    if inputs.reference:
        raise UserError(f"--reference is for translators, and {trained.name} is a {loaded.saved.kind}")
    if isinstance(loaded, LoadedLanguageModel):
        way = _method(method, settings)
        text, notes = _read_text(inputs, running, data)
        outcome = own_texts.evaluate_text(loaded, text, notes, way)
        return _with_seen(outcome, lambda config: note_sentences(text, config, data), trained, inputs)
    if inputs.text:
        raise UserError(f"--text is for language models and translators; give a {loaded.saved.kind} a --source")
    if isinstance(loaded, LoadedCaptioner):
        captions: Any = registry.configuration_of(trained.record) if trained.record else None
        return own_inputs.evaluate_pictures(loaded, place, data, inputs.features, captions)
    assert isinstance(loaded, LoadedAcousticModel)
    speech: Any = registry.configuration_of(finished_record(trained))
    return own_inputs.evaluate_speech(loaded, place, data, speech)


def _read_text(inputs: Inputs, running: bool, data: Path) -> tuple[str, list[str]]:
    """The text that a language model is evaluated on, and remarks."""
    return own_texts.read_text(inputs.text, running) if inputs.text else own_texts.text_of(inputs.source, data)


def _with_seen(outcome: Outcome, note: Callable[[Any], list[str]], trained: Trained, inputs: Inputs) -> Outcome:
    """An outcome with a remark on what the model was trained on, unless what is read is of the same source."""
    config: Any = registry.configuration_of(trained.record) if trained.record else None
    if config is None or inputs.source == config.source:
        return outcome
    return replace(outcome, remarks=[*outcome.remarks, *note(config)])


def _method(method: str, settings: Mapping[str, Any]) -> Method:
    """The one way to evaluate a language model that the settings give."""
    tried = candidates(method, settings)
    if len(tried) > 1:
        names = ", ".join(f"--{name}" for name in tried[0].grid if name not in settings)
        raise UserError(
            f"--method {method} on other data needs its settings, {names}; on the model's own data they are chosen on "
            "the validation set"
        )
    return tried[0]
