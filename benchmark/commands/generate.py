"""Commands that use a trained model: sample, translate, caption."""

import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from benchmark.commands.arguments import RowName
from benchmark.tasks import registry
from datamodules.errors import DataError, UserError


def sample(
    row: RowName,
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    prompt: str = "the meaning of life is",
    words: PositiveInt = 60,
    temperature: PositiveFloat = 1.0,
    exclude: str = "<unk>,N,$",
    draw: NonNegativeInt = 0,
    rows_file: Path | None = None,
) -> int:
    """Continue a text with a trained language model (paper figure 4).

    Args:
        row: Name of a trained language model row, or of a variant of it.
        seed: Seed of the run.
        store: Folder that holds the run.
        prompt: Text to continue; the default is the paper's.
        words: Number of words to draw.
        temperature: A temperature below 1 makes likely words likelier.
        exclude: Words that are never drawn, separated by commas; the default is the paper's.
        draw: Seed of the drawing; another seed gives another text.
        rows_file: Python file with rows of your own.
    """
    from benchmark.tasks.trained import find_trained
    from datamodules.vocabulary import Vocabulary
    from models.language_model import LanguageModel

    registry.load(rows_file)
    model = find_trained(row, seed, store, LanguageModel)
    vocabulary = Vocabulary(model.hparams["vocabulary"])
    tokens = unicodedata.normalize("NFC", prompt).lower().split()
    if not tokens:
        raise UserError("--prompt is empty; give at least one word")
    _name_unknown(dict.fromkeys(token for token in tokens if token not in vocabulary.ids))
    print(model.continue_text(" ".join(tokens), words, exclude.split(","), temperature, draw))
    return 0


def translate(
    row: RowName,
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    beam: PositiveInt | None = None,
    length_normalization: NonNegativeFloat | None = None,
    rows_file: Path | None = None,
) -> int:
    """Translate the lines of standard input with a trained encoder-decoder, one line of output for each.

    Args:
        row: Name of a trained translation row, or of a variant of it.
        seed: Seed of the run.
        store: Folder that holds the run.
        beam: Hypotheses that beam search keeps; as many as the row's if not given.
        length_normalization: Hypotheses are ranked by log-probability over length to this power; the row's if not
            given.
        rows_file: Python file with rows of your own.
    """
    from benchmark.tasks.inference import translate_sentences
    from benchmark.tasks.trained import find_trained
    from datamodules.text import decode_lines
    from datamodules.translation.tokenization import tokenize
    from models.translator import Translator

    registry.load(rows_file)
    model = find_trained(row, seed, store, Translator).eval()
    lines = [line.strip() for line in decode_lines(sys.stdin.buffer, "standard input")]
    sentences = [tokenize(line, model.languages[0]) for line in lines]
    known = model.source_vocabulary.ids
    _name_unknown(sorted({word for words in sentences for word in words if word not in known}))
    sys.stdout.writelines(f"{line}\n" for line in translate_sentences(model, sentences, beam, length_normalization))
    return 0


def caption(
    images: list[Path],
    row: RowName = "openmoji-dropout",
    seed: NonNegativeInt = 1,
    store: Path = Path("runs"),
    features: Path | None = None,
    draw: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Describe pictures with a trained captioner (paper section 4.4).

    Args:
        images: Picture files; SVG files are drawn.
        row: Name of a trained caption row, or of a variant of it.
        seed: Seed of the run.
        store: Folder that holds the run.
        features: File (.npz) of the pictures' vectors by file name, for a run that was trained on such a file.
        draw: File to which the pictures are drawn with their captions under them.
        rows_file: Python file with rows of your own.
    """
    from benchmark.reports.contact_sheets import Captioned, contact_sheet, save
    from benchmark.tasks.inference import picture_vectors
    from benchmark.tasks.trained import find_trained
    from datamodules.captioning.images import Picture, picture_file
    from models.captioner import Captioner
    from models.captioner import caption as caption_pictures

    registry.load(rows_file)
    model = find_trained(row, seed, store, Captioner)
    readable: dict[Path, Picture] = {}
    broken: list[str] = []
    for path in images:
        try:
            picture = picture_file(path)
            picture.read()
            readable[path] = picture
        except DataError as error:  # which costs this one picture
            broken.append(str(error))
    pictures = list(readable.values())
    captions = caption_pictures([model], picture_vectors(pictures, model, features)) if pictures else []
    for path, text in zip(readable, captions, strict=True):
        print(f"{path}: {text}")
    if draw and pictures:
        drawn = [Captioned(picture.read(), [("", text)]) for picture, text in zip(pictures, captions, strict=True)]
        save(contact_sheet({"": drawn}), draw)
        print(f"drawn: {draw}")
    if broken:
        raise UserError("; ".join(broken))
    return 0


def _name_unknown(words: Iterable[str]) -> None:
    """Name on standard error the words that a model reads as `<unk>`."""
    if named := ", ".join(words):
        print(f"rnnreg: read as <unk>, not in the vocabulary: {named}", file=sys.stderr)
