"""What a comparison measures, by hand."""

import math
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from support.factories import make_record

from benchmark.audit.compare import NOT_IN_RUNS, OF_A_TASK, RUN_BY_ALL, Comparison, code_of
from benchmark.audit.entries import Entry
from benchmark.audit.evidence import Evidence, chance
from benchmark.audit.history import History
from benchmark.audit.sides import Side
from benchmark.audit.tokens import Text, token_groups
from benchmark.audit.training_causes import loss_scale, update_ratios
from benchmark.tasks import language_modeling, registry, speech
from benchmark.tasks.base import Row

ROOT = Path(__file__).parents[3]
LM, SPEECH = language_modeling.PTB_SMALL, speech.ROWS[0]


def side(*records) -> Side:
    return Side("side", tuple(Entry(Path("none"), record.run, record) for record in records))


def test_chance_is_students_interval_of_runs_that_differ_by_seeds_alone() -> None:
    one, other = [1.0, 2.0, 3.0, 4.0], [2.0, 2.5, 3.0, 3.5]
    right = stats.ttest_ind(one, other).confidence_interval(0.99)
    assert chance(one, other).half_width == pytest.approx((right.high - right.low) / 2)
    known = [1.0, 2.0, 3.0, 4.0, 5.0]  # tell the spread of two single runs
    assert chance([2.0], [9.0], known).half_width == pytest.approx(stats.t.ppf(0.995, 4) * math.sqrt(2.5 * 2))
    few = chance([99.0, 101.0], [100.0]).half_width  # one degree of freedom
    assert few == pytest.approx(stats.t.ppf(0.995, 1) * math.sqrt(2 * (1 / 2 + 1)))
    assert chance([100.0], [100.0]).half_width == pytest.approx(2 * 2.5758 * math.sqrt(2), rel=1e-4)  # the usual 2 %
    assert chance([100.0], [100.0], comparisons=5).half_width == pytest.approx(2 * stats.norm.ppf(0.999) * math.sqrt(2))


@pytest.mark.parametrize(
    ("name", "usual"), [("test_perplexity", 1.0), ("test_bleu", 10.0), ("validation_frame_accuracy", 0.5)]
)
def test_where_no_runs_tell_the_spread_the_usual_one_is_assumed_and_said(name: str, usual: float) -> None:
    """Runs of two seeds that are all alike say as little as single ones."""
    for seeds in ((1,), (1, 2)):
        one, other = (
            side(*(make_record(seed=seed, metrics={name: value}) for seed in seeds)) for value in (50.0, 49.0)
        )
        found = Evidence(one, other).metric(name)
        assert found is not None
        assert found.is_assumed
        assert found.half_width > usual * 2.5 * math.sqrt(2 / len(seeds)) * 0.98
    known = tuple(make_record(seed=seed, metrics={name: 50.0 + seed}) for seed in range(3, 9))
    told = Evidence(
        side(make_record(seed=1, metrics={name: 50.0})), side(make_record(seed=1, metrics={name: 49.0})), known
    )
    assert [one.is_assumed for one in told.metrics if one.name == name] == [False]


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_chance_over_several_metrics_is_rarely_exceeded_by_few_runs(runs: int) -> None:
    """Captions of Flickr8k: perplexities 19.3 +- 0.3 twice, BLEU 10.8 +- 2 and 15 +- 0.2."""
    generator, wrong, times = np.random.default_rng(0), 0, 300
    kinds = (("perplexity", 19.3, 0.3), ("perplexity", 19.3, 0.3), ("bleu", 10.8, 2.0), ("bleu", 15.0, 0.2))
    for _ in range(times):
        drawn = [(kind, generator.normal(mean, sd, (2, runs)).tolist()) for kind, mean, sd in kinds]
        wrong += any(
            abs(np.mean(one) - np.mean(other)) > chance(one, other, comparisons=len(kinds), metric=kind).half_width
            for kind, (one, other) in drawn
        )
    assert wrong / times <= 0.025


def test_seeds_of_one_row_are_rarely_said_to_differ_by_more_than_chance() -> None:
    generator = np.random.default_rng(0)
    found = []
    for counts in ((1, 1), (2, 3), (2, 8), (5, 5)):
        for _ in range(300):
            one, other, reference = (generator.normal(100, 1, count).tolist() for count in (*counts, 5))
            found.append(abs(np.mean(other) - np.mean(one)) > chance(one, other, reference).half_width)
    assert np.mean(found) < 0.02


def test_seeds_are_said_to_be_the_same_only_where_all_are() -> None:
    def runs(factor: float, *seeds: int) -> Side:
        return side(*(make_record(seed=seed, metrics={"test_perplexity": factor * (100 + seed)}) for seed in seeds))

    same = Comparison(Evidence(runs(1, 0, 5), runs(1.01, 0, 5)), (), ())
    assert same.verdict.startswith(
        "The difference of A and B cannot be told from that of seeds, although their seeds are the same: such runs find"
    )
    assert same.notes == []
    unequal = Comparison(Evidence(runs(1, 0, 1, 5), runs(1.01, 0, 2)), (), ())
    assert unequal.verdict.startswith("The difference of A and B cannot be told from that of seeds: such runs find")
    note = "Metrics are those of all runs; curves, steps and tokens are compared where both have a seed: 0."
    assert unequal.notes == [note]
    none = Comparison(Evidence(runs(1, 0, 1), runs(1.01, 2, 3)), (), ())
    assert none.notes == []


def test_settings_tell_threads_from_the_device() -> None:
    one = make_record(device="CPU A, 1 thread", versions={"torch": "2.6", "processor": "p"})
    other = make_record(device="CPU A, 2 threads", versions={"torch": "2.7", "processor": "p"})
    found = {one.name: (one.a, one.b) for one in Evidence(side(one), side(other)).settings}
    assert found == {"threads": ("1", "2"), "version of torch": ("2.6", "2.7")}


def test_curves_leave_each_others_band_at_the_epoch_where_they_do() -> None:
    def curve(*values: float) -> list[dict[str, float]]:
        return [{"epoch": epoch, "validation_perplexity": value} for epoch, value in enumerate(values, 1)]

    one, other = make_record(curve=curve(100, 50, 40)), make_record(curve=curve(100, 50.1, 60))
    evidence = Evidence(side(one), side(other))
    assert evidence.first_difference("validation_perplexity") == 2
    assert evidence.first_beyond_chance("validation_perplexity") == 3


def test_updates_are_held_against_the_learning_rate_and_the_limit_of_the_norm() -> None:
    steps = [
        {"loss": 1.0, "gradient_norm": 10.0, "update_norm": 2.5},  # clipped at 5
        {"loss": 1.0, "gradient_norm": 4.0, "update_norm": 2.0},
        {"loss": 1.0, "gradient_norm": 4.0, "update_norm": 1.0},
    ]
    record = make_record(details={"first_steps": steps}, curve=[{"epoch": 1, "lr": 0.5}])
    assert update_ratios(record) == [1.0, 1.0, 0.5]


def test_an_update_of_the_second_epoch_has_its_learning_rate() -> None:
    def ratios(*steps: dict[str, float]) -> list[float]:
        both = [{"loss": 1.0, "gradient_norm": 4.0, "update_norm": 2.0}, *steps]
        curve = [{"epoch": 1, "lr": 0.5}, {"epoch": 2, "lr": 0.25}, {"epoch": 3, "lr": 0.125}]
        return update_ratios(make_record(details={"first_steps": both}, curve=curve))

    half = {"loss": 1.0, "gradient_norm": 4.0, "update_norm": 1.0}
    assert ratios({**half, "lr": 0.25}) == [1.0, 1.0]
    assert ratios({**half, "lr": 0.5}) == [1.0, 0.5]
    assert ratios({**half, "lr": 0.3}) == [1.0, 0.5]  # which is the learning rate of no epoch
    assert ratios(half) == [1.0, 1.0]  # an older record, which has no learning rates of steps
    assert ratios({**half, "update_norm": 0.5}) == [1.0, 0.25]  # before the third epoch there is a step of the second


@pytest.mark.parametrize(
    ("row", "steps", "ratio", "cause"),
    [
        (SPEECH, (4, 4), 0.93, []),  # which utterances come first decides the first loss
        (SPEECH, (0, 0), 0.93, []),
        (SPEECH, (40, 21), 2.0, ["unroll"]),
        (SPEECH, (4, 4), 1 / SPEECH.config.unroll, ["loss averaged over tokens"]),
        (LM, (40, 20), 2.0, ["unroll"]),
        (LM, (40, 40), 2.0, []),
        (LM, (0, 0), 2.0, ["unroll"]),  # older records, which do not tell the number of steps
        (LM, (40, 40), 1.01, []),
    ],
)
def test_windows_are_longer_where_loss_and_number_of_steps_agree(
    row: Row, steps: tuple[int, int], ratio: float, cause: list[str]
) -> None:
    def run(seed: int, loss: float, count: int) -> Side:
        known = {"steps_of_epoch": count} if count else {}
        first = {"loss": loss, "gradient_norm": 1.0, "update_norm": 1.0, **known}
        return side(make_record(row, seed, details={"first_steps": [first]}))

    evidence = Evidence(run(1, 100.0, steps[0]), run(2, 100.0 * ratio, steps[1]))
    assert [one.name for one in loss_scale(evidence)] == cause


def test_groups_of_tokens_share_the_difference(tmp_path: Path) -> None:
    sides = []
    for name, values in (("a", [-1.0, -1.0, -1.0, -1.0]), ("b", [-1.0, -2.0, -1.0, -4.0])):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "log_probabilities.npz", test=np.array(values, dtype=np.float16))
        sides.append(Side(name, (Entry(tmp_path / name, name, make_record()),)))
    text = Text(["dog", "<eos>", "dog", "rare"], Counter({"dog": 500, "rare": 1, "<eos>": 900}))
    found = {(one.kind, one.name): (one.share, one.change, one.part) for one in token_groups(Evidence(*sides), text)}
    frequency, place = "frequency in the training text", "place in the line"
    assert found == {
        (frequency, "100 to 999 times"): (0.5, 0.0, 0.0),
        (frequency, "less than 10 times"): (0.25, 3.0, 0.75),
        (frequency, "<eos>"): (0.25, 1.0, 0.25),
        (place, "first word"): (0.25, 0.0, 0.0),
        (place, "words 2 and 3"): (0.5, 1.5, 0.75),
        (place, "<eos>"): (0.25, 1.0, 0.25),
    }


def test_the_code_that_a_row_runs_exists() -> None:
    assert {row.config.task for row in registry.ROWS} == OF_A_TASK.keys()
    paths = [*RUN_BY_ALL, *NOT_IN_RUNS, *(path for of_task in OF_A_TASK.values() for path in of_task)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("models/cells.py", True),
        ("datamodules/text.py", True),
        ("models/a_new_file.py", True),
        ("models/language_model.py", True),
        ("benchmark/tasks/language_modeling.py", True),
        ("models/translator.py", False),
        ("datamodules/speech/features.py", False),
        ("models/loaded.py", False),
        ("benchmark/reports/tables.py", False),
    ],
)
def test_a_commit_counts_that_touches_what_a_row_runs(path: str, runs: bool, tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    for content in ("before", "after"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
        git("add", "-A")
        git("commit", "-qm", content)
    touched = History(tmp_path).between("HEAD~1", "HEAD", code_of("language-modeling"))
    assert [line.split()[1] for line in touched] == ["after"] * runs
