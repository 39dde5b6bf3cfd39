"""Evaluation on data that is not the model's own: a text, sentence pairs, captioned pictures, recorded speech."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.sharing.evaluation import Outcome
from benchmark.sharing.training_items import note_pictures, note_recordings
from benchmark.tasks.captioning import CaptionConfig
from benchmark.tasks.speech import SpeechConfig
from datamodules.base import IGNORE_INDEX, remarks
from datamodules.captioning.datamodule import PICTURES_AT_ONCE
from datamodules.captioning.reading import read_captions
from datamodules.captioning.sources import NAMED, OPENMOJI
from datamodules.errors import UserError
from datamodules.language_modeling.sources import (
    PENN_TREEBANK,
    STATE_OF_THE_UNION,
    read_corpus,
    sentences,
    tokens_of,
)
from datamodules.speech.datamodule import Utterances
from datamodules.speech.preparation import prepare, require_splits
from datamodules.speech.recorded import open_corpus
from datamodules.speech.sources import ASTERISK, ESPEAK, LIBRISPEECH_SOURCE, SAMROMUR, SPLITS, Split
from datamodules.text import composed, lines_of
from datamodules.text import read_text as text_lines
from datamodules.translation.batches import PairBatches
from datamodules.translation.datamodule import words_of_pairs
from datamodules.translation.encoded_pairs import WithoutEos
from datamodules.translation.sources import AlignedFiles, Pairs, read_parallel_text
from datamodules.translation.tokenization import detokenize, note_not_joined
from datamodules.vocabulary import EOS, UNK, Vocabulary, invisible, note_blank, note_ends, note_invisible, without_eos
from models.captioner import caption
from models.evaluation_methods import Method
from models.inputs import picture_vectors
from models.loaded import LoadedAcousticModel, LoadedCaptioner, LoadedLanguageModel, LoadedTranslator
from models.metrics import corpus_bleu
from models.translator import Translation, score

SHOWN_UNKNOWN = 10
"""Unknown words that a remark names, the most frequent ones."""


def read_text(path: Path, running: bool = False) -> tuple[str, list[str]]:
    """A user's text, one sentence a line, and remarks on what of it was not taken as it stands.

    Args:
        path: file in UTF-8.
        running: whether it is running text, which is split into sentences of lower-case words.

    Raises:
        UserError: it cannot be read, or holds no word.
    """
    pairs = [without_eos(line, f"{path}, line {number}") for number, line in enumerate(text_lines(path), 1)]
    lines = [line for line, _ in pairs]
    ended = sum(had for _, had in pairs)
    if running:
        lines = [" ".join(words) for words in sentences("\n".join(lines))]
    if not any(line.strip() for line in lines):
        raise UserError(f"{path} holds no word; expected one sentence a line")
    text = "".join(f"{line}\n" for line in lines)
    notes = [*note_ends(ended, f"of {len(pairs):,} lines"), *note_blank(lines), *note_invisible(invisible(text))]
    return text, notes


def text_of(source: str, data: Path) -> tuple[str, list[str]]:
    """The test split of a text source, a named one, which is downloaded if it is missing, or a folder; and remarks."""
    for known in (PENN_TREEBANK, STATE_OF_THE_UNION):
        if known.name == source:
            known.fetch(data)
    corpus = read_corpus(source, data)
    return corpus.text["test"], [note for note in remarks(corpus.details) if note.startswith("test: ")]


def evaluate_text(loaded: LoadedLanguageModel, text: str, notes: Sequence[str], method: Method) -> Outcome:
    """Perplexity of a text, in all and by line; its words are read as they are written, as those of a record are.

    Args:
        loaded: the model.
        text: one sentence a line.
        notes: remarks on how it was read.
        method: way to evaluate it.
    """
    tokens = tokens_of(composed(text))
    ids = torch.tensor(loaded.vocabulary.encode(tokens))
    log_probabilities = method.log_probabilities(loaded.model, ids) if len(ids) > 1 else torch.empty(0)
    unknown = Counter(loaded.unknown(tokens))
    known = ids[1:] != loaded.vocabulary.ids[UNK]  # as in records, a word that is written `<unk>` is none
    metrics = {
        "perplexity": perplexity(log_probabilities),
        "perplexity_of_known_words": perplexity(log_probabilities[known]),
        "predictions": float(len(log_probabilities)),
    }
    notes = [*notes, UNPREDICTED, *_unknown(unknown, len(tokens)), *_capitals(loaded, unknown)]
    return Outcome(metrics, _lines(loaded, text, log_probabilities), notes)


def _capitals(loaded: LoadedLanguageModel, unknown: Counter[str]) -> list[str]:
    """A remark on words that would be known in lower case; none if there are none, or the vocabulary has capitals."""
    if loaded.has_capitals:
        return []
    known = sum(count for word, count in unknown.items() if word.lower() in loaded.vocabulary.ids)
    return [f"{known:,} of these are known in lower case; words are read as they are written"] if known else []


UNPREDICTED = "the first word is read and not predicted, as in every record"


def _lines(loaded: LoadedLanguageModel, text: str, log_probabilities: Tensor) -> list[tuple[str, ...]]:
    """For each line its number, predicted tokens, unknown words, log-probability, perplexity and text."""
    found: list[tuple[str, ...]] = [("line", "tokens", "unknown", "log_probability", "perplexity", "text")]
    place = 0
    for number, line in enumerate(lines_of(text), 1):
        words = tokens_of(composed(f"{line}\n"))
        own = log_probabilities[max(0, place - 1) : place + len(words) - 1].double()
        place += len(words)
        figures = (f"{own.sum():.4f}", f"{perplexity(own):.4f}") if len(own) else ("0.0000", "")
        shown = " ".join(line.split())
        found.append((str(number), str(len(own)), str(len(loaded.unknown(words))), *figures, shown))
    return found


def evaluate_pairs(loaded: LoadedTranslator, pairs: Pairs, name: str) -> Outcome:
    """Perplexity and BLEU of a test set of sentence pairs, and the translation of each.

    Raises:
        DataError: a side of a pair has no word, `<eos>` stands within one, or there is no pair.
    """
    model = loaded.model
    stripped = WithoutEos(pairs, f"{name},")
    texts = list(stripped)
    first, second = model.languages
    words = words_of_pairs(texts, (first, second), name)
    vocabularies = (model.source_vocabulary, model.target_vocabulary)
    encoded = [(vocabularies[0].encode(source), vocabularies[1].encode(target)) for source, target in words]
    log_probabilities: dict[int, Tensor] = {}
    written: dict[int, Translation] = {}
    with torch.no_grad():
        for batch in PairBatches(encoded, model.batch_size, vocabularies[1].ids[EOS], texts=texts):
            found, counted = model(batch), batch.targets != IGNORE_INDEX
            for column, (place, hypothesis) in enumerate(zip(batch.places, model.translate(batch.source), strict=True)):
                log_probabilities[place] = found[counted[:, column], column]
                written[place] = Translation(*texts[place], model.words(hypothesis))
    order = range(len(texts))
    outcome = score([written[place] for place in order], model.languages[1])
    metrics = {
        "perplexity": perplexity(torch.cat([log_probabilities[place] for place in order])),
        **{name.removeprefix("test_"): value for name, value in outcome.metrics.items()},
        "sentences": float(len(texts)),
    }
    items: list[tuple[str, ...]] = [("line", "perplexity", "source", "reference", "translation")]
    items += [
        (
            str(place + 1),
            f"{perplexity(log_probabilities[place]):.4f}",
            *texts[place],
            detokenize(written[place].words, model.languages[1]),
        )
        for place in order
    ]
    notes = [f"BLEU: {outcome.details['bleu_signature']}", *note_ends(stripped.ended, "lines")]
    notes += note_invisible(stripped.invisible) + note_not_joined([reference for _, reference in texts], second)
    for side, (vocabulary, language) in enumerate(zip(vocabularies, model.languages, strict=True)):
        own = [word for pair in words for word in pair[side]]
        notes += _unknown(Counter(word for word in own if word not in vocabulary.ids), len(own), f"{language}: ")
    return Outcome(metrics, items, notes)


def pairs_of(source: str, reference: Path | None, data: Path, languages: tuple[str, str]) -> Pairs:
    """The test set of a named source or a folder, or, given a file of references, the lines of two files."""
    if reference:
        for path in (Path(source), reference):
            if not path.is_file():
                raise UserError(f"{path}: there is no such file")
        return AlignedFiles(Path(source), reference)
    return read_parallel_text(source, data, languages).splits["test"]


def evaluate_pictures(
    loaded: LoadedCaptioner, source: str, data: Path, features: Path | None, config: CaptionConfig | None
) -> Outcome:
    """Perplexity of the captions of a data set and BLEU of the model's, and the caption of each picture.

    Of a source that has splits it is the test set; of a folder that has none it is every picture.

    Args:
        loaded: the model.
        source: name of the data set, or a folder.
        data: folder of the named sources.
        features: file of the pictures' vectors, if they are not made here.
        config: the configuration of the model's run, which tells the pictures that it was trained on, if it is known.
    """
    model, vocabulary = loaded.model, Vocabulary(loaded.model.hparams["vocabulary"])
    if source == OPENMOJI.name:
        OPENMOJI.fetch(data)
    read = read_captions(source, data)
    splits = read.splits
    chosen = ("test",) if source in NAMED or (read.has_splits and splits["test"]) else splits
    examples = [one for split in chosen for one in splits[split]]
    if not examples:
        raise UserError(f"{source}: there is no picture with a caption")
    captions, log_probabilities, items = [], [], [("picture", "references", "caption")]
    words: list[str] = []
    for begin in range(0, len(examples), PICTURES_AT_ONCE):
        batch = examples[begin : begin + PICTURES_AT_ONCE]
        vectors = picture_vectors([one.picture for one in batch], model, features, data)
        for one, vector, text in zip(batch, vectors, caption([model], vectors), strict=True):
            captions.append(text)
            items.append((one.picture.id, " | ".join(one.captions), text))
            for reference in one.captions:
                words += reference.split()
                tokens = torch.tensor(vocabulary.encode([EOS, *reference.split(), EOS]))[:, None]
                with torch.no_grad():
                    found, _ = model.decoder.score(tokens[:-1], tokens[1:], model.look(vector[None]))
                log_probabilities.append(found[:, 0])
    bleu = corpus_bleu(captions, [one.captions for one in examples])
    metrics = {
        "perplexity": perplexity(torch.cat(log_probabilities)),
        "bleu": bleu.score,
        "pictures": float(len(examples)),
    }
    unknown = _unknown(Counter(word for word in words if word not in vocabulary.ids), len(words))
    seen = note_pictures(examples, config, data) if config else []
    return Outcome(metrics, items, [f"BLEU: {bleu.signature}", *remarks(read.details), *seen, *unknown])


def evaluate_speech(loaded: LoadedAcousticModel, source: str, data: Path, config: SpeechConfig) -> Outcome:
    """Frame accuracy on recorded speech, in all and by utterance.

    Of a source that has splits it is the test set; of a folder that has none it is every utterance. A frame whose true
    state the model does not know counts as wrong.
    """
    corpus = open_corpus(source, data)
    corpus.fetch()
    prepared = prepare(corpus, config.aligner, config.sample_rate, data, source)
    ids = {state: number for number, state in enumerate(loaded.states)}
    known = np.array([ids.get(state, IGNORE_INDEX) for state in prepared.states])
    named = source in {ESPEAK, *(one.name for one in (ASTERISK, LIBRISPEECH_SOURCE, SAMROMUR))}
    if named:
        require_splits(prepared, source)
    has_test = named or (corpus.has_splits and "test" in prepared.splits)
    splits: tuple[Split, ...] = ("test",) if has_test else SPLITS
    right, frames, unknown, items = 0, 0, 0, [("utterance", "split", "frames", "right")]
    for split in (split for split in splits if split in prepared.splits):
        utterances = Utterances(prepared, split, loaded.model.output_delay)
        for number in range(len(utterances)):
            features, labels = utterances[number]
            true = torch.from_numpy(known)[labels]
            with torch.no_grad():
                predicted = loaded.model(features[:, None])[:, 0].argmax(dim=-1)
            own = int((predicted == true).sum())
            right, frames = right + own, frames + len(true)
            unknown += int((true == IGNORE_INDEX).sum())
            items.append((str(number + 1), split, str(len(true)), str(own)))
    notes = remarks(
        {
            "left_out": prepared.reasons,
            "left_out_utterances": prepared.left_out,
            "notes": [*corpus.notes, *prepared.notes],
        }
    )
    used = [one for one in corpus.utterances if one.split in splits and one.name not in prepared.left_out]
    notes += note_recordings(used, config, data)
    if unknown:
        notes.append(
            f"{unknown:,} of {frames:,} frames have states that the model does not know, and count as wrong; were they "
            "labeled by the same aligner as the training data?"
        )
    metrics = {"frame_accuracy": 100 * right / frames, "frames": float(frames)}
    return Outcome(metrics, items, notes)


def perplexity(log_probabilities: Tensor) -> float:
    """Perplexity exp(-mean) of natural log-probabilities [tokens], NaN if there are none."""
    return float(torch.exp(-log_probabilities.double().mean())) if len(log_probabilities) else math.nan


def _unknown(words: Counter[str], tokens: int, side: str = "") -> list[str]:
    """A sentence on the words that a model reads as `<unk>`, none if there are none."""
    if not (count := sum(words.values())):
        return []
    shown = ", ".join(word for word, _ in words.most_common(SHOWN_UNKNOWN))
    more = f" and {len(words) - SHOWN_UNKNOWN} more" if len(words) > SHOWN_UNKNOWN else ""
    share = f"{side}{count:,} of {tokens:,} words ({count / tokens:.1%})"
    return [f"{share} are not in the vocabulary and read as {UNK}: {shown}{more}"]
