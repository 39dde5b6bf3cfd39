"""Scenes that the suite draws and describes itself: two colored things in a landscape, with several true captions."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeVar

from PIL.Image import Image

from datamodules.captioning.examples import CaptionSet, Example
from datamodules.captioning.images import Picture, draw_svg

# A change of anything in this file makes other data: records of the scenes then no longer count.
PICTURES = {"train": 400, "validation": 100, "test": 300}
DRAW = "after tuning, in few words"
"""Which scenes of all those possible are drawn: others than those on which the rows' settings were chosen."""
CAPTIONS = {"train": 2, "validation": 4, "test": 4}
"""Captions of each picture of a split; all four ways to say it are true, and a captioner is trained on two of them."""
PIXELS = 144
"""Width and height that a scene is drawn at."""

# Drawings, in units of a 72nd of a picture's side. {} is the color of the thing.
STANDING = {  # on (0, 0), upward
    "house": '<path d="M-11 0v-16h22v16z" fill="{}"/><path d="M-14-15 0-27 14-15z" fill="#7a4b35"/>'
    '<path d="M-7 0v-9h6v9z" fill="#5a3626"/><path d="M3-12h5v5h-5z" fill="#fff"/>',
    "tree": '<path d="M-2 0v-14h4v14z" fill="#7a4b35"/>'
    '<g fill="{}"><circle cx="-7" cy="-14" r="7"/><circle cx="7" cy="-14" r="7"/><circle cy="-21" r="8"/></g>',
    "car": '<g transform="scale(1.1)"><path d="M-15-4q0-6 5-6l4-6h10l5 6q6 0 6 6z" fill="{}"/>'
    '<path d="M-7-10l2-4h4v4zM1-10v-4h3l3 4z" fill="#fff"/>'
    '<circle cx="-8" cy="-3.5" r="3.5" fill="#333"/><circle cx="8" cy="-3.5" r="3.5" fill="#333"/></g>',
    "tent": '<path d="M-15 0 0-23 15 0z" fill="{}"/><path d="M-5 0 0-13 5 0z" fill="#5a3626"/>',
    "flower": '<path d="M-1 0v-17h2v17zM0-3q7 0 7-6-7 0-7 6z" fill="#2f8f4e"/><g fill="{}"><circle cy="-26" r="4"/>'
    '<circle cx="6" cy="-23" r="4"/><circle cx="6" cy="-16" r="4"/><circle cy="-13" r="4"/>'
    '<circle cx="-6" cy="-16" r="4"/><circle cx="-6" cy="-23" r="4"/></g><circle cy="-19.5" r="4.5" fill="#5a3626"/>',
    "mushroom": '<path d="M-4 0q2-6 0-12h8q-2 6 0 12z" fill="#f4e7d0"/><path d="M-14-10q0-14 14-14t14 14z" fill="{}"/>'
    '<g fill="#fff"><circle cx="-6" cy="-14" r="2.2"/><circle cy="-19" r="2.2"/><circle cx="7" cy="-14" r="2.2"/></g>',
}
FLYING = {  # around (0, 0)
    "balloon": '<path d="M0 9q3 4 0 8t0 8" fill="none" stroke="#555"/><ellipse rx="8" ry="9.5" fill="{}"/>'
    '<path d="M-2 11l2-2 2 2z" fill="{}"/><ellipse cx="-3" cy="-4" rx="1.5" ry="2.5" fill="#fff" opacity=".6"/>',
    "kite": '<path d="M0 10q4 3 0 6t2 7" fill="none" stroke="#555"/><path d="M0-12 9-2 0 10-9-2z" fill="{}"/>'
    '<path d="M0-12v22M-9-2h18" stroke="#fff" stroke-width=".8"/>',
    "plane": '<path d="M-15-7l4 0 5 4h16q5 0 5 3t-5 3h-20q-3 0-4-5z" fill="{}"/>'
    '<path d="M-3 1h7l-6 8h-4z" fill="#5b6470"/>'
    '<g fill="#fff"><circle cx="9" r="1.2"/><circle cx="5" r="1.2"/><circle cx="1" r="1.2"/></g>',
}
SCALE = 1.3
"""How much larger the things are drawn than the paths say."""
COLORS = {"red": "#e8121c", "yellow": "#ffe000", "blue": "#1f55f0", "black": "#101010", "pink": "#ff6fd0"}
GROUNDS = {"grass": "#7cc46a", "snow": "#f7fafc", "sand": "#ead9a4"}
SKIES = {
    "sun": ("#bfe3f7", '<circle r="6.5" fill="#fff3c4" stroke="#f2b632" stroke-width="2"/>'),
    "moon": ("#23305e", '<path d="M2-7a7 7 0 1 0 5 10 6 6 0 0 1-5-10z" fill="#fff6d8"/>'),
    "clouds": ("#c3c9d1", '<g fill="#8f98a5"><circle cx="-6" r="4"/><circle r="6"/><circle cx="6" r="4"/></g>'),
}

# Words. The thing on the left or in the air is named first; a caption tells either the ground or the sky.
SETTINGS = {
    "grass": "on grass",
    "snow": "in snow",
    "sand": "on sand",
    "sun": "in sunshine",
    "moon": "at night",
    "clouds": "under clouds",
}
BESIDE = ("left of", "beside", "next to", "and")
ABOVE = ("above", "high above", "over", "flying over")

Option = TypeVar("Option")


@dataclass(frozen=True)
class Thing:
    """A thing in a scene."""

    color: str
    kind: str

    @property
    def name(self) -> str:
        """Color and kind."""
        return f"{self.color} {self.kind}"


@dataclass(frozen=True)
class Scene:
    """Two things in a landscape: both on the ground, or one in the air above the other."""

    first: Thing
    """The thing on the left or in the air."""
    second: Thing
    ground: str
    sky: str

    @property
    def id(self) -> str:
        """Name of the scene, which no other has."""
        return f"{self.first.name}, {self.second.name}"

    @property
    def is_above(self) -> bool:
        """Whether the first thing is in the air."""
        return self.first.kind in FLYING


def _number(*key: object) -> int:
    """A number that looks random and follows from a key, with every version of every library."""
    return int.from_bytes(hashlib.sha256(repr((DRAW, *key)).encode()).digest()[:8])


def _choose(options: Sequence[Option], *key: object) -> Option:
    return options[_number(*key) % len(options)]


def scenes() -> list[Scene]:
    """Every scene, in a random order: no two have the same pair of colored kinds."""
    standing, flying = list(product(STANDING, COLORS)), list(product(FLYING, COLORS))
    beside = [pair for pair in combinations(standing, 2) if pair[0][0] != pair[1][0]]
    found = []
    for pair in sorted([*beside, *product(flying, standing)], key=_number):
        first, second = pair if pair[0][0] in FLYING else _choose((pair, pair[::-1]), pair, "left")
        left, right = (Thing(color, kind) for kind, color in (first, second))
        found.append(Scene(left, right, _choose(tuple(GROUNDS), pair, "ground"), _choose(tuple(SKIES), pair, "sky")))
    return found


def describe(scene: Scene) -> tuple[str, ...]:
    """Four true captions of a scene, in a random order: both things, where they are, and the ground or the sky."""
    captions = []
    for words in sorted(ABOVE if scene.is_above else BESIDE, key=lambda words: _number(scene.id, words)):
        setting = SETTINGS[_choose((scene.ground, scene.sky), scene.id, words)]
        captions.append(f"a {scene.first.name} {words} a {scene.second.name} {setting}")
    return tuple(captions)


def svg(scene: Scene) -> str:
    """The drawing of a scene, which draws alike on every machine."""

    def at(x: float, y: float, drawing: str, scale: float = 1.0) -> str:
        return f'<g transform="translate({x} {y}) scale({scale})">{drawing}</g>'

    def moved(*key: str) -> int:
        return _choose((-1, 0, 1), scene.id, *key)

    color, body = SKIES[scene.sky]
    parts = [
        f'<rect width="72" height="72" fill="{color}"/>',
        at(_choose((12, 60), scene.id, "sky"), 11, body),
        f'<path d="M0 52q36-7 72 0v20h-72z" fill="{GROUNDS[scene.ground]}"/>',
    ]
    places = ((36, 17), (36, 67)) if scene.is_above else ((19, 63), (53, 63))
    for thing, (x, y) in zip((scene.first, scene.second), places, strict=True):
        drawing = (STANDING | FLYING)[thing.kind].replace("{}", COLORS[thing.color])
        parts.append(at(x + moved(thing.name, "x"), y + moved(thing.name, "y"), drawing, SCALE))
    size = f'width="{PIXELS}" height="{PIXELS}" viewBox="0 0 72 72"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'


def read_scenes() -> CaptionSet:
    """The scenes in three splits, of which no two share a pair of things and so no picture and no caption."""
    rest, splits = scenes(), {}
    for split, count in PICTURES.items():
        chosen, rest = rest[:count], rest[count:]
        captions = CAPTIONS[split]
        splits[split] = tuple(Example(_picture(scene), describe(scene)[:captions], scene.id) for scene in chosen)
    return CaptionSet(splits, {"split": "synthetic scenes; no two show the same pair of colored things"})


def _picture(scene: Scene) -> Picture:
    drawing = svg(scene).encode()

    def draw() -> Image:
        return draw_svg(drawing, scene.id, PIXELS)

    return Picture(scene.id, hashlib.sha256(drawing).hexdigest()[:32], draw)
