"""BLEU, against counts by hand."""

import math

import pytest
from sacrebleu.metrics.bleu import BLEU

from models.metrics import corpus_bleu

HYPOTHESES = ["the cat sat on the mat", "a dog , barks"]
REFERENCES = [["the cat sat on a mat", "there is a cat on the mat"], ["a dog, barks"]]


def test_counts_of_each_sentence_by_hand() -> None:
    """Of the first, one "the" is in each reference, and all of its five pairs are in one of them."""
    found = corpus_bleu(HYPOTHESES, REFERENCES)
    assert found.counts.tolist() == [[5, 5, 3, 1, 6, 5, 4, 3, 6, 6], [4, 3, 2, 1, 4, 3, 2, 1, 4, 4]]
    correct, total = found.counts[:, :4].sum(axis=0), found.counts[:, 4:8].sum(axis=0)
    assert found.score == pytest.approx(100 * math.prod(correct / total) ** 0.25)
    assert found.signature.startswith("nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|")
    assert (
        found.score == BLEU().corpus_score(HYPOTHESES, [[one[0] for one in REFERENCES], [REFERENCES[0][1], None]]).score
    )


def test_outputs_of_fewer_than_four_words_are_remarked() -> None:
    assert corpus_bleu(["red box here", "a cat"], [["red box here"], ["a cat"]]).remarks == [
        "no output has four words, so that BLEU is 0 whatever they say"
    ]
    assert corpus_bleu(HYPOTHESES, REFERENCES).remarks == []


def test_tokenized_text_is_split_at_spaces_alone() -> None:
    found = corpus_bleu(["a dog, barks at me"], [["a dog , barks at me"]], tokenized=True)
    assert found.counts.tolist() == [[4, 2, 1, 0, 5, 4, 3, 2, 5, 6]]
    assert found.score == 0  # nothing is smoothed
    assert "tok:none|smooth:none" in found.signature
