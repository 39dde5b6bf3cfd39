"""Image captions (paper section 4.4, after Vinyals et al. 2014): a picture's vector is the LSTM's first input."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules.base import IGNORE_INDEX
from datamodules.captioning.features import LEAST_DEVIATION
from datamodules.errors import UserError
from datamodules.vocabulary import EOS, UNK
from models.backbone import BackboneArguments, State, initialize_uniform
from models.base import EVALUATIONS, TRAINING, Evaluation
from models.decoding import average, beam_search
from models.metrics import corpus_bleu
from models.tokens import TokenDecoder, TokenModel

PICTURES = "pictures"
"""Name of the final evaluation's last data loader: the pictures of the test set, each once."""

SAMPLES = 10
"""Test pictures whose captions are kept with a record: the first of each tenth of the test set."""


class Captioner(TokenModel):
    """Captioner of Vinyals et al. 2014: the picture's vector, projected, goes through the LSTM before the first word.

    Nothing is predicted from the picture's own step; `<eos>` is the first word's input, and ends a caption.

    Args:
        vocabulary: the words, in the order of their ids; kept in the checkpoint, so captioning needs no data.
        network: name of the network that gives the vectors, or path of a file of them.
        network_sha256: checksum of that network; the checkpoint takes the vectors of no other.
        feature_size: length of a vector.
        init_range: every parameter starts in U(-init_range, init_range).
        beam: hypotheses kept by beam search.
        max_length: words of the longest caption, `<eos>` included.
        length_normalization: see beam_search.
        lr: learning rate of plain SGD.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: divisor of the learning rate before each later epoch.
        statistics: mean and standard deviation [feature_size] of the training pictures' vectors, which are normalized
            by them; kept in the checkpoint. One pair for each fold.
        weight_decay: see TaskModel.
        folds: captioners, which are trained side by side on the folds of the data and share nothing: a batch gives
            gradients to that of its fold alone. The first of them is this one, which new pictures are captioned by.
        arguments: the recurrent stack; the embedding has the size of its layers.
    """

    feature_mean: Tensor
    feature_deviation: Tensor

    def __init__(
        self,
        vocabulary: Sequence[str],
        network: str,
        network_sha256: str,
        feature_size: int,
        init_range: float,
        beam: int,
        max_length: int,
        length_normalization: float,
        lr: float,
        flat_epochs: float,
        decay: float,
        statistics: Sequence[tuple[Tensor, Tensor]] | None = None,
        weight_decay: float = 0.0,
        folds: int = 1,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay, weight_decay)
        self.save_hyperparameters(ignore=["statistics"])
        self.beam, self.max_length, self.length_normalization = beam, max_length, length_normalization
        own, *others = statistics or [(torch.zeros(feature_size), torch.ones(feature_size))] * folds
        mean, deviation = own
        self.register_buffer("feature_mean", mean)
        self.register_buffer("feature_deviation", deviation)
        self.projection = nn.Linear(feature_size, arguments["hidden_size"])
        self.decoder = TokenDecoder(len(vocabulary), **arguments)
        initialize_uniform(self, init_range)

        self.unknown = vocabulary.index(UNK)
        """Id of the word that stands for those outside the vocabulary."""
        self.others = nn.ModuleList(Captioner(**{**self.hparams, "folds": 1}, statistics=[each]) for each in others)
        """The captioners of the second and later folds."""
        self._captioned: list[list[tuple[str, tuple[str, ...], str]]] = []

    def of_fold(self, fold: int) -> "Captioner":
        """The captioner that is trained and tested on a fold."""
        return self.others[fold - 1] if fold else self  # type: ignore[return-value]

    @override
    def setup(self, stage: str) -> None:
        """Refuse several devices for folds, each of which would wait for the gradients of all captioners."""
        if self.others and self.world_size > 1:
            raise UserError("folds are trained on one device: --devices 1 and --nodes 1")

    def encode(self, features: Tensor) -> State:
        """State of the backbone after pictures with these vectors [batch, feature_size]."""
        # A unit that is the same in every training picture has no deviation, and tells nothing.
        normalized = (features - self.feature_mean) / self.feature_deviation.clamp(min=LEAST_DEVIATION)
        state: State = self.decoder.backbone(self.projection(normalized)[None])[1]
        return state

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """Logits [time, batch, words] of the word after each of tokens [time, batch], `<eos>` the first of them."""
        logits: Tensor = self.decoder(tokens, self.encode(features))[0]
        return logits

    def _log_probabilities(self, batch: Any) -> Tensor:
        """Log-probabilities [words] of the true words and `<eos>`s of a batch of captions, caption by caption."""
        own = self.of_fold(batch.fold)
        log_probabilities, _ = own.decoder.score(batch.inputs, batch.targets, own.encode(batch.features))
        return log_probabilities.T[batch.targets.T != IGNORE_INDEX]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Loss of a batch of captions: summed over the words, averaged over the captions."""
        log_probabilities = self._log_probabilities(batch)
        self.train_perplexity.update(log_probabilities.detach())
        return -log_probabilities.sum() / self.all_reduce_sum(len(batch.features))

    @override
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_perplexity.update(self._log_probabilities(batch))

    @override
    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self._captioned = []

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """One batch of the final evaluation, of the data loader in CaptionData.test_dataloader's order."""
        split = (*EVALUATIONS, TRAINING, PICTURES)[dataloader_idx]
        if split == PICTURES:
            found = caption([self.of_fold(batch.fold)], batch.features)
            self._captioned.append(list(zip(batch.ids, batch.references, found, strict=True)))
        elif split == TRAINING:
            self.measure_training(self._log_probabilities(batch))
        else:
            targets = batch.targets.T[batch.targets.T != IGNORE_INDEX]
            self.collect(split, batch_idx, self._log_probabilities(batch), targets != self.unknown)

    @override
    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        outcome = score([one for of_batch in self.gather_in_order(self._captioned) for one in of_batch])
        self.log_dict(outcome.metrics)
        self.details, self.items = outcome.details, outcome.items
        self._captioned = []


@torch.no_grad()
def caption(models: Sequence[Captioner], features: Tensor) -> list[str]:
    """Captions of pictures with vectors [batch, feature_size] by one model, or by the average of several."""
    first = models[0]
    words = first.hparams["vocabulary"]
    for model in models:
        model.eval()
    found = beam_search(
        average([model.decoder.step for model in models]),
        tuple(model.encode(features) for model in models),
        len(features),
        eos=words.index(EOS),
        beam=first.beam,
        max_length=first.max_length,
        length_normalization=first.length_normalization,
        forbidden=[first.unknown],
        device=first.device,
    )
    return [" ".join(words[token] for token in hypothesis.tokens) for hypothesis in found]


def score(captioned: Sequence[tuple[str, tuple[str, ...], str]]) -> Evaluation:
    """BLEU of test pictures' captions, and what a record keeps of them.

    Args:
        captioned: id, references and caption of each test picture.
    """
    hypotheses = [found for *_, found in captioned]
    bleu = corpus_bleu(hypotheses, [references for _, references, _ in captioned])
    every = max(1, len(captioned) // SAMPLES)
    samples = [
        {"picture": id, "references": list(references), "caption": found}
        for id, references, found in captioned[: every * SAMPLES : every]
    ]
    return Evaluation(
        {"test_bleu": bleu.score},
        {**bleu.details, "samples": samples},
        {"test_bleu": bleu.counts, "hypotheses": np.array(hypotheses)},
    )
