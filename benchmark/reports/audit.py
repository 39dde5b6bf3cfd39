"""How the outcome of `rnnreg verify` is shown: a line for each fault, a table of the checks, and JUnit XML."""

from html import escape as escape_html

from benchmark.audit.verify import Audit
from benchmark.formatting import Table
from benchmark.reports import outcome
from benchmark.reports.outcome import TestCase


def markdown(audit: Audit) -> str:
    """A line for each fault, then a table of the checks, with what could not be checked."""
    lines = "".join(f"- {escape(fault.run)}: {escape(fault.message)}\n" for fault in audit.faults)
    body = []
    for check, names in audit.checked.items():
        if not names:
            continue
        faulty = {fault.run for fault in audit.faults if fault.check == check}
        unsure = {gap.run for gap in audit.gaps if gap.check == check}
        reasons = [f"{count}: {reason}" for (of, reason), count in audit.reasons.items() if of == check]
        right = len(set(names) - faulty - unsure)
        body.append((check, str(right), str(len(faulty)), "; ".join(reasons) or "–"))
    table = Table(("check", "right", "faulty", "not recomputed"), tuple(body))
    return f"{lines}\n{table.markdown()}\n"


def junit(audit: Audit) -> str:
    """JUnit XML with a test case for each check of each record, evaluation and tuning; what was not made is skipped."""
    messages: dict[tuple[str, str, str], list[str]] = {}
    for kind, findings in (("failure", audit.faults), ("skipped", audit.gaps)):
        for one in findings:
            messages.setdefault((one.run, one.check, kind), []).append(one.message)
    cases = []
    for check, names in audit.checked.items():
        for name in names:
            kind = next((kind for kind in ("failure", "skipped") if (name, check, kind) in messages), "")
            cases.append(TestCase(name, check, kind, "; ".join(messages.get((name, check, kind), []))))
    return outcome.junit("rnnreg verify", cases)


def escape(text: str) -> str:
    """A line of Markdown in which nothing that a stranger wrote is a tag, and which reads well in a terminal."""
    return escape_html(text, quote=False)
