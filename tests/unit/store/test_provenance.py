"""What a record says of the machine that it was made on."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmark.store import provenance
from benchmark.store.provenance import describe_commit, describe_versions, rebuild_command, write_configuration


@pytest.mark.parametrize(
    ("capability", "allowed", "expected"),
    [((9, 0), True, "LSTM in TF32"), ((9, 0), False, "LSTM in float32"), ((7, 0), True, "LSTM in float32")],
)
def test_a_gpus_record_says_how_its_lstm_multiplies(monkeypatch, capability, allowed, expected) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
    described = describe_versions(torch.device("cuda", 0))["cuda"]
    assert expected in described
    assert described.endswith("other products in float32")
    assert "cuda" not in describe_versions(torch.device("cpu"))


@pytest.mark.parametrize("rows_file", [None, Path("my rows.py")])
def test_a_configuration_has_row_seed_and_every_field(tmp_path, rows_file) -> None:
    command = rebuild_command("tiny", 3, rows_file, {"lr": 1e-6, "tied": True, "layer_norm": False})
    fields = {"source": "1e3", "lr": np.float64(1e-6), "tied": True, "layer_norm": False, "input_dropout": None}
    write_configuration(tmp_path / "config.yaml", command, fields, {"precision": "32", "devices": 2})
    comment, _, text = (tmp_path / "config.yaml").read_text().partition("\n")
    assert comment == f"# {command}"
    assert command.endswith("--lr=1e-06 --tied --no_layer_norm")
    named = {"rows_file": str(rows_file)} if rows_file else {}
    assert yaml.safe_load(text) == {"row": "tiny", "seed": 3, **named, **fields, "precision": "32", "devices": 2}


def test_code_that_is_not_committed_is_told_and_collected_records_are_not_code(tmp_path, monkeypatch) -> None:
    def git(*words: str) -> str:
        own = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", "-C", tmp_path, *own, *words], capture_output=True, text=True, check=True).stdout

    code, results = tmp_path / "benchmark", tmp_path / "results"
    for folder in (code, results):
        folder.mkdir()
        (folder / "one").touch()
    monkeypatch.setattr(provenance, "__file__", str(code / "provenance.py"))
    assert describe_commit() == "unknown"
    git("init", "-q")
    git("add", "--all")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD").strip()
    (results / "one").write_text("changed")
    (results / "two").touch()
    assert describe_commit() == commit
    (tmp_path / "two").touch()
    assert describe_commit() == f"{commit}-dirty"
    (tmp_path / "two").unlink()
    (code / "one").write_text("changed")
    assert describe_commit() == f"{commit}-dirty"
