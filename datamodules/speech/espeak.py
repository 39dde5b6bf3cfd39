"""Synthetic speech: espeak-ng through its C interface, with the times of the phonemes it spoke.

A program of its own as well: reads requests as JSON on standard input, writes the audio to standard output. The
library carries random state from one utterance to the next, so that only a fresh process always says the same.
"""

import ctypes
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Request:
    """A text to say, and how to say it."""

    text: str
    voice: str
    """espeak-ng's name, such as en-us+f2."""
    rate: int
    """Words per minute."""
    pitch: int
    """0 to 99, 50 is the voice's own."""


@dataclass(frozen=True)
class Spoken:
    """The audio of a request, with its phonemes."""

    samples: np.ndarray
    """int16 [samples]."""
    rate: int
    """Samples per second."""
    phonemes: list[str]
    """In espeak-ng's notation, stress marks and all."""
    begins: np.ndarray
    """Beginning of each phoneme in samples, int32 [phonemes]."""


def speak(requests: Sequence[Request]) -> list[Spoken]:
    """Say all requests, in one fresh process: the same requests give the same audio.

    Raises:
        RuntimeError: the package espeakng-loader is not installed, or espeak-ng failed; the message is one line.
    """
    done = subprocess.run(
        [sys.executable, "-P", __file__],  # -P: this folder's modules must not hide others
        input=json.dumps([asdict(request) for request in requests]).encode(),
        capture_output=True,
    )
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RuntimeError(reason)
    with np.load(io.BytesIO(done.stdout)) as arrays:
        return [
            Spoken(
                arrays[f"samples{index}"],
                int(arrays["rate"]),
                arrays[f"phonemes{index}"].tolist(),
                arrays[f"begins{index}"],
            )
            for index in range(len(requests))
        ]


# speak_lib.h of espeak-ng 1.52
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8, _CHARACTERS, _RATE, _PITCH = 2, 1, 1, 1, 1, 3
_END, _PHONEME = 0, 7


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def _main() -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONEME_EVENTS)
    if rate <= 0:
        raise RuntimeError("espeak-ng found no data")
    audio: list[bytes] = []
    events: list[tuple[int, str]] = []

    def take(samples, count, event) -> int:  # type: ignore[no-untyped-def]
        if samples and count:
            audio.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while event[index].type != _END:
            if event[index].type == _PHONEME:
                events.append((event[index].sample, bytes(event[index].id.string).decode("utf-8", "replace")))
            index += 1
        return 0

    callback = _Callback(take)
    library.espeak_SetSynthCallback(callback)
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    arrays: dict[str, np.ndarray] = {"rate": np.array(rate)}
    for index, request in enumerate(json.load(sys.stdin.buffer)):
        audio.clear()
        events.clear()
        library.espeak_ng_SetRandSeed(index + 1)
        if library.espeak_SetVoiceByName(request["voice"].encode()):
            raise RuntimeError(f"espeak-ng has no voice {request['voice']}")
        library.espeak_SetParameter(_RATE, request["rate"], 0)
        library.espeak_SetParameter(_PITCH, request["pitch"], 0)
        text = request["text"].encode()
        if library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, _CHARACTERS, 0, _UTF8, None, None):
            raise RuntimeError(f"espeak-ng could not say {request['text']!r}")
        arrays[f"samples{index}"] = np.frombuffer(b"".join(audio), np.int16)
        arrays[f"phonemes{index}"] = np.array([name for _, name in events])
        arrays[f"begins{index}"] = np.array([begin for begin, _ in events], np.int32)
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    sys.stdout.buffer.write(out.getvalue())


if __name__ == "__main__":
    _main()
