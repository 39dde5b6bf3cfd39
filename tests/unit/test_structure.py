"""The house rules that a reader relies on: which room imports which, and how large a file and a function may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmark", "datamodules", "models")

LEVELS = (
    {"cli"},
    {"commands"},
    {"grid", "speed", "sharing"},
    {"training", "reports"},
    {"tracking", "audit"},
    {"analysis"},
    {"tasks"},
    {"store", "models"},
    {"formatting", "files"},
    {"datamodules"},
)
"""Rooms from top to bottom: a room imports only from levels below its own; rooms of one level know nothing of each
other."""

NEVER = {
    **{room: {"reports", "audit", "analysis"} for room in ("grid", "speed", "training", "tracking")},
    "models": {"formatting", "files"},
}
"""Running is apart from judging: what trains and follows runs does not know what is concluded from them. And models are
a package of their own, which knows nothing of benchmark/."""


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def room_of(module: str) -> str:
    """The room of a dotted module name: a folder of benchmark/, one of its own files, or a whole package."""
    package, *rest = module.split(".")
    return rest[0] if package == "benchmark" and rest else package


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST) -> Iterator[str]:
    """Modules of the suite that a file imports, at its top or inside a function."""
    for node in ast.walk(tree):
        names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.ImportFrom) and node.module in PACKAGES:  # from benchmark import cli
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def level(room: str) -> int:
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


def broken_rules(module: str, tree: ast.AST) -> list[str]:
    """Imports of one module that go up, sideways, or from running to judging."""
    own = room_of(module)
    if own in ("benchmark", "__main__"):  # the package itself, and `python -m benchmark`, which calls the command line
        return []
    rooms = {room_of(name) for name in imported(tree)} - {own}
    return sorted(
        f"{own} imports {room}" for room in rooms if level(room) <= level(own) or room in NEVER.get(own, set())
    )


def test_rooms_import_downward_only() -> None:
    broken = {
        str(path.relative_to(ROOT)): found
        for path in sources()
        if (found := broken_rules(module_name(path), ast.parse(path.read_text())))
    }
    assert broken == {}


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("benchmark.store.records", "from benchmark.tasks.base import Row", ["store imports tasks"]),
        (
            "benchmark.tracking.logger",
            "def f():\n    from benchmark.analysis import claims",
            ["tracking imports analysis"],
        ),
        ("benchmark.grid.plan", "import benchmark.reports.tables", ["grid imports reports"]),
        ("models.base", "from benchmark import files", ["models imports files"]),
        ("datamodules.base", "from models.tokens import TokenModel", ["datamodules imports models"]),
        ("benchmark.commands.data", "from datamodules.sources import Source", []),
    ],
)
def test_the_rule_sees_a_wrong_import(module: str, line: str, broken: list[str]) -> None:
    assert broken_rules(module, ast.parse(line)) == broken


def test_benchmark_has_few_files_beside_its_rooms() -> None:
    assert {path.name for path in (ROOT / "benchmark").glob("*.py")} == {
        "__init__.py", "__main__.py", "cli.py", "formatting.py", "files.py",
    }  # fmt: skip


LINES_OF_A_FILE = 300
LINES_OF_A_FUNCTION = 60


def lengths(source: str) -> Iterator[tuple[str, int]]:
    """Each function of a file and how many lines it has, from its `def` to its end."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.end_lineno - node.lineno + 1


def python_files() -> list[Path]:
    return [*sources(), *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / ".ci").glob("*.py"))]


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    counted = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in python_files()}
    assert {name: lines for name, lines in counted.items() if lines > LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {name}": lines
        for path in python_files()
        for name, lines in lengths(path.read_text())
        if lines > LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_the_length_of_a_function_is_seen_wherever_it_stands() -> None:
    inner = "class A:\n    async def f(self):\n" + "        x = 1\n" * 60
    assert list(lengths(inner)) == [("f", 61)]
