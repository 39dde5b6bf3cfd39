"""Which items of a user's own input a model was trained on, where its training data is there; nothing is downloaded."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.tasks.captioning import CaptionConfig
from benchmark.tasks.language_modeling import LanguageModelConfig
from benchmark.tasks.speech import SpeechConfig
from benchmark.tasks.translation import TranslationConfig
from datamodules.captioning.examples import Example
from datamodules.errors import UserError
from datamodules.language_modeling.sources import read_corpus
from datamodules.sources import sha256_of
from datamodules.speech.corpus import Utterance
from datamodules.speech.sources import ESPEAK
from datamodules.text import lines_of
from datamodules.translation.sources import Pairs, WithoutEos, read_parallel_text


def note_sentences(text: str, config: LanguageModelConfig, data: Path) -> list[str]:
    """A note on the sentences of a text, one a line, that the model was trained on; none if there are none."""
    try:
        training = {" ".join(line.split()) for line in lines_of(read_corpus(config.source, data).text["train"])}
    except UserError:  # the data is not there
        return []
    own = [line for given in lines_of(text) if (line := " ".join(given.split()))]
    return _note(sum(line in training for line in own), len(own), "sentences")


def note_pairs(pairs: Pairs, config: TranslationConfig, data: Path) -> list[str]:
    """A note on the sentence pairs that the model was trained on; none if there are none."""
    own = [_by_words(pair) for pair in WithoutEos(pairs, "")]
    wanted = set(own)
    try:
        text = read_parallel_text(config.source, data, (config.source_language, config.target_language))
        known = {pair for one in WithoutEos(text.splits["train"], "") if (pair := _by_words(one)) in wanted}
    except UserError:
        return []
    return _note(sum(pair in known for pair in own), len(own), "pairs")


def _by_words(pair: tuple[str, str]) -> tuple[str, str]:
    """A pair whose words are one space apart."""
    source, target = (" ".join(side.split()) for side in pair)
    return source, target


def note_pictures(examples: Sequence[Example], config: CaptionConfig, data: Path) -> list[str]:
    """A note on pictures that the model was trained on, by the checksums of their content; none if there are none."""
    try:
        training = config.datamodule(data).examples["train"]
    except UserError:  # the data is not there
        return []
    stamps = {one.picture.stamp for one in training if one.fold == 0}  # whose captioner new pictures are shown
    return _note(sum(one.picture.stamp in stamps for one in examples), len(examples), "pictures")


def note_recordings(utterances: Sequence[Utterance], config: SpeechConfig, data: Path) -> list[str]:
    """A note on recordings that the model was trained on, by the content of their files; none if there are none."""
    if config.source == ESPEAK:  # which records nothing
        return []
    try:
        training = _files([one for one in config.datamodule(data).corpus.utterances if one.split == "train"])
        own = _files(utterances)
        sizes = {path.stat().st_size for path in own}
        known = {sha256_of(path) for path in training if path.stat().st_size in sizes}
        return _note(sum(sha256_of(path) in known for path in own), len(utterances), "recordings") if known else []
    except (UserError, OSError):
        return []


def _files(utterances: Sequence[Utterance]) -> list[Path]:
    return [one.audio for one in utterances if isinstance(one.audio, Path) and one.audio.is_file()]


def _note(seen: int, count: int, items: str) -> list[str]:
    return [f"{seen:,} of {count:,} {items} are in the training set of the model"] if seen else []
