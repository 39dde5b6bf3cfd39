"""The model card of an exported model: Markdown under YAML metadata, as the Hugging Face hub reads it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmark.analysis.intervals import interval, seeds
from benchmark.analysis.samples import Sample
from benchmark.formatting import Table, count, with_diverged
from benchmark.store.diverged import DivergedRun, read_diverged
from benchmark.store.records import RECORD, Record, Store
from benchmark.tasks import registry
from benchmark.tasks.base import DataSet, Metric
from datamodules.errors import UserError

LICENSES = {
    "sotu": "mit",
    "phrases": "apache-2.0",
    "bible": "mit",
    "espeak": "mit",
    "scenes": "mit",
    "openmoji": "cc-by-sa-4.0",
    "asterisk-en": "cc-by-sa-3.0",
    "librispeech": "cc-by-4.0",
    "samromur": "cc-by-4.0",
}
"""License of a model by the data that it was trained on, where the data's terms allow one: the suite's own, or that of
data which asks for the same. Models of other data have no license to be named here; see the card's section on data."""

TERMS = {
    "espeak": "synthetic speech of sentences in the public domain, spoken by espeak-ng",
    "scenes": "synthetic pictures and captions, made by the suite",
}
"""Terms of data that is made, and so is no source that could be downloaded."""

PIPELINES = {
    "language-modeling": "text-generation",
    "speech": "audio-classification",
    "translation": "translation",
    "captions": "image-to-text",
}
"""The hub's name of each task."""

LOAD = 'from models import load  # of the suite rnnreg\n\nmodel = load(".")  # this folder'

EXAMPLES = {
    "language-modeling": (
        'print(model.generate("the meaning of life is", words=20))\n'
        'print(model.tokenize("we will not fail"))\n'
        'print(model.log_probabilities("we will not fail"))'
    ),
    "speech": (
        "print(model.states[:5])\n"
        'print(model.generate("speech.wav"))  # the likeliest state of every 10 ms\n'
        'print(model.log_probabilities("speech.wav").shape)'
    ),
    "translation": (
        'print(model.generate("Unable to connect to the server"))\n'
        'print(model.log_probabilities("Turn on the light", "Allumer la lumière"))'
    ),
    "captions": ('print(model.generate("picture.png"))\nprint(model.log_probabilities("picture.png", "a red circle"))'),
}
"""Lines that use a loaded model, by task."""


@dataclass(frozen=True)
class Card:
    """What a model card is made from."""

    record: Record
    """Record of the run."""
    measured: dict[str, float]
    """Figures of the exported model; empty if it was not evaluated."""
    dtype: str
    """Number format of the weights."""
    is_rounded: bool
    """Whether the weights have been in half precision before, whatever their number format is."""
    records: Path
    """Store whose runs of the same row the means are of."""
    graphs: str
    """Sentence on the ONNX graphs; empty if there are none."""

    @property
    def data_set(self) -> DataSet:
        """The data set, as tables name it."""
        known: dict[str, DataSet] = registry.DATA_SETS
        own = DataSet(f"{self.record.task}, data of the user's own")
        return known.get(registry.configuration_of(self.record).data_set_name, own)

    @property
    def source(self) -> str:
        """Name of the data set to be shown; that of a folder of the user's own without its place."""
        return Path(str(self.record.configuration["source"])).name

    @property
    def published(self) -> str:
        """Name of the data set, which tells its terms; empty for the user's own data, whatever its folder is called."""
        source = str(self.record.configuration["source"])
        return source if source in {one.name for one in registry.SOURCES} | LICENSES.keys() else ""

    @property
    def terms(self) -> str:
        """Terms of use of the data."""
        terms = {source.name: source.terms for source in registry.SOURCES} | TERMS
        return str(terms.get(self.published, "not known to the suite, as it is data of the user's own"))

    def metrics(self) -> list[Metric]:
        """The task's metrics that the run has."""
        shown = registry.configuration_of(self.record).shown_metrics()
        return [metric for metric in shown if metric.name in self.record.metrics]

    def samples(self) -> dict[str, Sample]:
        """The metrics over the seeds of the row, this run's among them, with how many runs diverged.

        A metric that a single run has, as older ones may lack it, is here only where others diverged.
        """
        mine = _identity(self.record)
        runs = {one.seed: one for one in runs_like(self.record, self.records, skipped=[])}
        runs |= {self.record.seed: self.record}
        lost = {run.seed for run in read_diverged(self.records, skipped=[]) if _identity(run) == mine} - runs.keys()
        found = {}
        for name in (metric.name for metric in self.metrics()):
            values = {seed: run.metrics[name] for seed, run in runs.items() if name in run.metrics}
            if len(values) > 1 or lost:
                found[name] = Sample.of(values, len(lost))
        return found


def _identity(run: Record | DivergedRun) -> tuple[str, str, str]:
    """What the runs have in common that a card's means are of."""
    return run.row, run.fingerprint, run.data_sha256


def runs_like(mine: Record, store: Path, skipped: list[str]) -> Iterator[Record]:
    """The runs in a store of a record's row, configuration, protocol and data, whatever their seeds.

    Copies of records beside exported models are no runs.

    Args:
        mine: the record.
        store: folder of the runs.
        skipped: a list to which a line is added for each corrupt record.
    """
    for record in Store(store).records(skipped):
        if _identity(record) == _identity(mine) and (store / record.run / RECORD).is_file():
            yield record


def unreadable_runs(mine: Record, store: Path, *, required: bool) -> list[str]:
    """A line for each record of a store that a card's means should be of and that cannot be read.

    Args:
        mine: the record of the card's model.
        store: the store.
        required: whether a store without a run that the means could be of is refused.

    Raises:
        UserError: it is refused.
    """
    skipped: list[str] = []
    if not list(runs_like(mine, store, skipped)) and required:
        wrong = f"has no run of {mine.row} with the exported one's configuration and data"
        raise UserError(
            f"{store} {wrong if store.is_dir() else 'is missing'}; name the store of its runs with --records, or leave "
            "it out"
        )
    return skipped


def card(made: Card) -> str:
    """The text of a model card."""
    metadata = yaml.safe_dump(_metadata(made), sort_keys=False, allow_unicode=True)
    return f"---\n{metadata}---\n\n" + "\n\n".join(_sections(made)) + "\n"


def _metadata(made: Card) -> dict[str, Any]:
    """The metadata that the hub reads."""
    record = made.record
    license = LICENSES.get(made.published, "other")
    found: dict[str, Any] = {"license": license}
    if license == "other":
        found |= {"license_name": "terms-of-the-data", "license_link": "README.md"}
    found["library_name"] = "rnnreg"
    found["pipeline_tag"] = PIPELINES.get(record.task, "other")
    found["tags"] = ["lstm", "dropout", "pytorch", "arxiv:1409.2329", record.task]
    if languages := _languages(made):
        found["language"] = languages
    found["model-index"] = [{"name": record.row, "results": list(_results(made))}]
    return found


def _languages(made: Card) -> list[str]:
    configuration = made.record.configuration
    if "source_language" in configuration:
        return [str(configuration["source_language"]), str(configuration["target_language"])]
    known = {"samromur": "is"} | {source: "en" for source in registry.DATA_SETS if source != "samromur"}
    return [known[made.published]] if made.published in known else []


def _results(made: Card) -> Iterator[dict[str, Any]]:
    """One result of the hub's model-index for each split."""
    samples = made.samples()
    for split in ("training", "validation", "test"):
        metrics = []
        for metric in (metric for metric in made.metrics() if metric.split == split):
            kind = metric.kind or metric.name  # the hub's names of the kinds are ours
            value = made.measured.get(metric.name, made.record.metrics[metric.name])
            metrics.append({"type": kind, "name": metric.label, "value": round(value, 4)})
            if sample := samples.get(metric.name):
                lost = f"{sample.diverged} more diverged" if sample.diverged else ""
                beside = f" ({found})" if (found := _interval(sample, "95 % interval ") or lost) else ""
                name = f"{metric.label}, mean of {count(len(sample.values), 'run')}{beside}"
                metrics.append({"type": kind, "name": name, "value": round(sample.mean, 4)})
        if metrics:
            yield {
                "task": {"type": PIPELINES.get(made.record.task, "other"), "name": made.record.task},
                "dataset": {"type": made.published or "custom", "name": made.data_set.title, "split": split},
                "metrics": metrics,
            }


def _interval(sample: Sample, begin: str = "") -> str:
    """The interval of a metric's mean over runs, in words; empty where they tell nothing of other seeds."""
    if sample.spread is None:
        return ""
    low, high = interval(sample.mean, seeds(sample.values))
    return f"{begin}{low:.2f} to {high:.2f}"


def _sections(made: Card) -> Iterator[str]:
    """The sections of the text."""
    record, data_set = made.record, made.data_set
    config = record.configuration
    yield f"# {record.row}"
    yield (
        f"{data_set.title}. A regularized LSTM after Zaremba, Sutskever & Vinyals, *Recurrent Neural Network "
        f"Regularization* ([arXiv:1409.2329](https://arxiv.org/abs/1409.2329)): {config['layers']} layers of "
        f"{config['hidden_size']}, dropout {config['dropout']:g} on the non-recurrent connections{_methods(record)}, "
        f"{record.parameters:,} parameters. Seed {record.seed} of the row `{record.row}` of the benchmark suite rnnreg."
    )
    if data_set.remark:
        yield f"Caveat: {data_set.remark}."
    yield "## Figures"
    yield _figures(made).markdown()
    yield _remark_on_figures(made)
    yield "## Use"
    yield "\n".join(("```python", LOAD, EXAMPLES[record.task], "```"))
    yield "`rnnreg evaluate .` measures the figures above again. Loading executes nothing that is in this folder."
    if made.graphs:
        yield f"ONNX: {made.graphs}."
    yield "## Training"
    yield (
        f"`{record.command}`, commit {record.commit}, {record.wall_seconds:.0f} s on {record.device}; Python "
        f"{record.versions.get('python', '?')}, torch {record.versions.get('torch', '?')}. Every field of the "
        f"configuration is in `record.json`."
    )
    yield "## Data and license"
    license = LICENSES.get(made.published, "")
    yield (
        f"Trained on {made.source}: {made.terms}. Checksum of the data as the model saw it: `{record.data_sha256}`. "
        + (f"License of the weights: {license}." if license else "The weights may be used as the data's terms allow.")
    )


def _methods(record: Record) -> str:
    """What regularizes the run beside the paper's dropout, as fields of its configuration."""
    config = registry.configuration_of(record)
    beside = [*(("recurrent_dropout",) if config.recurrent_dropout else ()), *config.methods]
    return f" beside {', '.join(f'`{name}={getattr(config, name)}`' for name in beside)}" if beside else ""


def _figures(made: Card) -> Table:
    samples, body = made.samples(), []
    for metric in made.metrics():
        value = made.measured.get(metric.name, made.record.metrics[metric.name])
        cells = ("–", "–", "1")
        if sample := samples.get(metric.name):
            runs = with_diverged(str(len(sample.values)), sample.diverged)
            cells = (f"{sample.mean:.2f}", _interval(sample) or "–", runs)
        body.append((metric.label, f"{value:.4f}", *cells))
    header = ("metric", "this model", "mean over seeds", "95 % interval of the mean", "runs")
    return Table(header, tuple(body))


def _remark_on_figures(made: Card) -> str:
    weights = f"The weights are {made.dtype}."
    if made.is_rounded and made.dtype != "float16":
        weights = f"The weights are {made.dtype}, and were rounded to half precision (float16) by an earlier export."
    if not made.measured and made.is_rounded:
        return (
            f"{weights} The figures are those of the run's record, from before they were rounded: those of this model "
            "were not measured, and may differ from them."
        )
    if not made.measured:
        return f"{weights} The figures are those of the run's record."
    return f"{weights} The figures of this model were measured with these weights after the export."
