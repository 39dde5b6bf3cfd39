"""A short real training of a translator, each time with another seed: it must learn to translate."""

import itertools
import random
from pathlib import Path

from benchmark.tasks import translation
from benchmark.training.options import Options
from benchmark.training.train import train
from models.metrics import corpus_bleu

ADJECTIVES = {"big": "grand", "red": "rouge", "old": "vieux"}
NOUNS = {"dog": "chien", "cat": "chat", "fox": "renard", "bird": "oiseau"}
VERBS = {"sees": "voit", "hears": "entend", "finds": "trouve"}

SENTENCES = [
    (
        f"the {adjective} {subject} {verb} a {thing}",
        f"le {NOUNS[subject]} {ADJECTIVES[adjective]} {VERBS[verb]} un {it}",
    )
    for adjective, subject, verb, (thing, it) in itertools.product(ADJECTIVES, NOUNS, VERBS, NOUNS.items())
]
"""All there is to say; the adjective changes its place."""

BLIND = len(SENTENCES) ** (1 / 7)
"""Perplexity per token, of 6 words and the end, of a model that knows the language but does not read the source."""


def test_it_learns_to_translate_sentences_it_has_not_seen(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # shown when the test fails
    pairs = random.Random(seed).sample(SENTENCES, len(SENTENCES))
    folder = tmp_path / "pairs"
    folder.mkdir()
    for name, part in (("test", pairs[:20]), ("val", pairs[20:30]), ("train", pairs[30:])):
        (folder / f"{name}.en").write_text("".join(f"{source}\n" for source, _ in part))
        (folder / f"{name}.fr").write_text("".join(f"{target}\n" for _, target in part))
    row = translation.ROWS[-1].variant(
        "system",
        source=str(folder),
        hidden_size=128,  # half of it, or half the epochs, does not always get far enough
        layers=1,
        dropout=0.0,
        init_range=0.2,
        batch_size=2,
        epochs=40,
        flat_epochs=30,
    )
    options = Options(store=tmp_path, accelerator="cpu", threads=1, wandb="off")
    record = train(row, seed, options, progress=lambda *_: None)
    print(record.metrics, record.curve[0], record.curve[-1], record.details["samples"])
    blind_bleu = corpus_bleu([target for _, target in pairs[30:50]], [[target] for _, target in pairs[:20]]).score
    print(f"without the source: perplexity {BLIND}, BLEU {blind_bleu}")
    assert record.metrics["test_perplexity"] < 1.5 < BLIND - 0.4
    assert record.metrics["test_bleu"] > 60 > blind_bleu + 20
