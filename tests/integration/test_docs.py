"""The documentation says what is true: links, paths, commands and the code of the guides."""

import functools
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.factories import tiny_flags

from benchmark import cli
from benchmark.store.records import Store

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "results" / "README.md"])
PACKAGES = ("benchmark", "datamodules", "models")

SHELLS = ("", "bash", "console", "sh", "shell")
"""What a fence calls a block of commands."""

STAND_INS = {"ROW": "ptb-small", "echo-small": "ptb-small", "fresh": "local"}
"""Words of commands that only stand for something, or that a guide has its reader add."""

page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def without_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """Anchors of the headings of a page, as GitHub and the site both make them."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    """Relative links and pictures of a page that lead nowhere."""
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    broken = []
    for link in links:
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@page
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_seen() -> None:
    text = (
        "[a](use.md) [b](use.md#train) [c](gone.md) [d](use.md#gone) [e](https://arxiv.org) ![f](../results/sotu.svg)"
    )
    assert broken_links(DOCS / "index.md", text) == ["gone.md", "use.md#gone"]


@page
def test_paths_in_the_text_exist(page: Path) -> None:
    """A backticked path that begins with a folder of the repository; a guide also names the files that it adds."""
    text = page.read_text(encoding="utf-8")
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"data", "runs"}
    added = {str(path) for name in files_of(page) for path in (Path(name), Path(name).parent)}
    named = {name for name in re.findall(r"`([\w.-]+/[\w./-]*)`", without_code(text)) if name.split("/")[0] in folders}
    assert [name for name in named - added if not (ROOT / name).exists()] == []


def test_functions_and_classes_are_where_the_architecture_says() -> None:
    text = " ".join((DOCS / "architecture.md").read_text(encoding="utf-8").split())
    named = re.findall(r"`(\w+)` in `([\w/]+\.py)`", text)
    assert len(named) > 20
    missing = [
        f"{name} in {file}"
        for name, file in named
        if not re.search(rf"^\s*(def |class )?{name}\b[(:]", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def command_lines(text: str) -> list[list[str]]:
    """The words after `rnnreg` of every command of a page, in blocks of commands and in running text."""
    fenced = [code for kind, code in re.findall(r"^```(.*)\n(.*?)^```", text, re.M | re.S) if kind in SHELLS]
    prose = without_code(text)
    lines = "".join(fenced).splitlines() + re.findall(r"^    +.*$", prose, re.M)
    found = [match[1] for line in lines if (match := re.search(r"(?:\brnnreg|-m benchmark) ([a-z].*)", line))]
    found += re.findall(r"`(?:\.venv/bin/)?rnnreg\s+([a-z][^`|]*)`", prose)
    words = [shlex.split(command.replace("\\|", "|"), comments=True) for command in found]
    ends = [min((some.index(end) for end in "|>" if end in some), default=len(some)) for some in words]
    return [some[:end] for some, end in zip(words, ends, strict=True)]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the commands that the command line has called; they do nothing."""
    called: list[str] = []

    def stand_in(name: str, command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)  # with its parameters and its docstring, of which the parser is made
        def note(**_: object) -> int:
            called.append(name)
            return 0

        return note

    commands = {name: stand_in(name, command) for name, command in cli.COMMANDS.items()}
    monkeypatch.setattr(cli, "COMMANDS", commands)
    return called


@page
def test_commands_parse(page: Path, parsed, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files_of(page).items():
        if "/" not in name:
            Path(name).write_text(content)
    for words in command_lines(page.read_text(encoding="utf-8")):
        words = [STAND_INS.get(word, word) for word in words]
        words += ["--help"] * (len(words) == 1)  # a command that is only named
        try:
            code = cli.main(words)
        except SystemExit as end:  # as --help ends
            code = int(end.code or 0)
        assert code == 0, f"rnnreg {shlex.join(words)}: {capsys.readouterr().err}"


def test_a_wrong_command_is_seen(parsed) -> None:
    text = "Use `rnnreg list --nope`.\n\n    X=1 rnnreg run ptb-small --seed 2  # a run\n"
    assert command_lines(text) == [["run", "ptb-small", "--seed", "2"], ["list", "--nope"]]
    assert [cli.main(words) for words in command_lines(text)] == [0, 2]
    assert parsed == ["run"]


def test_every_command_is_documented_with_an_example() -> None:
    shown = {words[0] for words in command_lines((DOCS / "use.md").read_text(encoding="utf-8"))}
    assert shown == cli.COMMANDS.keys()


@page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:`|^ +)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


def files_of(guide: Path) -> dict[str, str]:
    """The files that a guide has one write: path, which is the first line of the block, to content."""
    block = r"```(?:python|yaml)\n# (\S+\.(?:py|yaml))\n(.*?)```"
    return dict(re.findall(block, guide.read_text(encoding="utf-8"), re.DOTALL))


def follow(guide: Path, root: Path) -> None:
    """Do in a copy of the repository what a guide says: write its new files, change lines of others."""
    for name, code in files_of(guide).items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).parent.joinpath("__init__.py").touch()
        (root / name).write_text(code)
    for name, lines in re.findall(r"```diff\n--- (\S+)\n(.*?)```", guide.read_text(), re.DOTALL):
        before, after = (
            "".join(f"{line[1:]}\n" for line in lines.splitlines() if line[0] != other) for other in ("+", "-")
        )
        text = (root / name).read_text()
        assert text.count(before) == 1, f"{guide.name}: {name} has not the lines {before!r}"
        (root / name).write_text(text.replace(before, after))


def test_a_row_is_added_as_the_guide_says(rnnreg, text_folder, tmp_path) -> None:
    """The guide's rows file, through the guide's commands, with the row made tiny by overrides."""
    code = files_of(DOCS / "add-a-row.md")["my_rows.py"]
    assert len(code.splitlines()) <= 25
    (tmp_path / "my_rows.py").write_text(code)
    here = ["--rows_file", tmp_path / "my_rows.py"]
    store = ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    assert "sotu-medium-gru" in rnnreg("list", *here)[1]
    result, _, err = rnnreg("run", "sotu-medium-gru", *here, *store, *tiny_flags(text_folder))
    assert result == 0, err
    (record,) = Store(tmp_path / "runs").records()
    assert record.configuration["backbone"] == "my_rows.MyGRU"
    assert record.command.count("--rows_file") == 1


def test_a_method_is_added_as_the_page_says(rnnreg, text_folder, tmp_path) -> None:
    """The page's rows file, its row made tiny by overrides: an option of its own beside one of the suite."""
    code = files_of(DOCS / "methods.md")["my_noise.py"]
    assert len(code.splitlines()) <= 30
    (tmp_path / "my_noise.py").write_text(code)
    here = ["--rows_file", tmp_path / "my_noise.py"]
    store = ["--store", tmp_path / "runs", "--wandb", "off", "--accelerator", "cpu"]
    for words in ([], ["--backbone-options", "{deviation: 0.1}", "--zoneout-cell", 0.25]):
        result, _, err = rnnreg("run", "sotu-noise", *here, *store, *tiny_flags(text_folder), *words)
        assert result == 0, err
    records = list(Store(tmp_path / "runs").records())
    assert sorted(record.configuration["backbone_options"]["deviation"] for record in records) == [0.1, 0.25]
    saved = tmp_path / "runs" / records[0].run / "config.yaml"
    assert rnnreg("run", "--config", saved, *store[2:], "--store", tmp_path / "again")[0] == 0
    (again,) = Store(tmp_path / "again").records()
    assert (again.run, again.fingerprint) == (records[0].run, records[0].fingerprint)
    code, _, err = rnnreg("run", "sotu-noise", *here, *store, "--backbone-options", "{deviatoin: 0.1}")
    assert code == 1
    assert "my_noise.NoisyLSTM has no option 'deviatoin'; it declares deviation" in err


def test_a_task_and_a_launcher_are_added_as_the_guides_say(tmp_path) -> None:
    """One grid on a copy of the suite: the task's two rows on the new launcher."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    follow(DOCS / "add-a-task.md", tmp_path)
    follow(DOCS / "add-a-launcher.md", tmp_path)
    words = ["reproduce", "--only", "echo-small,echo-small-dropout", "--seeds", "1", "--launcher", "fresh"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", *words, "--wandb", "off", "--accelerator", "cpu", "--threads", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "2 runs, one at a time, each in a new process" in done.stdout
    records = list(Store(tmp_path / "runs").records())
    assert [record.row for record in records] == ["echo-small", "echo-small-dropout"]
    assert max(record.metrics["test_perplexity"] for record in records) < 1.5  # a guess among 8 symbols has 8


def test_the_site_builds(tmp_path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("add-a-task", "results/table", "results", "CONTRIBUTING"):
        assert (tmp_path / "site" / name / "index.html").is_file()
