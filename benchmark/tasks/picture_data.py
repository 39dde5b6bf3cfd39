"""The data sets of captioned pictures, as tables name them."""

from benchmark.tasks.base import DataSet
from datamodules.captioning.sources import EFFICIENTNET_LITE0, FLICKR8K, FLICKR8K_PART, MSCOCO, OPENMOJI, SCENES

SOURCES = (OPENMOJI, FLICKR8K, FLICKR8K_PART, MSCOCO, EFFICIENTNET_LITE0)

DATA_SETS = {
    MSCOCO.name: DataSet("Image captions, MSCOCO 2014, Karpathy's splits", "paper Table 4"),
    FLICKR8K.name: DataSet(
        "Image captions, Flickr8k, vectors from EfficientNet-Lite0",
        "another data set than the paper's Table 4",
    ),
    FLICKR8K_PART.name: DataSet(
        "Image captions, 1,000 photographs of Flickr8k, vectors from a weight-free descriptor of edges and colors",
        "another data set than the paper's Table 4, and no network that knows photographs",
    ),
    f"{FLICKR8K_PART.name}-{EFFICIENTNET_LITE0.name}": DataSet(
        "Image captions, 1,000 photographs of Flickr8k, vectors from EfficientNet-Lite0, a network trained on ImageNet",
        "another data set than the paper's Table 4; not to be compared with the table of the descriptor",
    ),
    f"{FLICKR8K_PART.name}-{EFFICIENTNET_LITE0.name}-5-folds": DataSet(
        "Image captions, 1,000 photographs of Flickr8k in five folds, each tested once, vectors of EfficientNet-Lite0",
        "another data set than the paper's Table 4; not to be compared with the tables of one split",
    ),
    SCENES: DataSet(
        "Image captions, scenes that the suite draws and describes, vectors from a weight-free descriptor of edges and "
        "colors",
        "synthetic pictures and captions and scaled-down models, not comparable with the paper's numbers",
    ),
    OPENMOJI.name: DataSet(
        "Image captions, OpenMoji drawings and their Unicode names, vectors from a weight-free descriptor of edges and "
        "colors",
        "scaled-down data and models, not comparable with the paper's numbers",
        decides_nothing="its test drawings are mostly variants of skin tone",
    ),
}
"""The description of each data set, by the name that a configuration gives it."""

USUAL_FEATURES = {
    SCENES: "descriptor",
    OPENMOJI.name: "descriptor",
    FLICKR8K_PART.name: "descriptor",
    MSCOCO.name: "googlenet",
}
"""The origin of the vectors of a source's pictures where it is not EfficientNet-Lite0; rows with vectors of another
origin stand in a table of their own."""
