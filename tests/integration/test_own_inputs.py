"""Trained models on a user's own sentence pairs, pictures and recordings: by command, and as loaded in Python."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from support.corpora import RATE, spoken
from support.trained import table_of

from datamodules.captioning.images import picture_file
from datamodules.errors import DataError, UserError
from models import load


def test_sentence_pairs_pictures_and_recordings_are_scored_by_item(trained, rnnreg, tmp_path) -> None:
    pairs = trained.folder / "pairs"
    here = ["--output", tmp_path / "items.tsv", *trained.places]
    record = trained.records["translation"].metrics
    for words in (["--text", pairs / "test.en", "--reference", pairs / "test.fr"], ["--source", pairs]):
        code, out, err = rnnreg("evaluate", "pairs", *words, *here)
        assert code == 0, err
        assert float(table_of(out)["perplexity"][0]) == pytest.approx(record["test_perplexity"], abs=1e-4)
        assert float(table_of(out)["bleu"][0]) == pytest.approx(record["test_bleu"], abs=1e-4)
        assert "BLEU: nrefs:1|" in err
    assert len((tmp_path / "items.tsv").read_text().splitlines()) == 11

    code, out, err = rnnreg("evaluate", "captions", "--source", trained.folder / "pictures", *here)
    assert code == 0, err
    assert table_of(out)["pictures"] == ["40"]
    assert len((tmp_path / "items.tsv").read_text().splitlines()) == 41
    assert "of 40 pictures are in the training set of the model" in err

    code, out, err = rnnreg("evaluate", "frames", "--source", trained.folder / "tones", *here)
    assert code == 0, err
    items = list(csv.DictReader((tmp_path / "items.tsv").open(), delimiter="\t"))
    assert {item["split"] for item in items} == {"test"}
    assert [item["utterance"] for item in items] == ["9.wav", "10.wav"]
    assert "training set" not in err
    right, frames = (sum(int(item[name]) for item in items) for name in ("right", "frames"))
    accuracy = trained.records["speech"].metrics["test_frame_accuracy"]
    assert 100 * right / frames == pytest.approx(accuracy, abs=1e-3)


def test_lines_of_a_text_that_end_already_are_counted(trained, rnnreg, tmp_path) -> None:
    text = (trained.folder / "text" / "test.txt").read_text()
    (tmp_path / "ended.txt").write_text(text.replace("\n", " <eos>\n"))
    code, out, err = rnnreg("evaluate", "lm", "--text", tmp_path / "ended.txt", *trained.places)
    assert code == 0, err
    record = trained.records["language-modeling"].metrics
    assert float(table_of(out)["perplexity"][0]) == pytest.approx(record["test_perplexity"], abs=1e-4)
    count = text.count("\n")
    assert f"{count:,} of {count:,} lines end in <eos>, which is not added again" in err


def test_words_of_a_text_are_read_as_they_are_written_as_in_a_record(trained, rnnreg, tmp_path) -> None:
    text = (trained.folder / "text" / "test.txt").read_text()
    (tmp_path / "capitals.txt").write_text("".join(f"{line.capitalize()}\n" for line in text.splitlines()))
    code, out, err = rnnreg("evaluate", "lm", "--text", tmp_path / "capitals.txt", *trained.places)
    assert code == 0, err
    assert float(table_of(out)["perplexity"][0]) != pytest.approx(
        trained.records["language-modeling"].metrics["test_perplexity"], abs=1e-2
    )
    count = text.count("\n")
    assert f"rnnreg: {count:,} of {len(text.split()) + count:,} words" in err
    assert f"rnnreg: {count:,} of these are known in lower case; words are read as they are written\n" in err


def test_sentences_and_pairs_that_were_trained_on_are_counted(trained, rnnreg) -> None:
    text, pairs = trained.folder / "text" / "train.txt", trained.folder / "pairs"
    code, _, err = rnnreg("evaluate", "lm", "--text", text, *trained.places)
    assert code == 0, err
    count = len(text.read_text().splitlines())
    assert f"rnnreg: {count:,} of {count:,} sentences are in the training set of the model\n" in err
    code, _, err = rnnreg(
        "evaluate", "pairs", "--text", pairs / "train.en", "--reference", pairs / "train.fr", *trained.places
    )
    assert code == 0, err
    assert "rnnreg: 60 of 60 pairs are in the training set of the model\n" in err


def test_what_ends_a_sentence_already_is_no_word_of_it(trained, rnnreg, tmp_path) -> None:
    for language in ("en", "fr"):
        lines = (trained.folder / "pairs" / f"test.{language}").read_text().splitlines()
        (tmp_path / f"ended.{language}").write_text("".join(f"{line} <eos>\n" for line in lines))
    words = ["--text", tmp_path / "ended.en", "--reference", tmp_path / "ended.fr"]
    code, out, err = rnnreg("evaluate", "pairs", *words, *trained.places)
    assert code == 0, err
    record = trained.records["translation"].metrics
    for name in ("perplexity", "bleu"):
        assert float(table_of(out)[name][0]) == pytest.approx(record[f"test_{name}"], abs=1e-4)
    assert f"rnnreg: {2 * len(lines)} lines end in <eos>, which is not added again\n" in err
    assert "unk" not in err

    translator = load(next(trained.store.glob("pairs/seed-*")))
    assert translator.tokenize("big dog sees <eos>") == ["big", "dog", "sees"]
    assert len(translator.log_probabilities("big dog", "grand chien <eos>")) == 3
    assert translator.tokenize("Cafe\u0301") == ["Caf\u00e9"]
    for settings, message in (
        ({"beam": 0}, "beam is 0; expected a whole number from 1 to 100"),
        ({"beam": 10**6}, "beam is 1000000; expected"),
        ({"length_normalization": 1e9}, "length_normalization is 1000000000.0; expected a number from 0 to 10"),
    ):
        with pytest.raises(UserError, match=message):
            translator.generate("big dog", **settings)
    captioner = load(next(trained.store.glob("captions/seed-*")))
    assert captioner.tokenize("Cafe\u0301") == ["caf\u00e9"]


def test_what_is_left_out_of_a_folder_of_pictures_is_said(trained, rnnreg, tmp_path) -> None:
    folder = shutil.copytree(trained.folder / "pictures", tmp_path / "pictures")
    shutil.copy(folder / "Images" / "000.png", folder / "Images" / "uncaptioned.png")
    with (folder / "captions.txt").open("a") as file:
        file.write("000.png,...\n")
    code, out, err = rnnreg("evaluate", "captions", "--source", folder, *trained.places)
    assert code == 0, err
    assert table_of(out)["pictures"] == ["40"]
    assert "rnnreg: left out: 1 (pictures without captions), 1 (captions without a word)\n" in err or (
        "rnnreg: left out: 1 (captions without a word), 1 (pictures without captions)\n" in err
    )
    assert "rnnreg: such as uncaptioned.png\n" in err


def test_broken_pictures_of_ones_own_are_left_out_and_counted(trained, rnnreg, tmp_path) -> None:
    folder = shutil.copytree(trained.folder / "pictures", tmp_path / "pictures")
    (folder / "Images" / "003.png").write_bytes(b"nothing")
    call = ["evaluate", "captions", "--source", folder, "--store", trained.folder / "runs", "--data", tmp_path / "data"]
    code, out, err = rnnreg(*call)
    assert code == 0, err
    assert table_of(out)["pictures"] == ["39"]
    assert "rnnreg: left out: 1 (broken pictures)\nrnnreg: such as 003.png\n" in err
    for picture in (folder / "Images").iterdir():
        picture.write_bytes(b"nothing")
    code, out, err = rnnreg(*call)
    assert (code, err.count("\n")) == (1, 1)
    assert "every picture is broken; " in err


def test_the_test_set_of_a_folder_that_has_splits_is_evaluated(trained, rnnreg, tmp_path) -> None:
    folder = shutil.copytree(trained.folder / "pictures", tmp_path / "pictures")
    lists = {"train": ("000.png", "001.png"), "dev": ("002.png",), "test": ("003.png", "004.png", "005.png")}
    for split, names in lists.items():
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names))
    code, out, err = rnnreg("evaluate", "captions", "--source", folder, *trained.places)
    assert code == 0, err
    assert table_of(out)["pictures"] == ["3"]
    trained_on = trained.rows["captioning"].config.datamodule(trained.folder / "data").examples["train"]
    stamps = {one.picture.stamp for one in trained_on}
    seen = sum(picture_file(folder / "Images" / name).stamp in stamps for name in lists["test"])
    assert seen
    assert f"rnnreg: {seen} of 3 pictures are in the training set of the model\n" in err
    for name in lists["test"]:
        text = (folder / "captions.txt").read_text().splitlines()
        (folder / "captions.txt").write_text("\n".join(line for line in text if not line.startswith(name)))
    code, _, err = rnnreg("evaluate", "captions", "--source", folder, *trained.places)
    assert code == 1
    assert "there is no picture with a caption in its test set; give the pictures to be evaluated the split test" in err


def test_without_a_recording_of_the_test_set_that_can_be_used_nothing_is_evaluated(trained, rnnreg, tmp_path) -> None:
    folder = shutil.copytree(trained.folder / "tones", tmp_path / "tones")
    for line in (folder / "transcripts.tsv").read_text().splitlines():
        if line.endswith("test"):
            (folder / "labels" / Path(line.split("\t")[0]).with_suffix(".txt").name).unlink()
    code, _, err = rnnreg("evaluate", "frames", "--source", folder, *trained.places)
    assert code == 1
    assert "no test utterance can be used (" in err


def test_recordings_without_splits_are_all_evaluated_and_those_trained_on_are_counted(
    trained, rnnreg, tmp_path
) -> None:
    folder = shutil.copytree(trained.folder / "tones", tmp_path / "tones")
    lines = (folder / "transcripts.tsv").read_text().splitlines()
    (folder / "transcripts.tsv").write_text("".join(line.rpartition("\t")[0] + "\n" for line in lines))
    here = ["--output", tmp_path / "items.tsv", *trained.places]
    code, _, err = rnnreg("evaluate", "frames", "--source", folder, *here)
    assert code == 0, err
    assert len((tmp_path / "items.tsv").read_text().splitlines()) == len(lines) + 1
    assert f"rnnreg: 6 of {len(lines)} recordings are in the training set of the model\n" in err
    (folder / "transcripts.tsv").write_text("".join(line.rpartition("\t")[0] + "\ttest\n" for line in lines))
    assert rnnreg("evaluate", "frames", "--source", folder, *here)[2] == err
    shutil.move(trained.folder / "tones", tmp_path / "gone")  # the training data is not there to compare with
    try:
        code, _, err = rnnreg("evaluate", "frames", "--source", folder, *here)
    finally:
        shutil.move(tmp_path / "gone", trained.folder / "tones")
    assert (code, "training set" in err) == (0, False)


def test_loaded_models_take_sentences_pictures_and_audio(trained, tmp_path) -> None:
    def loaded(name: str):
        return load(next(trained.store.glob(f"{name}/seed-*")))

    translator = loaded("pairs")
    assert translator.tokenize("big dog sees.") == ["big", "dog", "sees", "."]
    assert len(translator.log_probabilities("big dog sees", "grand chien voit")) == 4
    assert translator.generate("big dog sees\n\nold cat hears").count("\n") == 2

    captioner = loaded("captions")
    picture = trained.folder / "pictures" / "Images" / "000.png"
    assert len(captioner.log_probabilities(picture, "A red box.")) == 4
    assert captioner.generate(picture) == captioner.generate(captioner.picture(picture).read())
    words = captioner.log_probabilities(picture, "A red box.")
    assert torch.equal(captioner.log_probabilities(picture, "A red box <eos>"), words)
    gray = Image.fromarray(np.arange(0, 64_000, 1_000, dtype=np.uint16).reshape(8, 8))
    for name, image in {"clear.png": Image.new("RGBA", (8, 8), (0, 0, 0, 0)), "gray.png": gray}.items():
        image.save(tmp_path / name)
        assert torch.equal(captioner.vector(image), captioner.vector(tmp_path / name))
    with pytest.raises(DataError, match=r"the open picture: cannot be read \(its gray values have 32 bits"):
        captioner.vector(Image.new("F", (8, 8)))

    listener = loaded("frames")
    soundfile.write(tmp_path / "own.wav", spoken("abca"), RATE)
    found = listener.log_probabilities(tmp_path / "own.wav")
    assert found.shape[1] == len(listener.states)
    assert torch.allclose(found.exp().sum(dim=1), torch.ones(len(found)), atol=1e-5)
    assert listener.generate(tmp_path / "own.wav") == [listener.states[i] for i in found.argmax(dim=1)]
