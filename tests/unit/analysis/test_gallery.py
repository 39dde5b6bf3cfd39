"""The choice of the best, middling and worst captioned pictures."""

from PIL import Image

from benchmark.analysis.gallery import chosen, labels
from datamodules.captioning.examples import Example
from datamodules.captioning.images import Picture


def example(name: str, caption: str, group: str = "") -> Example:
    return Example(Picture(name, "", lambda: Image.new("RGB", (1, 1))), (caption,), group or name)


def test_pictures_are_chosen_by_chrf_with_one_picture_of_each_drawing() -> None:
    examples = [
        example("a", "a red car"),
        example("b", "two dogs"),
        example("c", "a green tree", group="tree"),
        example("d", "a green tree", group="tree"),
    ]
    captions = ["a red cat", "zz", "a green tree", "a green tree"]
    best, median, worst = chosen(examples, captions, count=2)
    assert best[0] in (2, 3)
    assert best[1] == 0
    assert median == best  # of three drawings
    assert worst == [1, 0]
    assert chosen(examples, captions, count=1)[1] == [0]
    assert chosen(examples, captions, count=9)[1] == [best[0], 0, 1]


def test_models_of_one_name_are_told_apart_by_their_rows() -> None:
    models = {"a": "regularized", "b": "non-regularized", "c": "regularized"}
    assert labels(models) == {"a": "regularized (a)", "b": "non-regularized", "c": "regularized (c)"}
