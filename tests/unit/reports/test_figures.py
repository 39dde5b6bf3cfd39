"""Figures: the same records give the same bytes, whatever the machine."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.reports.figures import STYLE, as_svg, legend


def drawn(nudge: float) -> Figure:
    """Two panels with markers, whose corners are a share of the figure higher."""
    figure, panels = plt.subplots(1, 2)
    for panel in panels:
        panel.plot([1, 2, 3], [0.1, 0.2, 0.7], marker="o", clip_on=True)
        corner = panel.get_position()
        panel.set_position((corner.x0, corner.y0 + nudge, corner.width, corner.height))
    return figure


def test_coordinates_that_differ_in_their_last_bit_give_the_same_bytes() -> None:
    """As they do among processors, whose vector units do not all round alike."""
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        one, same, other = (as_svg(drawn(nudge)) for nudge in (0.0, float(np.spacing(0.11)), 0.1))
    assert one == same != other


@pytest.mark.parametrize("kind", ["clip-path", "xlink:href"])
def test_every_element_that_is_used_is_given_once(kind: str) -> None:
    with plt.rc_context(STYLE):  # type: ignore[arg-type]
        svg = as_svg(drawn(0.0))
    used = {part.split('"')[0].removeprefix("url(").strip("#)") for part in svg.split(f'{kind}="')[1:]}
    assert used
    assert all(svg.count(f'id="{name}"') == 1 for name in used)


def test_one_legend_names_the_lines_of_every_panel_once() -> None:
    figure, (first, second) = plt.subplots(1, 2)
    first.plot([1, 2], label="small")
    second.plot([2, 1], label="small")
    second.plot([2, 2], label="large")
    legend(figure, 2)
    assert [text.get_text() for (one,) in [figure.legends] for text in one.get_texts()] == ["small", "large"]
    plt.close(figure)


def test_a_legend_follows_the_panel_that_has_most_lines() -> None:
    figure, (first, second) = plt.subplots(1, 2)
    first.plot([1, 2], label="training")
    first.plot([1, 2], label="other")
    for label in ("training", "at the end", "other"):
        second.plot([2, 1], label=label)
    legend(figure, 2)
    (one,) = figure.legends
    assert [text.get_text() for text in one.get_texts()] == ["training", "at the end", "other"]
    plt.close(figure)
