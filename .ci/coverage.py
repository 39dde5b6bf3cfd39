"""Fails when a file of the packages has too little coverage; the report itself holds all of them together to more."""

import json
import sys
from pathlib import Path

MINIMUM = 80.0
"""Lines and branches that the tests run, in percent of those of a file."""


def main(report: Path) -> int:
    """Print each file of coverage's JSON report that is below the minimum; give the exit code."""
    files = json.loads(report.read_text())["files"]
    found = {name: file["summary"]["percent_covered"] for name, file in files.items()}
    low = sorted(name for name, percent in found.items() if percent < MINIMUM)
    for name in low:
        print(f"{name}: {found[name]:.1f} % is covered, less than {MINIMUM:g} %")
    return 1 if low or not found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
