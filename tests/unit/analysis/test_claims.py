"""Verdicts on made-up records whose answer is known."""

from collections.abc import Mapping

import pytest
from support.factories import make_record

from benchmark.analysis.claims import CLAIMS, Judgment, judge
from benchmark.analysis.results import gather
from benchmark.store.records import Record
from benchmark.tasks import registry
from benchmark.tasks.base import Row


def runs(name: str, *values: float, metric: str = "test_perplexity", **others: tuple[float, ...]) -> list[Record]:
    return [
        make_record(
            registry.find(name), seed + 1, metrics={metric: value, **{key: of[seed] for key, of in others.items()}}
        )
        for seed, value in enumerate(values)
    ]


def ensemble(name: str, value: float, members: int, **metrics: float) -> Record:
    details = {"members": list(range(members))}
    return make_record(registry.find(name), 0, metrics={"test_perplexity": value, **metrics}, curve=[], details=details)


def verdicts(source: str, records: list[Record], every: tuple[Row, ...] = registry.ROWS) -> Mapping[str, Judgment]:
    return {one.claim.statement: one for one in judge(gather(every, records)) if one.source == source}


HELPS = "Dropout on the non-recurrent connections lowers test perplexity at medium and large."
LARGE_WINS = "The regularized large model beats the regularized medium one."
OVERFIT = "Without dropout larger models overfit, so that only a small one can be used."
RECURRENT = "Dropout on the recurrent connections too does worse than on the non-recurrent ones alone."
ENSEMBLES = "Ensembles of models help in each family, and larger ensembles help more."


def test_without_runs_nothing_is_claimed() -> None:
    judgments = judge(gather(registry.ROWS, []))
    assert {one.claim for one in judgments} == set(CLAIMS)
    assert {one.verdict for one in judgments} == {"not enough runs"}
    assert not any(one.is_run for one in judgments)


def test_a_single_run_of_each_decides_nothing() -> None:
    records = [*runs("sotu-medium", 140), *runs("sotu-medium-dropout", 110)]
    records += [*runs("sotu-large", 190), *runs("sotu-large-dropout", 100)]
    found = verdicts("sotu", records)
    assert found[HELPS].is_run
    assert {one.verdict for one in found.values()} == {"not enough runs"}


def test_clear_differences_decide_either_way() -> None:
    records = [*runs("sotu-small", 120, 121, 120), *runs("sotu-medium", 140, 141, 142)]
    records += [*runs("sotu-large", 190, 191, 190), *runs("sotu-medium-dropout", 110, 111, 112)]
    records += [*runs("sotu-large-dropout", 130, 131, 130), *runs("sotu-medium-recurrent-dropout", 120, 122, 122)]
    found = verdicts("sotu", records)
    assert {statement: one.verdict for statement, one in found.items()} == {
        HELPS: "reproduced",
        LARGE_WINS: "not reproduced",
        OVERFIT: "reproduced",
        RECURRENT: "reproduced",
        ENSEMBLES: "not enough runs",
    }
    assert found[LARGE_WINS].findings[0].rows == ("sotu-medium-dropout", "sotu-large-dropout")
    assert found[HELPS].findings[0].figures == "141.0 → 111.0, -30.0 (-30.0 to -30.0); 3 runs each, paired by seed"


def test_an_unclear_difference_asks_for_runs_first_and_then_speaks_against() -> None:
    noise = (100.0, 104.0, 98.0, 103.0, 99.0)
    for count, verdict in ((4, "not enough runs"), (5, "not reproduced")):
        records = [*runs("sotu-medium-recurrent-dropout", *noise[:count])]
        records += runs("sotu-medium-dropout", *reversed(noise[:count]))
        assert verdicts("sotu", records)[RECURRENT].verdict == verdict


@pytest.mark.parametrize(
    ("second", "fifth", "verdict"), [(90, 80, "reproduced"), (90, 95, "not reproduced"), (101, 80, "not reproduced")]
)
def test_larger_ensembles_have_to_be_better_at_every_step(second: float, fifth: float, verdict: str) -> None:
    records = runs("sotu-small", 100, 102, 104, 106, 108)
    records += [ensemble("sotu-small-average-2", second, 2), ensemble("sotu-small-average-5", fifth, 5)]
    (finding,) = (one for one in verdicts("sotu", records)[ENSEMBLES].findings if "sotu-small" in one.rows)
    assert finding.verdict == verdict
    assert finding.figures.startswith("best single 100.0, 2: ")


def test_an_ensemble_of_too_few_members_is_not_counted() -> None:
    records = [*runs("sotu-small", 100, 102), ensemble("sotu-small-average-5", 90, 2)]
    (finding,) = (one for one in verdicts("sotu", records)[ENSEMBLES].findings if "sotu-small" in one.rows)
    assert finding.verdict == "not enough runs"


def test_speech_needs_training_to_fall_and_validation_to_rise() -> None:
    def speech(name: str, train: float, validation: float) -> list[Record]:
        train_values, values = ((value, value + 0.1, value + 0.2) for value in (train, validation))
        return runs(name, *values, metric="validation_frame_accuracy", train_frame_accuracy=train_values)

    statement = next(claim.statement for claim in CLAIMS if claim.task == "speech")
    good = [
        record
        for size in ("small", "medium", "large")
        for record in [*speech(f"espeak-{size}", 90, 60), *speech(f"espeak-{size}-dropout", 80, 65)]
    ]
    assert verdicts("espeak", good)[statement].in_short == "reproduced (espeak)"
    bad = [record for record in good if record.row != "espeak-small-dropout"]
    assert verdicts("espeak", bad)[statement].verdict == "not enough runs"
    bad += speech("espeak-small-dropout", 95, 65)
    assert verdicts("espeak", bad)[statement].in_short == "not reproduced (espeak: 5 of 6)"


@pytest.mark.parametrize(("bleu", "verdict"), [(24.0, "reproduced"), (21.0, "not reproduced")])
def test_one_regularized_against_ten_needs_the_papers_share_of_the_gain(bleu: float, verdict: str) -> None:
    """From BLEU 20 to 24 the paper's share, 8 of 9, needs 23.6; from perplexity 10 to 8 its share, 48 of 97, 9.01."""
    records = runs("openmoji", *[10.0] * 10, test_bleu=(20.0,) * 10)
    records += runs("openmoji-dropout", 8.5, 8.51, 8.5, test_bleu=(bleu, bleu + 0.01, bleu))
    records.append(ensemble("openmoji-average", 8.0, 10, test_bleu=24.0))
    found = verdicts("openmoji", records)[CLAIMS[-1].statement]
    assert found.verdict == verdict
    assert "49% of the way needs 9.01" in found.findings[0].figures
    assert "89% of the way needs 23.6" in found.findings[1].figures
