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
        tied: whether the softmax layer has the embedding's weights (weight tying, Press & Wolf 2017, Inan et al. 2017).
        embedding_size: units of the embedding and, if tied, of the last layer; hidden_size if None.
        embedding_dropout: probability with which a word of the vocabulary is read as zeros in all places of a call; the
            others are scaled by 1 / (1 - embedding_dropout) (Merity et al. 2018, section 4.3).
        arguments: the recurrent stack.
    """

    def __init__(
        self,
        words: int,
        tied: bool = False,
        embedding_size: int | None = None,
        embedding_dropout: float = 0.0,
        **arguments: Unpack[BackboneArguments],
    ) -> None:
        super().__init__()
        hidden_size = arguments["hidden_size"]
        width = embedding_size or hidden_size
        if tied and width != hidden_size:
            arguments["output_size"] = width
        self.embedding = nn.Embedding(words, width)
        self.backbone = build_backbone(width, **arguments)
        self.output = nn.Linear(width if tied else hidden_size, words)
        if tied:
            self.output.weight = self.embedding.weight
        self.embedding_dropout = embedding_dropout

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits [time, batch, words] of the word after each of tokens [time, batch], and the new state."""
        outputs, state = self.hidden(tokens, state)
        return self.output(outputs), state

    def hidden(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs [time, batch, units] of the recurrent stack for tokens [time, batch], and the new state."""
        embedded = self.embedding(tokens)
        if self.embedding_dropout and self.training:
            words = self.embedding.weight.new_ones(self.embedding.num_embeddings, 1)
            embedded = embedded * nn.functional.dropout(words, self.embedding_dropout)[tokens]
        outputs, state = self.backbone(embedded, state)
        return outputs, state

    def score(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Natural log-probabilities [time, batch] of targets, the words after tokens, and the new state.

        Args:
            tokens: ids [time, batch].
            targets: ids [time, batch], or IGNORE_INDEX, which gives 0.
            state: as for forward.
        """
        outputs, state = self.hidden(tokens, state)
        return score_words(self.output, outputs, targets), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities [batch, words] of the word after tokens [batch], and the new state: for beam search."""
        logits, state = self(tokens[None], state)
        return logits[0].log_softmax(dim=-1), state


class Shelf:
    """Keeps many small tensors in a few large ones.

    Kept one by one, they would fragment memory: each would lie between large, short-lived logits, and later logits
    would not fit into the gaps. Evaluating the Penn Treebank would then take 6 GB rather than 1.
    """

    BLOCK = 1 << 16

    def __init__(self) -> None:
        self.room: dict[torch.dtype, Tensor] = {}

    def keep(self, values: Tensor) -> Tensor:
        """A copy of values [n] that lies beside those kept before."""
        room = self.room.get(values.dtype, values[:0])
        if len(room) < len(values):
            room = values.new_empty(max(self.BLOCK, len(values)))
        kept, self.room[values.dtype] = room[: len(values)], room[len(values) :]
        return kept.copy_(values)


class TokenModel(TaskModel):
    """A model that is trained to predict words: its steps update the perplexities, which are logged once an epoch.

    Args:
        lr, flat_epochs, decay, weight_decay: see TaskModel.
    """

    def __init__(self, lr: float, flat_epochs: float, decay: float, weight_decay: float = 0.0) -> None:
        super().__init__(lr, flat_epochs, decay, weight_decay)
        self.train_perplexity = TokenPerplexity()
        self.validation_perplexity = TokenPerplexity()
        self.dropout_off_perplexity = TokenPerplexity()
        """Perplexity of the training set in the final evaluation."""
        self._collected: dict[str, list[tuple[int, Tensor]]] = {}
        self._shelf = Shelf()

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
        self._collected[name].append((place, self._shelf.keep(log_probabilities)))
        if known is not None:
            self._collected[_known(name)].append((place, self._shelf.keep(known)))

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
        self._collected, self._shelf = {}, Shelf()

    @staticmethod
    def _perplexity(log_probabilities: Tensor) -> Tensor:
        perplexity: Tensor = TokenPerplexity()(log_probabilities)
        return perplexity


def _known(name: str) -> str:
    return f"{name}, known words"
