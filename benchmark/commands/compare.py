"""The command that explains a difference: compare."""

from pathlib import Path

from benchmark.commands.outputs import refuse_lost
from benchmark.files import write_text
from benchmark.tasks import registry
from benchmark.training.options import DATA, STORE
from datamodules.errors import UserError


def compare(
    a: str,
    b: str,
    store: Path = STORE,
    data: Path = DATA,
    markdown: Path | None = None,
    page: Path | None = None,
    rows_file: Path | None = None,
) -> int:
    """Say what differs between two sides, whether by more than seeds do, from which epoch on, in which words, and why.

    A side is a run's folder, a row of the store (ROW), a row at a commit (ROW@COMMIT), one run of a row (ROW/seed-N), a
    store, or the published log of somebody else's run, a CSV file with the columns epoch and perplexity. A log is
    compared after the last epoch that both sides have. Stores are compared row by row.

    Args:
        a: One side, from which differences are counted.
        b: The other side.
        store: Folder in which rows are looked for.
        data: Folder of the data, to tell which words carry the difference.
        markdown: File to write the comparison to in Markdown, as for a pull request.
        page: HTML page to write, or report to which the comparison is added, with the curves and bars.
        rows_file: Python file with rows of your own.
    """
    from benchmark.audit.compare import compare as compare_sides
    from benchmark.audit.history import History
    from benchmark.audit.sides import resolve
    from benchmark.reports import comparison as shown
    from benchmark.store.records import COMMITTED, Store

    for option, output in (("--markdown", markdown), ("--page", page)):
        refuse_lost(option, output, [one for one in (a, b) if Path(one).is_file()])
    history, rows = History(), registry.load(rows_file)
    ones, others = resolve(a, store, history), resolve(b, store, history)
    common = sorted(ones.keys() & others.keys())
    pairs = [(ones[row], others[row]) for row in common]
    if not common:
        if len(ones) > 1 or len(others) > 1:
            raise UserError(f"{a} and {b} have no row in common; they have {', '.join(sorted({*ones, *others}))}")
        pairs = [(next(iter(ones.values())), next(iter(others.values())))]
    references = [*Store(store).readable(), *Store(COMMITTED).readable()]
    found = [compare_sides(one, other, rows, history, references, data) for one, other in pairs]
    print("\n\n".join(shown.as_text(one) for one in found))
    if markdown:
        write_text(markdown, "\n".join(shown.as_markdown(one) for one in found))
    if page:
        write_text(page, shown.as_page(found, page))
    return 0
