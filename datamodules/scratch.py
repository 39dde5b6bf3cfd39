"""Names of scratch files and folders, by which `rnnreg clean` tells what killed processes left from a user's own."""

import os
import re
from pathlib import Path

PREFIX = ".rnnreg-"
"""Begins the name of all that the suite makes for a while, and of nothing else."""

FILE = re.compile(r"\.rnnreg-.+\.\d+")
"""Name of a file that takes the place of another one when it is whole; it ends in the number of its process."""
FOLDER = re.compile(r"\.rnnreg-(.+\.\d+|\w{8})")
"""Name of a folder in which data is prepared or a download unpacked; it ends in the number of its process, or as
tempfile ends names."""

IDLE_MINUTES = 10
"""Minutes without a change after which a scratch folder is taken to be of a process that has ended."""


def scratch_file(path: Path) -> Path:
    """Where this process writes a new version of a file, beside it."""
    return path.with_name(f"{PREFIX}{path.name}.{os.getpid()}")
