"""Certificates: made from runs, read from strangers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record

from benchmark.analysis import ensembles
from benchmark.analysis.results import gather
from benchmark.audit.certificate import certify, faults_of, read_certificate, summary
from benchmark.audit.history import History
from benchmark.commands.certify import certify as command
from benchmark.store.records import Store, checksum_arrays
from benchmark.tasks import registry
from datamodules.errors import UserError
from datamodules.sealed import checksum_of

ROOT = Path(__file__).parents[3]
ROWS = [registry.find("ptb-small"), registry.find("ptb-small-dropout")]
HISTORY = History()
COMMIT = next(iter(HISTORY.commits))


def runs(values: list[float], digits: str) -> list:
    """Runs of ptb-small with these test perplexities, from seed 1 on."""
    return [
        make_record(
            ROWS[0], seed, metrics={"validation_perplexity": 120.0, "test_perplexity": value},
            log_probabilities_sha256=f"{digits}{seed}", commit=COMMIT,
        )
        for seed, value in enumerate(values, 1)
    ]  # fmt: skip


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    own, committed = runs([114.0, 116.0], "a"), runs([114.0, 115.0, 116.0], "b")
    committed[0] = own[0]  # the very run that is certified, which is not held against itself
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(certify(gather(ROWS, own), gather(ROWS, committed))))
    return path


def test_a_certificate_says_what_a_machine_gave_beside_what_is_committed(certificate: Path) -> None:
    content = json.loads(certificate.read_text())
    assert content["@context"] == "https://w3id.org/ro/crate/1.1/context"
    linked = {entity["@id"] for entity in content["@graph"]}
    assert {"ro-crate-metadata.json", "./", "#reproduction", "#rnnreg"} <= linked
    findings = read_certificate(certificate)
    (number,) = [one for one in findings["numbers"] if one["metric"] == "test_perplexity"]
    assert (number["here"], number["committed"], number["inside"]) == ([114.0, 116.0], [115.0, 116.0], True)
    assert [run["bits"] for run in findings["runs"]] == ["no other run of this seed", "differ"]
    assert "0 of 1 runs agree bit for bit" in summary(findings)
    assert list(faults_of(findings, ROWS, HISTORY)) == []


def test_runs_that_diverged_are_counted_and_the_others_are_held_against_no_spread(tmp_path: Path) -> None:
    own, committed = gather(ROWS, runs([114.0, 116.0], "a")), gather(ROWS, runs([115.0, 116.0, 117.0], "b"))
    own = [replace(own[0], diverged=(3, 4, 5)), replace(own[1], diverged=(1,))]
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps(certify(own, committed)))
    findings = read_certificate(path)
    rows = [{"row": row.name, "here": here, "committed": 0} for row, here in zip(ROWS, (3, 1), strict=True)]
    assert findings["diverged"] == rows
    assert {one["inside"] for one in findings["numbers"]} == {None}
    assert summary(findings).startswith("0 of 0 numbers lie inside the committed spread")
    assert summary(findings).endswith(", 4 runs diverged")
    assert list(faults_of(findings, ROWS, HISTORY)) == []
    findings["diverged"] = rows[1:]
    assert "inside is None; its values give True" in " ".join(faults_of(findings, ROWS, HISTORY))
    committed = [replace(committed[0], diverged=(9,)), committed[1]]
    assert certify(own, committed)["rnnreg"]["diverged"][0] == {"row": ROWS[0].name, "here": 3, "committed": 1}


def test_runs_of_other_data_are_not_compared(tmp_path: Path) -> None:
    rows = [registry.find(name) for name in ("sotu-medium", "sotu-medium-dropout")]
    own, same = (
        [
            make_record(
                row, seed, commit=COMMIT, metrics={"validation_perplexity": mean, "test_perplexity": mean + seed}
            )
            for row, mean in zip(rows, (140.0, 110.0), strict=True)
            for seed in (1, 2, 3)
        ]
        for _ in range(2)
    )
    same = [replace(record, finished="2025-01-01T00:00:00+00:00") for record in same]
    other = gather(rows, [replace(record, data_sha256="e" * 64) for record in same])
    other[0] = replace(other[0], diverged=(9,))
    (path := tmp_path / "certificate.json").write_text(json.dumps(certify(gather(rows, own), other)))
    findings = read_certificate(path)
    assert {(one["low"], one["high"], one["inside"]) for one in findings["numbers"]} == {(None, None, None)}
    assert {one["committed"] for one in findings["claims"]} == {"of other data"}
    assert (findings["diverged"], findings["of_other_data"]) == ([], [row.name for row in rows])
    assert summary(findings) == (
        "0 of 0 numbers lie inside the committed spread, 0 of 0 runs agree bit for bit with a committed run of the "
        "same seed, 0 of 0 claims have the committed verdict, 4 numbers and 1 claim not compared, as the committed "
        "runs are of other data"
    )
    assert list(faults_of(findings, rows, HISTORY)) == []
    findings = certify(gather(rows, own), gather(rows, same))["rnnreg"]
    assert summary(findings).startswith("2 of 2 numbers")  # those of the validation set are all alike
    assert (summary(findings).count("not compared"), findings["of_other_data"]) == (0, [])


def test_runs_that_are_all_alike_tell_no_spread(certificate: Path) -> None:
    findings = read_certificate(certificate)
    (number,) = [one for one in findings["numbers"] if one["metric"] == "validation_perplexity"]
    assert (number["low"], number["high"], number["inside"]) == (None, None, None)
    number |= {"low": 120.0, "high": 120.0, "inside": True}  # as older certificates have it
    assert [one for one in faults_of(findings, ROWS, HISTORY) if "perplexity" in one] == []


def test_of_committed_runs_those_of_the_machines_data_are_compared(tmp_path: Path, capsys) -> None:
    """However many others are committed."""
    for folder, seeds, data in (("own", (1, 2), "d"), ("kept", (3, 4), "d"), ("kept", (5, 6, 7), "e")):
        for seed in seeds:
            metrics = {"validation_perplexity": 120.0 + seed, "test_perplexity": 114.0 + seed}
            record = make_record(ROWS[0], seed, data_sha256=data * 64, metrics=metrics, commit=COMMIT)
            Store(tmp_path / folder).write(record, {})
    path = tmp_path / "certificate.json"
    command(tmp_path / "own", tmp_path / "kept", path)
    findings = read_certificate(path)
    assert findings["of_other_data"] == []
    assert [one["committed"] for one in findings["numbers"]] == [[123.0, 124.0], [117.0, 118.0]]


def test_a_certificate_has_the_claims_about_ensembles(tmp_path: Path, monkeypatch, capsys) -> None:
    """Their intervals come from the log-probabilities in the store."""
    rows = [registry.find(name) for name in ("ptb-small", "ptb-small-average-2")]
    generator = np.random.default_rng(0)
    store = Store(tmp_path / "runs")
    for seed in range(1, 7):
        arrays = {split: generator.normal(-4.7, 0.1, 4000).astype(np.float16) for split in ("validation", "test")}
        metrics = {f"{split}_perplexity": float(np.exp(-values.mean(dtype=float))) for split, values in arrays.items()}
        store.write(
            make_record(
                rows[0], seed, metrics=metrics, log_probabilities_sha256=checksum_arrays(arrays), commit=COMMIT
            ),
            arrays,
        )
    ensembles.update(rows, registry.ROWS, store)
    monkeypatch.chdir(tmp_path)
    assert command(store.root, ROOT / "results" / "records") == 0
    claims = read_certificate(tmp_path / "certificate.json")["claims"]
    assert any("ensemble" in one["claim"].lower() or "averag" in one["claim"].lower() for one in claims), claims


def test_forged_certificates_are_found(certificate: Path) -> None:
    findings = read_certificate(certificate)
    findings["numbers"][1]["inside"] = False
    findings["commits"] = ["0" * 40]
    assert "was altered" in " ".join(faults_of(findings, ROWS, HISTORY))
    findings["sha256"] = checksum_of(findings)
    first, second = faults_of(findings, ROWS, HISTORY)
    assert "commit 000000000000 is not in the history" in first
    assert "test_perplexity: inside is False; its values give True" in second
    findings["runs"][0]["metrics"]["test_perplexity"] = 1.0
    assert "is not that of its runs, 1, 116" in " ".join(faults_of(findings, ROWS, HISTORY))
    findings["numbers"] = [{"row": "ptb-small"}]
    assert "are not as `rnnreg certify` writes them" in " ".join(faults_of(findings, ROWS, HISTORY))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "is no certificate"),
        ("[1", "cannot be read as JSON"),
        ('{"rnnreg": {"version": 9}}', "is a certificate of version 9"),
        ('{"rnnreg": {"version": 1}}', "is half a certificate: it lacks claims"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_certificate(tmp_path / "c.json")


def test_committed_certificates_have_no_fault_and_are_listed() -> None:
    page = " ".join((ROOT / "docs" / "reproductions.md").read_text().split())
    paths = sorted((ROOT / "results" / "reproductions").glob("*.json"))
    assert len(paths) >= 2
    for path in paths:
        findings = read_certificate(path)
        assert list(faults_of(findings, registry.ROWS, HISTORY)) == []
        assert f"results/reproductions/{path.name}" in page
        assert summary(findings) in page
