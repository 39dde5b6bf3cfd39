"""Evaluation on data that is not the model's own: sentence pairs, captioned pictures, recorded speech."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.sharing.evaluation import Outcome
from benchmark.sharing.own_texts import perplexity, unknown_words
from benchmark.sharing.training_items import note_pictures, note_recordings
from benchmark.tasks.captioning import CaptionConfig
from benchmark.tasks.speech import SpeechConfig
from datamodules.base import IGNORE_INDEX, remarks
from datamodules.captioning.datamodule import PICTURES_AT_ONCE
from datamodules.captioning.examples import without_broken
from datamodules.captioning.features import read_feature_file
from datamodules.captioning.reading import read_captions
from datamodules.captioning.sources import NAMED, OPENMOJI
from datamodules.errors import DataError, UserError
from datamodules.sources import SPLITS, Split
from datamodules.speech.datamodule import Utterances
from datamodules.speech.preparation import prepare, require_splits
from datamodules.speech.recorded import open_corpus
from datamodules.speech.sources import ASTERISK, ESPEAK, LIBRISPEECH_SOURCE, SAMROMUR
from datamodules.translation.batches import PairBatches
from datamodules.translation.datamodule import words_of_pairs
from datamodules.translation.sources import AlignedFiles, Pairs, WithoutEos, read_parallel_text
from datamodules.translation.tokenization import detokenize, note_not_joined
from datamodules.vocabulary import EOS, Vocabulary, note_same
from models.captioner import caption
from models.inputs import picture_vectors
from models.loaded import LoadedAcousticModel, LoadedCaptioner, LoadedTranslator
from models.metrics import corpus_bleu
from models.translator import Translation, score


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
    notes = [f"BLEU: {outcome.details['bleu_signature']}", *outcome.details.get("bleu_remarks", ())]
    notes += stripped.notes() + note_same(sum(source == target for source, target in words), len(words))
    notes += note_not_joined([reference for _, reference in texts], second)
    for side, (vocabulary, language) in enumerate(zip(vocabularies, model.languages, strict=True)):
        own = [word for pair in words for word in pair[side]]
        notes += unknown_words(Counter(word for word in own if word not in vocabulary.ids), len(own), f"{language}: ")
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

    Raises:
        UserError: there is no picture with a caption, or none in the test set.
    """
    model, vocabulary = loaded.model, Vocabulary(loaded.model.hparams["vocabulary"])
    if source == OPENMOJI.name:
        OPENMOJI.fetch(data)
    read = read_captions(source, data)
    splits, broken = read.splits, dict[str, str]()
    has_test = source in NAMED or read.has_splits
    examples = [one for split in (("test",) if has_test else splits) for one in splits[split]]
    if not examples:
        advice = " in its test set; give the pictures to be evaluated the split test" if has_test else ""
        raise UserError(f"{source}: there is no picture with a caption{advice}")
    given = read_feature_file(features) if features else None
    captions, log_probabilities, items = [], [], [("picture", "references", "caption")]
    words: list[str] = []
    for begin in range(0, len(examples), PICTURES_AT_ONCE):
        batch = examples[begin : begin + PICTURES_AT_ONCE]
        vectors = picture_vectors([one.picture for one in batch], model, given, data, broken)
        batch = [one for one in batch if one.picture.id not in broken]
        if not batch:
            continue
        for one, vector, text in zip(batch, vectors, caption([model], vectors), strict=True):
            captions.append(text)
            items.append((one.picture.id, " | ".join(one.captions), text))
            for reference in one.captions:
                words += reference.split()
                tokens = torch.tensor(vocabulary.encode([EOS, *reference.split(), EOS]))[:, None]
                with torch.no_grad():
                    found, _ = model.decoder.score(tokens[:-1], tokens[1:], model.encode(vector[None]))
                log_probabilities.append(found[:, 0])
    if not captions:
        raise UserError(f"{source}: every picture is broken; {next(iter(broken.values()))}")
    read = without_broken(read, broken)
    examples = [one for one in examples if one.picture.id not in broken]
    bleu = corpus_bleu(captions, [one.captions for one in examples])
    metrics = {
        "perplexity": perplexity(torch.cat(log_probabilities)),
        "bleu": bleu.score,
        "pictures": float(len(examples)),
    }
    unknown = unknown_words(Counter(word for word in words if word not in vocabulary.ids), len(words))
    seen = note_pictures(examples, config, data) if config else []
    of_bleu = [f"BLEU: {bleu.signature}", *bleu.remarks]
    return Outcome(metrics, items, [*of_bleu, *remarks(read.details), *seen, *unknown])


def evaluate_speech(loaded: LoadedAcousticModel, source: str, data: Path, config: SpeechConfig) -> Outcome:
    """Frame accuracy on recorded speech, in all and by utterance.

    Of a source that has a test set it is that; of a folder that has none it is every utterance. A frame whose true
    state the model does not know counts as wrong.

    Raises:
        DataError: no utterance can be used, or none of the test set.
    """
    corpus = open_corpus(source, data)
    corpus.fetch()
    prepared = prepare(corpus, config.aligner, config.sample_rate, data, source)
    ids = {state: number for number, state in enumerate(loaded.states)}
    known = np.array([ids.get(state, IGNORE_INDEX) for state in prepared.states])
    named = source in {ESPEAK, *(one.name for one in (ASTERISK, LIBRISPEECH_SOURCE, SAMROMUR))}
    if named:
        require_splits(prepared, source)
    has_test = named or (corpus.has_splits and any(one.split == "test" for one in corpus.utterances))
    splits: tuple[Split, ...] = ("test",) if has_test else SPLITS
    if not any(split in prepared.splits for split in splits):
        reasons = "; ".join(f"{count} {reason}" for reason, count in prepared.reasons.items())
        raise DataError(f"{source}: no test utterance can be used ({reasons})")
    right, frames, unknown, items = 0, 0, 0, [("utterance", "split", "frames", "right")]
    for split in (split for split in splits if split in prepared.splits):
        utterances = Utterances(prepared, split, loaded.model.output_delay)
        names = [name for name, own in zip(prepared.names, prepared.splits, strict=True) if own == split]
        for number, name in enumerate(names):
            features, labels = utterances[number]
            true = torch.from_numpy(known)[labels]
            with torch.no_grad():
                predicted = loaded.model(features[:, None])[:, 0].argmax(dim=-1)
            own = int((predicted == true).sum())
            right, frames = right + own, frames + len(true)
            unknown += int((true == IGNORE_INDEX).sum())
            items.append((name, split, str(len(true)), str(own)))
    notes = remarks(
        {
            "left_out": prepared.reasons,
            "left_out_utterances": prepared.left_out,
            "notes": [*corpus.notes, *prepared.notes],
        }
    )
    names_used = set(prepared.names)
    used = [one for one in corpus.utterances if one.split in splits and one.name in names_used]
    notes += note_recordings(used, config, data)
    if unknown:
        notes.append(
            f"{unknown:,} of {frames:,} frames have states that the model does not know, and count as wrong; were they "
            "labeled by the same aligner as the training data?"
        )
    metrics = {"frame_accuracy": 100 * right / frames, "frames": float(frames)}
    return Outcome(metrics, items, notes)
