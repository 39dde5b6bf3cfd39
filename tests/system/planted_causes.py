"""Plants each cause of tests/support/planted.py in a run and counts how often `rnnreg compare` names it first.

`make causes` runs it; it takes some minutes, so that the suite tests a few of the causes only.
"""

import logging
import sys
import tempfile
from pathlib import Path

from support.planted import CAUSES, Bench, trained

LEAST_RIGHT = len(CAUSES) - 1


def main() -> int:
    """Print what is named for each cause; returns 1 if more than one is not named first."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        bench.train_references(4)
        right = 0
        for cause in CAUSES:
            planted = bench.plant(cause)
            found, first = bench.first_cause(bench.first, planted)
            right += first == cause
            said = found.causes[0].sentence if found.causes else found.verdict
            print(f"{'right' if first == cause else 'WRONG'}: {cause}: {said}", flush=True)
        again = Path(scratch) / "again"
        same = again / trained(bench.row, again).run
        found, first = bench.first_cause(bench.first, same)
        print(f"two identical runs: {found.verdict}")
        identical = found.evidence.is_identical and not first
    print(f"{right} of {len(CAUSES)} causes are named first")
    return 0 if right >= LEAST_RIGHT and identical else 1


if __name__ == "__main__":
    sys.exit(main())
