"""The checks of one record: each recomputes something and yields a line for what is not as it should be."""

import datetime
import math
import shlex
import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmark.analysis import subsets
from benchmark.audit.cases import Case, Gap
from benchmark.audit.configurations import ForeignBackbone, falls_on_plateaus, learning_rate, parameters_of, words_of
from benchmark.audit.entries import quoted
from benchmark.audit.published import PUBLISHED_DATA
from benchmark.audit.training_causes import UPDATE, update_ratios
from benchmark.store.provenance import is_committed
from benchmark.store.records import ITEMS, LOG_PROBABILITIES, checksum_arrays
from benchmark.tasks.metrics import RANGES, kind_of
from benchmark.tasks.registry import ROWS
from datamodules.errors import UserError

Check = Callable[[Case], Iterator[str]]
REQUIRED_VERSIONS = ("python", "torch", "lightning", "torchmetrics", "numpy")

ROUNDING = 1e-5
"""Relative difference of a perplexity that comes from adding in another order and in single precision."""
SIGMAS = 6
"""Standard errors of the rounding to half precision that a perplexity may be away."""
LAST_EPOCH = 1e-4
"""Relative difference of the validation metric between the last epoch and the final evaluation, in other batches."""
CLOCKS = 86_400
"""Seconds by which the clocks of two machines may differ."""


def identity(case: Case) -> Iterator[str]:
    """The folder is the one that row, seed, configuration and data give."""
    if case.entry.name != case.record.run:
        yield f"lies in this folder; its row, seed, fingerprint and data give {quoted(case.record.run)}"
    words = shlex.split(case.record.command)
    if "--seed" in words and words[words.index("--seed") + 1 :][:1] != [str(case.record.seed)]:
        yield f"its command trains another seed than {case.record.seed}: {quoted(case.record.command)}"


def fingerprint(case: Case) -> Iterator[str]:
    """The fingerprint is that of the configuration, and the configuration that of the row."""
    record, row = case.record, case.row
    if (right := case.config.fingerprint()) != record.fingerprint:
        yield f"fingerprint {quoted(record.fingerprint[:12])} is not the configuration's, which is {right[:12]}"
    if not case.is_current:
        yield Gap("of an older protocol, so that no row counts it")
    elif row and case.config != row.config:
        differing = [
            f"{name} is {value!r}, in the row {getattr(row.config, name)!r}"
            for name, value in vars(case.config).items()
            if value != getattr(row.config, name)
        ]
        yield f"the configuration is not that of the row: {quoted('; '.join(differing))}; a variant has another name"
    if record.unit != case.config.unit:
        yield f"unit {quoted(record.unit)}: throughput of {record.task} counts {case.config.unit}"


def data(case: Case) -> Iterator[str]:
    """The data's checksum is the published one, and that of the data itself where that is there."""
    own, here, source = case.record.data_sha256, case.data_sha256, str(case.record.configuration.get("source"))
    known = PUBLISHED_DATA[source].sha256 if source in PUBLISHED_DATA else ()
    ways = {row.config.data_key[2:] for row in ROWS if known and row.config.task == case.record.task}
    usual = case.config.data_key[2:] in ways  # read as the suite's rows do, by whatever protocol
    if usual and own not in known:
        right = " or ".join(one[:12] for one in known)
        yield f"data {quoted(own[:12])} are not the published {source}, which gives {right}; was the text changed?"
    if here and here != own:
        message = f"data {quoted(own[:12])} are not {quoted(source)} as it is there, which gives {here[:12]}"
        is_altered = usual and own in known and here not in known  # then it is not the record that is wrong
        yield Gap(f"{message} and is not the published one") if is_altered else message
    elif not here and not usual and own not in known:
        yield Gap("data without a published checksum, or of a variant; --data recomputes it")


def log_probabilities(case: Case) -> Iterator[str]:
    """The log-probabilities are those of the record, possible, and of the same tokens as other runs' of the data."""
    if case.record.is_ensemble:
        return
    right = case.record.log_probabilities_sha256
    if right == checksum_arrays({}) and not case.entry.has(LOG_PROBABILITIES):
        yield Gap("no log-probabilities are kept")
        return
    if (found := checksum_arrays(case.arrays)) != right:
        yield f"log-probabilities have checksum {found[:12]}, the record says {quoted(right[:12])}"
    for split, values in case.arrays.items():
        if not len(values) or not np.isfinite(values).all() or values.max() > 0:
            yield f"{quoted(split)}: log-probabilities are not all finite numbers up to 0"
        if (expected := case.tokens.get(split, len(values))) != len(values):
            yield f"{quoted(split)}: {len(values):,} tokens, other runs on these data have {expected:,}"


def perplexity(case: Case) -> Iterator[str]:
    """Each perplexity is that of the log-probabilities, to their rounding."""
    if case.record.is_ensemble:  # see verify.ensembles
        return
    for name in case.record.metrics:
        split = name.removesuffix("_perplexity")
        if split != name and split not in case.arrays:
            message = f"{quoted(name)} has no log-probabilities"
            yield f"{message}, which other splits of the run have" if case.arrays else Gap(message)
    for split, values in case.arrays.items():
        name, stored = f"{split}_perplexity", case.record.metrics.get(f"{split}_perplexity")
        if stored is None or not len(values):
            continue
        right, rounding = perplexity_of(values)
        if not abs(math.log(stored / right)) <= rounding:
            yield f"{name} is {stored:.6g}; the log-probabilities give {right:.6g}"


def other_perplexities(case: Case) -> Iterator[str]:
    """Perplexities of other tokens than those of the log-probabilities are not recomputed."""
    for name in case.record.metrics:
        if kind_of(name) == "perplexity" and not name.endswith("_perplexity"):
            yield Gap(f"{quoted(name)}: no log-probabilities of its tokens are kept")


def perplexity_of(log_probabilities: np.ndarray) -> tuple[float, float]:
    """Perplexity of log-probabilities [tokens] as stored, and by how much its logarithm is uncertain.

    Each value is rounded to half precision, uniformly within half of its last place on either side. Tokens of the same
    value may be one prediction, as of a small vocabulary, which was rounded once.
    """
    values, counts = np.unique(log_probabilities, return_counts=True)
    steps = counts * np.spacing(np.abs(values)).astype(np.float64)
    error = math.sqrt(float(np.square(steps).sum()) / 12) / len(log_probabilities)
    return subsets.perplexity(log_probabilities), SIGMAS * error + ROUNDING


def items(case: Case) -> Iterator[str]:
    """What is kept of each test item is the record's."""
    if case.record.items_sha256 and (found := checksum_arrays(case.items)) != case.record.items_sha256:
        yield f"{ITEMS} has checksum {found[:12]}, the record says {quoted(case.record.items_sha256[:12])}"


def scores(case: Case) -> Iterator[str]:
    """BLEU and frame accuracy are those of the counts of each item, which are not kept of the training set."""
    for name, stored in case.record.metrics.items():
        if (kind := kind_of(name)) not in ("bleu", "accuracy") or name.endswith("_without_dropout"):
            continue
        if name not in case.items:
            yield Gap(f"no counts of {quoted(name)} are kept, so that it is not recomputed")
            continue
        counts = case.items[name]
        right = bleu_of(counts, name) if kind == "bleu" else 100 * counts[:, 0].sum() / counts[:, 1].sum()
        if not math.isclose(right, stored, rel_tol=ROUNDING, abs_tol=ROUNDING):
            yield f"{quoted(name)} is {stored:.6g}; the counts of its items give {right:.6g}"


def bleu_of(counts: np.ndarray, name: str) -> float:
    """BLEU from the counts of its sentences [sentences, 10], see models.metrics.CorpusBleu."""
    from sacrebleu.metrics.bleu import BLEU

    *ngrams, length, reference_length = counts.sum(axis=0).tolist()
    smoothing = "none" if name.endswith("_tokenized") else "exp"
    return float(BLEU.compute_bleu(ngrams[:4], ngrams[4:], length, reference_length, smooth_method=smoothing).score)


def bounds(case: Case) -> Iterator[str]:
    """Every headline metric is there, and every metric can be what it is."""
    record = case.record
    has_test = case.is_current and not case.config.validation_only
    headline = [one for one in case.config.headline if has_test or one.split == "validation"]
    needed = [one.name for one in headline if not record.is_ensemble or one.kind == "perplexity"]
    if missing := [name for name in needed if name not in record.metrics]:
        yield f"lacks the metric {', '.join(missing)}"
    for name, value in record.metrics.items():
        if (kind := kind_of(name)) and not RANGES[kind][0] <= value <= RANGES[kind][1]:
            low, high = RANGES[kind]
            yield f"{quoted(name)} is {value:g}, which is not between {low:g} and {high:g}"


def curve(case: Case) -> Iterator[str]:
    """The curve has every epoch, at the learning rates of the configuration, and ends in the final metrics."""
    record, config = case.record, case.config
    if record.is_ensemble:
        if record.curve:
            yield "an ensemble has a learning curve, although nothing was trained"
        return
    if [point.get("epoch") for point in record.curve] != list(range(1, config.epochs + 1)):
        yield f"the curve has {len(record.curve)} epochs, or not in their order; the configuration has {config.epochs}"
        return
    falls = falls_on_plateaus(config, record.curve)
    for epoch, point in enumerate(record.curve, 1):
        right, found = learning_rate(config, epoch) / config.decay ** falls[epoch - 1], point.get("lr", math.nan)
        if not math.isclose(right, found, rel_tol=1e-9):
            yield f"epoch {epoch} was trained at learning rate {found:.6g}; the configuration gives {right:.6g}"
            break
    name = config.validation_metric().name
    last, final = record.curve[-1].get(name), record.metrics.get(name)
    if last is not None and final is not None and not math.isclose(last, final, rel_tol=LAST_EPOCH):
        yield f"{name} is {final:.6g}, but {last:.6g} after the last epoch of the curve"


def first_steps(case: Case) -> Iterator[str]:
    """Without weight decay the first updates are those of plain SGD: lr * min(norm, clip) long."""
    wrong = [ratio for ratio in update_ratios(case.record) if abs(ratio - 1) > UPDATE]
    if case.record.first_steps and wrong and not case.config.weight_decay:
        yield f"its first updates are {wrong[0]:.4g} times lr * min(norm, clip) of the configuration; they should be 1"


def speed(case: Case) -> Iterator[str]:
    """Throughput and time are those of the curve."""
    record = case.record
    if record.is_ensemble or not record.curve:
        return
    throughputs = [point["throughput"] for point in record.curve if "throughput" in point]
    if throughputs and not math.isclose(statistics.median(throughputs), record.throughput, rel_tol=1e-9):
        yield f"throughput is {record.throughput:.6g}; the median of the curve is {statistics.median(throughputs):.6g}"
    if (trained := sum(point.get("seconds", 0) for point in record.curve)) > record.wall_seconds * (1 + 1e-9):
        yield f"took {record.wall_seconds:.1f} s in all, but {trained:.1f} s to train"


def parameters(case: Case) -> Iterator[str]:
    """The number of parameters is that of the configuration's model."""
    record = case.record
    if record.is_ensemble:  # see verify.ensembles
        return
    if (right := parameters_of(record, case.config)) is not None:
        if right != record.parameters:
            yield f"has {record.parameters:,} parameters; the configuration gives {right:,}"
        return
    words = words_of(record, case.config)
    if words is None:
        yield Gap("the size of its data is not in the record, so that parameters are not counted")
    elif words < 2 or words != int(words):
        yield f"has {record.parameters:,} parameters, which no vocabulary gives this configuration"


def commit(case: Case) -> Iterator[str]:
    """The commits of the run and of each sitting are in the history, clean, and not younger than the run."""
    if not case.history.commits:
        yield Gap("no history to look for the commit in, outside a checkout")
        return
    for found in dict.fromkeys([case.record.commit, *(str(one["commit"]) for one in case.record.stretches)]):
        yield from _one_commit(case, found)


def _one_commit(case: Case, found: str) -> Iterator[str]:
    history = case.history
    if not is_committed(found):
        yield f"ran from code that is not committed ({quoted(found)}); train it again from a clean tree"
    elif found not in history.commits:
        if history.is_whole:
            yield f"commit {quoted(found[:12])} is not in the history, so that nobody can rebuild the run"
        else:
            yield Gap("the history is shallow; `git fetch --unshallow` gets it")
    else:
        finished = datetime.datetime.fromisoformat(case.record.finished).timestamp()
        if finished + CLOCKS < history.commits[found]:
            yield f"finished {quoted(case.record.finished)}, before its commit {found[:12]} was made"


def provenance(case: Case) -> Iterator[str]:
    """Device, time, versions and the kind of processor are named, and are those of the last sitting."""
    record = case.record
    for name in ("commit", "versions", "device", "precision") if record.sittings else ():
        if record.sittings[-1].get(name) != getattr(record, name):
            yield f"its {name} is not that of its last sitting"
    if missing := [name for name in REQUIRED_VERSIONS if not record.versions.get(name)]:
        yield f"does not name the version of {', '.join(missing)}"
    if not record.versions.get("processor"):
        if record.commit in case.history.before_processors:
            yield Gap("from before runs named their processor, so that bits cannot be compared")
        else:
            yield "does not name its processor; `rnnreg run` writes it into versions"
    trained_here = not record.is_ensemble  # whose device is its members', and whose versions are of the averaging
    if trained_here and "CPU" not in record.device and not record.versions.get("cuda"):
        yield f"ran on {quoted(record.device) or 'no device'} and does not name the version of CUDA"
    try:
        if datetime.datetime.fromisoformat(record.finished).tzinfo is None:
            raise ValueError
    except ValueError:
        yield f"finished {quoted(record.finished)!r}, which is no time with its zone, such as 2026-01-31T12:00:00+00:00"


CHECKS: tuple[Check, ...] = (
    identity, fingerprint, data, log_probabilities, items, perplexity, other_perplexities, scores, bounds, curve,
    first_steps, speed, parameters, commit, provenance,
)  # fmt: skip


def findings(check: Check, case: Case) -> Sequence[str]:
    """What one check says of one record: faults and gaps.

    A record's details may be anything, as they are free; whatever then goes wrong is a fault of the record.
    """
    try:
        return list(check(case))
    except ForeignBackbone as error:
        return [Gap(str(error))]
    except UserError as error:
        return [str(error)]
    except Exception as error:
        return [f"cannot be checked, its fields are not as the suite writes them: {quoted(repr(error))}"]
