"""The command line as a user meets it: lists, mistakes in one line, rows of their own, start-up, shell completion."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.tasks import registry
from benchmark.training.endings import Interrupted

ROOT = Path(__file__).parents[2]


def test_list_shows_every_row_with_its_task_data_and_published_target(rnnreg) -> None:
    code, out, _ = rnnreg("list")
    assert code == 0
    for row in registry.ROWS:
        assert re.search(rf"^{row.name} +{row.config.task} +{row.config.source} ", out, re.MULTILINE)
    assert "Table 1: 86.2/82.7" in out
    assert re.search(r"^ptb-medium-recurrent-dropout .* 0\.5\+0\.5 +–$", out, re.MULTILINE)
    assert re.search(r"^espeak-linear .* baseline$", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 120


def test_the_list_has_both_probabilities_and_marks_figures_on_other_data(rnnreg) -> None:
    _, out, err = rnnreg("list")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "  0.22+0.17  " in lines["sotu-variational"]
    assert lines["phrases-large"].endswith("Table 3: 5.80/25.9*")
    assert lines["wmt14-large"].endswith("Table 3: 5.80/25.9")
    assert "another data set" in err
    assert "another data set" not in rnnreg("list", "--profile", "atlas")[2]


def test_list_chooses_by_profile_and_task(rnnreg) -> None:
    quick, speech, both = (
        {line.split()[0] for line in rnnreg("list", *words)[1].splitlines()[1:]}
        for words in (
            ["--profile", "quick"],
            ["--task", "speech"],
            ["--profile", "quick", "--task", "speech"],
        )
    )
    assert {"sotu-small", "espeak-small"} <= quick
    assert "ptb-small" not in quick
    assert speech == {row.name for row in registry.ROWS if row.config.task == "speech"}
    assert both == quick & speech


LIGHT = {
    "attr", "attrs", "benchmark", "cython_runtime", "datamodules", "docstring_parser", "jsonargparse", "models",
    "shtab", "typeshed_client", "typing_extensions", "yaml",
}  # fmt: skip
"""Modules outside the standard library that `rnnreg list` may load: the suite, jsonargparse, and what that needs."""


@pytest.mark.parametrize(
    "words", [["list"], ["--help"], ["run", "ptb-small", "--help"], ["run", "ptb-smal"], ["reproduce", "--jobs", "0"]]
)
def test_lists_help_and_mistakes_load_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; before = set(sys.modules); from benchmark import cli\n"
        f"try: cli.main({words!r})\n"
        "except SystemExit: pass\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "print(*sorted(tops), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stderr.splitlines()[-1].split() if not name.startswith("_")}
    assert {"benchmark", "jsonargparse"} <= loaded
    assert loaded - LIGHT == set()
    assert not loaded & {"torch", "lightning", "numpy"}


def test_a_script_of_shell_completion_knows_commands_options_rows_and_sources(tmp_path) -> None:
    """In a shell that has read the script, as pressing TAB after these words would."""
    script = tmp_path / "rnnreg.bash"
    command = [sys.executable, "-m", "benchmark", "--print-completion", "shtab-bash"]
    script.write_text(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    for words, completed in {
        ("re",): "reproduce report",
        ("run", "samromur-"): "samromur-dropout",
        ("reproduce", "--pro"): "--profile",
        ("reproduce", "--profile", ""): "quick standard paper atlas",
        ("data", "fetch", "openm"): "openmoji",
    }.items():
        press = f"COMP_CWORD={len(words)}; _shtab_rnnreg; echo ${{COMPREPLY[*]}}"
        shell = f"source {script}; COMP_WORDS=(rnnreg {' '.join(repr(word) for word in words)}); {press}"
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == completed


def test_a_reader_that_has_enough_is_no_cause_for_a_traceback() -> None:
    """As in `rnnreg list | head -1`."""
    command = [sys.executable, "-m", "benchmark", "list"]
    lister = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lister.stdout.close()
    assert lister.communicate()[1] == b""
    assert lister.returncode == 128 + signal.SIGPIPE


def test_data_lists_and_verifies(rnnreg, tmp_path) -> None:
    code, out, _ = rnnreg("data", "--data", tmp_path)
    assert code == 0
    assert re.search(r"^ptb +language-modeling +no ", out, re.MULTILINE)
    listed = {line.split()[0] for line in out.splitlines()[1:]}
    made_here, network = {"espeak", "scenes"}, {"efficientnet-lite0"}
    assert listed == {row.config.source for row in registry.ROWS} - made_here | network
    code, _, err = rnnreg("data", "verify", "ptb", "--data", tmp_path)
    assert code == 1
    assert "ptb.train.txt is missing" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "ptb-smal"], 2, "there is no row 'ptb-smal'; did you mean ptb-small"),
        (["run", "ptb-small", "--hidden_size", "abc"], 2, "--hidden_size: expected int, got abc"),
        (["run", "ptb-small", "--dropout", "1.5"], 1, "dropout: 1.5 is out of range, must be at least 0 and below 1"),
        (["run", "ptb-small", "--nope", "1"], 2, "unrecognized arguments: --nope 1"),
        (["run", "ptb-small", "--seed", "-1"], 2, "--seed: expected a whole number >=0, got -1"),
        (["run", "ptb-small", "--backbone", "no.Such", "--source", "TEXT"], 1, "backbone: cannot load 'no.Such'"),
        (["run", "ptb-small", "--backbone=torch.nn.ReLU", "--source=TEXT", "--unroll=2"], 1, "cannot build the model"),
        (["run", "ptb-small", "--source", "EMPTY"], 1, "train.txt is missing; a text folder holds"),
        (["run", "ptb-small", "--store", "FILE/runs", "--source", "TEXT"], 1, "cannot write to"),
        (
            ["run", "ptb-small", "--data", "EMPTY/data", "--rows_file", "nope.py"],
            2,
            "--rows_file nope.py: there is no such file",
        ),
        (["run", "ptb-small", "--wandb", "maybe", "--source", "TEXT"], 2, "--wandb: expected one of ['auto', "),
        (["run", "ptb-small", "--accelerator", "gup", "--source", "TEXT"], 2, "expected one of ['auto', 'cpu', 'gpu']"),
        (["run"], 2, "the following arguments are required: row"),
        (["reproduce", "--seeds", "0"], 2, "--seeds: expected a whole number >0, got 0"),
        (["reproduce", "--jobs", "0"], 2, "--jobs: expected a whole number >0, got 0"),
        (["list", "--profile", "x"], 2, "--profile: expected one of ['quick', 'standard', 'paper', 'atlas'], got x"),
        (["reproduce", "--jobs", "many"], 2, "--jobs: expected a whole number >0, got many"),
        (["reproduce", "--jobs="], 2, "--jobs: expected a whole number >0, got nothing"),
        (["sample", "x", "--temperature", "warm"], 2, "--temperature: expected a number >0, got warm"),
        (["check", "--level", "1"], 2, "--level: expected a number between 0 and 1, got 1"),
        (["data", "get"], 2, "error: action: expected one of ['list', 'fetch', 'verify'], got get"),
        (["caption"], 2, "the following arguments are required: images"),
        (["run", "--seed", "3", "ptb-smal"], 2, "there is no row 'ptb-smal'; did you mean ptb-small"),
        (["run", "ptb-small", "--hidden", "8"], 2, "unrecognized arguments: --hidden 8"),
        (["run", "ptb-small-average-2"], 1, "is an ensemble, which is not trained; `rnnreg reproduce --only ptb-"),
        (["tune", "ptb-small-average-2"], 1, "is an ensemble, which is not trained; `rnnreg reproduce --only ptb-"),
        (["surface", "ptb-small-average-2"], 1, "is an ensemble, which is not trained; `rnnreg reproduce --only"),
        (["list", "--task", "chess"], 1, "--task chess: there is no such task; there are language-modeling, speech, "),
        (["list", "--rows_file", "ROWS"], 1, "its ROWS has 1, which is no benchmark.tasks.base.Row"),
        (["sample", "/etc"], 1, "/etc holds no model: neither last.ckpt, "),
        (["run", "multi30k-small", "--beam", "101"], 1, "beam: 101 is out of range, must be 1 to 100"),
        (["run", "scenes", "--length-normalization", "99"], 1, "length_normalization: 99.0 is out of range"),
        (["run", "ptb-small", "--lr", ".inf"], 1, "lr: inf is out of range, must be finite"),
        (
            ["run", "ptb-small", "--source", "TEXT", "--seed", "1" * 30],
            1,
            "--seed: expected at most 4,294,967,295, got",
        ),
        (["run", "ptb-small", "--source", "TEXT", "--threads", "9999999"], 1, "--threads: expected at most 1,024, got"),
        (["tune", "sotu-none", "--trials", "9999999"], 1, "--trials: expected at most 10,000, got 9999999"),
        (["surface", "--seeds", "9999999", "--dry_run"], 1, "--seeds: expected at most 10,000, got 9999999"),
        (["reproduce", "--seeds", "9999999"], 1, "--seeds: expected at most 10,000, got 9999999"),
        (["run", "ptb-small", "--hidden-size", "9" * 5000], 2, "Exceeds the limit"),
        (["data", "verify", "x" * 3000], 1, "openmoji, flickr8k, flickr8k-1k, mscoco, efficientnet-lite0\n"),  # its end
        (["reproduce", "--slurm", "[" * 9000], 2, "--slurm: expected dict, got [[["),
        (["reproduce", "--slurm", "- " * 4000], 2, "the command line cannot be understood: RecursionError"),
        (["compare", "a", "b", "--store", "/tmp/a\0b"], 2, r"--store: /tmp/a\0b has a null character; leave it out"),
        (["run", "[" * 30000], 2, "a word on the command line has 30,000 characters; at most 10,000 are read"),
        (["list", "--rows_file=~/no/rows.py"], 1, f"--rows_file {Path.home()}/no/rows.py: there is no such file"),
        (["collect", "--store", "nowhere"], 1, "--store nowhere: there is no such folder"),
        (["baseline", "update", "--reason", "new", "--baseline", "EMPTY/new.json"], 1, "name those to take up with"),
        (["check", "--trained", "--seeds", "3", "--jobs", "7"], 2, "--seeds, --jobs: of no use with --trained"),
        (["check", "--trained", "--seeds", "2", "--devices=1"], 2, "--devices, --seeds: of no use with --trained"),
        (["check", "--speed", "--precision", "bf16-mixed"], 2, "--precision: of no use with --speed; leave it out"),
        (["check", "--speed", "--trained", "--level", "0.9"], 2, "--level, --trained: of no use with --speed; leave"),
        (["check", "--speed", "--threads", "2"], 2, "--threads: of no use with --speed, which measures on one"),
        (["check", "--speeds", "mine.json"], 2, "--speeds: of no use without --speed; leave it out"),
        (["baseline", "show", "--reason", "why", "--only", "x"], 1, "--only, --reason: of no use to baseline show"),
        (["baseline", "speed", "--store", "x"], 1, "--store: of no use to baseline speed; leave it out"),
        (["baseline", "add", "--data", "x"], 1, "--data: of no use to baseline add; leave it out"),
        (["export", "ptb-small", "x", "--accelerator", "gpu"], 1, "--accelerator: of no use without --half, --onnx"),
        (["reproduce", "--max-seeds", "5"], 1, "--max-seeds: of no use without --until-decided; leave it out"),
        (
            ["reproduce", "--only", "x", "--profile", "quick"],
            1,
            "--profile: of no use with --only, which names the",
        ),
        (["benchmark", "--quick", "--sizes", "large"], 1, "--sizes: of no use with --quick, which measures the small"),
        (["run", "sotu-small", "--backbone-options", "{a: [010]}"], 2, "--backbone-options: 010 is not read as a deci"),
        (["tune", "sotu-small", "--space={lr: [1:30]}"], 2, "--space: 1:30 is not read as a decimal number by YAML"),
        (["reproduce", "--until-decided", "--max-seeds", "2"], 1, "--max-seeds 2: expected 3 to 20, as looks are at 3"),
        (["reproduce", "--until-decided", "--max-seeds", "40"], 1, "--max-seeds 40: expected 3 to 20, as looks are"),
        (["reproduce", "--until-decided", "--seeds", "5", "--max-seeds", "3"], 1, "--seeds 5: expected at most --max"),
        (["reproduce", "--only", "sotu-small, sotu-small", "--dry-run"], 1, "--only: sotu-small is given twice; name"),
        (["check", "--only", "sotu-small,", "--trained"], 2, "--only 'sotu-small,': expected words separated by"),
        (["surface", "--fractions", "1e-9", "--dry-run"], 1, "train_fraction: 1e-09 is out of range, must be"),
        (
            ["reproduce", "--only", ""],
            2,
            "--only: is empty, as an unset variable of the shell is; give a value, or leav",
        ),
        (["evaluate", "sotu-medium-dropout", "--source="], 2, "--source: is empty, as an unset variable of the shell"),
        (
            ["surface", "sotu-small,sotu-small-dropout", "--dry-run"],
            1,
            "sotu-small and sotu-small-dropout have 64 units",
        ),
        (
            ["tune", "sotu-none", '--space={"source": {"choices": ["a", "b"]}}'],
            1,
            "source decides the data, and trials",
        ),
        (
            ["tune", "sotu-none", '--space={"lr": {"choices": [1], "log": true}}'],
            1,
            "--space: lr: expected [low, high]",
        ),
        (
            ["check", "--level", "0.99999999"],
            2,
            "--level 0.99999999: expected 0.5 to 0.9999; of others a check says not",
        ),
        (
            ["run", "sotu-small", "--init-range", "1e300"],
            1,
            "init_range: 1e+300 is out of range, must be at most 1,000",
        ),
        (
            ["evaluate", "sotu-small", "--method", "dynamic", "--rate", "1e30"],
            1,
            "rate is 1e+30; expected a number from",
        ),
        (["evaluate", "sotu-small", "--method", "neural-cache", "--size", "9" * 20], 1, "size is 99999999999999999999"),
        (["table", "--store", "nowhere"], 1, "--store nowhere: there is no such folder"),
        (["data", "fetch", "nothing"], 1, "there is no source 'nothing'; there are sotu, ptb, "),
    ],
)
def test_bad_input_is_one_line_and_a_failure(rnnreg, text_folder, tmp_path, words, code, message) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "rows_of_numbers.py").write_text("ROWS = [1]\n")
    places = {"TEXT": text_folder, "EMPTY": tmp_path / "empty", "FILE": tmp_path / "file"}
    places["ROWS"] = tmp_path / "rows_of_numbers.py"
    for place, path in places.items():
        words = [word.replace(place, str(path)) for word in words]
    if words[0] == "run" and "--store" not in words and len(words) > 2:
        words += ["--store", str(tmp_path / "runs")]
    found, out, err = rnnreg(*words)
    assert found == code
    assert err.count("\n") == 1
    assert err.startswith("rnnreg: error: ")
    assert message in err
    assert not out


def test_an_error_that_nobody_has_foreseen_is_one_line(rnnreg, monkeypatch) -> None:
    for error, code, line in (
        (
            ZeroDivisionError("division\nby zero"),
            1,
            r"ZeroDivisionError: division by zero \(at test_com",
        ),
        (OSError(28, "No space left on device", "x.svg"), 1, r"x.svg: No space left on device; make room and rerun"),
        (MemoryError(), 1, "out of memory; "),
        (SystemExit(0), 1, r"ended by sys.exit\(0\) in code that it ran"),
        (KeyboardInterrupt(), 130, "interrupted$"),
        (Interrupted(number=signal.SIGTERM), 143, "interrupted$"),
        (Interrupted("interrupted; rerun", signal.SIGHUP), 129, "interrupted; rerun$"),
    ):

        def broken(error=error, **_) -> int:
            raise error

        broken.__doc__ = "Fail."
        monkeypatch.setitem(cli.COMMANDS, "list", broken)
        monkeypatch.setattr("benchmark.cli.add_arguments", lambda *_: {})
        monkeypatch.setattr("benchmark.cli.collect", lambda *_: {})
        found, out, err = rnnreg("list")
        assert (found, out, err.count("\n")) == (code, "", 1)
        assert re.match(f"rnnreg: error: {line}", err)


def test_a_terminal_that_is_not_utf_8_shows_escapes() -> None:
    command = [sys.executable, "-m", "benchmark", "list", "--task", "speech"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert rb"\u2013" in done.stdout
    assert re.fullmatch(rb"rnnreg: \* on another data set [^\n]+\n", done.stderr)
