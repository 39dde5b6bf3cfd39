"""An `<eos>` that is there twice is told from a text with other numbers of tokens."""

from pathlib import Path

import numpy as np
import pytest
from support.factories import make_record

from benchmark.audit.configurations import words_of
from benchmark.audit.entries import Entry
from benchmark.audit.evaluation_causes import text
from benchmark.audit.evidence import Evidence
from benchmark.audit.sides import Side
from benchmark.tasks import language_modeling

LM = language_modeling.PTB_SMALL


def side_on(folder: Path, name: str, tokens: tuple[int, int], data: str) -> Side:
    """A run that was evaluated on so many tokens of the validation and the test set."""
    (folder / name).mkdir()
    arrays = {
        split: np.full(count, -1, np.float16) for split, count in zip(("validation", "test"), tokens, strict=True)
    }
    np.savez(folder / name / "log_probabilities.npz", **arrays)
    record = make_record(LM, data_sha256=data * 64, parameters=4_653_200)
    return Side(name, (Entry(folder / name, name, record),))


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ((73760, 82430), (77130, 86191), "<eos> twice"),  # the Penn Treebank, with a further token of every line
        ((77130, 86191), (73760, 82430), "<eos> twice"),
        ((360, 350), (400, 392), "<eos> twice"),
        ((73760, 82430), (73760, 82455), "another text"),  # a sentence that is added to the test set
        ((73760, 82430), (73785, 82455), "another text"),  # and to the validation set
        ((73760, 82430), (77130, 82430 - 3761), "another text"),
        ((73760, 82430), (74500, 86191), "another text"),  # of one split a much smaller part
        ((73760, 82430), (110000, 123000), "another text"),  # half as much again
        ((73760, 82430), (73760, 82430), "another text"),
    ],
)
def test_eos_is_twice_only_where_every_split_has_a_token_a_line_more(tmp_path, before, after, cause) -> None:
    one, other = side_on(tmp_path, "a", before, "d"), side_on(tmp_path, "b", after, "e")
    assert words_of(one.records[0], LM.config) == 10_000
    (found,) = text(Evidence(one, other, config=LM.config))
    assert found.name == cause
    if cause == "<eos> twice":
        assert found.sentence.startswith("B has more" if after > before else "A has more")
