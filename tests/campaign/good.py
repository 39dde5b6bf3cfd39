"""Good files of every kind that the suite reads, small, from which the fuzzers begin."""

import io
import itertools
import json
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image
from support.corpora import COLORS, RATE, spoken, write_pairs, write_text
from support.factories import make_record, reference

from benchmark.analysis import references
from benchmark.store.checkpoints import write_checkpoint
from benchmark.store.provenance import rebuild_command, write_configuration
from benchmark.store.records import Store, checksum_arrays
from campaign.mutations import Files
from datamodules.translation.sources import BIBLE_DATABASE

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><g fill="red"><rect width="4" height="4"/></g></svg>'


def of_folder(make: Callable[[Path], object]) -> dict[str, bytes]:
    """The files that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "made"
        make(root)
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@cache
def text() -> tuple[Files, ...]:
    small = {name: content[:200] for name, content in of_folder(write_text).items()}
    marked = {name: b"\xef\xbb\xbf" + content.replace(b"\n", b" <eos>\r\n") for name, content in small.items()}
    return small, marked, {name: content.decode().encode("utf-16") for name, content in small.items()}


@cache
def pairs() -> tuple[Files, ...]:
    small = {name: b"\n".join(content.splitlines()[:8]) + b"\n" for name, content in of_folder(write_pairs).items()}
    return (small,)


@cache
def pictures() -> tuple[Files, ...]:
    """A picture of each kind."""
    made: list[Files] = [{"picture.svg": SVG}]
    modes = {"png": "RGBA", "jpg": "RGB", "gif": "P", "webp": "RGB", "tiff": "I;16", "bmp": "RGB"}
    for kind, mode in modes.items():
        made.append({f"picture.{kind}": picture(kind, mode)})
    return tuple(made)


def picture(kind: str, mode: str = "RGB", color: str = "red") -> bytes:
    out = io.BytesIO()
    image = Image.new(mode, (6, 5)) if mode == "I;16" else Image.new("RGB", (6, 5), COLORS[color]).convert(mode)
    image.save(out, {"jpg": "JPEG"}.get(kind, kind.upper()))
    return out.getvalue()


@cache
def flickr() -> tuple[Files, ...]:
    one = {f"Images/{color}.png": picture("png", color=color) for color in COLORS}
    lines = [f'{color}.png,"A {color} box , here ."' for color in COLORS]
    header = "\n".join(["image,caption", *lines]).encode() + b"\n"
    tokens = "".join(f"{color}.png#{turn}\ta {color} box\n" for color in COLORS for turn in (0, 1)).encode()
    named = zip(("train", "dev", "test"), ("red.png\ngreen.png\n", "blue.png\n", "yellow.png\n"), strict=True)
    splits = {f"Flickr_8k.{split}Images.txt": names.encode() for split, names in named}
    return {**one, "captions.txt": header}, {**one, "Flickr8k.token.txt": tokens, **splits}


@cache
def karpathy() -> tuple[Files, ...]:
    splits = zip(COLORS, ("train", "restval", "val", "test"), strict=True)
    said = {color: [{"raw": f"A {color} box."}] for color in COLORS}
    images = [{"filename": f"{color}.png", "split": split, "sentences": said[color]} for color, split in splits]
    one = {f"Images/{color}.png": picture("png", color=color) for color in COLORS}
    return ({**one, "dataset_small.json": json.dumps({"images": images}).encode()},)


def sound(kind: str, subtype: str, seconds: float = 0.12, channels: int = 1, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    samples = spoken("ab")[: int(seconds * RATE)]
    soundfile.write(out, np.stack([samples] * channels, axis=1), rate, format=kind, subtype=subtype)
    return out.getvalue()


@cache
def audio() -> tuple[Files, ...]:
    kinds = ("WAV PCM_16", "WAV FLOAT", "FLAC PCM_16", "OGG VORBIS", "AIFF PCM_24", "WAV ULAW")
    return tuple({f"sound.{kind.split()[0].lower()}": sound(*kind.split())} for kind in kinds)


@cache
def speech() -> tuple[Files, ...]:
    one = {"transcripts.tsv": b"a.wav\tab\tme\ttrain\nb.wav\tba\tme\tvalidation\n"}
    for name in "ab":
        one[f"{name}.wav"] = sound("WAV", "PCM_16", 0.06)
        one[f"labels/{name}.txt"] = b"sil.1 " * 4
    return one, {"transcripts.tsv": b"file\ttext\na.wav\t\xc3\xa1 b\n", "a.wav": one["a.wav"]}


@cache
def samromur() -> tuple[Files, ...]:
    titles = "speaker_id\tfilename\tsentence_norm\tstatus\tage\n"
    rows = "1\ta.flac\tgóðan dag\ttrain\t20\n2\tb\tjá\tdev\t30\n3\tc\tnei\ttest\t30\n"
    return ({"samromur/metadata.tsv": (titles + rows).encode()},)


@cache
def librispeech() -> tuple[Files, ...]:
    made = {}
    for subset in ("train-clean-100", "dev-clean"):
        folder = f"librispeech/LibriSpeech/{subset}/1/2"
        made[f"{folder}/1-2.trans.txt"] = b"1-2-0000 HELLO YOU\n"
        made[f"{folder}/1-2-0000.flac"] = b""
    return (made,)


def zipped(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


@cache
def openmoji() -> tuple[Files, ...]:
    named = {chr(code): {"en": f":{name}_face:"} for code, name in ((0x1F600, "grinning"), (0x1F622, "crying"))}
    drawings = {f"drawings/color/{code}.svg": SVG for code in ("1F600", "1F622")}
    return ({**drawings, "names/emoji/unicode_codes/emoji.json": json.dumps(named).encode()},)


@cache
def bible() -> tuple[Files, ...]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE bible (bbName, bNumber, cNumber, vNumber, vText)")
    rows = [("4", 1, chapter, 1, f"In the beginning {chapter}.") for chapter in range(8)]
    connection.executemany("INSERT INTO bible VALUES (?, ?, ?, ?, ?)", rows + [("l", *row[1:]) for row in rows])
    connection.commit()
    return ({BIBLE_DATABASE: bytes(connection.serialize())},)


@cache
def catalogs() -> tuple[Files, ...]:
    """Catalogs of a program, whose phrases are of two words of one letter."""
    phrases = {f"{one}{two}": f"{one} {two}" for one, two in itertools.product("abcdef", repeat=2)}
    french = {key: phrase.translate(str.maketrans("abcdef", "uvwxyz")) for key, phrase in phrases.items()}
    content = {"en": {"title": phrases}, "fr": {"title": french}}
    return ({f"a/translations/{language}.json": json.dumps(part).encode() for language, part in content.items()},)


@cache
def vectors() -> tuple[Files, ...]:
    ids, table = np.array(["a.png", "b.png"]), np.ones((2, 3), np.float32)
    arrays = {}
    for name, array in (("ids", ids), ("features", table), ("network", np.array("net"))):
        out = io.BytesIO()
        np.save(out, array)
        arrays[f"{name}.npy"] = out.getvalue()
    labels = json.dumps({"ids": ["a.png", "b.png"], "network": "net"}).encode()
    return arrays, {"vectors.npy": arrays["features.npy"], "vectors.json": labels}


@cache
def record() -> tuple[Files, ...]:
    def write(root: Path) -> None:
        arrays = {"test": np.arange(5, dtype=np.float16)}
        sums = {"log_probabilities_sha256": checksum_arrays(arrays), "items_sha256": checksum_arrays(arrays)}
        Store(root).write(make_record(**sums), arrays, arrays)

    return (of_folder(write),)


@cache
def checkpoint() -> tuple[Files, ...]:
    def write(root: Path) -> None:
        run = "row/seed-1-abc"
        content = {"model": "M", "state_dict": {"w": torch.ones(3)}, "hyper_parameters": {"a": 1}, "run": run}
        (root / run).mkdir(parents=True)
        write_checkpoint(content, root / run / "last.ckpt")

    return (of_folder(write),)


@cache
def baseline() -> tuple[Files, ...]:
    from benchmark.tasks.language_modeling import PTB_SMALL

    one = references.Expected((reference(make_record(), PTB_SMALL),), ({"reason": "first"},))
    return ({"baseline.json": json.dumps({PTB_SMALL.name: asdict(one)}).encode()},)


@cache
def configuration() -> tuple[Files, ...]:
    from benchmark.tasks.registry import find

    fields = asdict(find("sotu-awd-lstm").config)

    def write(root: Path) -> None:
        root.mkdir()
        write_configuration(root / "config.yaml", rebuild_command("sotu-awd-lstm", 3), fields, {"precision": "32"})

    return (of_folder(write),)


@cache
def progress() -> tuple[Files, ...]:
    report = {"epoch": 1.5, "epochs": 3, "kept": 1, "host": "here", "process": 7}
    return ({".under-way/row-seed-1-aaaaaaaa.json": json.dumps(report).encode()},)
