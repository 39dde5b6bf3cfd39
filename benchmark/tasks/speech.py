"""Speech, paper section 4.2: frame accuracy of an acoustic model, its configuration, rows and data sources."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmark.tasks.base import Config, DataSet, Metric, Profile, Published, Row, Size
from datamodules.speech.sources import SOURCES as SOURCES

if TYPE_CHECKING:
    from datamodules.speech.datamodule import SpeechData
    from models.acoustic_model import AcousticModel

DATA_SETS = {
    "espeak": DataSet(
        "Speech, sentences spoken by espeak-ng with noise added, quick profile",
        "synthetic speech and scaled-down models, not comparable with the paper's numbers",
    ),
    "asterisk-en": DataSet(
        "Speech, recorded telephone prompts of one speaker, states aligned by pocketsphinx",
        "25 minutes, not comparable with the paper's numbers",
    ),
    "librispeech": DataSet(
        "Speech, LibriSpeech train-clean-100, states aligned by pocketsphinx",
        "not the paper's data",
    ),
    "samromur": DataSet(
        "Speech, Samrómur, read Icelandic, characters aligned by a CTC model",
        "paper Table 2, on other data",
    ),
}
"""The description of each data set, by the name of its source."""

PAPERS_DATA = "an internal Icelandic set"


@dataclass(frozen=True, kw_only=True)
class SpeechConfig(Config):
    """An acoustic model and how it is trained and evaluated (paper section 4.2)."""

    task: ClassVar[str] = "speech"
    protocol: ClassVar[int] = 2
    unit: ClassVar[str] = "frames"
    of_data: ClassVar[tuple[str, ...]] = (*Config.of_data, "aligner", "sample_rate")
    headline: ClassVar[tuple[Metric, ...]] = (
        Metric("validation_frame_accuracy", "validation frame accuracy (%)", "validation", "higher"),
        Metric(
            "test_frame_accuracy",
            "test frame accuracy (%)",
            "test",
            "higher",
            primary=True,
            as_published="validation_frame_accuracy",
        ),
    )
    training: ClassVar[Metric] = Metric("train_frame_accuracy", "training frame accuracy (%)", "training", "higher")
    least_layers: ClassVar[int] = 0

    source: str
    """Speech: espeak, asterisk-en, librispeech, samromur, or a folder with transcripts.tsv (audio path, tab, text)."""
    aligner: str = ""
    """Aligner of the states: pocketsphinx, mms_fa or a TorchScript CTC model; the source's usual one if empty."""
    layers: int = 2
    """Recurrent layers; with none the model is a linear classifier of single frames."""
    sample_rate: int = 16_000
    """Samples per second that audio is resampled to, a multiple of 100."""
    output_delay: int = 5
    """Frames of 10 ms by which an output comes later than the frame that it classifies (Sak et al. 2014)."""
    unroll: int
    """Frames of a training segment; longer utterances are cut for training, and evaluated whole."""
    init_range: float = 0.1
    """Parameters are initialized from U(-init_range, init_range)."""
    lr: float
    """Learning rate of plain SGD, for a loss averaged over the frames of a batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("unroll", self.unroll >= 1, "at least 1")
        self._require("output_delay", self.output_delay >= 0, "at least 0")
        whole = self.sample_rate % 100 == 0
        right = "at least 4000 and a multiple of 100, so that 10 ms are whole samples, such as 8000, 16000 or 44100"
        self._require("sample_rate", self.sample_rate >= 4000 and whole, right)

    def datamodule(self, data: Path) -> "SpeechData":
        """See Config.datamodule."""
        from datamodules.speech.datamodule import SpeechData

        return SpeechData(
            self.source, data, self.batch_size, self.unroll, self.output_delay, self.sample_rate, self.aligner
        )

    def model(self, datamodule: "SpeechData") -> "AcousticModel":
        """See Config.model."""
        from models.acoustic_model import AcousticModel

        return AcousticModel(features=datamodule.features, states=datamodule.states, **self.taken_by(AcousticModel))

    @property
    def relative_cost(self) -> float:
        """Multiplications per frame times epochs, for a hundred states; the constant is for small layers."""
        gates = 4 if self.cell == "lstm" else 1
        recurrent = 2 * gates * self.layers * self.hidden_size**2
        return self.epochs * (recurrent + 100 * self.hidden_size + 20_000)


SIZES: tuple[Size, ...] = ("small", "medium", "large")
HIDDEN = {"small": 64, "medium": 96, "large": 128}
DROPOUT = {"small": 0.2, "medium": 0.3, "large": 0.3}
"""Sizes are scaled down, so that the effect of dropout shows in minutes on a CPU."""


def _rows(profiles: tuple[Profile, ...], small: SpeechConfig, tried: str) -> tuple[Row, ...]:
    """A linear classifier of single frames, then each size without and with dropout."""
    linear = Row(
        name=f"{small.source}-linear",
        profiles=profiles,
        size="small",
        label="linear, single frames",
        note="baseline, not in the paper",
        config=replace(small, layers=0, output_delay=0),
        tried=tried,
    )
    found = [linear]
    for size in SIZES:
        config = replace(small, hidden_size=HIDDEN[size])
        row = Row(name=f"{small.source}-{size}", profiles=profiles, size=size, config=config, tried=tried)
        found += [row, row.variant(f"{row.name}-dropout", dropout=DROPOUT[size])]
    return tuple(found)


# Synthetic sentences: so little speech that a model without dropout memorizes it.
ESPEAK_SMALL = SpeechConfig(
    source="espeak", hidden_size=64, batch_size=8, unroll=100, lr=3.0, clip=1, flat_epochs=14, decay=1.5, epochs=24
)

# A quarter of an hour of prompts to train on; telephone speech has nothing above 4 kHz. Long enough to overfit: after
# 16 epochs a model without dropout still improves.
ASTERISK_SMALL = replace(ESPEAK_SMALL, source="asterisk-en", sample_rate=8000, flat_epochs=26, epochs=40)

# The paper's pair. It gives neither sizes nor schedule: these are ours, scaled up from the rows above, not tuned.
SAMROMUR = Row(
    name="samromur",
    profiles=("paper",),
    size="large",
    config=SpeechConfig(
        source="samromur",
        hidden_size=512,
        batch_size=32,
        unroll=200,
        lr=3.0,
        clip=1,
        flat_epochs=10,
        decay=1.3,
        epochs=25,
    ),
    published=Published("Table 2", {"train_frame_accuracy": 71.6, "validation_frame_accuracy": 68.9}, on=PAPERS_DATA),
)
SAMROMUR_DROPOUT = replace(
    SAMROMUR.variant("samromur-dropout", dropout=0.3),
    published=Published("Table 2", {"train_frame_accuracy": 69.4, "validation_frame_accuracy": 70.5}, on=PAPERS_DATA),
)
LIBRISPEECH = replace(SAMROMUR.variant("librispeech", source="librispeech"), profiles=("standard", "paper"))

ROWS: tuple[Row, ...] = (
    *_rows(("quick",), ESPEAK_SMALL, "learning rate 6 for 20 epochs and 3 for 24, on seeds 11 and 12"),
    *_rows(
        ("standard",),
        ASTERISK_SMALL,
        "16 and 40 epochs, on seeds 11 and 12",
    ),
    LIBRISPEECH,
    LIBRISPEECH.variant("librispeech-dropout", dropout=SAMROMUR_DROPOUT.config.dropout),
    SAMROMUR,
    SAMROMUR_DROPOUT,
)
