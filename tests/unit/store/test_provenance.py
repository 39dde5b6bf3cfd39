"""What a record says of the machine that it was made on."""

import pytest
import torch

from benchmark.store.provenance import describe_versions


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
