"""Where `rnnreg export` may write, and what a refused export leaves as it was."""

import json
import os
import shutil
from pathlib import Path

import pytest


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "config",
    ['{"model_type": "gpt2", "format": 1}', '{"suite": "other 1.0", "format": 1}', "no JSON", "[]"],
)
def test_a_model_of_another_program_is_no_earlier_export(trained, rnnreg, tmp_path, config) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name, text in (("config.json", config), ("README.md", "theirs"), ("other.onnx", "graph")):
        (folder / name).write_text(text)
    before = content(folder)
    code, _, err = rnnreg("export", "lm", folder, *trained.places)
    assert (code, err.count("\n")) == (1, 1)
    assert "theirs is not empty and no exported model; name a new folder" in err
    assert content(folder) == before


def test_an_earlier_export_is_replaced_and_what_is_beside_it_stays(trained, rnnreg, tmp_path) -> None:
    folder = tmp_path / "model"
    assert rnnreg("export", "lm", folder, *trained.places)[0] == 0
    (folder / "notes.onnx").write_text("of a user")
    (folder / "frames.onnx").write_text("of the earlier model")
    assert rnnreg("export", "tied", folder, *trained.places)[0] == 0
    assert json.loads((folder / "config.json").read_text())["arguments"]["tied"] is True
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "model.safetensors", "notes.onnx", "record.json", "vocabularies.json",
    }  # fmt: skip


def test_what_a_killed_export_has_left_is_removed_and_what_is_still_written_is_not(trained, rnnreg, tmp_path) -> None:
    folder = tmp_path / "model"
    left, written = folder / ".rnnreg-ab12_cd3", folder / ".rnnreg-ef45_gh6"
    for scratch in (left, written):
        scratch.mkdir(parents=True)
        (scratch / "model.safetensors").write_text("half")
    for path in (left, left / "model.safetensors"):
        os.utime(path, (0, 0))
    assert rnnreg("export", "lm", folder, *trained.places)[0] == 0
    assert (left.exists(), written.exists()) == (False, True)


def test_a_record_that_the_cards_means_lack_is_named(trained, rnnreg, tmp_path) -> None:
    store = tmp_path / "runs"
    shutil.copytree(trained.store / "lm", store / "lm")
    (run,) = (store / "lm").iterdir()
    shutil.copytree(run, store / "lm" / "seed-2-0123abcd")
    (store / "lm" / "seed-2-0123abcd" / "record.json").write_text("{}")
    code, _, err = rnnreg("export", run, tmp_path / "model", "--store", store)
    assert code == 0
    assert err.startswith(f"rnnreg: left out of the card's means: {store}/lm/seed-2-0123abcd/record.json ")
    assert err.count("\n") == 1


def test_a_refused_export_leaves_the_earlier_one(trained, rnnreg, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "model"
    assert rnnreg("export", "lm", folder, *trained.places)[0] == 0
    before = content(folder)
    monkeypatch.setattr("benchmark.sharing.export.TOLERANCE", -1.0)
    assert rnnreg("export", "lm", folder, "--half", *trained.places)[0] == 1
    assert content(folder) == before
    assert rnnreg("export", "lm", tmp_path / "new", "--half", *trained.places)[0] == 1
    assert not (tmp_path / "new").exists()


def test_a_model_is_not_exported_onto_itself(trained, rnnreg, tmp_path) -> None:
    folder = tmp_path / "model"
    assert rnnreg("export", "lm", folder, *trained.places)[0] == 0
    before = content(folder)
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, tmp_path / "link"):
        code, _, err = rnnreg("export", folder, place, "--verify", *trained.places)
        assert (code, err.count("\n")) == (1, 1)
        assert "holds the very model that is to be exported; name another folder" in err
    assert content(folder) == before
