"""Rows by name, and rows of a user's own file."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.tasks import registry
from benchmark.tasks.row_checks import fault_of_ensemble
from datamodules.errors import UserError


def of(changes: str) -> str:
    """A file of one row with some of its fields changed."""
    return (
        "from dataclasses import replace\nfrom benchmark.tasks.registry import find\n"
        f"ROWS = [replace(find('sotu-small'), {changes})]\n"
    )


def of_config(changes: str, row: str = "sotu-small") -> str:
    """A file of one row with some fields of its configuration changed."""
    return f"from benchmark.tasks.registry import find\nROWS = [find({row!r}).variant('a', {changes})]\n"


OWN = "from benchmark.tasks.registry import find\nROWS = [find('sotu-small').variant('{name}', hidden_size=16)]\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _same_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])


def test_names_and_sources_are_unique_every_data_set_is_described_and_every_ensemble_is_of_its_own_runs() -> None:
    names = [row.name for row in registry.ROWS]
    assert len(set(names)) == len(names)
    assert registry.DATA_SETS.keys() == {row.config.data_set_name for row in registry.ROWS}
    assert not any(fault_of_ensemble(row, {row.name: row for row in registry.ROWS}) for row in registry.ROWS)
    sources = [source.name for source in registry.SOURCES]
    assert len(set(sources)) == len(sources)


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    assert registry.find("ptb-small").name == "ptb-small"
    with pytest.raises(UserError, match="there is no row 'ptb-smal'; did you mean ptb-small"):
        registry.find("ptb-smal")
    with pytest.raises(UserError, match="`rnnreg list` shows them all"):
        registry.find("????")


def test_own_rows_come_after_the_shipped_ones(tmp_path: Path) -> None:
    rows = registry.load(write(tmp_path / "rows_that_are_added.py", OWN.format(name="mine")))
    assert rows[:-1] == registry.ROWS
    assert (rows[-1].name, rows[-1].config.hidden_size) == ("mine", 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ROWS = (row for row in ())", "its ROWS is of type generator; make it a list or a tuple of rows"),
        ("ROWS = [1]", "its ROWS has 1, which is no benchmark.tasks.base.Row"),
        ("ROW = []", "AttributeError: .* has no attribute 'ROWS'"),
        (of("name='gru/wide'"), "ValueError: name: 'gru/wide' names no folder; begin with a letter or digit"),
        (of("name='../outside'"), "ValueError: name: '../outside' names no folder"),
        (of("name=''"), "ValueError: name: '' names no folder"),
        (of("name=3"), "ValueError: name: expected a text, got 3"),
        (of("name='a,b'"), "the name 'a,b' has ',', which commands take apart"),
        (of("name='a', label=5"), "ValueError: label: expected a text, got 5"),
        (of("name='a', size='huge'"), "ValueError: size: expected one of small, medium, large, got 'huge'"),
        (
            of("name='a', profiles=('nope',)"),
            r"ValueError: profiles: expected a tuple of some of quick, .* got \('nope',\)",
        ),
        (of("name='a', profiles='quick'"), "ValueError: profiles: expected a tuple"),
        (of("name='a', seeds=0"), "ValueError: seeds: expected a whole number from 1, got 0"),
        (of("name='a', ensemble_of='ptb-small'"), "ValueError: members: an ensemble averages 2 models at least, got 1"),
        (of("name='a', space={'lr': 3}"), "ValueError: space: expected a Range or a Choice .* got 3"),
        (
            of("name='a', space={'lr': replace(find('sotu-none').space['lr'], high=10**400)}"),
            "ValueError: expected two numbers in order, above 0, got 0.3 and a whole number of more than 308 digits",
        ),
        (of_config("lr=10**400"), "ValueError: lr: expected a number, got a whole number of more than 308 digits"),
        (of_config("input_dropout=10**5000"), "ValueError: input_dropout: expected a number or none, got a whole n"),
        (of_config("hidden_size=2**40"), "hidden_size: 1099511627776 is out of range, must be at most 2,147,483,647"),
        (of_config("embedding_size=10**20"), "embedding_size: 1.* is out of range, must be at most 2,147,483,647"),
        (of_config("layers=5000"), "layers: 5000 is out of range, must be at most 1,000"),
        (of_config("lr=float('inf')"), "lr: inf is out of range, must be finite"),
        (of_config("clip=float('nan')"), "clip: nan is out of range, must be finite"),
        (of_config("epochs=-(10**400)"), "ValueError: epochs: expected a whole number, got a whole number of more"),
        (
            of_config("target_language='en'", "phrases-small"),
            "ValueError: target_language: 'en' is out of range, must be another one than source_language",
        ),
        (of("name='a', ensemble_of='nope', members=2"), "a is an ensemble of 'nope', which is no row"),
        (
            of("name='a', ensemble_of='sotu-small-average-2', members=2"),
            "which is an ensemble itself; name the row that is trained, 'sotu-small'",
        ),
        (
            of("name='a', ensemble_of='sotu-small-dropout', members=2"),
            "a is an ensemble of 'sotu-small-dropout', whose dropout differs; give it the config of that row",
        ),
        (of("name='a', ensemble_of='sotu-medium-dropout', members=2"), "whose hidden_size and dropout differ; give it"),
        (of("name='a', ensemble_of='bible-small', members=2"), "whose task differs; give it the config of that row"),
        ("1 / 0", "ZeroDivisionError"),
        (OWN.format(name="ptb-small"), "the name ptb-small is taken; give the row another one"),
    ],
)
def test_a_rows_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / f"rows_{abs(hash(text))}.py", text)
    with pytest.raises(UserError, match=rf"--rows_file {re.escape(str(path))}: .*{message}"):
        registry.load(path)


@pytest.mark.parametrize(
    ("rows", "other"), [("models.py", None), ("my_rows.py", "models/gru.py"), ("my_rows.py", "benchmark/__init__.py")]
)
def test_names_of_the_suites_packages_are_refused(tmp_path: Path, rows: str, other: str | None) -> None:
    path = write(tmp_path / rows, OWN.format(name="mine"))
    if other:
        write(tmp_path / other, "class Net: pass\n")
    with pytest.raises(UserError, match=r"has the name of one of the suite's packages .*; rename it, for example"):
        registry.load(path)


def test_a_folder_of_checkpoints_called_models_does_no_harm(tmp_path: Path) -> None:
    """In a fresh process, which imports the suite's own `models` after the rows file."""
    write(tmp_path / "models" / "best.ckpt", "")
    path = write(tmp_path / "my_rows.py", OWN.format(name="mine"))
    code = f"from pathlib import Path; from benchmark.tasks import registry; registry.load(Path({str(path)!r}))"
    subprocess.run([sys.executable, "-c", f"{code}; import models.backbone"], check=True, cwd=Path(__file__).parents[3])


def test_a_rows_file_may_lie_in_the_suites_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    write(tmp_path / "models" / "base.py", "")
    path = write(tmp_path / "rows_of_a_checkout.py", OWN.format(name="mine"))
    assert registry.load(path)[-1].name == "mine"
    assert registry.load(tmp_path / "models" / ".." / path.name)[-1].name == "mine"


def in_a_new_process(path: Path) -> str:
    """The name of the last row of a rows file, and the class of its backbone if it has one, as a worker finds it."""
    code = (
        "from pathlib import Path; import multiprocessing, models.backbone; from benchmark.tasks import registry\n"
        f"row = registry.load(Path({str(path)!r}))[-1]\n"
        "with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "    print(row.name, pool.apply(models.backbone.load_backbone, [row.config.backbone]).__doc__)"
    )
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, cwd=Path(__file__).parents[3], capture_output=True, text=True).stdout


def test_a_symbolic_link_is_the_file_that_is_named_and_workers_find_its_classes(tmp_path: Path) -> None:
    def rows(module: str, name: str) -> str:
        return (
            "from torch import nn\nfrom benchmark.tasks.registry import find\nimport beside_it\n"
            f'class Net(nn.Module):\n    """{name}"""\n'
            f"ROWS = [find('sotu-small').variant('{name}', backbone='{module}.Net')]\n"
        )

    write(tmp_path / "b" / "linked.py", rows("linked", "wrong"))
    write(tmp_path / "b" / "version_2.py", rows("linked", "right"))
    write(tmp_path / "b" / "beside_it.py", "")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "linked.py").symlink_to("../b/version_2.py")
    assert in_a_new_process(tmp_path / "a" / "linked.py") == "right right\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rows.txt", "its name is none of a Python module, .* such as my_rows.py"),
        ("rows.py.bak", "its name is none of a Python module"),
        ("rows.v2.py", "its name is none of a Python module"),
        ("2rows.py", "its name is none of a Python module"),
        ("json.py", "has the name of Python's own module json; rename it, for example to my_json.py"),
        ("tomllib.py", "has the name of Python's own module tomllib"),
        ("wandb.py", "has the name of the installed package wandb"),
        ("conftest.py", "has the name of .*conftest.py, which is imported already; rename it"),
        ("packaged_rows.py", "has the name of the package or module .*__init__.py beside it"),
    ],
)
def test_a_file_that_cannot_be_imported_by_its_name_is_refused(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path / "rows.py", OWN.format(name="another"))
    write(tmp_path / "packaged_rows" / "__init__.py", OWN.format(name="another"))
    path = write(tmp_path / name, OWN.format(name="mine"))
    with pytest.raises(UserError, match=f"--rows_file {re.escape(str(path))}: {message}"):
        registry.load(path)


def test_a_file_of_a_name_that_another_one_has_taken_is_refused_and_the_same_one_is_not(tmp_path: Path) -> None:
    first, second = (write(tmp_path / one / "rows_of_two.py", OWN.format(name=one)) for one in ("a", "b"))
    assert registry.load(first)[-1].name == registry.load(first)[-1].name == "a"
    with pytest.raises(UserError, match=r"has the name of .*a/rows_of_two.py, which is imported already"):
        registry.load(second)
