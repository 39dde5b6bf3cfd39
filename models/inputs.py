"""A user's own inputs as models read them: sentences to translate, pictures to caption."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.captioning.features import Features, vectors_of
from datamodules.captioning.images import Picture
from datamodules.captioning.networks import NETWORKS, made
from datamodules.errors import DataError, UserError
from models.captioner import Captioner
from models.requests import require_search
from models.translator import Translator


def translate_sentences(
    model: Translator,
    sentences: Sequence[Sequence[str]],
    beam: int | None = None,
    length_normalization: float | None = None,
) -> list[str]:
    """The translation of each sentence, as a reader would write it; that of an empty sentence is empty.

    Beam search reads sentences of one length side by side, at most `model.batch_size` of them.

    Args:
        model: the translator, in evaluation mode.
        sentences: words of each sentence.
        beam: hypotheses that beam search keeps; the model's own number if None.
        length_normalization: see models.decoding.beam_search; the model's own if None.

    Raises:
        UserError: a setting is out of its bounds.
    """
    require_search(beam, length_normalization)
    written = [""] * len(sentences)
    for length in sorted({len(words) for words in sentences} - {0}):
        places = [place for place, words in enumerate(sentences) if len(words) == length]
        for begin in range(0, len(places), model.batch_size):
            batch = places[begin : begin + model.batch_size]
            source = [model.source_vocabulary.encode(reversed(sentences[place])) for place in batch]
            found = model.translate(torch.tensor(source).T, beam, length_normalization)
            for place, hypothesis in zip(batch, found, strict=True):
                written[place] = model.text(hypothesis)
    return written


def picture_vectors(
    pictures: Sequence[Picture],
    model: Captioner,
    features: Features | None = None,
    data: Path = Path("data"),
    broken: dict[str, str] | None = None,
) -> Tensor:
    """Vectors [pictures, size] of pictures for a captioner, which must be of the network that it was trained with.

    Args:
        pictures: the pictures.
        model: the captioner.
        features: the vectors of a user's file; without them the captioner's network computes them.
        data: folder of the data, where the weights of that network are, or are put when they are fetched.
        broken: takes what is wrong with each broken picture, by its id, which then has no vector.

    Raises:
        UserError: the captioner was trained with another network, or with one that the suite does not have.
        DataError: a picture is broken, unless `broken` takes it, or has no vector in the file, or the network cannot be
            had.
    """
    if features:
        features.require(pictures)
        _refuse_another(features.network, model)
        return features.of([picture.id for picture in pictures])
    name = model.hparams["network"]
    if name not in NETWORKS:
        raise UserError(f"the run was trained on vectors of {name}; give the pictures' own with --features FILE.npz")
    network = made(NETWORKS[name], data)
    _refuse_another(network.sha256, model)
    found: dict[str, str] = {} if broken is None else broken
    vectors = list(vectors_of(pictures, network, found))
    if found and broken is None:
        raise DataError(next(iter(found.values())))
    return torch.from_numpy(np.concatenate([np.empty((0, network.size), np.float32), *vectors]))


def _refuse_another(network: str, model: Captioner) -> None:
    if network != (expected := model.hparams["network_sha256"]):
        raise UserError(
            f"the run was trained on vectors of another network: {expected[:12]} ({model.hparams['network']}), "
            f"these are of {network[:12]}; train it again, or use that network"
        )
