"""What a record says of the machine that it was made on."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from benchmark.store.provenance import describe_versions, rebuild_command, write_configuration


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
    write_configuration(tmp_path / "config.yaml", command, fields, "32")
    comment, _, text = (tmp_path / "config.yaml").read_text().partition("\n")
    assert comment == f"# {command}"
    assert command.endswith("--lr=1e-06 --tied --no_layer_norm")
    named = {"rows_file": str(rows_file)} if rows_file else {}
    assert yaml.safe_load(text) == {"row": "tiny", "seed": 3, **named, **fields, "precision": "32"}
