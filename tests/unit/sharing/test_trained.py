"""Trained models found by the name of their row."""

from pathlib import Path

import pytest
import torch
from support.factories import make_record

from benchmark.sharing.trained import find_all_trained, find_trained
from benchmark.store.records import CHECKPOINT, Record, Store
from benchmark.tasks import language_modeling
from benchmark.tasks.base import Row
from datamodules.errors import UserError
from models.loaded import load
from models.loading import CONFIG


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
        ("pairs", 10, "has several runs of pairs which differ in configuration or data"),
        ("words", 1, "last.ckpt is not a checkpoint of this suite, as it has no model"),
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


def test_the_folder_of_another_seed_is_no_missing_model(tmp_path: Path) -> None:
    folder = keep(tmp_path, "pairs/seed-1-aaaaaaaa", {"model": "Translator"}).parent
    with pytest.raises(UserError, match=r"seed-1-aaaaaaaa is the model of seed 1, so .* seed 7; leave --seed out"):
        find_trained(str(folder), 7, tmp_path)
    (exported := tmp_path / "exported").mkdir()
    (exported / CONFIG).touch()
    with pytest.raises(UserError, match=r"exported has no record, .* seed 1; leave --seed out"):
        find_trained("exported", 1, tmp_path)


ROW = language_modeling.SOTU_SMALL
EDITED = ROW.variant(ROW.name, lr=0.5)


def ended(store: Path, row: Row, seed: int, perplexity: float, data: str = "d" * 64) -> Record:
    """A run that has ended."""
    record = make_record(row, seed, data_sha256=data, metrics={"validation_perplexity": perplexity})
    Store(store).write(record, {})
    (store / record.run / CHECKPOINT).touch()
    return record


def test_runs_of_a_row_before_it_was_edited_are_not_taken_for_its_own(tmp_path: Path) -> None:
    before = ended(tmp_path, ROW, 1, 100.0)
    own = [ended(tmp_path, EDITED, seed, 110.0 + seed) for seed in (2, 3)]
    left_out: list[str] = []
    found = find_all_trained(ROW.name, tmp_path, [EDITED], left_out)
    assert [one.record for one in found] == own
    (line,) = left_out
    assert line.startswith(f"{tmp_path / before.run} is of another configuration")
    assert find_trained(ROW.name, None, tmp_path, [EDITED]).record == own[0]
    assert find_trained(ROW.name, None, tmp_path, [ROW]).record == before
    assert find_trained(ROW.name, 1, tmp_path, [EDITED]).record == before  # which no other run can be meant by
    with pytest.raises(UserError, match="several runs of sotu-small which differ in configuration or data; name the"):
        find_all_trained(ROW.name, tmp_path, [])


def test_a_run_that_was_copied_under_another_row_is_not_taken_for_it(tmp_path: Path) -> None:
    record = ended(tmp_path, ROW, 1, 100.0)
    (tmp_path / record.run).parent.rename(tmp_path / "other")
    with pytest.raises(UserError, match=rf"record.json is the record of {record.run}; give its folder this name, or"):
        find_trained("other", 1, tmp_path).record  # noqa: B018  read when it is asked for
    assert find_trained(str(tmp_path / "other" / record.run.split("/")[1]), None, tmp_path).record == record


def test_runs_of_a_row_on_two_texts_are_not_averaged(tmp_path: Path) -> None:
    for seed in (1, 2):
        ended(tmp_path, ROW, seed, 100.0, str(seed) * 64)
    for find in (find_all_trained, lambda model, store: find_trained(model, None, store)):
        with pytest.raises(UserError, match="several runs of sotu-small which differ in configuration or data"):
            find(ROW.name, tmp_path)
