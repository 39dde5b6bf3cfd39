"""How the outcome of a check reaches its readers: the terminal, JUnit XML, and GitHub's job summary."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from benchmark.files import write_text
from datamodules.errors import UserError


@dataclass(frozen=True)
class TestCase:
    """One test case of JUnit XML."""

    __test__ = False  # to pytest

    group: str
    name: str
    kind: str = ""
    """failure, error, skipped, or empty if it has passed."""
    message: str = ""
    type: str = ""


def junit(suite: str, cases: Sequence[TestCase]) -> str:
    """JUnit XML of test cases."""
    kinds = [case.kind for case in cases]
    root = ElementTree.Element(
        "testsuite",
        name=suite,
        tests=str(len(cases)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
    )
    for case in cases:
        element = ElementTree.SubElement(root, "testcase", classname=case.group, name=case.name)
        if case.kind:
            ElementTree.SubElement(element, case.kind, message=case.message, type=case.type or case.kind)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def publish(heading: str, text: str, xml: str = "", path: Path | None = None) -> None:
    """Print an outcome in Markdown, and write it as JUnit XML and into GitHub's job summary where these are asked for.

    Args:
        heading: heading of the job summary, which GITHUB_STEP_SUMMARY asks for.
        text: the outcome in Markdown.
        xml: the outcome as JUnit XML.
        path: file for the XML.

    Raises:
        UserError: a file cannot be written.
    """
    print(text)
    if path:
        write_text(path, xml)
    try:
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(f"## {heading}\n\n{text}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename}: {error.strerror}") from error
