"""One vector per picture from a frozen network, extracted once, kept in a memory-mapped file, or read from a user's."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from datamodules.captioning.images import Picture
from datamodules.errors import DataError
from datamodules.sources import sha256_of

BATCH = 64
"""Pictures in memory at once while features are extracted."""


class Network(ABC):
    """A frozen function from a picture to a vector."""

    name: str
    """Name of the network in configurations."""
    size: int
    """Length of its vectors."""
    sha256: str
    """Checksum of its weights or, without weights, of its description, so that vectors of two networks never mix."""

    @abstractmethod
    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Vectors [images, size], single precision, of RGB pictures of any size."""


class Descriptor(Network):
    """Orientations of edges (Dalal & Triggs 2005), layout and histogram of colors: no weights, nothing learned.

    The picture is squeezed to a square of 64 pixels. Orientations: 9 in each cell of 16 x 16 pixels, blocks of one
    cell. Layout: mean red, green and blue of a 4 x 4 grid. Histogram: share of the pixels, square root, in 4 x 4 x 4
    cells of the color cube.
    """

    name = "descriptor"
    size = 4 * 4 * 9 + 4 * 4 * 3 + 4 * 4 * 4
    sha256 = hashlib.sha256(b"64: hog 16/9/1/L2-Hys, layout 4x4x3, histogram 4x4x4 root").hexdigest()

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """See Network."""
        from skimage.feature import hog  # a second's import, which runs whose features are there need not pay

        vectors = []
        for image in images:
            square = image.resize((64, 64), Image.Resampling.BOX)
            orientations = hog(
                np.asarray(square.convert("L"), np.float32) / 255,
                orientations=9,
                pixels_per_cell=(16, 16),
                cells_per_block=(1, 1),
                block_norm="L2-Hys",
            )
            layout = np.asarray(square.resize((4, 4), Image.Resampling.BOX), np.float32).ravel() / 255
            cells = (np.asarray(square, np.int64) // 64) @ [16, 4, 1]
            histogram = np.bincount(cells.ravel(), minlength=64) / cells.size
            vectors.append(np.concatenate([orientations, layout, np.sqrt(histogram)]))
        return np.stack(vectors).astype(np.float32)


class GoogLeNet(Network):
    """Output [1024] of the last pooling layer of torchvision's GoogLeNet, trained on ImageNet (Szegedy et al. 2014).

    Args:
        pretrained: download the published weights; else they are random, seeded, which only tests have a use for.

    Raises:
        DataError: torchvision is not installed, or the weights cannot be downloaded.
    """

    name = "googlenet"
    size = 1024

    def __init__(self, pretrained: bool = True) -> None:
        try:
            from torchvision.models import GoogLeNet_Weights, googlenet
        except ImportError as error:
            raise DataError(
                f"features of GoogLeNet need torchvision: pip install -e '.[captions]' ({error}); "
                "or --features descriptor, or --features FILE.npz with vectors of your own"
            ) from error
        weights = GoogLeNet_Weights.IMAGENET1K_V1
        try:
            if pretrained:
                network = googlenet(weights=weights)
            else:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    network = googlenet(weights=None, aux_logits=False, init_weights=False)
        except Exception as error:  # the network's, the disk's or the hash check's
            raise DataError(
                f"cannot download GoogLeNet's weights (no network?): {error}; "
                "or --features descriptor, or --features FILE.npz with vectors of your own"
            ) from error
        network.fc = torch.nn.Identity()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network, self.transform = network.eval().to(self.device), weights.transforms()
        digest = hashlib.sha256()
        for key, value in network.state_dict().items():
            digest.update(key.encode() + value.cpu().numpy().tobytes())
        self.sha256 = digest.hexdigest()

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """See Network."""
        batch = torch.stack([self.transform(image) for image in images])
        vectors: np.ndarray = self.network(batch.to(self.device)).float().cpu().numpy()
        return vectors


NETWORKS: dict[str, type[Network]] = {"descriptor": Descriptor, "googlenet": GoogLeNet}
"""Networks that features can be extracted with, by the name that a configuration gives."""


@dataclass(frozen=True)
class Features:
    """The vectors of some pictures."""

    network: str
    """Checksum of the network that they come from, or the name that a user's file gives it."""
    sha256: str
    """Checksum of the network, or of a user's file."""
    table: np.ndarray
    """[pictures in the file, size], memory-mapped where the suite wrote it."""
    rows: dict[str, int]
    """Picture id to row of the table."""

    def of(self, ids: Sequence[str]) -> torch.Tensor:
        """Vectors [ids, size], single precision."""
        return torch.from_numpy(self.table[[self.rows[id] for id in ids]].astype(np.float32))

    @property
    def size(self) -> int:
        """Length of a vector."""
        return int(self.table.shape[1])


def extract(pictures: Sequence[Picture], network: Network, path: Path) -> Features:
    """Vectors of pictures, from a file of earlier ones as far as it has them, else from the network.

    The file is one array of records (id, stamp, vector), memory-mapped. Whatever stops the extraction, a broken picture
    or Ctrl-C, the vectors computed before it are kept.

    Args:
        pictures: pictures whose vectors are wanted.
        network: network that computes the missing vectors.
        path: .npy file of this network's vectors; made, or made anew with more of them.

    Raises:
        DataError: a picture is broken, or the file cannot be read or written.
    """
    old = _read(path, network)
    known = {(str(id), str(stamp)): row for row, (id, stamp) in enumerate(zip(old["id"], old["stamp"], strict=True))}
    missing = [picture for picture in pictures if (picture.id, picture.stamp) not in known]
    if missing:
        done: list[np.ndarray] = []
        try:
            for begin in range(0, len(missing), BATCH):
                done.append(network([picture.read() for picture in missing[begin : begin + BATCH]]))
        finally:
            if done:
                wanted = {picture.id for picture in missing}
                kept = [row for row, id in enumerate(old["id"]) if str(id) not in wanted]
                _write(path, old[kept], missing, np.concatenate(done))
        old = _read(path, network)
    return Features(network.sha256, network.sha256, old["vector"], {str(id): row for row, id in enumerate(old["id"])})


def _read(path: Path, network: Network) -> Any:
    if not path.exists():
        return np.empty(0, _record_type(1, 1, network.size))
    try:
        table = np.load(path, mmap_mode="r")
        if table["vector"].shape[1:] != (network.size,):
            raise ValueError(f"vectors of {table['vector'].shape[1:]}, expected ({network.size},)")
    except (OSError, ValueError, EOFError, IndexError, KeyError) as error:
        raise DataError(f"{path}: not a whole file of features ({error}); delete it to extract them again") from error
    return table


def _write(path: Path, old: Any, pictures: Sequence[Picture], vectors: np.ndarray) -> None:
    pictures = pictures[: len(vectors)]
    ids = [*map(str, old["id"]), *(picture.id for picture in pictures)]
    stamps = [*map(str, old["stamp"]), *(picture.stamp for picture in pictures)]
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = _record_type(max(map(len, ids)), max(map(len, stamps)), vectors.shape[1])
        table = np.lib.format.open_memmap(scratch, "w+", kind, (len(ids),))
        table["id"], table["stamp"] = ids, stamps
        table["vector"][: len(old)], table["vector"][len(old) :] = old["vector"], vectors
        table.flush()
        scratch.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def _record_type(id_length: int, stamp_length: int, size: int) -> np.dtype:
    return np.dtype([("id", f"U{id_length}"), ("stamp", f"U{stamp_length}"), ("vector", np.float32, (size,))])


def read_feature_file(path: Path) -> Features:
    """A user's own features: `ids` [n], `features` [n, size] and `network`, a name or checksum.

    Either an .npz of the three, or an .npy of the features, which is memory-mapped, with the other two in a .json
    of the same name beside it.

    Raises:
        DataError: it is not such a file.
    """
    try:
        if path.suffix == ".npy":
            labels = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            ids, network = np.array(labels["ids"], str), str(labels["network"])
            table = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            with np.load(path, allow_pickle=False) as file:
                ids, table, network = file["ids"], file["features"], str(file["network"])
        if table.ndim != 2 or ids.shape != table.shape[:1] or not np.isfinite(table).all():
            raise ValueError(f"ids {ids.shape}, features {table.shape}: expected [n] and [n, size], all finite")
    except (OSError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: not a file of features ({error}); expected an .npz with ids [n], features [n, size] and network, "
            f"an .npy of features with ids and network in a .json beside it, or one of {', '.join(NETWORKS)}"
        ) from error
    return Features(network, sha256_of(path), table, {str(id): row for row, id in enumerate(ids)})


def features_of(pictures: Sequence[Picture], source: str, cache: Path) -> Features:
    """Vectors of pictures by the name of a network or the path of a feature file.

    Args:
        pictures: pictures whose vectors are wanted.
        source: a name in NETWORKS, or the path of a feature file.
        cache: file name without its end, which the network's checksum completes.

    Raises:
        DataError: a picture is broken or has no features, the network cannot be had, the file is not one of features.
    """
    if source in NETWORKS:
        network = NETWORKS[source]()
        return extract(pictures, network, cache.with_name(f"{cache.name}-{network.name}-{network.sha256[:12]}.npy"))
    found = read_feature_file(Path(source))
    if lacking := [picture.id for picture in pictures if picture.id not in found.rows]:
        raise DataError(f"{source} has no features of {lacking[0]!r} ({len(lacking)} of {len(pictures)} are missing)")
    return found
