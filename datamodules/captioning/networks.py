"""Frozen networks that turn pictures into vectors."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from datamodules.errors import DataError


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
