"""How a comparison of two sides is shown: as text, in Markdown, and as a section of the page with its figures."""

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
from markupsafe import Markup
from matplotlib.axes import Axes

from benchmark.audit.compare import Comparison
from benchmark.audit.evidence import CURVES
from benchmark.audit.sides import Side
from benchmark.formatting import Table
from benchmark.formatting import as_markdown as as_cell
from benchmark.reports.figures import INK, STYLE, WITH, WITHOUT, as_svg, legend
from benchmark.reports.page import inline, template
from datamodules.errors import UserError

Part = tuple[str, str | Table]
"""A heading, and what stands under it."""

OTHER_CAUSES = 3
"""Causes that are named besides the likeliest one."""


def parts(comparison: Comparison) -> list[Part]:
    """The parts of a comparison after its verdict, in the order of a reader's questions."""
    evidence, causes = comparison.evidence, comparison.causes
    found: list[Part] = []
    if causes:
        first = causes[0]
        reasons = f" Reasons: {'; '.join(first.reasons)}." if first.reasons else ""
        others = [cause.name for cause in causes[1 : OTHER_CAUSES + 1]]
        found.append(("Likely cause", first.sentence + reasons + (f" Also: {', '.join(others)}." if others else "")))
    elif not evidence.is_identical and not evidence.by_chance:
        found.append(("Likely cause", "Nothing that runs keep tells the cause."))
    if evidence.metrics:
        body = [
            (one.name, _mean(one.a, one.runs[0]), _mean(one.b, one.runs[1]), f"{one.b - one.a:+.3f}",
             f"±{one.half_width:.3f}", "no" if one.by_chance else "yes", f"{one.detectable:.3f}")
            for one in evidence.metrics
        ]  # fmt: skip
        header = ("metric", "A", "B", "difference", "by chance", "more than seeds do", "finds a shift of (80 %)")
        found.append(("Metrics", Table(header, tuple(body))))
        if assumed := [one.name for one in evidence.metrics if one.is_assumed]:
            words = f"No runs tell the spread over seeds of {', '.join(assumed)}: it is assumed to be the usual one."
            found.append(("Spread", words))
    if comparison.curves:
        found.append(("Curves", " ".join(line[0].upper() + line[1:] for line in comparison.curves)))
    if evidence.settings:
        rows = tuple((one.name, one.a, one.b) for one in evidence.settings)
        found.append(("What differs in the records", Table(("setting", "A", "B"), rows)))
    elif evidence.b.records:
        found.append(("What differs in the records", "Nothing."))
    if evidence.commits:
        found.append(
            ("Commits between that touch what the row runs", "\n".join(f"- {one}" for one in evidence.commits))
        )
    if comparison.groups:
        groups = [
            (group.kind, group.name, f"{group.share:.1%}", f"{group.change:+.4f}", f"{group.part:+.0%}")
            for group in comparison.groups
        ]
        of_groups = ("test tokens by", "group", "of the tokens", "B worse by (nats)", "of all change")
        found.append(("Tokens", Table(of_groups, tuple(groups))))
    return found


def _mean(value: float, runs: int) -> str:
    return f"{value:.3f}" + (f" ({runs} runs)" if runs > 1 else "")


def _title(comparison: Comparison) -> str:
    """The sides, and what is to know of how they are compared."""
    titles = f"A: {comparison.evidence.a.title}. B: {comparison.evidence.b.title}."
    return " ".join((titles, *comparison.notes))


def as_text(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    lines = [comparison.verdict, _title(comparison)]
    for heading, content in parts(comparison):
        lines += ["", heading, content.text() if isinstance(content, Table) else content]
    return "\n".join(lines)


def as_markdown(comparison: Comparison) -> str:
    """The comparison in Markdown, as for a pull request."""
    lines = [f"**{comparison.verdict}**", "", as_cell(_title(comparison))]
    for heading, content in parts(comparison):
        text = content.markdown() if isinstance(content, Table) else escape(content, quote=False)
        lines += ["", f"#### {heading}", "", text.replace("`&lt;eos&gt;`", "`<eos>`")]
    return "\n".join(lines) + "\n"


def as_page(comparisons: Sequence[Comparison], path: Path) -> str:
    """The comparisons as a section of a page: of the suite's report if that is what the file is, else of its own page.

    Raises:
        UserError: there is such a file, and it is no page of the suite's.
    """
    sections = [
        {
            "verdict": one.verdict,
            "title": _title(one),
            "parts": [(heading, content, isinstance(content, Table)) for heading, content in parts(one)],
            "figure": _inline(one, place),
        }
        for place, one in enumerate(comparisons)
    ]
    layout = template("comparison.html.j2")
    section = layout.render(sections=sections, alone=False)
    if not path.exists():
        return layout.render(sections=sections, alone=True)
    try:
        page = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"--page {path} cannot be read: {error}") from error
    if "<title>rnnreg" not in page or "</body>" not in page:
        raise UserError(f"--page {path} is no page of this suite; name another file, or one that `rnnreg report` made")
    page = re.sub(r'<section id="comparison">.*?</section>\n', "", page, flags=re.DOTALL)
    before, _, after = page.rpartition("</body>")
    return f"{before}{section}</body>{after}"


def _inline(comparison: Comparison, place: int) -> Markup | None:
    figure = draw(comparison)
    return inline(figure, f"comparison-{place}") if figure else None


def draw(comparison: Comparison) -> str | None:
    """The curves of both sides and the bars of token groups, as SVG; None if there is nothing to draw."""
    evidence = comparison.evidence
    metrics = [name for name in CURVES if evidence.ratios(name)]
    kinds = list(dict.fromkeys(group.kind for group in comparison.groups))
    count = len(metrics) + len(kinds)
    if not count:
        return None
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        figure, axes = plt.subplots(1, count, figsize=(4.2 * count, 3.6), layout="constrained", squeeze=False)
        for axis, name in zip(axes[0], metrics, strict=False):
            for side, label, color in ((evidence.a, "A", WITHOUT), (evidence.b, "B", WITH)):
                _curve(axis, side, name, f"{label}: {side.title}", color)
            axis.set_xlabel("epoch")
            axis.set_title(name.replace("_", " "))
        for axis, kind in zip(axes[0][len(metrics) :], kinds, strict=True):
            groups = [group for group in comparison.groups if group.kind == kind]
            axis.barh([group.name for group in groups], [100 * group.part for group in groups], color=WITH)
            axis.axvline(0, color=INK, linewidth=0.8)
            axis.invert_yaxis()
            axis.set_xlabel("% of all change, up or down (right: B is worse)")
            axis.set_title(f"test tokens by {kind}")
        if metrics:
            legend(figure, 2)
        return as_svg(figure)


def _curve(axis: Axes, side: Side, name: str, label: str, color: str) -> None:
    """Mean of a side's runs by epoch, with the range from the lowest to the highest."""
    epochs = sorted({point["epoch"] for curve in side.curves for point in curve if name in point})
    values = [side.at_epoch(name, epoch) for epoch in epochs]
    axis.plot(epochs, [sum(of_epoch) / len(of_epoch) for of_epoch in values], ".-", color=color, label=label)
    axis.fill_between(epochs, list(map(min, values)), list(map(max, values)), color=color, alpha=0.15, linewidth=0)
