"""Captions through the commands, on small pictures: training, averages, captions of new pictures, bad input."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.corpora import draw_pictures

from benchmark.analysis.gallery import caption_test_set
from benchmark.grid.grid import silent
from benchmark.store.records import Store
from benchmark.tasks import captioning, registry
from benchmark.training.options import Options
from benchmark.training.train import Interrupted, train
from models.captioner import Captioner

TINY = {
    "features": "descriptor",
    "min_count": 1,
    "hidden_size": 16,
    "batch_size": 10,
    "epochs": 3,
    "flat_epochs": 2,
    "beam": 2,
    "max_length": 8,
}
"""Overrides that make any row of captions train in a moment."""


def options(tmp_path: Path, store: str = "runs") -> Options:
    return Options(data=tmp_path / "data", store=tmp_path / store, accelerator="cpu", threads=1, wandb="off")


def tiny_row(folder: Path, **changes):
    return captioning.OPENMOJI_PLAIN.variant("tiny", **{**TINY, "source": str(folder), **changes})


def rows_file(tmp_path: Path, folder: Path) -> Path:
    """A rows file with a plain row, one with dropout, the average of plain ones, and a larger one that none trains."""
    path = tmp_path / f"caption_rows_{abs(hash(str(tmp_path)))}.py"
    path.write_text(
        "from dataclasses import replace\nfrom benchmark.tasks.registry import find\n"
        f"CONFIG = replace(find('openmoji').config, source={str(folder)!r}, **{TINY!r})\n"
        "PLAIN = replace(find('openmoji'), name='tiny', config=CONFIG, seeds=2)\n"
        "ROWS = [\n"
        "    PLAIN,\n"
        "    replace(PLAIN, name='tiny-dropout', label='regularized', config=replace(CONFIG, dropout=0.2), seeds=1),\n"
        "    replace(PLAIN, name='tiny-average', ensemble_of='tiny', members=3),\n"
        "    replace(PLAIN, name='tiny-large', size='large'),\n"
        "]\n"
    )
    return path


@pytest.mark.parametrize("folds", [1, 3])
def test_an_interrupted_run_resumes_with_the_order_it_would_have_had(tmp_path, monkeypatch, folds) -> None:
    row = tiny_row(draw_pictures(tmp_path / "pictures", 60, alike=False), dropout=0.3, folds=folds)
    whole = train(row, 1, options(tmp_path, "whole"), progress=silent)
    assert train(row, 1, options(tmp_path, "again"), progress=silent).metrics == whole.metrics
    steps, step = [], Captioner.training_step
    data = row.config.datamodule(tmp_path / "data")
    data.setup()
    per_epoch = len(data.train_dataloader())

    def interrupted_step(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) == limit:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Captioner, "training_step", interrupted_step)
    limit = per_epoch * 2 + 3
    with pytest.raises(Interrupted, match="interrupted in epoch 3 of 3"):
        train(row, 1, options(tmp_path, "stopped"), progress=silent)
    steps.clear()
    limit = -1
    resumed = train(row, 1, options(tmp_path, "stopped"), progress=silent)
    assert len(steps) == per_epoch - 3
    assert resumed.metrics == whole.metrics
    assert resumed.log_probabilities_sha256 == whole.log_probabilities_sha256


def test_reproduce_makes_the_three_rows_and_caption_uses_them(rnnreg, picture_folder, tmp_path) -> None:
    path = rows_file(tmp_path, picture_folder)
    here = ["--rows_file", path, "--store", tmp_path / "runs"]
    common = [*here, "--data", tmp_path / "data", "--wandb", "off", "--accelerator", "cpu", "--jobs", 1]
    code, out, err = rnnreg("reproduce", "--only", "tiny,tiny-dropout,tiny-average", "--seeds", 1, *common)
    assert code == 0, err
    assert "3 runs, 1 at a time" in out  # two seeds of the plain row, one of the other
    assert "tiny-average of seeds 1, 2: validation perplexity" in out
    assert "| ensemble of 3 non-regularized | none | 2 of 3 |" in out
    assert "paper on MSCOCO (perplexity / BLEU)" in out
    assert out.count("| effect of dropout | metric |") == 1
    assert (tmp_path / "runs" / "report.html").is_file()
    store = Store(tmp_path / "runs")
    average = next(record for record in store.records() if record.row == "tiny-average")
    members = [record for record in store.records() if record.row == "tiny"]
    assert set(average.metrics) == {"validation_perplexity", "test_perplexity", "test_bleu"}
    assert store.items(average)["test_bleu"].shape == (len(store.items(average)["hypotheses"]), 10)
    assert set(average.details["samples"][0]) == {"picture", "references", "caption"}
    mean = np.logaddexp(*(store.log_probabilities(member)["test"].astype(float) for member in members)) - np.log(2)
    assert average.metrics["test_perplexity"] == pytest.approx(np.exp(-mean.mean()))

    code, _, err = rnnreg("run", "tiny-average", *here)
    assert (code, err.count("\n")) == (1, 1)
    assert "tiny-average is an ensemble, which is not trained" in err

    one, other = sorted((picture_folder / "Images").iterdir())[:2]
    pictures = [one, one, other]  # a line for each that is asked for
    code, out, err = rnnreg("caption", *pictures, "--row", "tiny", *here, "--draw", tmp_path / "drawn.png")
    assert code == 0, err
    assert [line.split(": ")[0] for line in out.splitlines()[:3]] == list(map(str, pictures))
    assert Image.open(tmp_path / "drawn.png").size[0] > 400
    assert rnnreg("caption", *pictures, "--row", "tiny", "--seed", 2, *here)[0] == 0

    code, out, err = rnnreg("gallery", "--row", "tiny-dropout", "--count", 2, *here, "--data", tmp_path / "data",
                            "--output", tmp_path / "gallery.png")  # fmt: skip
    assert code == 0, err
    assert Image.open(tmp_path / "gallery.png").size[1] > 300
    every = [row for row in registry.load(path) if row.name in ("tiny", "tiny-dropout", "tiny-average")]
    alike = [replace(row, label="same") for row in every]
    for place, row in enumerate(every):  # each has its own captions, whatever else has its label
        one, other = (caption_test_set(rows[place], rows, store.root, tmp_path / "data", 2) for rows in (every, alike))
        assert (one.row, one.captions, one.best) == (row.name, other.captions, other.best)
        assert len(set(one.labels.values())) == len(set(other.labels.values())) == len(every)
    assert other.labels == {
        "tiny": "same (tiny)",
        "tiny-dropout": "same (tiny-dropout)",
        "tiny-average": "ensemble of 2",
    }


def test_vectors_of_another_network_are_refused(rnnreg, picture_folder, tmp_path) -> None:
    names = [path.name for path in sorted((picture_folder / "Images").iterdir())]
    table = np.random.default_rng(0).normal(size=(len(names), 5))
    own, other = tmp_path / "own.npz", tmp_path / "other.npz"
    np.savez(own, ids=names, features=table, network="net 1")
    np.savez(other, ids=names, features=table, network="net 2")
    record = train(tiny_row(picture_folder, features=str(own)), 1, options(tmp_path), progress=silent)
    assert record.details["features"] == {"from": str(own), "network": "net 1", "size": 5}
    call = ["caption", picture_folder / "Images" / names[0], "--row", "tiny", "--store", tmp_path / "runs"]
    assert rnnreg(*call, "--features", own)[0] == 0
    for words, message in (
        (["--features", other], "the run was trained on vectors of another network: net 1"),
        ([], "give the pictures' own with --features FILE.npz"),
    ):
        code, out, err = rnnreg(*call, *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert message in err

    train(tiny_row(picture_folder).variant("tiny-descriptor"), 1, options(tmp_path), progress=silent)
    path = next((tmp_path / "runs" / "tiny-descriptor").glob("*/last.ckpt"))
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["hyper_parameters"]["network_sha256"] = "f" * 64
    torch.save(checkpoint, path)
    call[3] = "tiny-descriptor"
    assert "vectors of another network: ffffffffffff (descriptor)" in rnnreg(*call)[2]


def test_bad_pictures_and_names_are_one_line(rnnreg, picture_folder, tmp_path) -> None:
    train(tiny_row(picture_folder), 1, options(tmp_path), progress=silent)
    good = picture_folder / "Images" / "000.png"
    (tmp_path / "broken.png").write_bytes(good.read_bytes()[:60])
    call = ["caption", "--row", "tiny", "--store", tmp_path / "runs"]
    for words, code, message in (
        (["none.png"], 1, "none.png: there is no such picture"),
        ([good, tmp_path / "broken.png"], 1, "broken.png: not a whole picture"),
        ([good, "--draw", tmp_path / "x.nope"], 1, "cannot write"),
        ([good, "--seed", "7"], 1, "has no trained tiny with seed 7"),
        ([], 2, "the following arguments are required: images"),
    ):
        found, out, err = rnnreg(*call, *words)
        assert (found, err.count("\n")) == (code, 1), err
        assert message in err
        assert out.startswith(f"{good}: ") == (tmp_path / "broken.png" in words or "--draw" in words)


def test_a_bad_picture_in_the_data_costs_nothing_computed(rnnreg, tmp_path) -> None:
    """The run leaves it out, counts and names it; mended, the same command reads all."""
    folder = draw_pictures(tmp_path / "pictures", 60)
    broken = folder / "Images" / "030.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"nothing")
    call = ["run", "openmoji", "--source", folder, *(f"--{name}={value}" for name, value in TINY.items())]
    call += ["--data", tmp_path / "data", "--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    code, out, err = rnnreg(*call)
    assert (code, err) == (0, "")
    assert "  left out: 1 (broken pictures)\n  such as 030.png\n" in out
    assert re.search(r"  broken: .*030.png: not a whole picture", out)
    (record,) = Store(tmp_path / "runs").records()
    assert sum(record.details["pictures"].values()) == 59
    assert record.details["left_out_pictures"] == {"030.png": "broken pictures"}
    broken.write_bytes(whole)
    code, out, err = rnnreg(*call)
    assert code == 0, err
    assert "test BLEU" in out
    (folder / "Images" / "030.png").unlink()
    assert "captions.txt names 030.png, which is not in" in rnnreg(*call)[2]
    assert len(list(Store(tmp_path / "runs").records())) == 2


def test_a_run_in_folds_is_evaluated_again_and_captions_new_pictures(rnnreg, tmp_path) -> None:
    """Its record is of every picture, each tested once; it is told what is read and how."""
    folder = draw_pictures(tmp_path / "pictures", 60, alike=False)
    places = ["--data", tmp_path / "data", "--accelerator", "cpu"]
    call = ["run", "openmoji", "--source", folder, *(f"--{name}={value}" for name, value in TINY.items())]
    code, out, err = rnnreg(*call, "--folds=3", "--lr=2", *places, "--store", tmp_path / "runs", "--wandb", "off")
    assert code == 0, err
    assert "in 3 folds: each picture is in the test set of one fold" in out + err
    store = Store(tmp_path / "runs")
    (record,) = store.records()
    assert len(store.items(record)["hypotheses"]) == record.details["pictures"]["test"] == 60
    place = tmp_path / "runs" / record.run
    code, out, err = rnnreg("evaluate", place, "--store", tmp_path / "runs", *places)
    assert code == 0, err
    assert f"{record.metrics['test_bleu']:.5g}" in out
    code, out, err = rnnreg("export", place, tmp_path / "exported", "--store", tmp_path / "runs", *places[:2])
    assert code == 0, err
    picture = folder / "Images" / "030.png"
    of_run = rnnreg("caption", picture, "--row", place)[1]
    assert of_run.startswith(f"{picture}: a ")
    assert rnnreg("caption", picture, "--row", tmp_path / "exported")[1] == of_run
    assert rnnreg(*call, "--folds=40", *places)[2].endswith("folds: 40 is out of range, must be 1 to 20\n")
