"""The common part of the models of words: a regularized LSTM that predicts the next word, and perplexity."""

from collections import defaultdict
from operator import itemgetter
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from typing_extensions import override

from datamodules.vocabulary import NOTED_UNKNOWN_SHARE
from models.backbone import BackboneArguments, State, build_backbone
from models.base import EVALUATIONS, TRAINING, TaskModel
from models.metrics import TokenPerplexity
from models.softmax import score_words


class TokenDecoder(nn.Module):
    """Embedding, regularized LSTM and softmax layer, the embedding as wide as a layer (paper section 4.1).

    Args:
        words: size of the vocabulary.
        arguments: the recurrent stack; the embedding has the size of its layers.
    """

    def __init__(self, words: int, **arguments: Unpack[BackboneArguments]) -> None:
        super().__init__()
        hidden_size = arguments["hidden_size"]
        self.embedding = nn.Embedding(words, hidden_size)
        self.backbone = build_backbone(hidden_size, **arguments)
        self.output = nn.Linear(hidden_size, words)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [time, batch, words] of the word after each of tokens [time, batch], and the new state."""
        outputs, state = self.backbone(self.embedding(tokens), state)
        return self.output(outputs), state

    def score(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Natural log-probabilities [time, batch] of targets, the words after tokens, and the new state.

        Args:
            tokens: ids [time, batch].
            targets: ids [time, batch], or IGNORE_INDEX, which gives 0.
            state: as for forward.
        """
        outputs, state = self.backbone(self.embedding(tokens), state)
        return score_words(self.output, outputs, targets), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities [batch, words] of the word after tokens [batch], and the new state: for beam search."""
        logits, state = self(tokens[None], state)
        return logits[0].log_softmax(dim=-1), state


class TokenModel(TaskModel):
    """A model that is trained to predict words: its steps update the perplexities, which are logged once an epoch.

    Args:
        lr, flat_epochs, decay: see TaskModel.
    """

    def __init__(self, lr: float, flat_epochs: float, decay: float) -> None:
        super().__init__(lr, flat_epochs, decay)
        self.train_perplexity = TokenPerplexity()
        self.validation_perplexity = TokenPerplexity()
        self.dropout_off_perplexity = TokenPerplexity()
        """Perplexity of the training set in the final evaluation."""
        self._collected: dict[str, list[tuple[int, Tensor]]] = {}

    @override
    def on_train_epoch_end(self) -> None:
        self.log("train_perplexity", self.train_perplexity.compute())
        self.train_perplexity.reset()

    @override
    def on_validation_epoch_end(self) -> None:
        self.log("validation_perplexity", self.validation_perplexity.compute(), prog_bar=True)
        self.validation_perplexity.reset()

    @override
    def on_test_epoch_start(self) -> None:
        self._collected = defaultdict(list)

    def collect(self, name: str, place: int, log_probabilities: Tensor, known: Tensor | None = None) -> None:
        """Keep log-probabilities [tokens] of the final evaluation until its end.

        Args:
            name: split that they belong to, or another name that the model gives them.
            place: their place in the order of the split, such as the number of their batch.
            log_probabilities: natural log-probabilities of true tokens.
            known: which of the true tokens are words of the vocabulary, boolean [tokens]; all if not given.
        """
        self._collected[name].append((place, log_probabilities))
        if known is not None:
            self._collected[_known(name)].append((place, known))

    def collected(self, name: str) -> Tensor:
        """All log-probabilities [tokens] that `collect` has kept under a name on any device, in order."""
        return torch.cat(self.gather_by_place(self._collected[name]))

    def gather_by_place(self, own: list[tuple[int, Any]]) -> list[Any]:
        """Values that all devices have collected, in the order of their places and, at one place, of devices."""
        entries = [entry for share in self.gather_in_order([own]) for entry in share]
        return [value for _, value in sorted(entries, key=itemgetter(0))]

    def measure_training(self, log_probabilities: Tensor, counted: Tensor | None = None) -> None:
        """Add a batch of the training set, read with dropout off; arguments are those of TokenPerplexity.update."""
        self.dropout_off_perplexity.update(log_probabilities, counted)
        self._collected[TRAINING] = []

    @override
    def on_test_epoch_end(self) -> None:
        """Log the perplexity of each split, and keep its log-probabilities, from which ensembles are evaluated."""
        for split in EVALUATIONS:
            self.log_probabilities[split] = self.collected(split).cpu()
            self.log(f"{split}_perplexity", self._perplexity(self.log_probabilities[split]))
            if _known(split) in self._collected:
                known: Tensor = self.collected(_known(split)).cpu()
                if 1 - known.double().mean() > NOTED_UNKNOWN_SHARE:
                    of_known = self._perplexity(self.log_probabilities[split][known])
                    self.log(f"{split}_perplexity_known_words", of_known)
        if TRAINING in self._collected:
            self.log("train_perplexity_without_dropout", self.dropout_off_perplexity.compute())
            self.dropout_off_perplexity.reset()
        self._collected = {}

    @staticmethod
    def _perplexity(log_probabilities: Tensor) -> Tensor:
        perplexity: Tensor = TokenPerplexity()(log_probabilities)
        return perplexity


def _known(name: str) -> str:
    return f"{name}, known words"
