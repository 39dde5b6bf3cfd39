"""Translation (paper section 4.3): one LSTM reads the sentence, reversed, and another writes its translation."""

import math
from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules.base import IGNORE_INDEX
from datamodules.translation.datamodule import PairBatch
from datamodules.translation.tokenization import detokenize
from datamodules.vocabulary import EOS, UNK, Vocabulary
from models.backbone import BackboneArguments, State, build_backbone, initialize_uniform
from models.decoding import Hypothesis, beam_search
from models.metrics import corpus_bleu
from models.tokens import EVALUATIONS, TokenDecoder, TokenModel, true_log_probabilities

SAMPLES = 5
"""Test sentences, the first ones, whose translations a record shows."""


class Translator(TokenModel):
    """Encoder-decoder: a language model of the target that starts from the encoder's last state.

    Embeddings are as wide as a layer. After Sutskever et al. 2014: uniform initialisation, reversed source, SGD whose
    rate falls by steps within an epoch, beam search.

    Args:
        source_vocabulary, target_vocabulary: the words, in the order of their ids; kept in the checkpoint.
        languages: of source and target.
        init_range: every parameter starts in U(-init_range, init_range).
        batch_size: sentence pairs of a full batch; the loss is summed over words and divided by it.
        lr: SGD learning rate for that loss.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: what the learning rate is divided by, at the end of flat_epochs and every decay_every epochs after it.
        decay_every: in epochs, such as 0.5.
        beam: hypotheses that beam search keeps.
        length_normalization: see beam_search.
        arguments: the recurrent stacks of encoder and decoder; the embeddings have the size of their layers.
    """

    def __init__(
        self,
        source_vocabulary: Sequence[str],
        target_vocabulary: Sequence[str],
        languages: tuple[str, str],
        init_range: float,
        batch_size: int,
        lr: float,
        flat_epochs: float,
        decay: float,
        decay_every: float,
        beam: int,
        length_normalization: float,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay)
        self.save_hyperparameters()
        self.source_vocabulary, self.target_vocabulary = Vocabulary(source_vocabulary), Vocabulary(target_vocabulary)
        self.languages, self.batch_size, self.decay_every = tuple(languages), batch_size, decay_every
        self.beam, self.length_normalization = beam, length_normalization
        hidden_size = arguments["hidden_size"]
        self.embedding = nn.Embedding(len(source_vocabulary), hidden_size)
        self.encoder = build_backbone(hidden_size, **arguments)
        self.decoder = TokenDecoder(len(target_vocabulary), **arguments)
        initialize_uniform(self, init_range)

        self._progress = 0.0
        self._translations: list[tuple[int, dict[str, str]]] = []

    def encode(self, source: Tensor) -> State:
        """State from which the translation starts, for sentences [time, batch] that are already reversed."""
        return self.encoder(self.embedding(source))[1]

    def forward(self, batch: PairBatch) -> Tensor:
        """Log-probabilities [time, batch] of the true target words, 0 where a target has ended."""
        logits, _ = self.decoder(batch.inputs, self.encode(batch.source))
        return true_log_probabilities(logits, batch.targets)

    @torch.no_grad()
    def translate(
        self, source: Tensor, beam: int | None = None, length_normalization: float | None = None
    ) -> list[Hypothesis]:
        """Best translations of sentences [time, batch] of one length, already reversed; `<unk>` is never written."""
        vocabulary = self.target_vocabulary
        return beam_search(
            self.decoder.step,
            self.encode(source),
            source.shape[1],
            eos=vocabulary.ids[EOS],
            beam=beam or self.beam,
            max_length=2 * source.shape[0] + 10,
            length_normalization=self.length_normalization if length_normalization is None else length_normalization,
            forbidden=[vocabulary.ids[UNK]],
            device=self.device,
        )

    def text(self, hypothesis: Hypothesis) -> str:
        """What a hypothesis says, as a reader would write it."""
        return detokenize([self.target_vocabulary.words[index] for index in hypothesis.tokens], self.languages[1])

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of one batch: summed over words, divided by the size of a full batch: all pairs weigh the same."""
        log_probabilities = self(batch)
        self.train_perplexity.update(log_probabilities.detach(), batch.targets != IGNORE_INDEX)
        self._progress = batch.progress
        return -log_probabilities.sum() / self.batch_size

    @override
    def on_train_epoch_start(self) -> None:
        self._progress = 0.0

    @override
    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        self.validation_perplexity.update(self(batch), batch.targets != IGNORE_INDEX)

    @override
    def on_test_epoch_start(self) -> None:
        super().on_test_epoch_start()
        self._translations = []

    def test_step(self, batch: PairBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """One batch of the final evaluation: each pair's log-probabilities, and on the test set its translation."""
        log_probabilities, counted = self(batch), batch.targets != IGNORE_INDEX
        split = EVALUATIONS[dataloader_idx]
        for column, place in enumerate(batch.places):
            self.collect(split, place, log_probabilities[counted[:, column], column])
        if split == "test":
            found = self.translate(batch.source)
            for place, (source, reference), hypothesis in zip(batch.places, batch.texts, found, strict=True):
                sample = {"source": source, "reference": reference, "translation": self.text(hypothesis)}
                self._translations.append((place, sample))

    @override
    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        samples = self.gather_by_place(self._translations)
        bleu, signature = corpus_bleu(
            [sample["translation"] for sample in samples], [[sample["reference"]] for sample in samples]
        )
        self.log("test_bleu", bleu)
        self.details = {"bleu_signature": signature, "samples": samples[:SAMPLES]}
        self._translations = []

    def configure_optimizers(self) -> Any:
        """SGD at lr for flat_epochs epochs, then divided by decay every decay_every epochs (Sutskever et al. 2014)."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda _: self.decay ** -self.decays(self._epochs_trained())
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def decays(self, epochs: float) -> int:
        """How often the learning rate has fallen after so many epochs, fractions included."""
        return max(0, math.floor((epochs - self.flat_epochs) / self.decay_every + 1e-9) + 1)

    def _epochs_trained(self) -> float:
        return self.trainer.current_epoch + self._progress if self._trainer else 0.0
