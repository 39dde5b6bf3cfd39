"""Names and notes of users and models go into tables and pages as text, never as markup."""

import base64
import re
from typing import get_args

import pytest
from support.factories import make_record

from benchmark.analysis.atlas import Standing
from benchmark.analysis.claims import judge
from benchmark.analysis.names import short_names
from benchmark.analysis.results import gather
from benchmark.analysis.verdicts import Verdict
from benchmark.formatting import Table, as_markdown, bold
from benchmark.reports import tables
from benchmark.reports.page import identifier, inline, page
from benchmark.tasks import language_modeling, registry

EVIL = '/data/a"><script>alert(1)</script>|\\\\1 [x](javascript:1) `b` &lt;\nnew'


def test_markdown_of_any_text_is_text() -> None:
    written = as_markdown(EVIL)
    assert not set(written) & set("<>|\\[]`\n")
    assert "&#38;lt;" in written
    assert as_markdown("5 & 6, a_b, test_2016_flickr, a__b") == "5 & 6, a_b, test_2016_flickr, a__b"
    first, _, last = Table((EVIL, "b"), ((EVIL, "c"),)).markdown().splitlines()
    assert first.count("|") == last.count("|") == 3


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("_a_b_", "&#95;a_b&#95;"),
        ("__a__, b_", "&#95;&#95;a&#95;&#95;, b&#95;"),
        ("(_a) a_*b*", "(&#95;a) a&#95;&#42;b&#42;"),
        ("**a** ~~b~~ $x^2$", "&#42;&#42;a&#42;&#42; &#126;&#126;b&#126;&#126; &#36;x^2&#36;"),
    ],
)
def test_what_github_draws_as_emphasis_or_a_formula_is_text(text: str, written: str) -> None:
    assert as_markdown(text) == written
    assert Table(("a",), ((text,),)).markdown().endswith(f"\n| {written} |")


@pytest.mark.parametrize("verdict", [*get_args(Verdict), *get_args(Standing), "–"])
def test_verdicts_of_a_table_are_in_bold(verdict: str) -> None:
    assert Table(("a",), ((bold(verdict, ", *b*"),),)).markdown().endswith(f"\n| **{verdict}**, &#42;b&#42; |")


def test_captions_are_shown_under_their_own_source_only() -> None:
    """Two folders of one name have short names that tell them apart, and so have their pictures."""
    plain = registry.find("openmoji")
    rows = [plain.variant(name, source=f"/{name}/photos") for name in ("one", "other")]
    table = gather(rows, [make_record(row) for row in rows])
    written = base64.b64encode(b"picture").decode()
    assert written not in page(table, judge(table), {}, {"photos-captions": b"picture"})
    name = short_names([row.config.data_set_name for row in rows])[rows[0].config.data_set_name]
    assert page(table, judge(table), {}, {f"{name}-captions": b"picture"}).count(written) == 1


def test_tables_and_page_of_an_evil_folder_hold_no_markup_of_its() -> None:
    row = language_modeling.PTB_SMALL.variant("own", source=EVIL)
    row = type(row)(**{**vars(row), "note": EVIL})
    record = make_record(row, details={"left_out": {EVIL: 3}, "samples": [{"text": EVIL}]})
    table = gather([row], [record])
    assert "<script" not in tables.markdown(table)
    html = page(table, judge(table), {}, {})
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
