"""The sheet of the best, the middling and the worst captions of a test set."""

from collections.abc import Sequence

from PIL import Image

from benchmark.analysis.gallery import Gallery
from benchmark.reports.contact_sheets import Captioned, contact_sheet
from datamodules.captioning.sources import OPENMOJI, SCENES

CREDIT = {
    SCENES: "Pictures and references are synthetic: the suite draws and describes them.",
    OPENMOJI.name: "Drawings: OpenMoji 17.0, openmoji.org, license CC BY-SA 4.0.",
}
"""The credit of a source's pictures, written under the sheet."""


def gallery_sheet(gallery: Gallery) -> Image.Image:
    """Pictures with a reference and the captions of every model under them."""
    rule = (
        f"Of {len(gallery.examples)} test pictures, those whose {gallery.labels[gallery.row]} caption has the highest, "
        "the median and the lowest chrF against its references, one of each drawing, ties broken by a hash of the "
        "name. Single models are those of the lowest seed."
    )
    groups = {
        f"The {len(gallery.best)} best": _captioned(gallery, gallery.best),
        f"{len(gallery.median)} in the middle": _captioned(gallery, gallery.median),
        f"The {len(gallery.worst)} worst": _captioned(gallery, gallery.worst),
    }
    return contact_sheet(groups, f"{rule} {CREDIT.get(gallery.source, '')}")


def _captioned(gallery: Gallery, order: Sequence[int]) -> list[Captioned]:
    return [
        Captioned(
            gallery.examples[index].picture.read(),
            [
                ("reference", gallery.examples[index].captions[0]),
                *((gallery.labels[row], texts[index]) for row, texts in gallery.captions.items()),
            ],
        )
        for index in order
    ]
