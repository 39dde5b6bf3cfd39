"""Trained models found by the name of their row."""

from pathlib import Path

import pytest
import torch

from benchmark.sharing.trained import find_trained
from benchmark.store.records import CHECKPOINT
from datamodules.errors import UserError
from models.loaded import load


def keep(store: Path, run: str, content: dict[str, object]) -> Path:
    path = store / run / CHECKPOINT
    path.parent.mkdir(parents=True)
    torch.save({"run": run, "state_dict": {"a": 1}, "hyper_parameters": {"a": 1}, **content}, path)
    return path


@pytest.mark.parametrize(
    ("row", "seed", "message"),
    [
        (
            "other",
            1,
            "trained there: pairs seed 1, pairs seed 10, pears seed 1, words seed 1",
        ),
        ("words", 10, "has no trained words with seed 10; trained there: "),
        ("pears", 1, "holds a Translator, not a LanguageModel; that is for another command"),
        ("pairs", 10, "has several runs of pairs with one seed, which differ in configuration or data"),
        ("words", 1, r"last.ckpt is not a whole checkpoint \(KeyError: 'model'\)"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(tmp_path: Path, row: str, seed: int, message: str) -> None:
    keep(tmp_path, "pairs/seed-1-aaaaaaaa", {"model": "Translator"})
    keep(tmp_path, "pairs/seed-10-aaaaaaaa", {"model": "Translator"})
    keep(tmp_path, "pairs/seed-10-bbbbbbbb", {"model": "Translator"})
    keep(tmp_path, "pears/seed-1-aaaaaaaa", {"model": "Translator", "hyper_parameters": {}, "state_dict": {}})
    keep(tmp_path, "words/seed-1-aaaaaaaa", {})
    with pytest.raises(UserError, match=message):
        load(find_trained(row, seed, tmp_path).place, "LanguageModel")


def test_an_empty_store_says_how_to_train(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train it with `rnnreg run ptb-small --seed 2`"):
        find_trained("ptb-small", 2, tmp_path)
