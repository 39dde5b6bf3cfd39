"""Records: what they hold, what makes two runs the same, and what is refused."""

import importlib
import json
import linecache
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record

from benchmark.store.records import Store, checksum_arrays
from benchmark.store.sealed import CorruptRecord
from benchmark.tasks import language_modeling
from datamodules.errors import UserError


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    arrays = {"test": np.array([-1.5, -0.25], dtype=np.float16)}
    record = make_record(log_probabilities_sha256=checksum_arrays(arrays))
    store = Store(tmp_path)
    store.write(record, arrays)
    assert store.find(record.run) == record
    assert list(store.records()) == [record]
    assert np.array_equal(store.log_probabilities(record)["test"], arrays["test"])


@pytest.mark.parametrize("damage", ["truncate", "alter", "field", "not json"])
def test_a_damaged_record_is_named_and_never_used(tmp_path: Path, damage: str) -> None:
    record, store = make_record(), Store(tmp_path)
    store.write(record, {})
    path = tmp_path / record.run / "record.json"
    text = path.read_text()
    content = json.loads(text)
    damaged = {
        "truncate": text[:-40],
        "alter": text.replace("114", "104").replace("115", "105"),
        "field": json.dumps({name: value for name, value in content.items() if name != "seed"}),
        "not json": "[]",
    }[damage]
    assert damaged != text
    path.write_text(damaged)
    with pytest.raises(CorruptRecord, match=str(path)):
        store.find(record.run)
    skipped: list[str] = []
    assert list(store.records(skipped)) == []
    assert str(path) in skipped[0]


def test_a_record_in_the_folder_of_another_run_is_named_and_never_used(tmp_path: Path) -> None:
    """Its arrays would not be found there, and a copy would be of another row, or of a seed that there is."""
    record, store = make_record(), Store(tmp_path)
    store.write(record, {})
    (tmp_path / record.run).rename(tmp_path / record.row / "my-copy")
    skipped: list[str] = []
    assert list(store.records(skipped)) == []
    path = tmp_path / record.row / "my-copy" / "record.json"
    assert skipped == [f"{path} is the record of {record.run}; give its folder this name, or take it away"]


def test_altered_log_probabilities_are_refused(tmp_path: Path) -> None:
    record, store = make_record(log_probabilities_sha256="0" * 64), Store(tmp_path)
    store.write(record, {"test": np.zeros(3, dtype=np.float16)})
    with pytest.raises(CorruptRecord, match="is not what its record was written with"):
        store.log_probabilities(record)
    (tmp_path / record.run / "log_probabilities.npz").unlink()
    with pytest.raises(CorruptRecord, match="cannot be read"):
        store.log_probabilities(record)


def test_a_run_is_the_same_only_with_the_same_configuration_seed_and_data() -> None:
    record = make_record()
    others = [
        make_record(seed=2),
        make_record(data_sha256="e" * 64),
        make_record(row=language_modeling.PTB_SMALL.variant("ptb-small", dropout=0.1)),
    ]
    assert len({other.run for other in [record, *others]}) == 4


def test_fingerprint_knows_numbers_not_their_spelling() -> None:
    config = language_modeling.PTB_SMALL.config
    assert replace(config, clip=5).fingerprint() == replace(config, clip=5.0).fingerprint()
    assert replace(config, clip=5).fingerprint() != replace(config, clip=6).fingerprint()


def test_fingerprint_covers_the_code_of_a_users_backbone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from torch import nn\nclass Mine(nn.Module):\n    {}\n"
    prints = []
    for name, body in (("first_idea", "size = 1"), ("second_idea", "size = 2")):
        (tmp_path / f"{name}.py").write_text(code.format(body))
        config = replace(language_modeling.PTB_SMALL.config, backbone=f"{name}.Mine")
        prints.append(config.fingerprint())
        with pytest.raises(UserError, match=r"cannot load 'first_idea\.Gone'"):
            replace(config, backbone="first_idea.Gone").fingerprint()
    assert len(set(prints)) == 2


def test_fingerprint_covers_what_a_users_backbone_uses_of_its_own_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = (
        "from torch import nn\nGAIN = 1.0\nOTHER = 1\ndef scale(x):\n    return GAIN * x\n"
        "class Base(nn.Module):\n    def forward(self, x):\n        return scale(x)\nclass Mine(Base):\n    pass\n"
    )
    config = replace(language_modeling.PTB_SMALL.config, backbone="ideas.Mine")

    def fingerprint(change: tuple[str, str]) -> str:
        (tmp_path / "ideas.py").write_text(code.replace(*change))
        monkeypatch.delitem(sys.modules, "ideas", raising=False)
        importlib.invalidate_caches()
        linecache.clearcache()
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        return config.fingerprint()

    before = fingerprint(("", ""))
    assert fingerprint(("OTHER = 1", "OTHER = 2\nROWS = []")) == before
    changes = [("GAIN = 1.0", "GAIN = 2.0"), ("GAIN * x", "GAIN + x"), ("scale(x)\nclass", "-scale(x)\nclass")]
    assert len({before, *map(fingerprint, changes)}) == 4
