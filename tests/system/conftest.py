"""Grids for the system tests, and the records that an undisturbed one leaves."""

import re
from pathlib import Path

import pytest
from support.corpora import write_text
from support.grids import Grid


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grids")
    write_text(folder / "text")
    return folder


@pytest.fixture(scope="session")
def undisturbed(folder: Path) -> dict[tuple[str, int], tuple]:
    grid = Grid(folder / "undisturbed")
    printed = grid.run("--jobs", 2)
    assert "4 runs, 2 at a time, 1 CPU thread each" in printed
    assert grid.begun == 4
    results = grid.results
    assert set(results) == {(row, seed) for row in ("tiny", "tiny-dropout") for seed in (1, 2)}
    assert len({str(metrics) for metrics, *_ in results.values()}) == 4
    return results


@pytest.fixture
def grid(folder: Path, undisturbed, request: pytest.FixtureRequest) -> Grid:
    return Grid(folder / re.sub(r"\W", "_", request.node.name))


@pytest.fixture
def pair(folder: Path, undisturbed, request: pytest.FixtureRequest) -> Grid:
    """A grid of one seed, where starting the processes of more would take long and show no more."""
    return Grid(folder / re.sub(r"\W", "_", request.node.name), seeds=1)


@pytest.fixture
def single(folder: Path, undisturbed, request: pytest.FixtureRequest) -> Grid:
    """A grid of one run."""
    return Grid(folder / re.sub(r"\W", "_", request.node.name), rows="tiny", seeds=1)


@pytest.fixture(scope="session")
def undisturbed_single(undisturbed) -> dict[tuple[str, int], tuple]:
    return {("tiny", 1): undisturbed["tiny", 1]}


@pytest.fixture(scope="session")
def undisturbed_pair(undisturbed) -> dict[tuple[str, int], tuple]:
    return {(row, seed): found for (row, seed), found in undisturbed.items() if seed == 1}
