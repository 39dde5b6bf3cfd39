"""Part of a training text: whole sentences, the vocabulary of the whole text, a checksum of its own."""

from pathlib import Path

import pytest

from benchmark.tasks import language_modeling
from datamodules.language_modeling.datamodule import LanguageModelingData


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"train": "a b c\nd e\nf\ng h i j\n", "valid": "a d\n", "test": "g\n"}.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return tmp_path


def data(folder: Path, fraction: float) -> LanguageModelingData:
    made = LanguageModelingData(str(folder), folder, 1, 1, fraction)
    made.setup()
    return made


@pytest.mark.parametrize(
    ("fraction", "tokens"), [(0.01, 4), (4 / 14, 4), (0.3, 7), (0.5, 7), (0.51, 9), (0.65, 14), (1.0, 14)]
)
def test_sentences_are_kept_whole(folder: Path, fraction: float, tokens: int) -> None:
    """Sentences of 4, 3, 2 and 5 tokens: the first ones, up to the end of that which completes the fraction."""
    made, whole = data(folder, fraction), data(folder, 1.0)
    assert made.tokens["train"].tolist() == whole.tokens["train"][:tokens].tolist()
    for split in ("validation", "test"):
        assert made.tokens[split].tolist() == whole.tokens[split].tolist()
    assert made.vocabulary.words == whole.vocabulary.words


def test_a_part_is_other_data_and_the_whole_is_what_it_was(folder: Path) -> None:
    whole, half = data(folder, 1.0), data(folder, 0.5)
    plain = LanguageModelingData(str(folder), folder, 1, 1)
    plain.setup()
    assert whole.sha256 == plain.sha256
    assert len({whole.sha256, half.sha256, data(folder, 0.01).sha256}) == 3
    assert data(folder, 0.3).sha256 == half.sha256  # the same sentences
    assert "train: the first 7 of 14 tokens are trained on" in half.summary
    assert "are trained on" not in whole.summary


def test_a_part_has_a_fingerprint_of_its_own_and_costs_less() -> None:
    row = language_modeling.PTB_SMALL
    half = row.variant("half", train_fraction=0.5)
    assert row.variant("whole", train_fraction=1.0).config.fingerprint() == row.config.fingerprint()
    assert half.config.fingerprint() != row.config.fingerprint()
    assert half.config.relative_cost == row.config.relative_cost / 2
    for impossible in (0.0, -1.0, 1.5):
        with pytest.raises(ValueError, match=r"train_fraction: .* must be above 0 and at most 1"):
            row.variant("x", train_fraction=impossible)
