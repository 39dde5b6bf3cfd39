"""What a caption says of a scene, read without the tables of the grammar that wrote it."""

import re

from datamodules.captioning.scenes import Scene

THING = re.compile(r"a ((?:red|yellow|blue|black|pink) \w+)")
PLACES = {
    "T to the left of T": "left right",
    "T on the left and T on the right": "left right",
    "T next to T": "",
    "T beside T": "",
    "T and T side by side": "",
    "T above T": "above below",
    "T high above T": "above below",
    "T flies over T": "above below",
    "T in the air over T": "above below",
    "T in the sky above T": "above below",
}
"""What a caption says of the places of its two things, in the order in which it names them."""
SETTINGS = {
    "on the grass": "grass",
    "in the snow": "snow",
    "on the beach": "sand",
    "on a sunny day": "sun",
    "at night": "moon",
    "on a cloudy day": "clouds",
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
