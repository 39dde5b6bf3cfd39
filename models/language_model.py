"""Word-level language model (paper section 4.1): embedding, regularized LSTM, softmax."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Unpack

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from typing_extensions import override

from datamodules.language_modeling.datamodule import ConventionBatch
from datamodules.vocabulary import EOS, UNK, Vocabulary
from models.backbone import BackboneArguments, RegularizedLSTM, State, initialize_uniform
from models.base import EVALUATIONS, TRAINING
from models.decoding import sample
from models.graphs import GraphedPasses, Passes
from models.softmax import score_words
from models.tokens import TokenDecoder, TokenModel

CONVENTION = "authors_convention"
"""Name of the final evaluation's last data loader: the validation set in whole windows only."""

PROMPT = "the meaning of life is"
"""The beginning that the paper gives its model to continue (figure 4)."""
NEVER_DRAWN = (UNK, "N", "$")
"""Words that the paper's samples exclude."""
SAMPLE_WORDS = 60


class LanguageModel(TokenModel):
    """Language model trained by truncated backpropagation through time, as in paper section 4.1.

    Args:
        vocabulary: the words, in the order of their ids; kept in the checkpoint, so sampling needs no data.
        init_range: every parameter starts in U(-init_range, init_range).
        lr: SGD learning rate, for a loss summed over the unroll and averaged over the batch.
        flat_epochs: epochs trained at lr before it starts to fall.
        decay: divisor of the learning rate before each later epoch.
        weight_decay: see TaskModel.
        tied, embedding_size, embedding_dropout: see TokenDecoder.
        activation_regularization: factor alpha of alpha * mean((m * h[t])^2), of the last layer's outputs as dropout
            leaves them, which is added to the loss of each step (AR, Merity et al. 2017, section 3.1).
        temporal_activation_regularization: factor beta of beta * mean((h[t] - h[t-1])^2), of the last layer's outputs
            before dropout (TAR, section 3.2).
        arguments: the recurrent stack.
    """

    carried = ("state",)

    def __init__(
        self,
        vocabulary: Sequence[str],
        init_range: float,
        lr: float,
        flat_epochs: float,
        decay: float,
        weight_decay: float = 0.0,
        tied: bool = False,
        embedding_size: int | None = None,
        embedding_dropout: float = 0.0,
        activation_regularization: float = 0.0,
        temporal_activation_regularization: float = 0.0,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__(lr, flat_epochs, decay, weight_decay)
        self.save_hyperparameters()
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization
        self.decoder = TokenDecoder(len(vocabulary), tied, embedding_size, embedding_dropout, **arguments)
        initialize_uniform(self, init_range)
        if temporal_activation_regularization and not hasattr(self.decoder.backbone, "undropped"):
            raise ValueError("temporal_activation_regularization: the backbone does not keep its undropped outputs")

        self.unknown = Vocabulary(vocabulary).ids.get(UNK, -1)
        """Id of the word that stands for those outside the vocabulary."""
        self.state: State | None = None
        """State carried from one window to the next; None at the start of an epoch or of an evaluation."""
        self.graphed: GraphedPasses | None = None
        """The passes of a training step on a GPU."""
        self._predictions = 0

    @override
    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """As TaskModel.backward; the gradients of a loss without a history have been computed with it."""
        if self.graphed and not loss.requires_grad:
            self.graphed.give_gradients()
        else:
            super().backward(loss, *args, **kwargs)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [time, batch, vocabulary] of the word after each of tokens [time, batch], and the new state."""
        logits, state = self.decoder(tokens, state)
        return logits, state

    def continue_text(
        self,
        prompt: str,
        words: int,
        exclude: Collection[str] = NEVER_DRAWN,
        temperature: float = 1.0,
        seed: int = 0,
        top_k: int | None = None,
    ) -> str:
        """A text continued word by word, each drawn from the model (paper figure 4).

        Args:
            prompt: words to begin with; those outside the vocabulary are read as `<unk>`.
            words: number of words to draw.
            exclude: words never drawn.
            temperature: below 1 likely words get likelier.
            seed: seed of the draws.
            top_k: only so many of the likeliest words can be drawn; all if None.
        """
        return "".join(self.stream_text(prompt, words, exclude, temperature, seed, top_k))

    def stream_text(
        self, prompt: str, words: int, exclude: Collection[str], temperature: float, seed: int, top_k: int | None
    ) -> Iterator[str]:
        """The text of `continue_text` in pieces, the prompt first and then each word as soon as it is drawn."""
        vocabulary = Vocabulary(self.hparams["vocabulary"])
        forbidden = {vocabulary.ids[word] for word in exclude if word in vocabulary.ids}
        yield prompt.replace(f" {EOS}", ".")
        for index in sample(self, vocabulary.encode(prompt.split()), words, forbidden, temperature, seed, top_k):
            yield f" {vocabulary.words[index]}".replace(f" {EOS}", ".")

    def _log_probabilities(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Log-probabilities [time, batch] of a window's true next tokens; moves the carried state on."""
        inputs, targets = batch
        log_probabilities, state = self.decoder.score(inputs, targets, self.state)
        self.state = apply_to_collection(state, Tensor, Tensor.detach)
        return log_probabilities

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of one window: summed over the unroll, averaged over the batch, as the authors' code clips it."""
        loss, log_probabilities, self.state = self._passes()(batch, self.state)
        self.train_perplexity.update(log_probabilities.detach())
        return loss

    def _passes(self) -> Passes:
        """The passes of a training step: as a CUDA graph on one GPU, where nothing in them waits for the GPU."""
        fits = self.device.type == "cuda" and self.world_size == 1 and type(self.decoder.backbone) is RegularizedLSTM
        if not (fits and self.cuda_graphs):
            return self._losses
        self.graphed = self.graphed or GraphedPasses(self._losses, list(self.parameters()))
        return self.graphed

    def _losses(self, batch: Sequence[Tensor], state: State | None) -> tuple[Tensor, Tensor, State]:
        """Loss of one window, its log-probabilities [time, batch] and the new state, without its history."""
        inputs, targets = batch
        outputs, state = self.decoder.hidden(inputs, state)
        log_probabilities = score_words(self.decoder.output, outputs, targets)
        loss: Tensor = self._penalty(outputs) - log_probabilities.sum()
        carried: State = apply_to_collection(state, Tensor, Tensor.detach)
        return loss / self.all_reduce_sum(log_probabilities.shape[1]), log_probabilities, carried

    def _penalty(self, outputs: Tensor) -> Tensor | float:
        """AR and TAR of a window, for a loss that is summed over its steps and over the batch."""
        penalty: Tensor | float = 0.0
        if self.activation_regularization:
            penalty = self.activation_regularization * outputs.pow(2).mean(2).sum()
        if self.temporal_activation_regularization and len(outputs) > 1:
            undropped: Any = self.decoder.backbone.undropped
            change = undropped.diff(dim=0)
            mean_change = change.pow(2).mean(2).sum() / len(change)
            penalty = penalty + self.temporal_activation_regularization * len(outputs) * mean_change
        return penalty

    @override
    def on_train_epoch_start(self) -> None:
        self.state = None

    @override
    def on_validation_epoch_start(self) -> None:
        self.state = None

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.validation_perplexity.update(self._log_probabilities(batch))

    def test_step(
        self, batch: tuple[Tensor, Tensor] | ConventionBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """One window of the final evaluation, of the data loader in LanguageModelingData.test_dataloader's order."""
        if batch_idx == 0:
            self.state = None
        if isinstance(batch, ConventionBatch):
            self._predictions = batch.predictions
        log_probabilities = self._log_probabilities((batch[0], batch[1]))
        split = (*EVALUATIONS, TRAINING, CONVENTION)[dataloader_idx]
        if split == TRAINING:
            self.measure_training(log_probabilities)
        else:
            self.collect(split, batch_idx, log_probabilities.flatten(), (batch[1] != self.unknown).flatten())

    @override
    def on_test_epoch_end(self) -> None:
        convention = self.collected(CONVENTION)
        super().on_test_epoch_end()
        # The authors' code adds up the whole windows only, then divides by the fractional number of windows.
        exponent = -convention.double().sum() / self._predictions
        self.log("validation_perplexity_authors_convention", torch.exp(exponent))
        self.details = {"samples": [{"text": self.continue_text(PROMPT, SAMPLE_WORDS)}]}
