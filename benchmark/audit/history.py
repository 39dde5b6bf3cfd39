"""The suite's own history, from git: which commits there are, when they were made, and what changed between two."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmark.tasks.registry import ROOT

NAMES_ITS_PROCESSOR = "1da5d5b808dbba7d829ac91169c166662f251ea1"
"""The commit from which on runs name their processor."""


@dataclass(frozen=True)
class History:
    """The history of a checkout.

    Args:
        root: folder of the checkout.
    """

    root: Path = field(default=ROOT)

    @cached_property
    def commits(self) -> Mapping[str, int]:
        """Time of each commit that leads to the one checked out, in seconds; empty outside a checkout."""
        return {
            commit: int(time) for commit, time in (line.split() for line in self._git("log", "--format=%H %ct", "HEAD"))
        }

    @cached_property
    def before_processors(self) -> frozenset[str]:
        """The commits whose code did not write a run's processor down yet."""
        return frozenset(self._git("rev-list", f"{NAMES_ITS_PROCESSOR}^"))

    @property
    def is_whole(self) -> bool:
        """Whether every commit is there; it is not outside a checkout and in a shallow one."""
        return bool(self.commits) and self._git("rev-parse", "--is-shallow-repository") == ["false"]

    def resolve(self, name: str) -> str:
        """The whole checksum of a commit from its beginning or another name; empty if there is none."""
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return found[0] if found else ""

    def between(self, one: str, other: str, paths: Sequence[str]) -> list[str]:
        """The commits that one of two has and the other has not and that touch some paths, each as a line."""
        return self._git("log", "--format=%h %s", f"{one}...{other}", "--", *paths)

    def _git(self, *words: str) -> list[str]:
        try:
            done = subprocess.run(["git", "-C", str(self.root), *words], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return []
        return done.stdout.splitlines()
