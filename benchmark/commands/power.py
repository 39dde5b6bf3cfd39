"""The command that plans runs: power."""

from pathlib import Path

from benchmark.analysis.results import read_store
from benchmark.formatting import print_columns
from benchmark.tasks import registry
from benchmark.tasks.base import Profile
from benchmark.training.options import STORE
from datamodules.errors import counted


def power(store: Path = STORE, profile: Profile | None = None, rows_file: Path | None = None) -> int:
    """Print for each undecided comparison of the paper's claims the runs that would decide it.

    A number of runs decides if it finds the expected difference, the paper's own or else the smallest of interest, in
    80 % of repetitions. Device hours are those of the runs that are missing, from records of such runs.

    Args:
        store: Folder that holds the records.
        profile: Plan only for the data of this profile.
        rows_file: Python file with rows of your own.
    """
    from benchmark.analysis.claims import judge
    from benchmark.analysis.power import plans
    from benchmark.grid.estimates import hours_of
    from benchmark.store.records import COMMITTED, Store

    rows = registry.load(rows_file)
    judgments = judge(read_store(rows, store))
    found = [one for one in plans(judgments) if profile is None or profile in one.judgment.profiles]
    records = [*Store(store).records(skipped=[]), *Store(COMMITTED).records(skipped=[])]
    table = [("data", "comparison", "expected", "found by today's runs", "runs needed", "device hours")]
    for plan in found:
        digits = plan.finding.effect.metric.digits if plan.finding.effect else 1
        hours = hours_of([(registry.find(name, rows), count) for name, count in plan.missing.items()], records)
        table.append(
            (
                plan.judgment.name,
                plan.finding.comparison,
                f"{plan.finding.expected:.{digits}f}" if plan.finding.expected else "–",
                "–" if plan.detectable is None else f"{plan.detectable:.{digits}f}",
                plan.needed_in_words,
                "–" if hours is None else f"{hours:.1f}",
            )
        )
    if found:
        print_columns(table)
    print(f"{counted(len(found), 'comparison', 'is', 'are')} undecided" if found else "every comparison is decided")
    return 0
