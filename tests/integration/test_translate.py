"""Training a translator and translating with it, through the command line, on tiny data."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from support.devices import Stop, stop_after_one
from support.factories import TINY_TRANSLATION

from benchmark.grid.grid import silent
from benchmark.store.records import Store
from benchmark.tasks import translation
from benchmark.tasks.base import Row
from benchmark.training.options import Options
from benchmark.training.train import train
from datamodules.errors import UserError
from datamodules.translation.tokenization import detokenize
from models.metrics import corpus_bleu


@pytest.fixture
def row(translation_folder: Path) -> Row:
    return translation.ROWS[0].variant(
        "tiny-translation", **{**TINY_TRANSLATION, "source": str(translation_folder), "dropout": 0.2}
    )


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(data=tmp_path, store=tmp_path / "runs", accelerator="cpu", threads=1, wandb="off")


def test_a_run_leaves_its_figures_signature_samples_and_log_probabilities(
    row: Row, options: Options, translation_folder: Path
) -> None:
    record = train(row, 1, options, progress=silent)
    assert set(record.metrics) >= {"validation_perplexity", "test_perplexity", "test_bleu"}
    assert record.details["bleu_signature"].startswith("nrefs:1|case:mixed|")
    assert record.details["bleu_tokenized_signature"].startswith("nrefs:1|case:mixed|eff:no|tok:none|smooth:none|")
    assert record.details["pairs"] == 60
    assert record.details["unknown_words"] == {"train": 0, "validation": 0, "test": 0}
    assert 1 < record.metrics["train_perplexity_without_dropout"] < 50
    items = Store(options.store).items(record)
    hypotheses = [detokenize(words.split(), "fr") for words in items["hypotheses"].tolist()]
    references = (translation_folder / "test.fr").read_text().splitlines()
    bleu = corpus_bleu(hypotheses, [[one] for one in references]).score
    assert bleu == pytest.approx(record.metrics["test_bleu"])
    assert items["test_bleu_tokenized"].shape == (len(references), 10)
    assert record.details["left_out"] == {}
    assert set(record.details["samples"][0]) == {"source", "reference", "translation"}
    with np.load(options.store / record.run / "log_probabilities.npz") as arrays:
        test = arrays["test"].astype(np.float64)
    sentences = (translation_folder / "test.fr").read_text().splitlines()
    assert len(test) == sum(len(sentence.split()) + 1 for sentence in sentences)
    assert np.exp(-test.mean()) == pytest.approx(record.metrics["test_perplexity"], rel=1e-3)


def test_a_stopped_run_ends_as_an_undisturbed_one_does(row: Row, options: Options, tmp_path: Path) -> None:
    """The order of the data, the masks and the half-epoch schedule all go on where they were."""
    row = row.variant(row.name, epochs=4, decay_every=0.5)
    whole = train(row, 3, options, progress=silent)
    elsewhere = Options(data=tmp_path, store=tmp_path / "stopped", accelerator="cpu", threads=1, wandb="off")

    with pytest.raises(Stop):
        train(row, 3, elsewhere, progress=stop_after_one)
    resumed = train(row, 3, elsewhere, progress=silent)
    assert resumed.metrics == whole.metrics
    assert resumed.log_probabilities_sha256 == whole.log_probabilities_sha256
    assert train(row, 4, options, progress=silent).metrics != whole.metrics


def test_translate_writes_one_line_for_each_line_read(
    row: Row, options: Options, rnnreg, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(row, 1, options, progress=silent)
    text = "the big dog sees\n\nold cat hears\nzebra sees\nbig old dog hears\n"

    def read(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    read(text.encode())
    code, out, err = rnnreg("translate", "tiny-translation", "--store", options.store)
    assert code == 0
    assert len(out.splitlines()) == 5
    assert out.splitlines()[1] == ""
    assert err == "rnnreg: read as <unk>, not in the vocabulary: the, zebra\n"
    read(b"big dog sees\n")
    _, alone, _ = rnnreg("translate", "tiny-translation", "--store", options.store, "--beam", 4)
    read(b"big dog sees\nold cat hears\n")
    _, together, _ = rnnreg("translate", "tiny-translation", "--store", options.store, "--beam", 4)
    assert together.splitlines()[0] == alone.strip()
    read("\ufeffbig dog sees <eos>\n\ufeffold cat hears <eos>\n".encode())
    assert rnnreg("translate", "tiny-translation", "--store", options.store, "--beam", 4) == (0, together, "")
    read(b"big dog\nold <eos> cat\n")
    code, _, err = rnnreg("translate", "tiny-translation", "--store", options.store)
    assert code == 1
    assert "standard input, line 2: <eos> stands within the line" in err

    read(b"caf\xe9\n")
    code, _, err = rnnreg("translate", "tiny-translation", "--store", options.store)
    assert code == 1
    assert "standard input, line 1: not UTF-8" in err
    read(b"")
    assert rnnreg("translate", "tiny-translation", "--store", options.store)[:2] == (0, "")
    monkeypatch.setattr("sys.stdin", None)
    code, _, err = rnnreg("translate", "tiny-translation", "--store", options.store)
    assert code == 1
    assert "standard input is closed; give it sentences" in err


def test_translate_refuses_a_model_of_another_task(tiny_row: Row, options: Options, rnnreg) -> None:
    train(tiny_row, 1, options, progress=silent)
    code, _, err = rnnreg("translate", tiny_row.name, "--store", options.store)
    assert code == 1
    assert "holds a LanguageModel, not a Translator" in err


def test_a_checkpoint_of_another_vocabulary_is_refused(
    row: Row, options: Options, translation_folder: Path, tmp_path: Path
) -> None:
    record = train(row, 1, options, progress=silent)
    folder = options.store / record.run
    with (translation_folder / "train.en").open("a") as en, (translation_folder / "train.fr").open("a") as fr:
        en.write("fish swims\nfish swims\n")
        fr.write("poisson nage\npoisson nage\n")
    elsewhere = Options(data=tmp_path, store=tmp_path / "other", accelerator="cpu", threads=1, wandb="off")
    with pytest.raises(Stop):
        train(row, 1, elsewhere, progress=stop_after_one)
    (begun,) = (tmp_path / "other").glob("*/*/last.ckpt")
    begun.write_bytes((folder / "last.ckpt").read_bytes())
    with pytest.raises(UserError, match=r"last\.ckpt is of another run, .*; move it away to train this run anew"):
        train(row, 1, elsewhere, progress=silent)


def test_every_field_is_an_option_of_run(translation_folder: Path, rnnreg, tmp_path: Path) -> None:
    flags = [f"--{name}={value}" for name, value in {**TINY_TRANSLATION, "source": translation_folder}.items()]
    code, out, err = rnnreg(
        "run", "multi30k-small", *flags, "--data", tmp_path, "--store", tmp_path, "--wandb", "off", "--decay-every", 0.5
    )
    assert code == 0, err
    assert "test BLEU" in out
    (path,) = tmp_path.glob("*/*/record.json")
    assert json.loads(path.read_text())["configuration"]["decay_every"] == 0.5
    code, _, err = rnnreg("run", "multi30k-small", "--beam", 0)
    assert code == 1
    assert "beam: 0 is out of range, must be 1 to 100" in err
