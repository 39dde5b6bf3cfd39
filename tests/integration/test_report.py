"""Claims and report as a user asks for them; the page in a headless browser."""

import html
import io
import json
import re
import shutil
import subprocess
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark.analysis.atlas import atlases
from benchmark.analysis.results import read_store
from benchmark.cli import main
from benchmark.reports import atlas_figures, figures, surface
from benchmark.store.records import Store
from benchmark.tasks import registry

RECORDS = Path(__file__).parents[2] / "results" / "records"

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: the report is not rendered")


def render(page: Path, profile: Path) -> tuple[str, list[str]]:
    """What a browser makes of a page, and what its console says."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    found = subprocess.run(
        [str(CHROMIUM), *flags, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return found.stdout, [line for line in found.stderr.splitlines() if "CONSOLE" in line]


class Count(HTMLParser):
    """How often each element is there, and every id."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: dict[str, int] = {}
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.elements[tag] = self.elements.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id"]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The page of the committed records, which takes a while to make; nobody changes it."""
    folder, printed = tmp_path_factory.mktemp("report"), io.StringIO()
    with redirect_stdout(printed):
        assert main(["report", "--store", str(RECORDS), "--output", str(folder)]) == 0
    assert printed.getvalue() == f"report: {folder / 'report.html'}\n"
    return folder / "report.html"


def test_every_number_of_the_tables_is_on_the_page_and_nothing_is_fetched(rnnreg, report, tmp_path) -> None:
    text = report.read_text()
    assert rnnreg("table", "--store", RECORDS, "--output", tmp_path / "tables")[0] == 0
    assert not (tmp_path / "tables" / "report.html").exists()
    from_tables = set(re.findall(r"\d+\.\d+ ± \d+\.\d+", (tmp_path / "tables" / "table.md").read_text()))
    assert from_tables
    assert all(number in text for number in from_tables)
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert "<script" not in text
    counted = Count()
    counted.feed(text)
    assert len(counted.ids) == len(set(counted.ids))


def test_every_run_is_there_with_what_rebuilds_it_and_what_it_wrote(report) -> None:
    text = html.unescape(report.read_text())
    records = list(Store(RECORDS).records())
    assert records
    for record in records:
        assert record.command in text
        assert json.dumps(record.configuration) in text
    first = {record.row: record for record in reversed(records)}
    written = [record.details["samples"][0] for record in first.values() if record.details.get("samples")]
    assert {"translation", "caption"} <= {key for sample in written for key in sample}
    assert all(str(sample[key]) in text for sample in written for key in ("translation", "caption") if key in sample)


@needs_chromium
def test_a_browser_shows_figures_and_tables_and_has_no_complaint(report, tmp_path) -> None:
    dom, console = render(report, tmp_path / "profile")
    assert console == []
    counted = Count()
    counted.feed(dom)
    table = read_store(registry.ROWS, RECORDS)
    drawn = {**figures.draw(table), **atlas_figures.draw(atlases(table)), **surface.figures_of(RECORDS)}
    assert counted.elements["svg"] == len(drawn) >= 8
    assert counted.elements["table"] >= 16
    assert counted.elements["details"] > len(list(RECORDS.glob("*/*/record.json")))


@needs_chromium
def test_what_the_page_must_not_do_is_seen(report, tmp_path) -> None:
    """The check above can fail: a picture from elsewhere, and a script, both land in the console."""
    changed = tmp_path / "changed.html"
    changed.write_text(
        report.read_text().replace("</body>", '<img src="https://example.org/a.png"><script>1</script></body>')
    )
    _, console = render(changed, tmp_path / "profile")
    assert len(console) == 2


def test_claims_are_printed_by_profile(rnnreg) -> None:
    code, quick, err = rnnreg("claims", "--store", RECORDS, "--profile", "quick")
    assert code == 0, err
    assert "Penn Treebank" not in quick
    assert re.search(r"^(REPRODUCED|NOT REPRODUCED|NOT ENOUGH RUNS): Dropout on the non-recurrent", quick, re.MULTILINE)
    _, standard, _ = rnnreg("claims", "--store", RECORDS, "--profile", "standard")
    assert "Penn Treebank" in standard


def test_claims_and_report_of_no_store_say_so(rnnreg, tmp_path) -> None:
    for command in ("claims", "report"):
        code, _, err = rnnreg(command, "--store", tmp_path / "none")
        assert code == 1
        assert "there is no such folder; `rnnreg reproduce` makes one" in err


def test_a_store_without_runs_gives_a_page_that_says_so(rnnreg, tmp_path) -> None:
    code, _, err = rnnreg("report", "--store", tmp_path)
    assert code == 0, err
    assert "No runs yet" in (tmp_path / "report.html").read_text()


def test_power_plans_what_the_committed_records_leave_open(rnnreg) -> None:
    code, out, err = rnnreg("power", "--store", RECORDS, "--profile", "standard")
    assert code == 0, err
    lines = out.splitlines()
    assert re.split(r"\s{2,}", lines[0])[2:5] == ["expected", "found by today's runs", "runs needed"]
    assert any(line.startswith("flickr8k-1k") and "test BLEU" in line and "of each row" in line for line in lines)
    assert lines[-1].endswith("comparisons are undecided")
    code, out, _ = rnnreg("power", "--store", RECORDS, "--profile", "quick")
    *planned, last = out.splitlines()
    open_ones = {0: "every comparison is decided", 2: "1 comparison is undecided"}
    assert last == open_ones.get(len(planned), f"{len(planned) - 1} comparisons are undecided")
