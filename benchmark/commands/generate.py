"""Commands that use a trained model: text from it, one command a task."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from benchmark.reports.contact_sheets import Captioned, contact_sheet, save
from benchmark.tasks import registry
from benchmark.tasks.trained import trained
from datamodules.captioning.features import NETWORKS, features_of
from datamodules.captioning.images import Picture, picture_file
from datamodules.errors import UserError
from datamodules.translation.tokenization import tokenize
from datamodules.vocabulary import UNK, Vocabulary
from models.captioner import Captioner
from models.captioner import caption as caption_pictures
from models.language_model import NEVER_DRAWN, PROMPT, SAMPLE_WORDS, LanguageModel
from models.translator import Translator


def sample(
    row: str,
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    prompt: str = PROMPT,
    words: PositiveInt = SAMPLE_WORDS,
    temperature: PositiveFloat = 1.0,
    exclude: str = ",".join(NEVER_DRAWN),
    draw: NonNegativeInt = 0,
    rows_file: Path | None = None,
) -> int:
    """Continue a text with a trained language model (paper figure 4).

    Args:
        row: name of a language model row, or of a variant of it, that has been trained.
        seed: of the run.
        store: folder that holds the run.
        prompt: text to continue.
        words: how many to draw.
        temperature: below 1 likely words get likelier.
        exclude: words never drawn, separated by commas; the default is the paper's.
        draw: seed of the drawing; another one gives another text.
        rows_file: Python file with rows of your own.
    """
    registry.load(rows_file)
    model = trained(row, seed, store, LanguageModel)
    vocabulary = Vocabulary(model.hparams["vocabulary"])
    tokens = prompt.lower().split()
    if not tokens:
        raise UserError("--prompt is empty; give at least one word")
    if unknown := [token for token in tokens if token not in vocabulary.ids]:
        print(f"rnnreg: read as {UNK}, not in the vocabulary: {', '.join(unknown)}", file=sys.stderr)
    print(model.continue_text(" ".join(tokens), words, exclude.split(","), temperature, draw))
    return 0


def translate(
    row: str,
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    beam: PositiveInt | None = None,
    length_normalization: NonNegativeFloat | None = None,
    rows_file: Path | None = None,
) -> int:
    """Translate the lines of standard input with a trained encoder-decoder, one line of output for each.

    Args:
        row: name of a translation row, or of a variant of it, that has been trained.
        seed: of the run.
        store: folder that holds the run.
        beam: hypotheses that beam search keeps; those of the row if not given.
        length_normalization: ranks by log-probability over length to this power; that of the row if not given.
        rows_file: Python file with rows of your own.
    """
    registry.load(rows_file)
    model = trained(row, seed, store, Translator).eval()
    try:
        lines = [line.decode().strip() for line in sys.stdin.buffer]
    except UnicodeDecodeError as error:
        raise UserError(f"standard input is not UTF-8: {error.reason} at byte {error.start} of a line") from error
    sentences = [tokenize(line, model.languages[0]) for line in lines]
    known = model.source_vocabulary.ids
    if unknown := sorted({word for words in sentences for word in words if word not in known}):
        print(f"rnnreg: read as {UNK}, not in the vocabulary: {', '.join(unknown)}", file=sys.stderr)
    written = [""] * len(sentences)
    for length in sorted({len(words) for words in sentences} - {0}):
        places = [place for place, words in enumerate(sentences) if len(words) == length]
        for begin in range(0, len(places), model.batch_size):
            some = places[begin : begin + model.batch_size]
            source = [model.source_vocabulary.encode(reversed(sentences[place])) for place in some]
            found = model.translate(torch.tensor(source).T, beam, length_normalization)
            for place, hypothesis in zip(some, found, strict=True):
                written[place] = model.text(hypothesis)
    sys.stdout.writelines(f"{line}\n" for line in written)
    return 0


def caption(
    images: list[Path],
    row: str = "openmoji-dropout",
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    features: Path | None = None,
    draw: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Say what pictures show, with a trained captioner (paper section 4.4).

    Args:
        images: picture files, SVG among them.
        row: name of a caption row, or of a variant of it, that has been trained.
        seed: of the run.
        store: folder that holds the run.
        features: .npz with the pictures' vectors, by file name, for a run that was trained on such a file.
        draw: file that takes the pictures with their captions under them.
        rows_file: Python file with rows of your own.
    """
    registry.load(rows_file)
    model = trained(row, seed, store, Captioner)
    pictures = [picture_file(path) for path in images]
    vectors = look_up(pictures, features, model) if features else extract_for(pictures, model)
    captions = caption_pictures([model], vectors)
    for path, text in zip(images, captions, strict=True):
        print(f"{path}: {text}")
    if draw:
        drawn = [Captioned(picture.read(), [("", text)]) for picture, text in zip(pictures, captions, strict=True)]
        save(contact_sheet({"": drawn}), draw)
        print(f"drawn: {draw}")
    return 0


def extract_for(pictures: Sequence[Picture], model: Captioner) -> Tensor:
    """Vectors [pictures, size] from the network that a captioner was trained with.

    Raises:
        UserError: its network is not one of the suite's, or is another one today.
        DataError: a picture is broken, or the network cannot be had.
    """
    name = model.hparams["network"]
    if name not in NETWORKS:
        raise UserError(f"the run was trained on vectors of {name}; give the pictures' own with --features FILE.npz")
    network = NETWORKS[name]()
    _refuse_another(network.sha256, model)
    return torch.from_numpy(network([picture.read() for picture in pictures]))


def look_up(pictures: Sequence[Picture], path: Path, model: Captioner) -> Tensor:
    """Vectors [pictures, size] from a user's file.

    Raises:
        UserError: they are another network's than the captioner was trained with.
        DataError: the file is not one of features, or lacks a picture.
    """
    found = features_of(pictures, str(path), path)
    _refuse_another(found.network, model)
    return found.of([picture.id for picture in pictures])


def _refuse_another(network: str, model: Captioner) -> None:
    if network != (expected := model.hparams["network_sha256"]):
        raise UserError(
            f"the run was trained on vectors of another network: {expected[:12]} ({model.hparams['network']}), "
            f"these are of {network[:12]}; train it again, or use that network"
        )
