"""The report: one page that holds all that the records say, with no network and no script."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from benchmark.analysis.claims import judge
from benchmark.analysis.results import Line, by_source, data_set
from benchmark.reports import tables
from benchmark.reports.figures import INK, PAPER
from benchmark.store.records import Record

SAMPLES_SHOWN = 5


def page(table: Sequence[Line], drawn: Mapping[str, str], pictures: Mapping[str, bytes]) -> str:
    """The report as HTML.

    Args:
        table: the rows with their records.
        drawn: figures as SVG, by name, as figures.draw gives them.
        pictures: PNG files of captions, by name: the source's, then "-captions".
    """
    environment = Environment(
        loader=PackageLoader("benchmark.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    svg = {name: inline(content, name) for name, content in drawn.items()}
    groups = {source: group for source, group in by_source(table).items() if any(line.records for line in group)}
    judged = [one for one in judge(table) if one.is_run]
    records = [record for line in table for record in line.records]
    return environment.get_template("report.html.j2").render(
        effects=svg.get("effects"),
        paper=svg.get("paper"),
        claims=[
            (claim, [one for one in judged if one.claim is claim])
            for claim in dict.fromkeys(one.claim for one in judged)
        ],
        sources=[_source(source, group, svg, pictures) for source, group in groups.items()],
        runs=len(records),
        hours=sum(record.wall_seconds for record in records if not record.is_ensemble) / 3600,
        newest=max((record.finished for record in records), default="")[:10],
    )


def _source(
    source: str, group: Sequence[Line], svg: Mapping[str, Markup], pictures: Mapping[str, bytes]
) -> dict[str, Any]:
    name = Path(source).name
    picture = pictures.get(f"{name}-captions")
    return {
        "id": name,
        "caption": data_set(group).heading,
        "results": tables.results(group),
        "effects": tables.effect_table(group),
        "footnote": tables.footnote(group),
        "curves": svg.get(name),
        "ensembles": svg.get(f"{name}-ensembles"),
        "picture": base64.b64encode(picture).decode() if picture else None,
        "samples": [(_name(line.records[0]), samples) for line in group if (samples := _samples(line))],
        "runs": [_run(record, line) for line in group for record in line.records],
    }


def _samples(line: Line) -> list[dict[str, str]]:
    """What the first run of a row wrote on test data, as its record keeps it."""
    found = line.records[0].samples if line.records else []
    return [
        {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in sample.items()}
        for sample in found[:SAMPLES_SHOWN]
    ]


def _name(record: Record) -> str:
    return f"{record.row}, {'ensemble' if record.is_ensemble else f'seed {record.seed}'}"


def _run(record: Record, line: Line) -> dict[str, Any]:
    digits = line.row.config.headline[-1].digits + 1
    details = {name: value for name, value in record.details.items() if name != "samples"}
    return {
        "name": _name(record),
        "metrics": ", ".join(f"{name} {value:.{digits}f}" for name, value in record.metrics.items()),
        "facts": {
            "rebuild with": record.command,
            "commit": record.commit,
            "finished": record.finished,
            "device": record.device,
            "wall seconds": f"{record.wall_seconds:.0f}",
            f"{record.unit} per second": f"{record.throughput:.0f}",
            "parameters": f"{record.parameters:,}",
            "data": record.data_sha256,
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
            "configuration": json.dumps(record.configuration),
            "details": json.dumps(details, ensure_ascii=False),
        },
    }


def inline(svg: str, name: str) -> Markup:
    """A figure to stand in a page: in the page's colours, its ids unlike those of other figures, without a prologue."""
    svg = svg[svg.index("<svg") :].replace(f"fill: {PAPER}", "fill: none").replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return Markup(re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*" ', r"<svg \1", svg, count=1))
