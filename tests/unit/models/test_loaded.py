"""Loaded language models: words, scores and texts; and files that must not be loaded."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from datamodules.errors import UserError
from datamodules.sealed import checksum_of
from datamodules.sources import sha256_of
from models import load
from models.language_model import LanguageModel
from models.loaded import LoadedAcousticModel, LoadedCaptioner, LoadedLanguageModel

WORDS = ["<eos>", "<unk>", "N", "the", "dog", "barks"]
ARGUMENTS = {
    "init_range": 0.5, "lr": 1.0, "flat_epochs": 1, "decay": 1, "hidden_size": 4, "layers": 1, "dropout": 0.0,
    "recurrent_dropout": 0.0, "cell": "lstm", "backbone": "models.backbone.RegularizedLSTM",
}  # fmt: skip


def write(folder: Path, words: list[str] = WORDS, **changes: object) -> Path:
    """An exported folder; changes are made to its configuration, checksums included."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    model = LanguageModel(words, **ARGUMENTS)
    save_file(dict(model.state_dict()), folder / "model.safetensors")
    (folder / "vocabularies.json").write_text(json.dumps({"vocabulary": words}))
    (folder / "record.json").write_text("{}")
    files = {name: sha256_of(folder / name) for name in ("model.safetensors", "vocabularies.json", "record.json")}
    config = {"format": 1, "model": "LanguageModel", "dtype": "float32", "arguments": ARGUMENTS, "files": files}
    content = {**config, **changes}
    (folder / "config.json").write_text(json.dumps({**content, "sha256": checksum_of(content)}))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> LoadedLanguageModel:
    return load(write(tmp_path / "model"))


def test_words_are_put_in_lower_case_only_where_the_vocabulary_has_no_capitals(model, tmp_path: Path) -> None:
    assert model.tokenize("The DOG barks\n\nN dogs") == ["the", "dog", "barks", "<eos>", "<eos>", "N", "dogs", "<eos>"]
    assert model.unknown(["dogs", "<unk>", "the"]) == ["dogs"]
    with_capitals = load(write(tmp_path / "capitals", [*WORDS, "The"]))
    assert with_capitals.words("The DOG the") == ["The", "DOG", "the"]


def test_an_eos_that_a_line_ends_in_is_not_added_again(model) -> None:
    assert model.tokenize("the dog <eos>\nbarks <EOS>\n") == ["the", "dog", "<eos>", "barks", "<eos>"]
    assert torch.equal(model.log_probabilities("the dog <eos>"), model.log_probabilities("the dog"))
    with pytest.raises(UserError, match="line 2: <eos> stands within the line"):
        model.tokenize("the\ndog <eos> barks")


@pytest.mark.parametrize("text", [["the", "dog"], b"the dog", None, 3])
def test_what_is_no_string_is_refused_in_one_line(model, text: object) -> None:
    for method in (model.tokenize, model.words, model.log_probabilities, model.generate):
        with pytest.raises(UserError, match=f"of type {type(text).__name__}, must be a string"):
            method(text)
    assert model.tokenize(np.str_("the dog")) == ["the", "dog", "<eos>"]


@pytest.mark.parametrize("kind", [LoadedCaptioner.picture, LoadedAcousticModel.log_probabilities])
def test_an_array_in_place_of_a_file_is_refused_in_one_line(kind: Callable[[object, object], object]) -> None:
    with pytest.raises(UserError, match="of type ndarray, must be the path of a file"):
        kind(object(), np.zeros(4))


def test_each_token_has_a_log_probability_after_the_words_before_it(model) -> None:
    ids = torch.tensor([0, 3, 4, 5, 0])
    with torch.no_grad():
        expected = model.model(ids[:-1, None])[0][:, 0].log_softmax(dim=-1).gather(1, ids[1:, None])[:, 0]
    found = model.log_probabilities("the dog barks")
    assert len(found) == len(model.tokenize("the dog barks")) == 4
    assert torch.allclose(found, expected, atol=1e-6)
    without = model.log_probabilities("the dog barks", after="")
    assert len(without) == 3
    after_two = model.log_probabilities("barks", after="the dog")
    assert torch.allclose(after_two, without[1:], atol=1e-6)
    assert not model.training


def test_what_a_text_follows_is_spelled_as_the_text_is(model) -> None:
    expected = model.log_probabilities("barks", after="the dog")
    assert torch.equal(model.log_probabilities("barks", after="The DOG"), expected)
    assert torch.equal(
        model.log_probabilities("barks", after="The DOG <eos> N"),
        model.log_probabilities("barks", after="the dog <eos> N"),
    )


def test_letters_are_composed_before_words_are_looked_up(tmp_path: Path) -> None:
    model = load(write(tmp_path / "model", [*WORDS, "caf\u00e9"]))
    apart = "The Cafe\u0301 barks"
    assert model.tokenize(apart) == ["the", "caf\u00e9", "barks", "<eos>"]
    assert model.unknown(model.tokenize(apart)) == []
    assert torch.equal(model.log_probabilities(apart), model.log_probabilities("the caf\u00e9 barks"))
    assert torch.equal(
        model.log_probabilities("dog", after=apart), model.log_probabilities("dog", after="the caf\u00e9 barks")
    )
    assert model.generate(apart, words=1).startswith("the caf\u00e9 barks ")


def test_a_text_is_drawn_from_the_likeliest_words_only(model) -> None:
    pieces = list(model.stream("The dog", words=5, exclude=()))
    assert pieces[0] == "the dog"
    assert len(pieces) == 6
    assert "".join(pieces) == model.generate("the dog", words=5, exclude=())
    greedy = {model.generate("the", words=4, top_k=1, exclude=(), seed=seed) for seed in range(5)}
    assert len(greedy) == 1
    assert len({model.generate("the", words=4, exclude=(), seed=seed) for seed in range(5)}) > 1
    cold = model.generate("the", words=4, temperature=1e-4, exclude=())
    assert cold in greedy


def test_numbers_of_numpy_are_numbers(model) -> None:
    """As where settings come from an array."""
    own = {"words": np.int64(3), "temperature": np.float32(1.0), "top_k": np.int32(2), "seed": np.int64(1)}
    assert model.generate("the", **own) == model.generate("the", words=3, top_k=2, seed=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt": " "}, "the prompt is empty"),
        ({"words": -1}, "words is -1; expected a whole number from 0$"),
        ({"words": 2.5}, "words is 2.5; expected a whole number"),
        ({"temperature": 0}, r"temperature is 0; expected a number from 1e-06 to 1e\+06"),
        ({"temperature": 1e-40}, "temperature is 1e-40"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0; expected a whole number from 1$"),
        ({"seed": 10**20}, "the seed of the drawing is 100000000000000000000; expected a whole number from 0 to"),
        ({"exclude": "the"}, r"exclude is the text 'the'; expected a list of words, such as \['the'\]"),
        ({"exclude": ["the", "cat"]}, "not in the vocabulary: 'cat'"),
        ({"exclude": ["the dog"]}, "not in the vocabulary: 'the dog'"),
        ({"exclude": WORDS}, "every word of the vocabulary is excluded"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_one_line(model, settings, message) -> None:
    with pytest.raises(UserError, match=message):
        model.generate(**{"prompt": "the", **settings})


def test_excluded_words_are_spelled_as_the_vocabulary_spells_them(model) -> None:
    drawn = model.generate("dog", words=200, exclude=["The", "BARKS", "$"])
    assert not {"the", "barks"} & set(drawn.split())
    assert {"the", "barks"} <= set(model.generate("dog", words=200, exclude=()).split())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"model": "Executioner"}, "holds a Executioner; there are LanguageModel, "),
        ({"arguments": {**ARGUMENTS, "backbone": "antigravity.Fly"}}, "does not import code; import antigravity"),
        ({"arguments": {**ARGUMENTS, "hidden_size": 10**6}}, r"expected \[6, 1000000\]"),
        ({"arguments": {**ARGUMENTS, "layers": 10**9}}, "1000000000 layers in 7 tensors"),
        ({"arguments": {**ARGUMENTS, "dropout": "much"}}, "is not a whole model: TypeError"),
        ({"arguments": {}}, "needs the backbone|is not a whole model"),
        ({"files": {"../secret": "x"}}, "names other files than an exported model has"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_one_line(tmp_path: Path, changes, message) -> None:
    with pytest.raises(UserError, match=message):
        load(write(tmp_path / "model", **changes))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("name", ["tied", "zoneout_cell", "tide"])
def test_a_configuration_that_changed_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "model") / "config.json"
    content = json.loads(path.read_text())
    content["arguments"][name] = 0.5
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"config.json was altered after the export \(its checksum differs\)"):
        load(path.parent)


def test_the_end_of_a_line_is_a_token_of_what_a_text_follows(model) -> None:
    together = model.log_probabilities("the dog\nbarks")
    for before in ("the dog\n", "the dog\r\n", "the dog <eos>"):
        assert torch.equal(model.log_probabilities("barks", after=f"<eos> {before}"), together[3:])
    assert not torch.equal(model.log_probabilities("barks", after="<eos> the dog"), together[3:])
    assert model.generate("the dog\n", words=0) == "the dog."


def test_a_string_is_read_by_the_rules_of_files(model) -> None:
    assert model.tokenize("\ufeffthe dog\n\ufeffbarks") == ["the", "dog", "<eos>", "barks", "<eos>"]
    for text, message in (
        ("the\0dog", r"line 1: has the character U\+0000"),
        ("a\nthe\ufeff dog", "line 2: has a byte"),
    ):
        with pytest.raises(UserError, match=message):
            model.log_probabilities(text)


@pytest.mark.parametrize("name", ["model.safetensors", "vocabularies.json", "record.json"])
def test_a_file_that_changed_is_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} is not the file that was exported"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load(folder)


def test_a_folder_without_a_model_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no model: neither last\.ckpt"):
        load(tmp_path)
