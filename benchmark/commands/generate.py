"""Commands that use a trained model: sample, translate, caption."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from benchmark.commands.arguments import MAY_BE_EMPTY, RowName, listed
from benchmark.commands.outputs import refuse_lost
from benchmark.formatting import print_left_out
from benchmark.tasks import registry
from benchmark.training.options import DATA, STORE
from datamodules.errors import DataError, UserError

if TYPE_CHECKING:
    from models.loaded import Loaded


def sample(
    model: RowName,
    seed: NonNegativeInt | None = None,
    store: Path = STORE,
    prompt: str = "the meaning of life is",
    words: PositiveInt = 60,
    temperature: PositiveFloat = 1.0,
    top_k: PositiveInt | None = None,
    exclude: Annotated[str, MAY_BE_EMPTY] = "<unk>,N,$",
    draw_seed: NonNegativeInt = 0,
    rows_file: Path | None = None,
) -> int:
    """Continue a text with a trained language model, word by word (paper figure 4).

    Args:
        model: Name of a trained language model row or of a variant of it, or folder of a run or of an exported model.
        seed: Seed of the run; the run with the best validation metric if not given.
        store: Folder that holds the runs.
        prompt: Text to continue; the default is the paper's.
        words: Number of words to draw.
        temperature: A temperature below 1 makes likely words likelier.
        top_k: Draw from so many of the likeliest words only.
        exclude: Words that are never drawn, separated by commas; the default is the paper's.
        draw_seed: Seed of the random draws; another seed gives another text.
        rows_file: Python file with rows of your own.
    """
    from models.loaded import LoadedLanguageModel

    loaded = _load(model, seed, store, rows_file, "LanguageModel")
    assert isinstance(loaded, LoadedLanguageModel)
    tokens = loaded.words(prompt)
    if not tokens:
        raise UserError("--prompt is empty; give at least one word")
    _name_unknown(dict.fromkeys(loaded.unknown(tokens)))
    never = listed("--exclude", exclude) if exclude else []
    for piece in loaded.stream(prompt, words, temperature, top_k, never, draw_seed):
        print(piece, end="", flush=True)
    print()
    return 0


def translate(
    model: RowName,
    seed: NonNegativeInt | None = None,
    store: Path = STORE,
    beam: PositiveInt | None = None,
    length_normalization: NonNegativeFloat | None = None,
    rows_file: Path | None = None,
) -> int:
    """Translate the lines of standard input with a trained encoder-decoder, one line of output for each.

    Args:
        model: Name of a trained translation row or of a variant of it, or folder of a run or of an exported model.
        seed: Seed of the run; the run with the best validation metric if not given.
        store: Folder that holds the runs.
        beam: Hypotheses that beam search keeps; as many as the row's if not given.
        length_normalization: Hypotheses are ranked by log-probability over length to this power; the row's if not
            given.
        rows_file: Python file with rows of your own.
    """
    from datamodules.text import decode_lines
    from datamodules.vocabulary import without_eos
    from models.inputs import translate_sentences
    from models.loaded import LoadedTranslator

    loaded = _load(model, seed, store, rows_file, "Translator")
    assert isinstance(loaded, LoadedTranslator)
    place = "standard input"
    if not sys.stdin:
        raise UserError(f"{place} is closed; give it sentences, one a line: echo 'a dog runs' | rnnreg translate MODEL")
    lines = enumerate(decode_lines(sys.stdin.buffer, place), 1)
    sentences = [loaded.tokenize(without_eos(line.strip(), f"{place}, line {number}")[0]) for number, line in lines]
    known = loaded.model.source_vocabulary.ids
    _name_unknown(sorted({word for words in sentences for word in words if word not in known}))
    translations = translate_sentences(loaded.model, sentences, beam, length_normalization)
    sys.stdout.writelines(f"{line}\n" for line in translations)
    return 0


def caption(
    images: list[Path],
    row: RowName = "scenes-large-dropout",
    seed: NonNegativeInt | None = None,
    store: Path = STORE,
    features: Path | None = None,
    data: Path = DATA,
    draw: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Describe pictures with a trained captioner (paper section 4.4).

    Args:
        images: Picture files; SVG files are drawn.
        row: Name of a trained caption row or of a variant of it, or folder of a run or of an exported model.
        seed: Seed of the run; the run with the best validation metric if not given.
        store: Folder that holds the runs.
        features: File (.npz) of the pictures' vectors by file name, for a run that was trained on such a file.
        data: Folder of the data, to which the weights of the image encoder for photographs are downloaded.
        draw: File to which the pictures are drawn with their captions under them.
        rows_file: Python file with rows of your own.
    """
    from benchmark.reports.contact_sheets import Captioned, contact_sheet, save
    from datamodules.captioning.features import known_as, read_feature_file
    from datamodules.captioning.images import Picture, picture_file
    from models.captioner import caption as caption_pictures
    from models.inputs import picture_vectors
    from models.loaded import LoadedCaptioner

    refuse_lost("--draw", draw, [*images, features])
    loaded = _load(row, seed, store, rows_file, "Captioner")
    assert isinstance(loaded, LoadedCaptioner)
    given = read_feature_file(features) if features else None
    readable: list[tuple[Path, Picture]] = []
    broken: list[str] = []
    for path in images:
        try:
            picture = picture_file(path, known_as(path, given.rows if given else ()))
            picture.read()
            readable.append((path, picture))
        except DataError as error:  # which costs this one picture
            broken.append(str(error))
    pictures = [picture for _, picture in readable]
    vectors = picture_vectors(pictures, loaded.model, given, data) if pictures else None
    captions = caption_pictures([loaded.model], vectors) if vectors is not None else []
    for (path, _), text in zip(readable, captions, strict=True):
        print(f"{path}: {text}")
    if draw and pictures:
        drawn = [Captioned(picture.read(), [("", text)]) for picture, text in zip(pictures, captions, strict=True)]
        save(contact_sheet({"": drawn}), draw)
        print(f"drawn: {draw}")
    if broken:
        raise UserError("; ".join(broken))
    return 0


def _load(model: str, seed: int | None, store: Path, rows_file: Path | None, kind: str) -> "Loaded":
    """The trained model that a user has named; which one it is, is said where more than one may be meant."""
    from benchmark.sharing.trained import SHIPPED, find_all_trained, find_trained
    from models.loaded import load

    left_out: list[str] = []
    rows = registry.load(rows_file)
    trained = find_trained(model, seed, store, rows, left_out)
    print_left_out(left_out)
    loaded = load(trained.place, kind, may_import=rows_file is not None)
    if trained.place.parent == SHIPPED and Path(model) != trained.place:
        print(f"rnnreg: {store} has no {model}; the model that ships with the suite is used", file=sys.stderr)
    elif seed is None and len(find_all_trained(model, store, rows)) > 1:
        which = "the best on validation data" if trained.record else "the first of several, as none has finished"
        print(f"rnnreg: {trained.name}, {which}", file=sys.stderr)
    return loaded


def _name_unknown(words: Iterable[str]) -> None:
    """Name on standard error the words that a model reads as `<unk>`."""
    if named := ", ".join(words):
        print(f"rnnreg: read as <unk>, not in the vocabulary: {named}", file=sys.stderr)
