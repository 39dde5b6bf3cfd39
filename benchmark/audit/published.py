"""What is known of the named data sets without reading them: the checksum of what a model sees, and its words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedData:
    """A named data set as the shipped rows see it."""

    sha256: tuple[str, ...]
    """The checksum `TaskData.sha256`, one for each way in which shipped rows read it, and of earlier protocols."""
    words: int = 0
    """Word types of a language model's vocabulary; 0 for the other tasks, whose records say it."""


PUBLISHED_DATA = {
    "ptb": PublishedData(("3ed3b5c1e5b53eb44fbc7cee1953817ce7b5e91a92620600b8f5be6b1ba24165",), 10_000),
    "sotu": PublishedData(("1a99d240346d958871d69bd991ef4d53b5fb4767a6e4468e0b52e2e49d871222",), 2601),
    "asterisk-en": PublishedData(
        (
            "f7d73775b580a9f4cf10f647f144eb256803eeb59b4bf84f31343e753eafed36",
            "f561f7c47d04736fdad72d6e63d03520dcd4fad7477b6a558ef686aee8de9287",  # protocol 1
        )
    ),
    "espeak": PublishedData(
        (
            "f0c43a527ec3da986201e4ecb0c0aa08621b5f4e39c843e491be0a5ce787d42f",
            "e7080d8b0e41d275815d5f3866989cca42544da154b671ac01588907cd829497",  # protocol 1
        )
    ),
    "phrases": PublishedData(("a82e7c34eb1842378188417a26ed949740493d9729790abc187bcd5c901b6a0d",)),
    "bible": PublishedData(("f4ecc7a7b634bcac54225c78d87656f3d9bbd561cc51888d7959a6ee16227bfc",)),
    "multi30k": PublishedData(("dd35a6922b45148d3df1d03f2b61b22a53af7449eb077e1dced5bc4167b1c996",)),
    "scenes": PublishedData(("45bc373ea6d1795937331b78d740368f8f2a81876b9dfda83f82c3c921576046",)),
    "openmoji": PublishedData(("18e8d0e06a78b08d3d0378fe5da8837f56ef5796bb881645a215d5437290a38d",)),
    "flickr8k-1k": PublishedData(
        (
            "3a0053343ff435d67bc031b7ed9381c23fbde6a246f98ca9f398d058cbd294a1",  # through the descriptor
            "d7feac3e5683db1e4dda078f99693c4d691330828458625fcc80d568b0da5ff6",  # through EfficientNet-Lite0
            "9c804df0161df7b208d059026ad690f7868ad108d546e6d3a7bb8f6d5c2c179b",  # in five folds
        )
    ),
}
"""By the name of the source; `rnnreg verify --data DATA` recomputes them from the data itself."""
