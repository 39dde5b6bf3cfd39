"""Adds pages and figures from outside docs/ to the site that mkdocs.yml builds.

Links between docs/, results/ and the top folder are written as they work in the repository; on the site these three
folders are one, so the links are shortened here.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
SHOWN = ("results/*.md", "results/*.svg", "results/*.png", "CONTRIBUTING.md", "CHANGELOG.md")


def on_files(files: Files, config: Any) -> Files:
    """Add the files in SHOWN under the paths that they have in the repository."""
    for pattern in SHOWN:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Shorten the links of a page: ../results/table.md becomes results/table.md, docs/data.md becomes data.md."""
    if page.file.src_uri.startswith("results/"):
        page.meta["hide"] = ["toc"]  # wide tables need the room
        return markdown.replace("](../docs/", "](../")
    return re.sub(r"\]\((\.\./|docs/)", "](", markdown)
