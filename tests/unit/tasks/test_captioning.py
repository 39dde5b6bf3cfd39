"""The identity of a row of captions: what its pictures are seen through counts."""

from dataclasses import replace

from benchmark.analysis.results import RowResults, by_source, data_set
from benchmark.tasks import captioning


def test_a_run_is_known_by_the_network_that_its_pictures_were_seen_through() -> None:
    """The default has changed once; a record of the old one, googlenet, must not count for the new one."""
    seen = [replace(captioning.FLICKR8K_PLAIN.config, features=name) for name in ("efficientnet-lite0", "googlenet")]
    assert (
        captioning.FLICKR8K_PLAIN.config
        == seen[0]
        == captioning.CaptionConfig(**{name: value for name, value in vars(seen[0]).items() if name != "features"})
    )
    of_the_old_default = "876fa9864dd6"
    assert len({config.fingerprint()[:12] for config in seen} | {of_the_old_default}) == 3


def test_rows_that_see_pictures_in_another_way_are_not_compared() -> None:
    """Their tables, effects and claims are apart, and a heading says what sees the pictures."""
    of_source = [RowResults(row, ()) for row in captioning.ROWS if row.config.source == "flickr8k-1k"]
    groups = by_source(of_source)
    seen = [{(one.row.config.features, one.row.config.folds) for one in group} for group in groups.values()]
    assert seen == [{("descriptor", 1)}, {("efficientnet-lite0", 1)}, {("efficientnet-lite0", 5)}]
    assert "EfficientNet-Lite0" in data_set(groups["flickr8k-1k-efficientnet-lite0"]).title
    assert "weight-free" in data_set(groups["flickr8k-1k"]).title
    own = replace(of_source[0].row.config, features="/some/where/vectors.npz")
    assert own.data_set_name == "flickr8k-1k-vectors.npz"
