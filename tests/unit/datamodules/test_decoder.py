"""Pictures that nobody vouches for: drawn as a viewer shows them, or refused alone, and nothing else is touched."""

import base64
import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import bounds
from datamodules.captioning import images
from datamodules.captioning.images import decode_image, draw_svg, read_image
from datamodules.errors import DataError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 8 8">{}</svg>'
RED = SVG.format('<rect width="8" height="8" fill="#f00"/>').encode()


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def gray_tiff(data: bytes, bits: int, sample_format: int = 1, photometric: int = 1) -> bytes:
    """A TIFF of three gray pixels in one row."""
    tags = [(256, 3), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags += [(279, len(data)), (339, sample_format)]
    end = struct.pack("<H", len(tags)) + b"".join(struct.pack("<2H2I", tag, 3, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + end + bytes(4)


@pytest.mark.parametrize(
    ("orientation", "corner"), [(1, "tl"), (2, "tr"), (3, "br"), (4, "bl"), (5, "tl"), (6, "tr"), (7, "br"), (8, "bl")]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_stands_upright(orientation: int, corner: str, kind: str) -> None:
    """The upper left corner of what is stored, in red, is seen where the tag says."""
    image = Image.new("RGB", (48, 32), "white")
    image.paste((255, 0, 0), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = decode_image(encoded(image, kind, exif=exif), "x")
    assert seen.size == ((48, 32) if orientation < 5 else (32, 48))
    x, y = (8 if corner[1] == "l" else seen.width - 8), (8 if corner[0] == "t" else seen.height - 8)
    red, green, _ = seen.getpixel((x, y))
    assert red > 200
    assert green < 60


def test_a_broken_orientation_is_no_reason_to_refuse_a_photograph() -> None:
    content = encoded(Image.new("RGB", (8, 8), "blue"), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode_image(content, "x").size == (8, 8)


def test_gray_of_16_bits_is_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        seen = decode_image(encoded(Image.fromarray(values), kind), "x")
        assert np.asarray(seen).tolist() == [[[0] * 3, [1] * 3, [128] * 3, [255] * 3]]
    pgm = b"P5 4 1 65535\n" + values.astype(">u2").tobytes()  # whose mode is that of 32 bits
    assert np.asarray(decode_image(pgm, "x")).tolist() == [[[0] * 3, [1] * 3, [128] * 3, [255] * 3]]


@pytest.mark.parametrize("most", [255, 70_000, 0.5])
def test_gray_of_32_bits_is_refused_whatever_its_values(most: float) -> None:
    """By small values as by large ones nobody knows what white is: 0 to 255 as 16 bits would be black."""
    values = np.array([[most, 1]], np.float32 if most < 1 else np.int32)
    with pytest.raises(DataError, match="32 bits or a sign; save it with 8 or 16 bits"):
        decode_image(encoded(Image.fromarray(values), "TIFF"), "x")


@pytest.mark.parametrize(("bits", "signed", "shown"), [(12, False, [0, 128, 255]), (16, True, None), (32, False, None)])
def test_the_depth_of_a_tiff_says_what_is_white(bits: int, signed: bool, shown: list[int] | None) -> None:
    data = bytes.fromhex("000800fff000" if bits == 12 else "00" * 3 * bits)
    content = gray_tiff(data, bits, sample_format=1 + signed)
    if shown:
        assert np.asarray(decode_image(content, "x"))[0, :, 0].tolist() == shown
    else:
        with pytest.raises(DataError, match="its gray values have 32 bits or a sign"):
            decode_image(content, "x")


def test_a_tiff_in_which_white_is_zero_is_shown_so() -> None:
    content = gray_tiff(struct.pack("<3H", 0, 128 * 257, 65535), 16, photometric=0)
    assert np.asarray(decode_image(content, "x"))[0, :, 0].tolist() == [255, 127, 0]


def test_a_picture_that_needs_a_profile_of_colors_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="further files would have to be opened; save it in RGB as PNG or JPEG"):
        decode_image(encoded(Image.new("LAB", (8, 8)), "TIFF"), "x")


def test_a_drawing_reads_no_file(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "secret.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name in (tmp_path / "secret.png", tmp_path / "pipe.png", "/dev/zero"):
        content = SVG.format(f'<image xlink:href="{name}" width="8" height="8"/>').encode()
        with pytest.raises(DataError, match=rf"it shows another file, '{name}', and none is read; embed it"):
            draw_svg(content, "x")


def test_what_a_drawing_embeds_is_drawn_and_text_is_refused() -> None:
    blue = base64.b64encode(encoded(Image.new("RGB", (8, 8), "blue"), "PNG")).decode()
    for name in ("href", "xlink:href"):
        content = SVG.format(f'<image {name}="data:image/png;base64,{blue}" width="8" height="8"/><text> </text>')
        assert draw_svg(content.encode(), "x").getpixel((36, 36)) == (0, 0, 255)
    for text in ("<text>STOP</text>", "<g><text><tspan>STOP</tspan></text></g>", "<foreignObject>STOP</foreignObject>"):
        with pytest.raises(DataError, match="it has text, and no fonts are read to draw it"):
            draw_svg(SVG.format(text).encode(), "x")


def test_a_drawing_that_ends_its_decoder_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "deep.svg").write_text(SVG.format("<g>" * 20_000 + "</g>" * 20_000))
    (tmp_path / "good.svg").write_bytes(RED)
    with pytest.raises(DataError, match=r"deep.svg: not an SVG drawing .*it ended its decoder"):
        read_image(tmp_path / "deep.svg")
    assert read_image(tmp_path / "good.svg").getpixel((4, 4)) == (255, 0, 0)


def test_a_decoder_that_the_system_kills_costs_no_picture(monkeypatch) -> None:
    exchange, killed = images.Decoder._exchange, []

    def kill_the_first(process, request):
        if not killed:
            killed.append(process.pid)
            process.kill()
        return exchange(process, request)

    monkeypatch.setattr(images.Decoder, "_exchange", staticmethod(kill_the_first))
    assert draw_svg(RED, "x").getpixel((4, 4)) == (255, 0, 0)
    assert killed


def test_a_drawing_that_never_ends_is_stopped(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "silent.py").write_text("import sys; sys.stdin.read()")
    images._decoder.end()
    with monkeypatch.context() as patch:
        patch.setattr(images.decoder, "__file__", str(tmp_path / "silent.py"))
        patch.setattr(images, "DRAWING_SECONDS", bounds.Bound(0, "seconds"))
        with pytest.raises(DataError, match=r"x: not an SVG drawing \(at most 0 s and 2,048 MB .*: it took too long\)"):
            draw_svg(RED, "x")
    assert draw_svg(RED, "x").getpixel((4, 4)) == (255, 0, 0)


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(images, "SVG_BYTES", bounds.Bound(10, "bytes of an SVG drawing"))
    (tmp_path / "large.svg").write_bytes(RED)
    with pytest.raises(DataError, match=r"large.svg: \d+ bytes of an SVG drawing; at most 10 are read"):
        read_image(tmp_path / "large.svg")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"pipe.png is not a file"):
        read_image(tmp_path / "pipe.png")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"restart_marker_rows": 1}]
)
def test_a_photograph_whose_data_end_early_is_not_read_half_gray(mode: str, options: dict[str, Any]) -> None:
    """Pillow gives such a one without a word if it has its last marker, and libjpeg makes up what is missing."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    whole = encoded(Image.fromarray(noise).convert(mode), "JPEG", **options)
    assert decode_image(whole, "a.jpg").size == (64, 48)
    assert decode_image(whole[:-2] + b"\xff\xff\xd9 and what follows it", "a.jpg").size == (64, 48)
    middle = whole.rindex(b"\xff\xda") + (len(whole) - whole.rindex(b"\xff\xda")) // 2
    for damaged in (whole[:middle] + b"\xff\xd9", whole[:middle] + whole[middle + 200 :]):
        with pytest.raises(
            DataError, match=r"a.jpg: not a whole picture .*(data end before|data is missing|is truncated)"
        ):
            decode_image(damaged, "a.jpg")


@pytest.mark.parametrize("color", ["white", "black", "gray"])
def test_a_plain_photograph_of_any_size_is_whole(color: str) -> None:
    for size in ((1, 1), (17, 5), (64, 64)):
        for progressive in (False, True):
            content = encoded(Image.new("RGB", size, color), "JPEG", progressive=progressive)
            assert decode_image(content, "a.jpg").size == size
