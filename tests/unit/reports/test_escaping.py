"""Names and notes of users and models go into tables and pages as text, never as markup."""

import re

import pytest
from support.factories import make_record

from benchmark.analysis.results import gather
from benchmark.formatting import Table, as_markdown
from benchmark.reports import tables
from benchmark.reports.page import identifier, inline, page
from benchmark.tasks import language_modeling

EVIL = '/data/a"><script>alert(1)</script>|\\\\1 [x](javascript:1) `b` &lt;\nnew'


def test_markdown_of_any_text_is_text() -> None:
    written = as_markdown(EVIL)
    assert not set(written) & set("<>|\\[]`\n")
    assert "&#38;lt;" in written
    assert as_markdown("**undecided**, 5 & 6, a_b") == "**undecided**, 5 & 6, a_b"
    first, _, last = Table((EVIL, "b"), ((EVIL, "c"),)).markdown().splitlines()
    assert first.count("|") == last.count("|") == 3


def test_tables_and_page_of_an_evil_folder_hold_no_markup_of_its() -> None:
    row = language_modeling.PTB_SMALL.variant("own", source=EVIL)
    row = type(row)(**{**vars(row), "note": EVIL})
    record = make_record(row, details={"left_out": {EVIL: 3}, "samples": [{"text": EVIL}]})
    table = gather([row], [record])
    assert "<script" not in tables.markdown(table)
    html = page(table, {}, {})
    assert "<script" not in html
    assert 'href="javascript' not in html


@pytest.mark.parametrize("name", ['a"b', "a b", "\\\\1\\\\g<0>", "données"])
def test_ids_of_figures_are_ids(name: str) -> None:
    svg = '<svg width="9pt" height="9pt"><defs><path id="p"/></defs><use href="#p"/><g clip-path="url(#p)"/></svg>'
    found = inline(svg, name)
    id = identifier(name)
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", id)
    assert all(part in found for part in (f'id="{id}-p"', f'href="#{id}-p"', f"url(#{id}-p)"))
    assert identifier("flickr8k-1k") == "flickr8k-1k"
    assert identifier("a b") != identifier("a-b")
