"""The bounds of what is read: each is checked before the work, and a message that refuses something names it."""

from dataclasses import dataclass

from datamodules.errors import DataError


@dataclass(frozen=True)
class Bound:
    """The most of something that is read."""

    most: int
    unit: str
    """What is counted, in the plural."""
    reason: str = ""
    """Why it is bounded, where that helps the user."""

    def check(self, found: float, place: object) -> None:
        """Refuse what is beyond the bound.

        Raises:
            DataError: it is.
        """
        if found > self.most:
            reason = f" ({self.reason})" if self.reason else ""
            raise DataError(f"{place}: {found:,.0f} {self.unit}; at most {self.most:,} are read{reason}")

    def refuse(self, place: object) -> None:
        """Refuse what is beyond the bound, nobody knows how far.

        Raises:
            DataError: always.
        """
        raise DataError(f"{place}: more than {self.most:,} {self.unit}, which is the most that is read")


TEXT_BYTES = Bound(4 << 30, "bytes of text", "it is read whole")
LINE_CHARACTERS = Bound(1 << 20, "characters in a line")
LIST_ROWS = Bound(20_000_000, "lines in a list")
NESTING = Bound(64, "levels of brackets in JSON")
MEMBER_BYTES = Bound(1 << 30, "bytes in a member of an archive")
ARRAY_BYTES = Bound(64 << 30, "bytes of vectors")
PICTURE_BYTES = Bound(256 << 20, "bytes of a picture")
SVG_BYTES = Bound(16 << 20, "bytes of an SVG drawing")
PICTURE_PIXELS = Bound(50_000_000, "pixels", "no camera's photograph has more")
BATCH_PIXELS = Bound(100_000_000, "pixels decoded at once")
DRAWING_SECONDS = Bound(20, "seconds to decode a picture")
DRAWING_MEMORY = Bound(2 << 30, "bytes of memory to decode a picture")
SAMPLE_RATE = Bound(400_000, "samples a second")
AUDIO_SECONDS = Bound(3600, "seconds of audio", "cut it into utterances")
CHANNELS = Bound(64, "channels of audio")
RESAMPLING = Bound(
    16_000_000, "weights of a resampling filter", "the two rates have no large common factor; convert the audio"
)
DOWNLOAD_BYTES = Bound(32 << 30, "bytes of a download")
