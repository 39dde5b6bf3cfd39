"""The command that draws test pictures with the captions of every model."""

from pathlib import Path

from jsonargparse.typing import PositiveInt

from benchmark.tasks import registry
from benchmark.training.options import DATA, STORE


def gallery(
    row: str = "scenes-dropout",
    count: PositiveInt = 5,
    store: Path = STORE,
    data: Path = DATA,
    output: Path = Path("captions.png"),
    rows_file: Path | None = None,
) -> int:
    """Draw test pictures with the captions that every row of one size gives them.

    The pictures are those that the row captions best, middling and worst: highest, median and lowest chrF against the
    references, ties broken by a hash of the picture's name, one picture of each drawing. A single model is that of the
    lowest seed.

    Args:
        row: Name of the row whose captions choose the pictures.
        count: Pictures of each kind.
        store: Folder that holds the trained runs.
        data: Folder that holds the data.
        output: Picture file to write.
        rows_file: Python file with rows of your own.
    """
    from benchmark.analysis.gallery import caption_test_set
    from benchmark.reports.contact_sheets import save
    from benchmark.reports.gallery import gallery_sheet

    every = registry.load(rows_file)
    save(gallery_sheet(caption_test_set(registry.find(row, every), every, store, data, count)), output)
    print(f"drawn: {output}")
    return 0
