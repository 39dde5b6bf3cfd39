"""Translation (paper section 4.3): one LSTM reads the reversed sentence, and another writes its translation."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules.base import IGNORE_INDEX
from datamodules.translation.batches import PairBatch
from datamodules.translation.tokenization import bleu_rules, detokenize, tokenize
from datamodules.vocabulary import EOS, UNK, Vocabulary
from models.backbone import BackboneArguments, State, build_backbone, initialize_uniform
from models.base import EVALUATIONS, TRAINING, Evaluation
from models.decoding import Hypothesis, beam_search
from models.metrics import corpus_bleu
from models.tokens import TokenDecoder, TokenModel

SAMPLES = 5
"""Test sentences, the first ones, whose translations a record shows."""


class Translation(NamedTuple):
    """A sentence and what a model made of it."""

    source: str
    reference: str
    words: list[str]
    """Words of the translation."""


class Translator(TokenModel):
    """Encoder-decoder: a language model of the target that starts from the encoder's last state.

    Embeddings are as wide as a layer. After Sutskever et al. 2014: uniform initialization, reversed source, SGD whose
    rate falls by steps within an epoch, beam search.

    Args:
        source_vocabulary, target_vocabulary: the words, in the order of their ids; kept in the checkpoint.
        languages: languages of source and target.
        init_range: every parameter starts in U(-init_range, init_range).
        batch_size: sentence pairs of a full batch; the loss is summed over words and divided by it.
        lr: SGD learning rate for that loss.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: divisor of the learning rate at the end of flat_epochs and every decay_every epochs after it.
        decay_every: number of epochs between two falls, such as 0.5.
        beam: hypotheses that beam search keeps.
        length_normalization: see beam_search.
        weight_decay: see TaskModel.
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
        weight_decay: float = 0.0,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay, weight_decay)
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
        self._translations: list[tuple[int, Translation]] = []

    def encode(self, source: Tensor) -> State:
        """State from which the translation starts, for sentences [time, batch] that are already reversed."""
        state: State = self.encoder(self.embedding(source))[1]
        return state

    def forward(self, batch: PairBatch) -> Tensor:
        """Log-probabilities [time, batch] of the true target words, 0 where a target has ended."""
        log_probabilities, _ = self.decoder.score(batch.inputs, batch.targets, self.encode(batch.source))
        return log_probabilities

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

    def words(self, hypothesis: Hypothesis) -> list[str]:
        """The words of a hypothesis."""
        return [self.target_vocabulary.words[index] for index in hypothesis.tokens]

    def text(self, hypothesis: Hypothesis) -> str:
        """The sentence of a hypothesis, as a reader would write it."""
        return detokenize(self.words(hypothesis), self.languages[1])

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Loss of one batch: summed over words, divided by the size of a full batch: all pairs weigh the same."""
        log_probabilities: Tensor = self(batch)
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
        split = (*EVALUATIONS, TRAINING)[dataloader_idx]
        if split == TRAINING:
            self.measure_training(log_probabilities, counted)
            return
        known = batch.targets != self.target_vocabulary.ids[UNK]
        for column, place in enumerate(batch.places):
            mine = counted[:, column]
            self.collect(split, place, log_probabilities[mine, column], known[mine, column])
        if split == "test":
            found = self.translate(batch.source)
            for place, texts, hypothesis in zip(batch.places, batch.texts, found, strict=True):
                self._translations.append((place, Translation(*texts, self.words(hypothesis))))

    @override
    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
        outcome = score(self.gather_by_place(self._translations), self.languages[1])
        self.log_dict(outcome.metrics)
        self.details, self.items = outcome.details, outcome.items
        self._translations = []

    def configure_optimizers(self) -> Any:
        """SGD at lr for flat_epochs epochs, then divided by decay every decay_every epochs (Sutskever et al. 2014)."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda _: self.decay ** -self.decays(self._epochs_trained())
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def decays(self, epochs: float) -> int:
        """Number of times that the learning rate has fallen after so many epochs, which may be a fraction."""
        return max(0, math.floor((epochs - self.flat_epochs) / self.decay_every + 1e-9) + 1)

    def _epochs_trained(self) -> float:
        return self.trainer.current_epoch + self._progress if self._trainer else 0.0


def score(translations: Sequence[Translation], language: str) -> Evaluation:
    """BLEU of translations of the test set into a language, and what a record keeps of them.

    BLEU of tokenized text, as the paper has it, stands beside sacrebleu's own. The words of every translation are kept,
    from which, with the references, both can be computed again.
    """
    texts = [detokenize(one.words, language) for one in translations]
    bleu = corpus_bleu(texts, [[one.reference] for one in translations], rules=bleu_rules(language))
    hypotheses = [" ".join(one.words) for one in translations]
    references = [[" ".join(tokenize(one.reference, language))] for one in translations]
    of_tokens = corpus_bleu(hypotheses, references, tokenized=True)
    samples = [
        {"source": one.source, "reference": one.reference, "translation": text}
        for one, text in zip(translations[:SAMPLES], texts, strict=False)
    ]
    return Evaluation(
        {"test_bleu": bleu.score, "test_bleu_tokenized": of_tokens.score},
        {**bleu.details, "bleu_tokenized_signature": of_tokens.signature, "samples": samples},
        {"test_bleu": bleu.counts, "test_bleu_tokenized": of_tokens.counts, "hypotheses": np.array(hypotheses)},
    )
