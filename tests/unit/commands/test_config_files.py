"""Options from a file: read, overridden, printed, and refused in one line that names file and key."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark import cli
from benchmark.commands import COMMANDS, reproduce
from benchmark.store.provenance import rebuild_command


@pytest.fixture
def called(rnnreg, monkeypatch):
    """Call a command line whose commands do nothing; gives the arguments of the command."""

    def call(*words: object) -> dict[str, Any]:
        given: dict[str, Any] = {}

        def stand_in(**arguments: Any) -> int:
            given.update(arguments)
            return 0

        name = str(words[0])
        stand_in.__wrapped__ = COMMANDS[name]
        stand_in.__annotations__, stand_in.__doc__ = COMMANDS[name].__annotations__, COMMANDS[name].__doc__
        monkeypatch.setitem(cli.COMMANDS, name, stand_in)
        code, _, err = rnnreg(*words)
        assert code == 0, err
        return given

    return call


@pytest.fixture
def write(tmp_path):
    """Write a file of options; gives its path."""

    def call(text: str) -> Path:
        path = tmp_path / "options.yaml"
        path.write_text(text)
        return path

    return call


FILE = "row: sotu-small\nseed: 3\ndropout: 0.3\nlayer_norm: true\nthreads: 2\nbackbone_options: {heads: 4}\n"


@pytest.mark.parametrize("name", ["[x].yaml", "{y}.yaml", "#z.yaml", "a: b.yaml"])
def test_a_files_name_may_look_like_yaml(called, tmp_path, name) -> None:
    (tmp_path / name).write_text("seed: 3\n")
    assert called("run", "sotu-small", "--config", tmp_path / name)["seed"] == 3
    assert called("run", "sotu-small", f"--config={tmp_path / name}")["seed"] == 3


def test_a_file_gives_options_of_every_kind(called, write) -> None:
    given = called("run", "--config", write(FILE))
    assert (given["row"], given["seed"], given["options"].threads) == ("sotu-small", 3, 2)
    changed = {"dropout": 0.3, "layer_norm": True, "backbone_options": {"heads": 4}}
    assert given["overrides"] == {**vars(reproduce.row_config("sotu-small")), **changed}


def test_a_file_may_have_another_encoding_and_zeros_that_change_nothing(called, write) -> None:
    path = write("")
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("row: sotu-small\nseed: 07\ndropout: 00.3\n" + "#" * 40_000, encoding=encoding)
        given = called("run", "--config", path)
        assert (given["seed"], given["overrides"]["dropout"]) == (7, 0.3)


def test_a_file_has_the_home_folder_where_the_command_line_has_it(called, write, tmp_path, monkeypatch) -> None:
    (home := tmp_path / 'my "home"').mkdir()
    monkeypatch.setenv("HOME", str(home))
    path = write("row: sotu-small\nstore: ~/runs  # ours\nsource: '~/text'\nrows_file: ~\nlr: 0.5\n")
    given = called("run", "--config", path)
    words = ["--store=~/runs", "--source=~/text", "--lr=0.5"]
    assert given == called("run", "sotu-small", *words)
    assert (str(given["options"].store), given["overrides"]["source"]) == (f"{home}/runs", f"{home}/text")
    path = write("images:\n- ~/a.png\n- b~.png\ndata: a/~\n")
    given = called("caption", "--config", path)
    assert (list(map(str, given["images"])), str(given["data"])) == ([f"{home}/a.png", "b~.png"], "a/~")


def test_a_file_that_is_not_utf_8_says_so(rnnreg, write) -> None:
    path = write("")
    path.write_bytes(b"row: sotu-small\nwandb: caf\xe9\n")
    code, _, err = rnnreg("run", "--config", path)
    assert (code, err.count("\n")) == (2, 1)
    assert f"--config {path}, line 2: not UTF-8" in err
    assert "save it as UTF-8" in err


@pytest.mark.parametrize("before", [True, False])
def test_the_command_line_overrides_it_wherever_it_stands(called, write, before) -> None:
    file, words = ["--config", write(FILE)], ["sotu-medium-dropout", "--dropout", 0.4, "--no-layer-norm", "--seed=4"]
    given = called("run", *(words + file if before else file + words))
    assert (given["row"], given["seed"]) == ("sotu-medium-dropout", 4)
    overrides = given["overrides"]
    assert (overrides["hidden_size"], overrides["dropout"], overrides["layer_norm"]) == (128, 0.4, False)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "sotu-awd-lstm", "--no-tied", "--lr", "1e-6", "--backbone-options", "{a: 1.5, b: no, c: '7'}"],
        ["run", "--print-config", "espeak-small", "--wandb-model"],
        ["reproduce", "--slurm", "{slurm_partition: gpu, gpus_per_node: 1}", "--until-decided", "--store", "a b"],
    ],
)
def test_what_is_printed_is_accepted_again(called, rnnreg, write, capsys, words) -> None:
    def printed(*words: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([*words, "--print-config"])
        assert not end.value.code
        return capsys.readouterr().out

    text = printed(*words)
    path = write(text)
    assert yaml.safe_load(printed(words[0], "--config", str(path))) == yaml.safe_load(text)
    assert called(words[0], "--config", path) == called(*(word for word in words if word != "--print-config"))


def test_the_command_of_a_run_gives_its_options_again(called) -> None:
    options = {
        "path": r"it's a \"c:\temp\new\"", "lines": "a\n\tb", "signs": "é \U0001f600 \x7f\x85\u2028",
        "deviation": 1e-06, "none": "null", "on": True, "heads": 4,
        "like": "8", "a": "1.5", "number": "1e-3", "or": "true", "flag": "yes",
    }  # fmt: skip
    command = rebuild_command("sotu-small", 3, None, {"backbone_options": options, "lr": 0.5})
    given = called(*shlex.split(command)[1:])
    assert given["overrides"]["backbone_options"] == options
    assert given["overrides"]["lr"] == 0.5


def test_what_is_in_quotes_is_a_text_in_a_file_too(called, write) -> None:
    path = write("row: sotu-small\nbackbone_options: {kind: '8', heads: 4, layer: yes}\n")
    given = called("run", "--config", path)["overrides"]["backbone_options"]
    assert given == {"kind": "8", "heads": 4, "layer": True}
    given = called("run", "--config", path, "--backbone_options", "{kind: 9}")["overrides"]["backbone_options"]
    assert given["kind"] == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropuot: 0.3", "FILE: there is no option 'dropuot', as on line 1; did you mean dropout?"),
        ("seed: 1\noptions: {threads: 1}", "FILE: there is no option 'options', as on line 2; "),
        ("3: 3", "FILE: there is no option '3', as on line 1; --help shows them all"),
        ("? [a]\n: 3", "FILE: expected a line `option: value` for each option"),
        ("config: other.yaml", "FILE: there is no option 'config', as on line 1; "),
        ("hidden_size: many", "FILE: hidden_size: expected int, got many"),
        ("threads: many", "FILE: threads: expected a whole number >0, got many"),
        ("dropout: [0.3]", "FILE: dropout: expected float, got [0.3]"),
        ("layer_norm: 3", "FILE: layer_norm: expected true or false, got 3"),
        (
            "wandb: off",
            "FILE: wandb: does not take false, as YAML reads off; if the word is meant, write 'off' in quotes",
        ),
        ("seed: {a: 1}", "FILE: seed: expected a whole number >=0, got {'a': 1}"),
        ("seed:", "FILE: seed: expected a whole number >=0, got None"),
        ("seed: 1e1", "FILE: seed: expected a whole number >=0, got '1e1'"),
        ("seed: .inf", "FILE: seed: expected a whole number >=0, got inf"),
        ("cell: gru", "FILE: cell: expected one of ['lstm', 'rnn'], got gru"),
        ("seed: 1\nseed: 2", "FILE: seed is given twice, again on line 2"),
        ("backbone_options: {a: 1, a: 2}", "FILE: a is given twice, again on line 1"),
        ("seed: [1", 'FILE: is not YAML: while parsing a flow sequence in "<unicode string>", line 1, column 7'),
        ("seed: !!python/object/apply:os.system [ls]", "FILE: is not YAML: could not determine a constructor"),
        (f"hidden_size: {'9' * 5000}", "FILE: is not YAML: Exceeds the limit"),
        ("backbone_options: " + "[" * 9000, "FILE: is not YAML: maximum recursion depth exceeded"),
        ("row: sotu-small\nseed: 010", "FILE: 010 on line 2 is not read as a decimal number by YAML, which takes a 0"),
        ("seed: -0_17", "FILE: -0_17 on line 1 is not read as a decimal number by YAML"),
        ("hidden_size: 1:30", "FILE: 1:30 on line 1 is not read as a decimal number by YAML"),
        ("lr: 1:30.5", "FILE: 1:30.5 on line 1 is not read as a decimal number by YAML"),
        ("backbone_options:\n  a: [{b: 010}]", "FILE: 010 on line 2 is not read as a decimal number by YAML"),
        ("seed: 08\nbackbone_options: {a: &a [*a], b: 010}", "FILE: 010 on line 2 is not read as a decimal number"),
        ("- 1", "FILE: expected a line `option: value` for each option"),
        ("", "FILE: expected a line `option: value` for each option"),
        ("#" * 100_001, "FILE: it has 100,001 bytes; at most 100,000 are read"),
        ("\0", "FILE: has the character U+0000, as UTF-16 or UTF-32 without a byte order mark has"),
        ("\x01", "FILE: is not YAML: unacceptable character"),
    ],
)
def test_a_bad_file_is_one_line_with_file_and_key(rnnreg, write, text, message) -> None:
    path = write(text)
    code, out, err = rnnreg("run", "sotu-small", "--config", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("rnnreg: error: " + message.replace("FILE", f"--config {path}"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--config", "FILE"], "the following arguments are required: row"),
        (["run", "--print-config"], "the following arguments are required: row"),
        (["run", "--config", "gone.yaml", "sotu-small"], "--config gone.yaml: there is no such file"),
        (["reproduce", "--config"], "argument --config: expected one argument"),
        (["caption", "--config", "FILE"], "--config FILE: there is no option 'dropout', as on line 2; "),
    ],
)
def test_a_command_line_that_lacks_something_says_so(rnnreg, write, words, message) -> None:
    path = str(write("seed: 1\ndropout: 0.3\n"))
    code, out, err = rnnreg(*(word.replace("FILE", path) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("rnnreg: error: " + message.replace("FILE", path))
