"""Which evaluation a user's own input needs, by the task of the model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.sharing import own_inputs
from benchmark.sharing.evaluation import Outcome, finished_record
from benchmark.sharing.methods import candidates, language_model
from benchmark.sharing.options import Inputs
from benchmark.sharing.trained import Trained
from benchmark.tasks import registry
from datamodules.errors import UserError
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
        return own_inputs.evaluate_pairs(loaded, pairs, place)
    if inputs.reference:
        raise UserError(f"--reference is for translators, and {trained.name} is a {loaded.saved.kind}")
    if isinstance(loaded, LoadedLanguageModel):
        return _text(loaded, inputs, running, method, settings, data)
    if inputs.text:
        raise UserError(f"--text is for language models and translators; give a {loaded.saved.kind} a --source")
    if isinstance(loaded, LoadedCaptioner):
        captions: Any = registry.configuration_of(trained.record) if trained.record else None
        return own_inputs.evaluate_pictures(loaded, place, data, inputs.features, captions)
    assert isinstance(loaded, LoadedAcousticModel)
    speech: Any = registry.configuration_of(finished_record(trained))
    return own_inputs.evaluate_speech(loaded, place, data, speech)


def _text(
    loaded: LoadedLanguageModel,
    inputs: Inputs,
    running: bool,
    method: str,
    settings: Mapping[str, Any],
    data: Path,
) -> Outcome:
    """Evaluate a language model on a text."""
    tried = candidates(method, settings)
    if len(tried) > 1:
        names = ", ".join(f"--{name}" for name in tried[0].grid if name not in settings)
        raise UserError(
            f"--method {method} on other data needs its settings, {names}; on the model's own data they are chosen on "
            "the validation set"
        )
    text, notes = own_inputs.read_text(inputs.text, running) if inputs.text else own_inputs.text_of(inputs.source, data)
    return own_inputs.evaluate_text(loaded, text, notes, tried[0])
