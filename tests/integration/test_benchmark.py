"""`rnnreg benchmark` on tiny models, in this process."""

import html
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from benchmark.cli import main
from benchmark.reports.speed import table, table_of_methods
from benchmark.speed import measure, rounds
from benchmark.store import speeds
from benchmark.store.provenance import describe_versions
from benchmark.store.speeds import Case, Measurement, Speeds
from benchmark.tasks.methods import METHODS
from benchmark.training.first_steps import FirstSteps
from datamodules.errors import UserError
from models.products import lacks_bfloat16


@pytest.fixture
def tiny(monkeypatch) -> Iterator[None]:
    """Models of a few units, trained in the test's process, whose cores and threads stay as they are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    small = rounds.PTB_SMALL
    row = replace(small, config=replace(small.config, hidden_size=8, unroll=3, batch_size=2))
    monkeypatch.setattr(rounds, "ROWS", dict.fromkeys(rounds.ROWS, row))
    monkeypatch.setattr(measure, "ROWS", rounds.ROWS)
    monkeypatch.setattr(rounds, "WORDS", 20)
    monkeypatch.setattr(rounds, "PEAK_SIZE", {"cpu": 8})
    monkeypatch.setattr(rounds, "pin", lambda threads, lane, device: None)
    monkeypatch.setattr(measure.Lanes, "start", lambda self, contenders: None)
    monkeypatch.setattr(
        measure.Lanes,
        "call",
        lambda self, contender, processes, work, *arguments: [
            work(*arguments, self.device, lane) for lane in range(processes)
        ],
    )
    yield
    torch.set_num_threads(threads)


def test_every_contender_is_measured_and_shown(tiny, tmp_path, capfd) -> None:
    options = ["--accelerator=cpu", "--quick", "--rounds=1", "--seconds=0.01", f"--output={tmp_path}"]
    assert main(["benchmark", *options]) == 0
    found = speeds.read(tmp_path / "benchmark-cpu.json")
    assert {one.case.contender for one in found.measurements} == set(rounds.CONTENDERS)
    precisions = {"32"} if lacks_bfloat16() else {"32", "bf16-mixed"}
    assert {one.case.precision for one in found.measurements} == precisions
    assert all(len(one.seconds) == 1 and min(one.seconds) > 0 for one in found.measurements)
    assert {one.tokens for one in found.measurements} == {6}
    assert found.versions == describe_versions(torch.device("cpu"))
    assert set(found.peaks) == {f"{one}, 1 thread" for one in precisions}
    assert all(f">{contender}<" in (tmp_path / "benchmark.svg").read_text() for contender in rounds.CONTENDERS)
    lines = (tmp_path / "benchmark.md").read_text().splitlines()
    assert sum(line.startswith("| small | ") for line in lines) == len(found.measurements)


def test_methods_are_measured_beside_the_papers_dropout(tiny, tmp_path, capfd) -> None:
    options = ["--accelerator=cpu", "--methods", "--sizes=small", "--precision=32", "--rounds=2", "--seconds=0.01"]
    assert main(["benchmark", *options, f"--output={tmp_path}"]) == 0
    assert "small, 32, 1 thread, zoneout: " in capfd.readouterr().out
    found = speeds.read(tmp_path / "benchmark-methods-cpu.json")
    assert [one.case.method for one in found.measurements] == list(METHODS)
    lines = (tmp_path / "benchmark.md").read_text().splitlines()
    own = [line.split(" | ") for line in lines if line.startswith("| small | ")]
    assert [line[2] for line in own] == [method.label for method in METHODS.values()]
    assert [line[4] for line in own if line[2] == "dropout (the paper's)"] == ["1.00 (range 1.00 to 1.00)"]
    figure = (tmp_path / "benchmark-methods.svg").read_text()
    assert all(f">{html.escape(method.label, quote=False)}<" in figure for method in METHODS.values())


def test_what_was_measured_before_a_stop_is_kept(tmp_path, monkeypatch, capfd) -> None:
    def measured(group: list[Case], *arguments: object) -> list[Measurement]:
        if group[0].size == "medium":
            raise UserError("plain loop: its process was killed (out of memory?)")
        return [Measurement(case, [1.0], 10, 60.0, 0.0) for case in group]

    monkeypatch.setattr(measure, "_measure_group", measured)
    monkeypatch.setattr(measure.Lanes, "start", lambda *arguments: None)
    monkeypatch.setattr(measure.Lanes, "call", lambda *arguments: [{}])
    assert main(["benchmark", "--accelerator=cpu", "--precision=32", f"--output={tmp_path}"]) != 0
    found = speeds.read(tmp_path / "benchmark-cpu.json")
    assert [(one.case.contender, one.case.size) for one in found.measurements] == [
        (contender, "small") for contender in rounds.CONTENDERS
    ]


def test_both_precisions_of_a_size_take_turns() -> None:
    alone, two_threads = measure.of_loops(["small"], ["32", "bf16-mixed"], [(2, 1)])
    assert {case.precision for case in alone} == {case.precision for case in two_threads} == {"32", "bf16-mixed"}
    assert [case.contender for case in alone] == [*rounds.CONTENDERS, *rounds.CONTENDERS]
    assert {(case.contender, case.threads) for case in two_threads} == {("rnnreg", 2), ("plain loop", 2)}


def test_steps_are_timed_without_what_a_run_measures_of_its_first_alone(tiny, tmp_path, monkeypatch) -> None:
    measured: list[str] = []
    monkeypatch.setattr(FirstSteps, "on_before_optimizer_step", lambda *arguments: measured.append("a first step"))
    assert rounds.ours(Case("rnnreg", "small", "32"), 3, "cpu", tmp_path) > 0
    assert not measured


def test_a_step_that_takes_twice_as_long_says_so() -> None:
    paper = Measurement(Case("rnnreg", "small", "32", method="dropout"), [1.0, 3.0, 1.0], 10, 60.0, 0.0)
    slow = Measurement(Case("rnnreg", "small", "32", method="zoneout"), [2.0, 6.0, 2.0], 10, 60.0, 0.0)
    outcome = Speeds(
        device="CPU", versions={}, commit="c", finished="now", command="rnnreg", peaks={"32, 1 thread": 100.0},
        measurements=[paper, slow],
    )  # fmt: skip
    times = ["1.00 (range 1.00 to 1.00)", "2.00 (range 2.00 to 2.00)"]
    assert [line[4] for line in table_of_methods(outcome).body] == times


def test_a_ratio_to_the_loop_in_float32_pairs_the_rounds_too() -> None:
    plain = Measurement(Case("plain loop", "small", "32"), [2.0, 6.0, 2.0], 10, 60.0, 0.0)
    ours = Measurement(Case("rnnreg", "small", "bf16-mixed"), [1.0, 2.0, 2.0], 10, 60.0, 0.0)
    peaks = {"32, 1 thread": 100.0, "bf16-mixed, 1 thread": 100.0}
    outcome = Speeds(
        device="CPU", versions={}, commit="c", finished="now", command="rnnreg", peaks=peaks,
        measurements=[plain, ours],
    )  # fmt: skip
    assert [line[6:8] for line in table(outcome).body] == [("1.00", "1.00"), ("", "2.00")]


@pytest.mark.parametrize("option", ["--sizes=small,tiny", "--precision=16", "--sizes="])
def test_a_wrong_choice_is_named(option, capsys) -> None:
    assert main(["benchmark", option]) != 0
    assert option.split("=")[0] in capsys.readouterr().err


def test_ratios_pair_the_rounds(tmp_path) -> None:
    """Where the machine slows down for a while, both contenders slow down: the ratio stays."""
    ours = Measurement(Case("rnnreg", "small", "32"), [1.0, 3.0, 1.0], 10, 60.0, 0.0)
    plain = Measurement(Case("plain loop", "small", "32"), [2.0, 6.0, 2.0], 10, 60.0, 0.0)
    assert ours.times_as_fast_as(plain) == 2.0
    together = Measurement(Case("rnnreg", "small", "32", processes=2), [1.0, 1.0, 1.0], 20, 120.0, 0.0)
    assert together.tokens_per_second == 20.0

    found = Speeds(
        device="CPU", versions={}, commit="c", finished="now", command="rnnreg", peaks={"32, 1 thread": 100.0},
        measurements=[ours, plain, together],
    )  # fmt: skip
    assert found.share_of_peak(ours) == pytest.approx(0.6)
    assert found.share_of_peak(together) == pytest.approx(0.6)
    speeds.write(found, tmp_path / "benchmark-cpu.json")
    assert speeds.read(tmp_path / "benchmark-cpu.json") == found


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"measurements": [{"case": {}}]})])
def test_a_file_that_is_no_outcome_is_named(content, tmp_path) -> None:
    (tmp_path / "benchmark-cpu.json").write_text(content)
    with pytest.raises(UserError, match=r"benchmark-cpu\.json"):
        speeds.read(tmp_path / "benchmark-cpu.json")


def test_bfloat16_is_left_out_where_the_plain_loop_has_none(tiny, tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.setattr("models.products.lacks_bfloat16", lambda: True)
    options = ["--accelerator=cpu", "--quick", "--rounds=1", "--seconds=0.01", f"--output={tmp_path}"]
    assert main(["benchmark", *options]) == 0
    assert {one.case.precision for one in speeds.read(tmp_path / "benchmark-cpu.json").measurements} == {"32"}
    assert "rnnreg: bf16-mixed is left out: PyTorch's LSTM" in capfd.readouterr().err
    assert main(["benchmark", *options, "--precision=bf16-mixed"]) == 1
    assert "does not compute in bfloat16 on this processor; measure 32" in capfd.readouterr().err
