"""Trained models as a user has them: text, pictures and audio go in, and text and log-probabilities come out."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor, nn

from datamodules.captioning.examples import words
from datamodules.captioning.images import Picture, picture_file, read_open
from datamodules.errors import UserError
from datamodules.speech.features import LeftOut, log_mel, read_audio, statistics
from datamodules.text import composed, lines_of
from datamodules.translation.batches import collate
from datamodules.translation.tokenization import tokenize
from datamodules.vocabulary import EOS, UNK, Vocabulary, without_eos
from models.acoustic_model import AcousticModel
from models.base import TaskModel
from models.captioner import Captioner, caption
from models.evaluation_methods import Plain
from models.inputs import picture_vectors, translate_sentences
from models.language_model import NEVER_DRAWN, LanguageModel
from models.loading import Saved, build, read
from models.requests import require_drawing
from models.translator import Translator


class Loaded(nn.Module):
    """A trained model in evaluation mode; the subclasses say what goes in and what comes out.

    Args:
        model: the model.
        saved: what it was read from.
    """

    def __init__(self, model: TaskModel, saved: Saved) -> None:
        super().__init__()
        self.model = model
        self.saved = saved
        self.eval()


class LoadedLanguageModel(Loaded):
    """A trained language model."""

    model: LanguageModel

    def __init__(self, model: LanguageModel, saved: Saved) -> None:
        super().__init__(model, saved)
        self.vocabulary = Vocabulary(model.hparams["vocabulary"])
        self.has_capitals = any(word != word.lower() for word in self.vocabulary.words if word not in NEVER_DRAWN)

    def tokenize(self, text: str) -> list[str]:
        """The words of a text as the vocabulary spells them, with one `<eos>` after each line.

        Words are separated by white space, and their letters are composed (NFC), as those of files are. A word that the
        vocabulary does not have in capitals is put in lower case, unless the vocabulary has any capitals.
        """
        spelled = [" ".join(self.words(line)) for line in lines_of(text)]
        lines = [without_eos(line, f"line {number}")[0] for number, line in enumerate(spelled, 1)]
        return [word for line in lines for word in (*line.split(), EOS)]

    def words(self, line: str) -> list[str]:
        """The words of a line as the vocabulary spells them."""
        known = self.vocabulary.ids
        return [word if self.has_capitals or word in known else word.lower() for word in composed(line).split()]

    def following(self, text: str) -> list[str]:
        """The words of a text that may go on: as `tokenize` has them, without `<eos>` if its last line has no end."""
        words = [word for line in lines_of(text) for word in (*self.words(line), EOS)]
        return words if text.endswith(("\n", "\r")) else words[:-1]

    def unknown(self, tokens: Sequence[str]) -> list[str]:
        """The words among tokens that are read as `<unk>`, in their order, without `<unk>` itself."""
        return [token for token in tokens if token not in self.vocabulary.ids and token != UNK]

    @torch.no_grad()
    def log_probabilities(self, text: str, after: str = EOS) -> Tensor:
        """Natural log-probability of each token of `tokenize(text)`, [tokens].

        Args:
            text: one sentence a line.
            after: words that the text follows, which are spelled as those of the text are, with an `<eos>` for the end
                of each line. With none, as where records measure a whole split as one stream, the first token is read
                and not predicted, and the result is one shorter.
        """
        before = self.following(after)
        tokens = self.vocabulary.encode([*before, *self.tokenize(text)])
        return self.score(torch.tensor(tokens))[max(0, len(before) - 1) :]

    @torch.no_grad()
    def score(self, tokens: Tensor) -> Tensor:
        """Natural log-probabilities [tokens - 1] of ids [tokens], each after all before it."""
        return Plain().log_probabilities(self.model, tokens)

    def stream(
        self,
        prompt: str,
        words: int = 60,
        temperature: float = 1.0,
        top_k: int | None = None,
        exclude: Collection[str] = NEVER_DRAWN,
        seed: int = 0,
    ) -> Iterator[str]:
        """A text continued, in pieces as they are drawn, the prompt first; see LanguageModel.continue_text.

        Raises:
            UserError: the prompt has no word, a word to exclude is none of the vocabulary, or a setting is out of its
                bounds.
        """
        text = " ".join(self.following(prompt))
        if not text.replace(EOS, "").strip():
            raise UserError("the prompt is empty; give at least one word")
        require_drawing(words, temperature, top_k, seed)
        return self.model.stream_text(text, words, self.excluded(exclude), temperature, seed, top_k)

    def excluded(self, words: Collection[str]) -> list[str]:
        """Words of the vocabulary that are never to be drawn, as it spells them; of NEVER_DRAWN it may lack some.

        Raises:
            UserError: one is not in the vocabulary, so that excluding it would change nothing, or they are all of it.
        """
        if isinstance(words, str):
            raise UserError(f"exclude is the text {words!r}; expected a list of words, such as [{words!r}]")
        spelled = [word if word in NEVER_DRAWN else " ".join(self.words(word)) for word in words]
        if unknown := [word for word in spelled if word not in self.vocabulary.ids and word not in NEVER_DRAWN]:
            raise UserError(f"cannot exclude what is not in the vocabulary: {', '.join(map(repr, unknown))}")
        if not self.vocabulary.ids.keys() - set(spelled):
            raise UserError("every word of the vocabulary is excluded; leave at least one")
        return spelled

    def generate(
        self,
        prompt: str,
        words: int = 60,
        temperature: float = 1.0,
        top_k: int | None = None,
        exclude: Collection[str] = NEVER_DRAWN,
        seed: int = 0,
    ) -> str:
        """A text continued word by word; see LanguageModel.continue_text."""
        return "".join(self.stream(prompt, words, temperature, top_k, exclude, seed))


class LoadedTranslator(Loaded):
    """A trained encoder-decoder."""

    model: Translator

    def tokenize(self, text: str) -> list[str]:
        """The words and punctuation of a source sentence, without an `<eos>` at its end."""
        return tokenize(without_eos(composed(text), "the source sentence")[0], self.model.languages[0])

    @torch.no_grad()
    def log_probabilities(self, text: str, translation: str) -> Tensor:
        """Natural log-probability of each token of a translation and of its `<eos>`, [tokens + 1].

        Args:
            text: source sentence.
            translation: target sentence.
        """
        source = self.model.source_vocabulary.encode(self.tokenize(text))
        translation, _ = without_eos(composed(translation), "the translation")
        target = self.model.target_vocabulary.encode(tokenize(translation, self.model.languages[1]))
        if not source:
            raise UserError("the source sentence is empty")
        found: Tensor = self.model(collate([(0, (source, target))], self.model.target_vocabulary.ids[EOS]))
        return found[:, 0]

    def generate(self, text: str, beam: int | None = None, length_normalization: float | None = None) -> str:
        """The translation of a text, line by line."""
        lines = [self.tokenize(line) for line in lines_of(text)]
        return "\n".join(translate_sentences(self.model, lines, beam, length_normalization))


class LoadedCaptioner(Loaded):
    """A trained captioner."""

    model: Captioner
    data: Path = Path("data")
    """Folder of the data, to which the weights of the image encoder for photographs are downloaded."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a caption, without an `<eos>` at its end."""
        return words(without_eos(composed(text), "the caption")[0]).split()

    def picture(self, picture: str | PathLike[str] | Image) -> Picture:
        """A picture from a file, or one that is open already, which is read as its file would be.

        Raises:
            UserError: there is no such file, it is no path, or the open picture is broken, has 32 bits of gray or more
                pixels than are read.
        """
        if isinstance(picture, Image):
            opened = read_open(picture)
            return Picture("picture", "", lambda: opened)
        return picture_file(_path(picture, "a picture", "PIL.Image.fromarray makes one of an array"))

    def vector(self, picture: str | PathLike[str] | Image) -> Tensor:
        """The vector [1, size] of a picture."""
        return picture_vectors([self.picture(picture)], self.model, data=self.data)

    @torch.no_grad()
    def log_probabilities(self, picture: str | PathLike[str] | Image, text: str) -> Tensor:
        """Natural log-probability of each word of a caption of a picture and of its `<eos>`, [words + 1]."""
        vocabulary = Vocabulary(self.model.hparams["vocabulary"])
        tokens = torch.tensor(vocabulary.encode([EOS, *self.tokenize(text), EOS]))[:, None]
        state = self.model.encode(self.vector(picture))
        found, _ = self.model.decoder.score(tokens[:-1], tokens[1:], state)
        return found[:, 0]

    def generate(self, picture: str | PathLike[str] | Image) -> str:
        """The caption of a picture."""
        return caption([self.model], self.vector(picture))[0]


class LoadedAcousticModel(Loaded):
    """A trained acoustic model."""

    model: AcousticModel

    @property
    def states(self) -> list[str]:
        """Names of the acoustic states, in the order of the last dimension of `log_probabilities`."""
        return list(self.model.hparams["states"])

    def tokenize(self, text: str) -> list[str]:
        """The names of states in a text, separated by white space."""
        return composed(text).split()

    @torch.no_grad()
    def log_probabilities(self, audio: str | PathLike[str]) -> Tensor:
        """Natural log-probabilities [frames, states] of the state of every 10 ms frame of an audio file.

        The features are normalized over this file alone, where training normalizes over all that a speaker says.

        Raises:
            UserError: it is no path, no audio or shorter than a frame, or the run's sample rate is not known.
        """
        path = _path(audio, "a recording", "soundfile.write makes a file of an array")
        try:
            rate = int(self.saved.record["configuration"]["sample_rate"])
            features = log_mel(read_audio(path), rate)
        except LeftOut as problem:
            raise UserError(f"{audio}: {problem}") from problem
        except (KeyError, TypeError) as error:
            raise UserError(f"{self.saved.place}: without the run's record the sample rate is not known") from error
        mean, deviation = statistics(features)
        features = (features - mean) / deviation
        delay = features.new_zeros(self.model.output_delay, features.shape[1])
        logits = self.model(torch.cat([features, delay])[:, None])
        found: Tensor = logits[:, 0].log_softmax(dim=-1)
        return found

    def generate(self, audio: str | PathLike[str]) -> list[str]:
        """The likeliest state of every frame of an audio file, [frames]."""
        return [self.states[state] for state in self.log_probabilities(audio).argmax(dim=-1).tolist()]


def _path(place: object, what: str, right: str) -> Path:
    """The path of a user's file.

    Raises:
        UserError: it is something else, such as an array; the message says what would be right.
    """
    if isinstance(place, str | PathLike):
        return Path(place)
    raise UserError(f"{what} is of type {type(place).__name__}, must be the path of a file; {right}")


WRAPPERS: dict[type[TaskModel], type[Loaded]] = {
    LanguageModel: LoadedLanguageModel,
    AcousticModel: LoadedAcousticModel,
    Translator: LoadedTranslator,
    Captioner: LoadedCaptioner,
}


def load(place: str | PathLike[str], kind: str = "", may_import: bool = False) -> Loaded:
    """See models.load.

    Args:
        place: folder of a run, or an exported one.
        kind: name of the class that the model must have; any if empty.
        may_import: see models.loading.build.

    Raises:
        UserError: it is of another class, or see models.load.
    """
    saved = read(Path(place))
    if kind and saved.kind != kind:
        raise UserError(f"{saved.place} holds a {saved.kind}, not a {kind}; that is for another command")
    model = build(saved, may_import)
    return WRAPPERS[type(model)](model, replace(saved, weights={}))  # the model has them
