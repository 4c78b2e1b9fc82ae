"""Faces to train on, from portraits and drawn, with masks of the skin and of the strength of its pulse."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import face_regions
from lab.simulate.cutout import NoFaceInPortrait, find_mesh
from lab.simulate.optics import SKIN_LAB, Image, skin_colour, to_linear
from lab.simulate.portrait import read_picture
from lab.simulate.skin_tone import retoned, skin_maps

#: Side of a face's square in pixels, and the share of it that the workers' crop shows when nothing moves.
SIDE: Final = 224
SHOWN: Final = 0.78
#: Side of the workers' crop in face sizes (`workers.face.crops`).
_MARGIN: Final = 1.25


@dataclass(frozen=True)
class Face:
    """A face in the middle of its square, in linear light.

    linear     (s, s, 3)  the picture
    perfusion  (s, s)     strength of the pulse: 0 where there is no skin
    eyes       (s, s)     where lids close
    mouth      (s, s)     where lips open
    skin_tone             Fitzpatrick type
    """

    linear: Image
    perfusion: Image
    eyes: Image
    mouth: Image
    skin_tone: int


def portrait_face(source: Path, rng: np.random.Generator) -> Face:
    """The face of a portrait, its skin turned lighter or darker at random.

    Raises:
        NoFaceInPortrait: no face is found, or hardly any skin.
        ValueError: the file is not a picture.
    """
    picture = read_picture(source)
    points = _mesh_of(source)
    outline = points[list(face_regions.OVAL)]
    low, high = outline.min(axis=0), outline.max(axis=0)
    scale = SIDE * SHOWN / (_MARGIN * float(np.max(high - low)))
    shift = SIDE / 2 - scale * (low + high) / 2
    softened = picture if scale >= 0.7 else cv2.GaussianBlur(picture, (0, 0), 0.4 / scale)
    place = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    square = np.asarray(
        cv2.warpAffine(softened, place, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
    landmarks = points * scale + shift
    unit = float(np.linalg.norm(landmarks[face_regions.FOREHEAD] - landmarks[face_regions.CHIN]))
    everywhere = np.ones((SIDE, SIDE), np.float32)
    parts = skin_maps(square, landmarks, everywhere, unit)
    linear = to_linear(square)
    if float((parts.skin > 0.8).mean()) < 0.03:
        raise NoFaceInPortrait("hardly any skin is visible in the portrait")
    have = tone_of(linear[parts.skin > 0.8])
    # Further away, the picture's shadows and highlights would become implausible for skin.
    want = int(np.clip(have + rng.integers(-2, 4), 1, 6))
    linear = np.minimum(retoned(linear, parts, have, want), 1.0).astype(np.float32)
    size = (SIDE, SIDE)
    lids = np.maximum(*(face_regions.area(landmarks, eye, size, 2.0) for eye in face_regions.EYES))
    return Face(linear, parts.perfusion, lids, face_regions.area(landmarks, face_regions.LIPS, size, 3.0), want)


@lru_cache(maxsize=1024)
def _mesh_of(source: Path) -> NDArray[np.float64]:
    return find_mesh(read_picture(source))


def tone_of(skin: Image) -> int:
    """Fitzpatrick type whose skin is closest in lightness to pixels (n, 3) in linear light."""
    seen = np.median(skin, axis=0).reshape(1, 1, 3).astype(np.float32)
    lightness = float(cv2.cvtColor(seen, cv2.COLOR_LRGB2Lab)[0, 0, 0])
    return 1 + int(np.argmin([abs(lightness - known[0]) for known in SKIN_LAB]))


def drawn_face(rng: np.random.Generator) -> Face:
    """A random drawn face: an oval of uneven skin with eyes, brows, a mouth and hair."""
    skin_tone = int(rng.integers(1, 7))
    y, x = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")
    width, height = SHOWN * rng.uniform(0.5, 0.7), SHOWN * rng.uniform(0.75, 0.85)

    def oval(across: float, down: float, wide: float, high: float, edge: float = 12.0) -> Image:
        distance = np.hypot((x - across) / wide, (y - down) / high)
        return np.clip((1 - distance) * edge, 0, 1).astype(np.float32)

    colour = skin_colour(skin_tone) * rng.uniform(0.7, 1.2) * np.exp(rng.normal(0, 0.08, 3))
    shade = np.exp(0.18 * smooth_field(SIDE, 5, rng) + 0.06 * smooth_field(SIDE, 30, rng))
    shade = shade * (1 + rng.uniform(-0.35, 0.35) * x + rng.uniform(-0.2, 0.2) * y)
    behind = rng.uniform(0.02, 0.6, 3) * np.exp(0.5 * smooth_field(SIDE, int(rng.integers(3, 20)), rng))[..., None]
    hair = rng.uniform(0.01, 0.12, 3) * np.exp(0.4 * smooth_field(SIDE, 40, rng))[..., None]
    linear = behind + oval(0, -0.12, 1.15 * width, 1.1 * height)[..., None] * (hair - behind)
    skin = oval(0, rng.uniform(0.03, 0.12), width, height)
    linear = linear + skin[..., None] * (shade[..., None] * colour - linear)
    eyes = np.maximum(oval(-0.4 * width, -0.12, 0.2 * width, 0.05), oval(0.4 * width, -0.12, 0.2 * width, 0.05))
    brows = np.maximum(oval(-0.4 * width, -0.25, 0.26 * width, 0.03), oval(0.4 * width, -0.25, 0.26 * width, 0.03))
    mouth = oval(0, 0.5 * height, 0.36 * width, 0.07)
    for part, tint in ((eyes, rng.uniform(0.1, 0.5, 3)), (brows, hair), (mouth, colour * (0.9, 0.5, 0.5))):
        linear = linear + part[..., None] * (tint - linear)
    bare = skin * (1 - np.maximum(np.maximum(eyes, brows), mouth))
    return Face(linear.astype(np.float32), bare.astype(np.float32), eyes, mouth, skin_tone)


def smooth_field(side: int, cells: int, rng: np.random.Generator) -> Image:
    """A random field (side, side) of unit deviation, with bumps `side/cells` pixels wide."""
    coarse = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def portraits_in(folder: Path | None) -> Sequence[Path]:
    """The portraits of a folder (.jpg, .png) in order of their names; none for None.

    The astronaut of `lab.simulate` is not among them, so that it can be measured on.
    """
    return sorted(folder.glob("*.jpg")) + sorted(folder.glob("*.png")) if folder else []
