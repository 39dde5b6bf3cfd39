"""Words and their ids."""

from collections import Counter
from collections.abc import Iterable, Sequence

EOS = "<eos>"
"""Ends every line."""
UNK = "<unk>"
"""Stands for every word outside the vocabulary."""


class Vocabulary:
    """Word types, most frequent first, ties in alphabetical order; `<eos>` and `<unk>` are always among them."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.ids = {word: index for index, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, tokens: Iterable[str], min_count: int = 1) -> "Vocabulary":
        """Take the words that occur at least min_count times."""
        counts = Counter(tokens)
        kept = {word: count for word, count in counts.items() if count >= min_count}
        for special in (EOS, UNK):
            kept.setdefault(special, 0)
        return cls(sorted(kept, key=lambda word: (-kept[word], word)))

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Ids of tokens, that of `<unk>` for words outside the vocabulary."""
        unknown = self.ids[UNK]
        return [self.ids.get(token, unknown) for token in tokens]
