"""Recordings whose files have lost their end, or hold more than is read, are left out, and whole ones never are."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from datamodules.speech.features import LeftOut, read_audio

NOISE = np.random.default_rng(0).standard_normal(40_000) / 10


@pytest.mark.parametrize(
    ("suffix", "subtype", "lost", "message"),
    [
        ("wav", "PCM_16", 1, "79,999 of the 80,000 bytes that its header names are there"),
        ("wav", "FLOAT", 9_000, "151,000 of the 160,000 bytes"),
        ("aiff", "PCM_16", 10_000, "of the 80,0.. bytes"),
        ("au", "PCM_16", 1, "79,999 of the 80,000 bytes"),
        ("w64", "FLOAT", 9_000, "151,000 of the 160,000 bytes"),
        ("rf64", "PCM_16", 1, "79,999 of the 80,000 bytes"),
        ("caf", "PCM_16", 1, "80,003 of the 80,004 bytes"),
        ("ogg", "VORBIS", 1, "its last page of Ogg is not whole"),
        ("ogg", "OPUS", 1, "its last page of Ogg is not whole"),
        ("mp3", "MPEG_LAYER_III", 4_000, r"\d\d,\d{3} of its 40,000 samples are there"),
        ("flac", "PCM_16", 10_000, "cannot be read"),
    ],
)
def test_a_recording_without_its_end_is_left_out(tmp_path: Path, suffix, subtype, lost, message) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, NOISE, 8000, subtype=subtype)
    assert len(read_audio(path).samples) == len(NOISE)
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(LeftOut, match=message):
        read_audio(path)


def test_a_stream_that_ends_between_two_pages_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, NOISE, 8000)
    content = path.read_bytes()
    path.write_bytes(content[: content.rfind(b"OggS")])
    with pytest.raises(LeftOut, match=r"audio breaks off: .*a.ogg: its last page of Ogg does not end the stream"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_stream_whose_last_page_is_damaged_is_left_out(tmp_path: Path, subtype: str) -> None:
    """It names only the samples before that page, as many as are read."""
    path = tmp_path / "a.ogg"
    soundfile.write(path, NOISE, 8000, subtype=subtype)
    assert len(read_audio(path).samples) == len(NOISE)
    content = bytearray(path.read_bytes())
    content[-50] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(LeftOut, match=r"audio breaks off: .*a.ogg: its last page of Ogg is damaged"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_stream_that_has_lost_a_page_in_its_middle_is_left_out(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.tile(NOISE, 4), 8000, subtype=subtype)
    assert len(read_audio(path).samples) == 4 * len(NOISE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(LeftOut, match=r"audio breaks off: .*a.ogg: \d+,\d{3} of its 160,000 samples are there"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_that_has_lost_a_frame_in_its_middle_is_left_out(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.stack([NOISE, NOISE / 2], axis=1), 8000, subtype=subtype)
    assert len(read_audio(path).samples) == len(NOISE)
    content = path.read_bytes()
    frames = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xf8"]
    path.write_bytes(content[: frames[2]] + content[frames[3] :])
    with pytest.raises(LeftOut):  # most versions of libFLAC go on in silence, with other samples
        read_audio(path)


def test_flac_whose_samples_are_not_those_of_its_checksum_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE, 8000)
    content = path.read_bytes()
    path.write_bytes(content[:26] + bytes(16) + content[42:])  # some encoders leave the checksum out
    assert len(read_audio(path).samples) == len(NOISE)
    path.write_bytes(content[:26] + bytes(15) + b"\1" + content[42:])
    with pytest.raises(LeftOut, match=r"audio is damaged: .*a.flac: its samples have another checksum"):
        read_audio(path)


def test_flac_of_a_stream_whose_length_is_not_named_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, NOISE, 8000)
    content = path.read_bytes()
    path.write_bytes(content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:])
    with pytest.raises(LeftOut, match=r"audio cannot be read: .*a.flac: its header does not name its length"):
        read_audio(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "ULAW"])
def test_a_file_of_nist_is_compared_with_its_header(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"  # as TIMIT's are named
    soundfile.write(path, NOISE, 8000, format="NIST", subtype=subtype)
    assert len(read_audio(path).samples) == len(NOISE)
    content = path.read_bytes()
    for wrong, message in ((content[:-9], "audio breaks off"), (content * 2, "audio goes on after what is read")):
        path.write_bytes(wrong)
        with pytest.raises(LeftOut, match=message):
            read_audio(path)


def test_a_format_of_which_nothing_tells_whether_a_file_is_whole_is_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", NOISE, 8000, format="VOC")
    with pytest.raises(LeftOut, match="nothing tells whether a file of VOC is whole; save it as FLAC or WAV"):
        read_audio(tmp_path / "a.wav")


def test_tags_before_a_recording_hide_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 8000)
    content = b"ID3\4\0\0\0\0\1\0" + bytes(128) + path.read_bytes()
    path.write_bytes(content)
    assert len(read_audio(path).samples) == len(NOISE)
    path.write_bytes(content[:-1000])
    with pytest.raises(LeftOut, match="79,000 of the 80,000 bytes that its header names are there"):
        read_audio(path)


def test_a_length_that_was_not_known_when_it_was_written_is_no_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 8000)
    content = path.read_bytes()
    path.write_bytes(content[:40] + struct.pack("<I", 0xFFFFFFFF) + content[44:])
    assert len(read_audio(path).samples) == len(NOISE)


@pytest.mark.parametrize("start", [b"", b"ID3\4\0\0\0\0\1\0" + bytes(128)])
def test_an_mp3_file_without_a_header_is_read_if_its_length_can_be_told(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "a.mp3"
    for mode in ("CONSTANT", "VARIABLE"):
        soundfile.write(path, NOISE, 8000, bitrate_mode=mode, compression_level=0.5)
        content = path.read_bytes()
        path.write_bytes(start + content)
        assert len(read_audio(path).samples) == len(NOISE)
        path.write_bytes(start + content[content.find(content[:2], 4) :])  # the first frame is the header
        if mode == "CONSTANT":
            assert len(read_audio(path).samples) >= len(NOISE)
            continue
        with pytest.raises(LeftOut, match="its bit rate varies and no header has its length; save it as FLAC or WAV"):
            read_audio(path)


@pytest.mark.parametrize(
    ("suffix", "subtype", "message"),
    [
        ("au", "PCM_16", "80,024 bytes follow the 80,000 bytes of samples that its header names"),
        ("w64", "FLOAT", "160,136 bytes follow the 160,000 bytes"),
        ("caf", "PCM_16", "bytes follow the 80,004 bytes"),
        ("ogg", "VORBIS", "it holds 2 recordings one after another, and the first is read"),
        ("ogg", "OPUS", "it holds 2 recordings one after another"),
        ("flac", "PCM_16", "it holds 2 recordings one after another"),
        ("mp3", "MPEG_LAYER_III", r"its frames have 8\d,\d{3} samples, and its header names 40,000"),
    ],
)
def test_two_recordings_in_one_file_are_left_out(tmp_path: Path, suffix: str, subtype: str, message: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, NOISE, 8000, subtype=subtype)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(LeftOut, match=rf"audio goes on after what is read: .*a.{suffix}: .*{message}"):
        read_audio(path)


@pytest.mark.parametrize("named", [2, 30_000])
def test_a_header_that_names_less_than_there_is_is_no_length(tmp_path: Path, named: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, NOISE, 8000)
    content = path.read_bytes()
    path.write_bytes(content[:40] + struct.pack("<I", named) + content[44:])
    with pytest.raises(LeftOut, match=f"{80_000 - named:,} bytes follow the {named:,} bytes of samples"):
        read_audio(path)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "mp3"])
def test_tags_and_other_chunks_after_the_samples_are_none(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, NOISE[:-1], 8000)
    content = path.read_bytes()
    size = struct.pack("<I" if suffix == "wav" else ">I", 3_000)
    for tail in (b"TAG" + bytes(125), bytes(5_000), b"id3 " + size + b"\1" * 3_000 + b"TAG" + b"x" * 125):
        path.write_bytes(content + tail)
        assert len(read_audio(path).samples) == len(NOISE) - 1
