"""Reads back what W&B stored of an offline run, from the file itself: LevelDB's log format, then protobuf."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.tracking import logger

HEADER, BLOCK = 7, 32 * 1024


def finish() -> None:
    """Close the run of this process and wait until all of it is on disk, which W&B's own process writes."""
    import wandb

    logger.finish()
    wandb.teardown()


def read(folder: Path) -> list[Any]:
    """Every record of the only run under a folder."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.rglob("run-*.wandb")
    found = []
    for content in _contents(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        found.append(record)
    return found


def _contents(data: bytes) -> Iterator[bytes]:
    position, part = HEADER, b""
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:  # the rest of a block that holds no header
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last of several parts
            yield part
            part = b""
