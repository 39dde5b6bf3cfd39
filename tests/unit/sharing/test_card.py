"""Model cards: what they say of the data that a model was trained on."""

from pathlib import Path

import pytest
import yaml
from support.factories import make_record

from benchmark.sharing.card import Card, card
from benchmark.store.records import Record
from benchmark.tasks import language_modeling, registry, speech


def written(record: Record, records: Path) -> tuple[dict[str, object], str]:
    """The metadata and the text of a card."""
    text = card(Card(record, {}, "float32", False, records, ""))
    _, metadata, body = text.split("---\n", 2)
    return yaml.safe_load(metadata), body


SPEECH = make_record(registry.find("librispeech"), metrics={})


def of_source(record: Record, source: str) -> Record:
    return make_record(
        registry.find(record.row), metrics=record.metrics, configuration={**record.configuration, "source": source}
    )


def test_a_published_source_gives_its_terms_and_its_language(tmp_path: Path) -> None:
    metadata, body = written(make_record(language_modeling.SOTU_SMALL), tmp_path)
    assert (metadata["license"], metadata["language"]) == ("mit", ["en"])
    assert {result["dataset"]["type"] for result in metadata["model-index"][0]["results"]} == {"sotu"}
    assert "Trained on sotu: " in body
    assert "user's own" not in body
    metadata, body = written(SPEECH, tmp_path)
    assert metadata["license"] == "cc-by-4.0"
    assert "Trained on librispeech: " in body


@pytest.mark.parametrize("source", ["/home/me/{}", "./{}", "{}/", "texts/{}"])
def test_the_users_own_data_has_no_terms_whatever_its_folder_is_called(tmp_path: Path, source: str) -> None:
    for record, name in ((make_record(language_modeling.SOTU_SMALL), "sotu"), (SPEECH, "librispeech")):
        metadata, body = written(of_source(record, source.format(name)), tmp_path)
        assert metadata["license"] == "other"
        assert "language" not in metadata
        assert f"Trained on {name}: not known to the suite, as it is data of the user's own." in body
        assert "The weights may be used as the data's terms allow." in body
        assert {one["dataset"]["type"] for one in metadata["model-index"][0]["results"]} <= {"custom"}


def test_every_license_is_of_a_source_that_a_row_names() -> None:
    from benchmark.sharing.card import LICENSES

    assert LICENSES.keys() <= {row.config.source for row in registry.ROWS} | {one.name for one in speech.SOURCES}
