"""What a caption says of a scene, read without the tables of the grammar that wrote it."""

import re

from datamodules.captioning.scenes import Scene

THING = re.compile(r"a ((?:red|yellow|blue|black|pink) \w+)")
PLACES = {
    "T left of T": "left right",
    "T beside T": "",
    "T next to T": "",
    "T and T": "",
    "T above T": "above below",
    "T high above T": "above below",
    "T over T": "above below",
    "T flying over T": "above below",
}
"""What a caption says of the places of its two things, in the order in which it names them."""
SETTINGS = {
    "on grass": "grass",
    "in snow": "snow",
    "on sand": "sand",
    "in sunshine": "sun",
    "at night": "moon",
    "under clouds": "clouds",
}


def said(caption: str) -> tuple[dict[str, str], str]:
    """What a caption says: the place of each thing, if it is told, and the ground or the sky."""
    things, rest = THING.findall(caption), THING.sub("T", caption)
    (setting,) = (words for words in SETTINGS if f" {words}" in rest)
    places = PLACES[rest.replace(f" {setting}", "")].split() or ["", ""]
    return dict(zip(things, places, strict=True)), SETTINGS[setting]


def is_true(caption: str, scene: Scene) -> bool:
    """Whether a caption names both things of a scene, and all that it says of them is so."""
    try:
        things, setting = said(caption)
    except (KeyError, ValueError):
        return False  # not a sentence of the grammar
    places = ("above", "below") if scene.is_above else ("left", "right")
    true = {scene.first.name: places[0], scene.second.name: places[1]}
    named = things.keys() == true.keys() and all(place in ("", true[name]) for name, place in things.items())
    return named and setting in (scene.ground, scene.sky)
