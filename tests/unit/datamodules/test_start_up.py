"""The files that name the data sets are read by every command, so they import nothing that takes long."""

import json
import subprocess
import sys

SOURCES = [
    "datamodules.sources",
    *(f"datamodules.{task}.sources" for task in ("language_modeling", "speech", "translation", "captioning")),
]


def test_naming_data_sets_imports_only_the_standard_library() -> None:
    program = f"""
import sys
before = set(sys.modules)
import {", ".join(SOURCES)}
import json
print(json.dumps(sorted({{name.split(".")[0] for name in set(sys.modules) - before}})))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) - sys.stdlib_module_names == {"datamodules"}
