"""Message catalogs of a wheel: which phrases are taken, which are not and why, and how they are split."""

import hashlib
import itertools
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datamodules.errors import DataError
from datamodules.sources import Source, SourceFile
from datamodules.translation import sources
from datamodules.translation.catalogs import messages, read_catalogs
from datamodules.translation.datamodule import TranslationData

EN_FR = ("en", "fr")
NOUNS = {"door": "porte", "lamp": "lampe", "fan": "hotte", "pump": "pompe", "key": "touche", "light": "lumière"}
PLACES = {"hall": "entrée", "shed": "remise", "attic": "mansarde", "room": "chambre", "school": "école"}
STATES = {"on": "active", "full": "pleine", "shut": "fermée", "hot": "chaude", "new": "neuve"}
PHRASES = {
    f"{thing} {state} in {place}": f"{NOUNS[thing]} {STATES[state]} dans {PLACES[place]}"
    for thing, state, place in itertools.product(NOUNS, STATES, PLACES)
}
"""150 pairs, no two of which have the same words and none of whose words is rare."""


def wheel_of(folder: Path, members: Mapping[str, Any]) -> Path:
    """A wheel with catalogs: path of a catalog to its content, as JSON or in bytes."""
    path = folder / "program.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def catalogs(*more: tuple[str, str | None]) -> dict[str, Any]:
    """The phrases and some more in the catalogs of two components."""
    members: dict[str, Any] = {}
    for component, part in (("a", PHRASES.items()), ("b", more)):
        for side, language in enumerate(EN_FR):
            entries = {str(number): pair[side] for number, pair in enumerate(part) if pair[side] is not None}
            members[f"program/{component}/translations/{language}.json"] = {"title": {"text": entries}}
    return members


def keys(text: str) -> str:
    return re.sub(r"[\W\d_]+", " ", text.casefold()).strip()


def test_messages_are_paired_by_their_keys(tmp_path: Path) -> None:
    wheel = wheel_of(
        tmp_path,
        {
            "program/b/translations/en.json": {"state": {"on": "On", "off": "Turned\n off"}, "name": "Lamp"},
            "program/b/translations/fr.json": {"name": "Lampe", "state": {"off": "l\u2019arrêt\xa0!", "on": ""}},
            "program/a/translations/en.json": {"name": "Door"},
            "program/a/translations/de.json": {"name": "Tür"},
            "program/a/strings.json": {"name": "not a catalog"},
        },
    )
    assert list(messages(wheel, EN_FR)) == [
        ("Door", None),  # there is no French catalog
        ("On", None),  # it is empty there
        ("Turned off", "l'arrêt !"),
        ("Lamp", "Lampe"),
    ]


def test_every_message_is_taken_or_counted_by_its_reason(tmp_path: Path) -> None:
    untaken: dict[str, list[tuple[str, str | None]]] = {
        "without a translation": [("door full", None), ("lamp full", "")],
        "the same in both languages": [("Home Assistant", "Home Assistant")],
        "with placeholders, markup or numbers": [
            ("Set {name} on", "Active {name}"),
            ("Set it <b>on</b>", "Active"),
            ("Set lamp 2", "Active la lampe"),
            ("See [the page](x)", "Voir la page"),
            ("Edit it in lamp.yaml", "Modifie la lampe"),
            ("See http://lamp", "Voir la lampe"),
            ("Set %s on", "Active"),
            ("Set the lamp", "Active `lampe`"),
        ],
        "of fewer than 2 or more than 12 words": [("Lamp", "La lampe"), ("lamp " * 13, "lampe pleine")],
        "whose words are those of another": [
            ("Lamp ON, in hall!", "lampe pleine"),
            ("lamp hot new", "lampe active dans entrée"),
        ],
        "with a rare word": [("lamp unheard of", "lampe neuve chaude"), ("hot hot lamp", "lampe chaude inouïe")],
    }
    taken = ("the \u201chot\u201d lamp", "lampe «\xa0chaude\u202f»")
    the = [(f"the {noun}", f"la {translation}") for noun, translation in NOUNS.items()]
    wheel = wheel_of(tmp_path, catalogs(*itertools.chain(*untaken.values()), *the, taken))
    found = read_catalogs(wheel, EN_FR)
    assert found.left_out == {reason: len(pairs) for reason, pairs in untaken.items()}
    kept = dict(itertools.chain(*found.splits.values()))
    assert kept == {**PHRASES, **dict(the), 'the "hot" lamp': "lampe « chaude »"}


def test_of_several_translations_the_most_frequent_is_taken(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path, catalogs(("new lamp", "lampe neuve"), *[("new lamp", "neuve lampe")] * 2))
    found = read_catalogs(wheel, EN_FR)
    kept = dict(itertools.chain(*found.splits.values()))
    assert kept["new lamp"] == "neuve lampe"
    assert found.left_out["whose words are those of another"] == 2


def test_no_words_are_on_one_side_of_two_pairs(tmp_path: Path) -> None:
    """Whatever case and punctuation they have; so none is in two splits."""
    variants = [(f"{source.title()}.", f"{target.upper()} !") for source, target in PHRASES.items()]
    found = read_catalogs(wheel_of(tmp_path, catalogs(*variants)), EN_FR)
    assert {split: len(pairs) for split, pairs in found.splits.items()}.keys() == {"train", "validation", "test"}
    for side in (0, 1):
        each = [keys(pair[side]) for pair in itertools.chain(*found.splits.values())]
        assert len(each) == len(set(each)) == len(PHRASES)
    assert found.left_out["whose words are those of another"] == len(variants)


def test_the_split_of_a_phrase_does_not_depend_on_the_others(tmp_path: Path) -> None:
    found = read_catalogs(wheel_of(tmp_path, catalogs()), EN_FR).splits
    for split, pairs in found.items():
        places = {int(hashlib.sha256(keys(source).encode()).hexdigest(), 16) % 10 for source, _ in pairs}
        assert places <= {"validation": {0}, "test": {1}}.get(split, set(range(2, 10)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "x",', r"program\.whl, p/translations/fr\.json: not JSON"),
        (b'{"a": "\xff"}', r"fr\.json, line 1: not UTF-8"),
        (["a"], r"fr\.json: '' is of type list; expected an object"),
        ({"a": {"b\n": 3}}, r"fr\.json: 'a\.b\\n' is of type int; expected an object, with text in the end"),
        (b"[" * 99 + b"]" * 99, r"fr\.json: more than 64 levels of brackets"),
    ],
)
def test_a_broken_catalog_is_named(tmp_path: Path, content: Any, message: str) -> None:
    wheel = wheel_of(tmp_path, {"p/translations/en.json": {"a": "open it"}, "p/translations/fr.json": content})
    with pytest.raises(DataError, match=message) as caught:
        read_catalogs(wheel, EN_FR)
    assert "\n" not in str(caught.value)


def test_a_broken_wheel_is_named(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path, catalogs())
    wheel.write_bytes(wheel.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"program\.whl: cannot be read"):
        read_catalogs(wheel, EN_FR)
    with pytest.raises(DataError, match=r"program\.whl: it has no \*/translations/en\.json"):
        read_catalogs(wheel_of(tmp_path, {"x": {}}), EN_FR)
    few = wheel_of(tmp_path, {f"p/translations/{language}.json": {"a": f"{language} words"} for language in EN_FR})
    with pytest.raises(DataError, match=r"no phrase for train and validation and test is left .*'with a rare word': 1"):
        read_catalogs(few, ("en", "fr"))


def test_the_named_source_is_verified_and_its_record_says_what_is_left_out(tmp_path: Path, monkeypatch) -> None:
    wheel = wheel_of(
        tmp_path, catalogs(("Lamp", "La lampe"), ("new lamp in hot room", "lampe neuve dans chambre chaude"))
    )
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    named = Source("phrases", "translation", "", "", (SourceFile(wheel.name, sha256),))
    monkeypatch.setattr(sources, "PHRASES", named)
    (tmp_path / named.name).mkdir()
    placed = wheel.rename(tmp_path / named.name / wheel.name)
    data = TranslationData(named.name, tmp_path, EN_FR, 4, 4, 99, 99)
    data.setup()
    left_out = data.details["left_out"]
    assert left_out["of fewer than 2 or more than 12 words"] == 1
    assert sum(left_out.values()) + data.details["pairs"] + sum(map(len, data.texts.values())) == len(PHRASES) + 2
    assert "1 (of fewer than 2 or more than 12 words)" in data.summary
    placed.write_bytes(b"another")
    with pytest.raises(DataError, match=r"program\.whl is not the published file"):
        sources.read_parallel_text(named.name, tmp_path, EN_FR)
    with pytest.raises(DataError, match="phrases is English and French; it has no en-de"):
        sources.read_parallel_text(named.name, tmp_path, ("en", "de"))
