"""What is said under a table."""

from support.factories import make_record

from benchmark.analysis.results import gather
from benchmark.reports import figures, tables
from benchmark.reports.footnotes import footnote
from benchmark.tasks import registry
from models.metrics import corpus_bleu

BIBLE = [registry.find("bible-large"), registry.find("bible-large-dropout")]
CURVE = [{"epoch": 1, "train_perplexity": 60.0, "validation_perplexity": 50.0}]


def test_unknown_words_are_said_and_perplexity_stands_with_and_without_them() -> None:
    details = {"unknown_words": {"train": 0.137, "validation": 0.04, "test": 0.21}}
    records = [
        make_record(
            row, seed, details=details, metrics={"test_perplexity": known / 2, "test_perplexity_known_words": known}
        )
        for row, known in zip(BIBLE, (80.0, 70.0), strict=True)
        for seed in (1, 2)
    ]
    table = gather(BIBLE, records)
    assert "Unknown words: 13.7% of the train tokens, 21.0% of the test tokens." in footnote(table)
    effects = [row[1:4] for row in tables.effect_table(table).body]
    assert effects == [
        ("test perplexity", "40.00 ± 0.00", "35.00 ± 0.00"),
        ("test perplexity, known words", "80.00 ± 0.00", "70.00 ± 0.00"),
    ]


def test_bleu_that_is_0_whatever_the_outputs_say_is_said() -> None:
    remarks = corpus_bleu(["red box here"], [["red box here"]]).details["bleu_remarks"]
    scores = [{"test_perplexity": 5.0, "test_bleu": bleu} for bleu in (0.0, 12.0)]
    records = [
        make_record(row, details=details, metrics=metrics)
        for row, metrics, details in zip(BIBLE, scores, ({"bleu_remarks": remarks}, {}), strict=True)
    ]
    said = "BLEU of 1 run (bible-large): no output has four words, so that BLEU is 0 whatever they say."
    assert said in footnote(gather(BIBLE, records))
    assert "BLEU of" not in footnote(gather(BIBLE, records[1:]))


def test_phrases_that_splits_share_and_settings_that_were_tried_are_said() -> None:
    row = registry.find("espeak-large")
    details = {"shared_phrases": {"validation": 0.01, "test": 0.0}}
    text = footnote(gather([row], [make_record(row, details=details, metrics={"test_frame_accuracy": 60.0})]))
    assert "Of runs of four words, 1.0% of those of the validation set and 0.0% of those of the test set are in" in text
    assert f"Settings tried: {row.tried}." in text


def test_training_with_dropout_off_is_shown_where_a_run_has_it() -> None:
    metrics = {"test_perplexity": 40.0}
    without = gather(BIBLE, [make_record(row, metrics=metrics, curve=CURVE) for row in BIBLE])
    metrics = {**metrics, "train_perplexity_without_dropout": 20.0}
    measured = gather(BIBLE, [make_record(row, metrics=metrics, curve=CURVE) for row in BIBLE])
    assert "training perplexity, dropout off" in tables.results_table(measured).header
    assert "training perplexity, dropout off" not in tables.results_table(without).header
    assert "the other is the final model's" in footnote(measured)
    assert "the other" not in footnote(without)
    assert "training at the end, dropout off" in figures.draw(measured)["bible"]
    assert "at the end" not in figures.draw(without)["bible"]


def test_rows_that_differ_in_more_than_dropout_are_named_with_what_differs() -> None:
    without = registry.find("sotu-medium")
    alone, tuned = (without.variant(name, dropout=0.5, **more) for name, more in (("a", {}), ("b", {"clip": 2.5})))
    for other, expected in ((alone, None), (tuned, "sotu-medium and b differ in more than dropout: clip 5 and 2.5.")):
        records = [make_record(row, 1) for row in (without, other)]
        text = footnote(gather([without, other], records))
        assert expected in text if expected else "more than dropout" not in text
    assert "more than dropout" not in footnote(gather([without, tuned], [make_record(without, 1)]))  # b has not run
