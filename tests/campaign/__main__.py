"""`python -m campaign`: run the drivers for some time, print and write what they found."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from campaign import ledger
from campaign.drivers import DRIVERS, campaign
from campaign.ledger import Budget


def main() -> int:
    """Run the campaign; 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--budget", type=float, default=3600, help="seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", help=f"some of the drivers {', '.join(DRIVERS)}, separated by commas")
    parser.add_argument("--round", type=int, help="the one round of the driver that is repeated")
    parser.add_argument("--keep", type=Path, default=Path("campaign-faults"), help="folder that takes inputs of faults")
    parser.add_argument("--write", type=Path, help="page that takes the outcome between its markers")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    begin = time.monotonic()
    memory = Path("/dev/shm")  # as its files are many and small
    scratch = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    with tempfile.TemporaryDirectory(prefix="rnnreg-campaign-", dir=scratch) as folder:
        chosen = given.only.split(",") if given.only else list(DRIVERS)
        drivers = campaign(Path(folder), given.seed, Budget(given.budget, only=given.round), chosen, given.keep)
    seconds = time.monotonic() - begin
    for driver in drivers:
        if given.round is None and driver.trials < (goal := driver.goal * given.budget / 3600):
            print(f"{driver.name}: fewer than the {goal:,.0f} that {given.budget:.0f} s should have")
    if given.write:
        ledger.write(given.write, ledger.as_markdown(drivers, given.seed, seconds))
    return int(any(driver.faults for driver in drivers))


if __name__ == "__main__":
    sys.exit(main())
