"""What models are read from: checkpoint and record of one training, known options, and files of other kinds."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.factories import make_record

from benchmark.store.records import RECORD, Record, Store
from benchmark.store.sealed import write_sealed
from benchmark.tasks.models import load_members
from benchmark.training.callbacks import CurveRecorder
from datamodules.errors import UserError
from datamodules.runs import CURVE
from datamodules.sealed import checksum_of
from datamodules.sources import sha256_of
from datamodules.tensor_files import save_tensors
from models import load
from models.language_model import LanguageModel
from models.loading import read

WORDS = ["<eos>", "<unk>", "the"]
ARGUMENTS = {
    "init_range": 0.5, "lr": 1.0, "flat_epochs": 1, "decay": 1, "hidden_size": 4, "layers": 1, "dropout": 0.0,
    "recurrent_dropout": 0.0, "cell": "lstm", "backbone": "models.backbone.RegularizedLSTM",
}  # fmt: skip
CURVES = [{"epoch": epoch, "train_perplexity": 50.0 / epoch} for epoch in (1, 2)]


def checkpoint(record: Record, **changes: Any) -> dict[str, Any]:
    arguments = {"vocabulary": WORDS, **ARGUMENTS}
    return {
        "model": "LanguageModel",
        "state_dict": dict(LanguageModel(**arguments).state_dict()),
        "hyper_parameters": arguments,
        "run": record.run,
        "callbacks": {CURVE: {"epochs": record.curve}},
        **changes,
    }


def finish(store: Path, record: Record, **changes: Any) -> Path:
    """The folder of a finished run, with changes made to its checkpoint."""
    Store(store).write(record, {})
    save_tensors(checkpoint(record, **changes), store / record.run / "last.ckpt")
    return store / record.run


RUN = make_record(curve=CURVES)
OTHER = make_record(seed=2, curve=CURVES)


def test_a_run_is_read_with_its_record_wherever_its_folder_lies(tmp_path: Path) -> None:
    folder = finish(tmp_path, RUN)
    assert read(folder).record["seed"] == 1
    for name in ("elsewhere", "moved/seed-1-0123"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        folder = folder.rename(tmp_path / name)
        assert read(folder).record["fingerprint"] == RUN.fingerprint
    without = {name: value for name, value in checkpoint(RUN).items() if name not in ("run", "callbacks")}
    save_tensors(without, folder / "last.ckpt")  # as older versions wrote them
    assert load(folder).saved.record["seed"] == 1
    (folder / RECORD).unlink()
    assert read(folder).record == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": OTHER.run}, f"is of another run, {OTHER.run}, than the record beside it, which is of {RUN.run}; "),
        ({"callbacks": {CURVE: {"epochs": CURVES[:1]}}}, "was kept after 1 of the 2 epochs of the record beside it; "),
        (
            {"callbacks": {CURVE: {"epochs": [CURVES[0], {**CURVES[1], "train_perplexity": 24.9}]}}},
            "is of another training of its run than the record beside it, as their learning curves differ; ",
        ),
    ],
)
def test_a_checkpoint_that_is_not_the_records_is_refused(tmp_path: Path, changes, message: str) -> None:
    folder = finish(tmp_path, RUN, **changes).rename(tmp_path / "renamed")
    with pytest.raises(UserError) as refused:
        load(folder)
    assert str(refused.value).startswith(f"{folder / 'last.ckpt'} {message}")


def test_a_checkpoint_in_the_folder_of_another_run_is_refused_before_that_has_ended(tmp_path: Path) -> None:
    folder = finish(tmp_path, RUN, run="words/seed-2-00000000")
    (folder / RECORD).unlink()
    with pytest.raises(UserError, match="is of another run, words/seed-2-00000000, than its folder has the name of"):
        load(folder)


def test_members_of_ensembles_are_held_against_their_records_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("benchmark.tasks.models.build_model", lambda row, data: LanguageModel(WORDS, **ARGUMENTS))
    path = finish(tmp_path, RUN) / "last.ckpt"
    assert len(load_members(None, [path], None)) == 1
    save_tensors(checkpoint(RUN, callbacks={CURVE: {"epochs": CURVES[:1]}}), path)
    with pytest.raises(UserError, match="was kept after 1 of the 2 epochs"):
        load_members(None, [path], None)
    diverged = {name: value * torch.inf for name, value in checkpoint(RUN)["state_dict"].items()}
    save_tensors(checkpoint(RUN, state_dict=diverged), path)
    with pytest.raises(UserError, match="are no finite numbers, as where the training diverged"):
        load_members(None, [path], None)


def test_the_curve_is_where_the_training_keeps_it() -> None:
    assert CurveRecorder.__qualname__ == CURVE


@pytest.mark.parametrize("seal", ["kept", "gone"])
def test_an_altered_record_is_refused_with_its_model(tmp_path: Path, seal: str) -> None:
    folder = finish(tmp_path, RUN)
    content = json.loads((folder / RECORD).read_text())
    content["configuration"]["sample_rate"] = 8000
    if seal == "gone":
        del content["sha256"]
    (folder / RECORD).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"record.json (was altered after it was written|is not a record of this)"):
        load(folder)


def test_a_record_of_a_later_version_is_no_reason_to_refuse_a_model(tmp_path: Path) -> None:
    folder = finish(tmp_path, RUN)
    write_sealed({**asdict(RUN), "more": 1}, folder / RECORD)
    assert load(folder).saved.record["more"] == 1


def export(folder: Path, weights: dict[str, torch.Tensor] | None = None, **arguments: object) -> Path:
    """An exported folder with these arguments beside the usual ones."""
    folder.mkdir()
    save_file(weights or dict(LanguageModel(WORDS, **ARGUMENTS).state_dict()), folder / "model.safetensors")
    (folder / "vocabularies.json").write_text(json.dumps({"vocabulary": WORDS}))
    write_sealed(asdict(replace(RUN)), folder / RECORD)
    files = {name: sha256_of(folder / name) for name in ("model.safetensors", "vocabularies.json", RECORD)}
    config = {"format": 1, "model": "LanguageModel", "dtype": "float32", "files": files}
    content = {**config, "arguments": {**ARGUMENTS, **arguments}}
    (folder / "config.json").write_text(json.dumps({**content, "sha256": checksum_of(content)}))
    return folder


@pytest.mark.parametrize("arguments", [{"new_thing": 0.5}, {"layer_nrom": True}], ids=str)
def test_an_option_that_nobody_knows_is_refused_by_name(tmp_path: Path, arguments) -> None:
    (name,) = arguments
    for folder in (
        export(tmp_path / "exported", **arguments),
        finish(tmp_path, RUN, hyper_parameters={"vocabulary": WORDS, **ARGUMENTS, **arguments}),
    ):
        with pytest.raises(UserError, match=f"has the option {name}, which this version of the suite does not know: "):
            load(folder)
    assert load(export(tmp_path / "known", layer_norm=False, backbone_options={}, tied=False)).model


def test_a_backbone_without_a_module_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its backbone is 'Fly', must be module\.Class"):
        load(export(tmp_path / "exported", backbone="Fly"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    weights = dict(LanguageModel(WORDS, **ARGUMENTS).state_dict())
    name, tensor = sorted(weights.items())[0]
    weights[name] = tensor.index_fill(0, torch.tensor([0]), value)
    message = f"weights of {name} are no finite numbers, as where the training diverged"
    with pytest.raises(UserError, match=message):
        load(export(tmp_path / "exported", weights))
    with pytest.raises(UserError, match=message):
        load(finish(tmp_path, RUN, state_dict=weights))


FOREIGN = {"state_dict": {"a": torch.zeros(2)}, "pytorch-lightning_version": "2.6.0", "epoch": 3}


def write_foreign(path: Path, kind: str) -> None:
    if kind == "lightning":
        torch.save(FOREIGN, path)
    elif kind == "objects":
        torch.save({**FOREIGN, "hyper_parameters": argparse.Namespace(lr=0.1)}, path)
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "old":
        torch.save(FOREIGN, path, _use_new_zipfile_serialization=False)
    elif kind == "safetensors":
        save_file({"a": torch.zeros(200)}, path)
    else:
        path.write_bytes(FILES[kind])


FILES = {
    "empty": b"",
    "byte": b"P",
    "text": b"the dog barks, and barks again",
    "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "page": b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>",
}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("lightning", "is not a checkpoint of this suite, as it has no model and no hyper_parameters: another program"),
        ("objects", "holds argparse.Namespace, which only executing it could read: another program has written it; "),
        ("tensor", "is not a checkpoint of this suite, as it has no model and no state_dict and no hyper_parameters"),
        ("old", "is of another program or of a PyTorch before 1.6, as it does not begin as one; `models.load` reads"),
        ("safetensors", "holds weights alone, in safetensors, and no configuration; `models.load` reads the folder of"),
        ("empty", "is not a whole checkpoint (it ends after 0 bytes); copy it again"),
        ("byte", "is not a whole checkpoint (it ends after 1 byte); copy it again"),
        ("text", "is no checkpoint, as it does not begin as one; `models.load` reads the folder of a run, or one that"),
        ("lfs", "is a pointer of Git LFS in place of the file; `git lfs pull` gets the file itself"),
        ("page", "is a web page, as servers send in place of a file that they do not give; download the file again"),
    ],
)
def test_a_file_of_another_kind_is_named_with_what_it_is(tmp_path: Path, kind: str, message: str) -> None:
    write_foreign(path := tmp_path / "last.ckpt", kind)
    for place in (path, tmp_path):
        with pytest.raises(UserError) as refused:
            load(place)
        assert str(refused.value).startswith(f"{path} {message}")
        assert "weights_only" not in str(refused.value)


def test_a_part_of_a_model_is_told_from_its_folder(tmp_path: Path) -> None:
    folder = export(tmp_path / "exported")
    for name in ("model.safetensors", "config.json", RECORD):
        with pytest.raises(UserError, match=f"{name} is a part of a model; name its folder, {folder}"):
            load(folder / name)
    (folder / "model.safetensors").write_bytes(FILES["lfs"])
    with pytest.raises(UserError, match=r"model.safetensors is a pointer of Git LFS in place of the file; `git lfs"):
        load(folder)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(UserError, match=r"config.json is not of this suite, but of a model of another program; "):
        load(folder)
    (folder / "config.json").write_bytes(FILES["lfs"])
    with pytest.raises(UserError, match=r"config.json is a pointer of Git LFS"):
        load(folder)
