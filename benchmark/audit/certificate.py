"""Certificates: what one machine gave, claim by claim and number by number, beside what is committed.

A certificate is one JSON file that is RO-Crate metadata (https://w3id.org/ro/crate/1.1) with the findings under
"rnnreg". Whoever has it can hold it against the committed records again.
"""

import datetime
import json
import math
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.analysis.claims import judge
from benchmark.analysis.intervals import prediction
from benchmark.analysis.results import RowResults
from benchmark.audit.entries import misfits, parse, quoted
from benchmark.audit.history import History
from benchmark.formatting import count
from benchmark.store.records import Record
from benchmark.tasks.base import Row
from datamodules.errors import UserError
from datamodules.sealed import checksum_of

VERSION = 1
"""Version of a certificate's content."""
CONFIDENCE = 0.99
"""Share of repetitions in which the mean of such runs lies inside the committed spread."""

Content = dict[str, Any]

FIELDS: dict[str, Any] = {
    "version": int, "made": str, "commits": list[str], "devices": list[str], "versions": list[dict[str, str]],
    "seconds": float, "claims": list[dict[str, str]], "numbers": list[dict[str, Any]], "runs": list[dict[str, Any]],
}  # fmt: skip
"""The fields of the findings, besides their checksum."""
LATER_FIELDS: dict[str, Any] = {"diverged": list[dict[str, Any]], "of_other_data": list[str]}
"""Those that older certificates lack: rows of which runs diverged, with their number here and of those committed, and
rows whose committed runs are of other data, with which nothing is compared."""
OF_OTHER_DATA = "of other data"
"""Shown in place of a verdict on other data than the machine's."""
NO_OTHER = "no other run of this seed"
"""Stands where a run's bits cannot be compared."""


def certify(own: Sequence[RowResults], committed: Sequence[RowResults]) -> Content:
    """The certificate of the runs of one machine.

    A committed run that is the very run that is certified is not held against itself, nor are runs of other data.

    Args:
        own: every row with the runs of the machine.
        committed: the same rows with the committed runs.

    Raises:
        UserError: the machine has no runs.
    """
    records = [record for results in own for record in results.records]
    if not records:
        raise UserError("there are no runs of shipped rows to certify; `make reproduce` trains them")
    apart = _of_other_data(own, committed)
    committed = [
        replace(results, records=(), diverged=()) if results.row.name in apart else results for results in committed
    ]
    mine = {_identity(record) for record in records}
    others = {
        results.row.name: [record for record in results.records if _identity(record) not in mine]
        for results in committed
    }
    lost = list(_diverged(own, committed))
    findings: Content = {
        "version": VERSION,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commits": sorted({record.commit for record in records}),
        "devices": sorted({record.device for record in records}),
        "versions": list({json.dumps(one.versions, sort_keys=True): one.versions for one in records}.values()),
        "seconds": sum(record.wall_seconds for record in records if not record.is_ensemble),
        "claims": list(_claims(own, committed, apart)),
        "numbers": [number for results in own for number in _numbers(results, others[results.row.name], lost)],
        "runs": [_run(record, others[results.row.name]) for results in own for record in results.records],
        "diverged": lost,
        "of_other_data": apart,
    }
    return {**_crate(findings), "rnnreg": {**findings, "sha256": checksum_of(findings)}}


def _identity(record: Record) -> tuple[str, str, str]:
    return record.run, record.finished, record.log_probabilities_sha256


def _of_other_data(own: Sequence[RowResults], committed: Sequence[RowResults]) -> list[str]:
    """The rows whose committed runs are of other data than those that the machine has of their source."""
    here, there = (
        {one.row.config.data_key: run.data_sha256 for one in table for run in one.records} for table in (own, committed)
    )
    keys = {key for key in here.keys() & there.keys() if here[key] != there[key]}
    run = [results for results in committed if results.records or results.diverged]
    return [results.row.name for results in run if results.row.config.data_key in keys]


def _claims(
    own: Sequence[RowResults], committed: Sequence[RowResults], apart: Collection[str]
) -> Iterator[dict[str, str]]:
    """Each claim that the machine's runs say something about, with both verdicts; on other data there is one."""
    verdicts = {(one.claim.statement, one.source): one.verdict for one in judge(committed) if one.is_run}
    for one in judge(own):
        if one.is_run and one.is_decided_here:
            rows = {name for finding in one.findings for name in finding.rows}
            there = verdicts.get((one.claim.statement, one.source), "not run yet")
            yield {
                "claim": one.claim.statement,
                "data": Path(one.source).name,
                "here": one.verdict,
                "committed": OF_OTHER_DATA if rows.intersection(apart) else there,
            }


def _diverged(own: Sequence[RowResults], committed: Sequence[RowResults]) -> Iterator[dict[str, Any]]:
    """The rows of which runs diverged, and how many of them, on this machine and of those committed."""
    of_others = {results.row.name: len(results.diverged) for results in committed}
    for results in own:
        here, there = len(results.diverged), of_others.get(results.row.name, 0)
        if here or there:
            yield {"row": results.row.name, "here": here, "committed": there}


def _numbers(
    results: RowResults, others: Sequence[Record], lost: Iterable[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Each headline metric of a row: the machine's runs, and where those of others predict their mean."""
    has_lost = results.row.name in {one["row"] for one in lost}
    for metric in results.row.config.headline:
        sample = results.sample(metric.name)
        if sample is None:
            continue
        known = [record.metrics[metric.name] for record in others if metric.name in record.metrics]
        yield {
            "row": results.row.name,
            "metric": metric.name,
            "here": list(sample.values),
            "committed": known,
            **_place(sample.values, known, has_lost),
        }


def _place(values: Sequence[float], known: Sequence[float], has_lost: bool) -> dict[str, Any]:
    """Where others' runs predict the mean of so many more runs, and whether it lies there.

    Nothing if runs diverged, or if those of others are all alike, which tells no spread.
    """
    if len(set(known)) < 2 or has_lost:
        return {"low": None, "high": None, "inside": None}
    low, high = prediction(known, len(values), CONFIDENCE)
    return {"low": low, "high": high, "inside": low <= statistics.fmean(values) <= high}


def _run(record: Record, others: Sequence[Record]) -> dict[str, Any]:
    """One run, and whether another machine's run of the same seed agrees to the last bit."""
    same = [one for one in others if one.seed == record.seed and one.data_sha256 == record.data_sha256]
    agree = any(
        one.log_probabilities_sha256 == record.log_probabilities_sha256 and one.metrics == record.metrics
        for one in same
    )
    return {
        "run": record.run,
        "metrics": record.metrics,
        "log_probabilities_sha256": record.log_probabilities_sha256,
        "bits": NO_OTHER if not same else "the same" if agree else "differ",
        "seconds": record.wall_seconds,
        "device": record.device,
        "commit": record.commit,
    }


def _crate(findings: Content) -> Content:
    """The RO-Crate metadata around the findings."""
    machine = ", ".join(findings["devices"])
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
                "about": {"@id": "./"},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"Recurrent Neural Network Regularization, reproduced on {machine}",
                "description": "Claims and numbers of arXiv:1409.2329 as one machine gave them, beside committed runs.",
                "datePublished": findings["made"][:10],
                "license": {"@id": "https://spdx.org/licenses/MIT"},
                "mentions": [{"@id": "#reproduction"}],
            },
            {
                "@id": "#reproduction",
                "@type": "CreateAction",
                "name": "rnnreg reproduce",
                "instrument": {"@id": "#rnnreg"},
                "endTime": findings["made"],
                "result": {"@id": "./"},
            },
            {
                "@id": "#rnnreg",
                "@type": "SoftwareApplication",
                "name": "rnnreg",
                "version": ", ".join(findings["commits"]),
                "softwareRequirements": json.dumps(findings["versions"]),
            },
            {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"},
        ],
    }


def read_certificate(path: Path) -> Content:
    """The findings of a certificate that somebody else made.

    Raises:
        UserError: it is none, or of another version.
    """
    content = parse(path)
    findings = content.get("rnnreg") if isinstance(content, dict) else None
    if not isinstance(findings, dict):
        raise UserError(f"{path} is no certificate; `rnnreg certify` makes one")
    if findings.get("version") != VERSION:
        raise UserError(f"{path} is a certificate of version {quoted(findings.get('version'))}; this reads {VERSION}")
    if missing := sorted((FIELDS.keys() | {"sha256"}) - findings.keys()):
        raise UserError(f"{path} is half a certificate: it lacks {', '.join(missing)}")
    later = {name: hint for name, hint in LATER_FIELDS.items() if name in findings}
    for name, hint in {**FIELDS, **later}.items():
        if wrong := next(misfits(findings[name], hint, name), None):
            raise UserError(f"{path}: {wrong}")
    return findings


def faults_of(findings: Content, rows: Iterable[Row], history: History) -> Iterator[str]:
    """What is not as it should be in a certificate, each in a line."""
    if checksum_of(findings) != findings["sha256"]:
        yield "the certificate was altered after it was written (its checksum differs)"
    for commit in findings["commits"]:
        if history.is_whole and commit not in history.commits:
            yield f"commit {quoted(commit[:12])} is not in the history, or the runs are of changed code"
    known = {row.name for row in rows}
    try:
        lost = {one["row"] for one in findings.get("diverged", ()) if 0 <= one["here"] < math.inf}
        for number in findings["numbers"]:
            if number["row"] in known:
                yield from _faults_of_number(number, findings["runs"], number["row"] in lost)
            else:
                yield f"{quoted(number['row'])} is no row of this version"
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        yield f"its numbers or runs are not as `rnnreg certify` writes them: {quoted(repr(error))}"


def _faults_of_number(number: Mapping[str, Any], runs: Iterable[Mapping[str, Any]], has_lost: bool) -> Iterator[str]:
    """Whether a number is that of its runs, and its spread that of the committed values that it names."""
    row, metric = number["row"], number["metric"]
    own = [run["metrics"] for run in runs if run["run"].partition("/")[0] == row]
    kept = [metrics[metric] for metrics in own if metric in metrics]
    if kept != number["here"]:
        yield f"{row}: {quoted(metric)} is not that of its runs, {', '.join(f'{one:.6g}' for one in kept) or 'none'}"
    if len(set(number["committed"])) == 1 and number["low"] == number["high"]:
        return  # older certificates hold the runs against a spread of none
    for name, value in _place(number["here"], number["committed"], has_lost).items():
        if not (value == number[name] or (value and number[name] and math.isclose(value, number[name]))):
            yield f"{row}: {quoted(metric)}: {name} is {quoted(number[name])}; its values give {quoted(value)}"


def no_longer_committed(findings: Content, committed: Sequence[RowResults]) -> int:
    """How many values that a certificate holds to be committed are not: records change after a certificate is made."""
    today = {
        (results.row.name, value) for results in committed for one in results.records for value in one.metrics.values()
    }
    return sum((number["row"], value) not in today for number in findings["numbers"] for value in number["committed"])


def summary(findings: Content) -> str:
    """A certificate in a sentence."""
    inside = [number["inside"] for number in findings["numbers"] if number["inside"] is not None]
    same = [run["bits"] for run in findings["runs"] if run["bits"] != NO_OTHER]
    claims = [claim for claim in findings["claims"] if claim["committed"] != OF_OTHER_DATA]
    agree = sum(claim["here"] == claim["committed"] for claim in claims)
    apart = findings.get("of_other_data", ())
    numbers, others = (
        sum(number["row"] in apart for number in findings["numbers"]),
        len(findings["claims"]) - len(claims),
    )
    not_compared = " and ".join([count(numbers, "number"), *([count(others, "claim")] if others else [])])
    lost = sum(one["here"] for one in findings.get("diverged", ()))
    return (
        f"{sum(inside)} of {len(inside)} numbers lie inside the committed spread, "
        f"{same.count('the same')} of {len(same)} runs agree bit for bit with a committed run of the same seed, "
        f"{agree} of {len(claims)} claims have the committed verdict"
        + (f", {not_compared} not compared, as the committed runs are of other data" if numbers or others else "")
        + (f", {count(lost, 'run')} diverged" if lost else "")
    )
