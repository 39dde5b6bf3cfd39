"""The report: one HTML page of everything in the records, which needs no network and no script."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from benchmark.analysis.claims import Judgment
from benchmark.analysis.names import short_names
from benchmark.analysis.results import RowResults, by_source, data_set, sizes
from benchmark.reports import tables
from benchmark.reports.figures import INK, PAPER
from benchmark.reports.footnotes import footnote
from benchmark.store.records import Record

SAMPLES_SHOWN = 5


def page(
    table: Sequence[RowResults],
    judgments: Sequence[Judgment],
    drawn: Mapping[str, str],
    pictures: Mapping[str, bytes],
) -> str:
    """The report as HTML.

    Args:
        table: the rows with their records.
        judgments: the paper's claims, judged by these.
        drawn: figures as SVG by name, from figures.draw.
        pictures: PNG files of captions, by name: the short one of the source and "-captions".
    """
    svg = {name: inline(content, name) for name, content in drawn.items()}
    every = by_source(table)
    names = short_names(every)
    groups = {source: group for source, group in every.items() if any(results.records for results in group)}
    judged = [one for one in judgments if one.is_run]
    records = [record for results in table for record in results.records]
    return template("report.html.j2").render(
        effects=svg.get("effects"),
        paper=svg.get("paper"),
        benchmark=svg.get("benchmark"),
        speed_of_methods=svg.get("benchmark-methods"),
        claims=[
            (claim, [one for one in judged if one.claim is claim])
            for claim in dict.fromkeys(one.claim for one in judged)
        ],
        sources=[_source(names[source], group, svg, pictures) for source, group in groups.items()],
        runs=len(records),
        hours=sum(record.wall_seconds for record in records if not record.is_ensemble) / 3600,
        newest=max((record.finished for record in records), default="")[:10],
    )


def _source(
    name: str, group: Sequence[RowResults], svg: Mapping[str, Markup], pictures: Mapping[str, bytes]
) -> dict[str, Any]:
    picture = pictures.get(f"{name}-captions")
    return {
        "id": identifier(name),
        "heading": data_set(group).heading,
        "results": tables.results_table(group),
        "effects": tables.effect_table(group),
        "footnote": footnote(group),
        "curves": svg.get(name),
        "ensembles": svg.get(f"{name}-ensembles"),
        "atlases": [
            (size, svg[f"{begin}-atlas"], svg.get(f"{begin}-tuning"))
            for size in sizes(group)
            if f"{(begin := f'{name}-{size}')}-atlas" in svg
        ],
        "surface": svg.get(f"{name}-surface"),
        "picture": base64.b64encode(picture).decode() if picture else None,
        "samples": [(_name(results.records[0]), samples) for results in group if (samples := _samples(results))],
        "runs": [_run(record, results) for results in group for record in results.records],
    }


def _samples(results: RowResults) -> list[dict[str, str]]:
    """Output of the first run of a row on test data."""
    found = results.records[0].samples if results.records else []
    return [
        {name: ", ".join(value) if isinstance(value, list) else str(value) for name, value in sample.items()}
        for sample in found[:SAMPLES_SHOWN]
    ]


def _name(record: Record) -> str:
    return f"{record.row}, {'ensemble' if record.is_ensemble else f'seed {record.seed}'}"


def _run(record: Record, results: RowResults) -> dict[str, Any]:
    digits = results.row.config.headline[-1].digits + 1
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


def identifier(name: str) -> str:
    """A name as the id of an element; of a name with other letters than an id may have, those and a checksum."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def template(name: str) -> Template:
    """A template of this folder, in which text is escaped unless it says otherwise."""
    environment = Environment(
        loader=PackageLoader("benchmark.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def inline(svg: str, name: str) -> Markup:
    """A figure to embed in the page: in the colors of the page, with ids of its own, without an XML prologue."""
    svg = svg[svg.index("<svg") :].replace(f"fill: {PAPER}", "fill: none").replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{identifier(name)}-", svg)
    return Markup(re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"|<svg height="[^"]*" ', r"<svg \1", svg, count=1))
