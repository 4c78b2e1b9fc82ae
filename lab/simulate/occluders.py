"""Objects drawn over a face: hand, mask, phone, scarf and hair hide it; glasses and a beard do not.

Everything is drawn along the face's mesh, with random place, size, colour and texture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats

Picture = NDArray[np.uint8]

_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_JAW: Final = (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454)
_EYES: Final = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))


@dataclass(frozen=True)
class Covered:
    """A picture (h, w, 3) uint8 RGB, and how much of each pixel is hidden, (h, w) in [0, 1]."""

    rgb: Picture
    mask: NDArray[np.float32]


@dataclass(frozen=True)
class _Face:
    """The picture to draw on, the face's mesh (478, 2) in pixels, and a random generator."""

    rgb: Picture
    mesh: Floats
    rng: np.random.Generator

    @property
    def height(self) -> float:
        return float(np.linalg.norm(self.mesh[152] - self.mesh[10]))

    @property
    def axes(self) -> Floats:
        """(2, 2): one face height to the right and one down, in the picture."""
        down = self.mesh[152] - self.mesh[10]
        return np.stack([np.array([down[1], -down[0]]), down])

    def at(self, across: float, down: float) -> Floats:
        """Pixel (2,) of a place given in face heights from the middle of the face."""
        middle = (self.mesh[152] + self.mesh[10]) / 2
        return np.asarray(middle + np.array([across, down]) @ self.axes)

    @property
    def skin(self) -> Floats:
        """(3,) sRGB of the cheeks."""
        spots = np.rint(self.mesh[[50, 280, 101, 330, 205, 425]]).astype(int)
        height, width = self.rgb.shape[:2]
        x, y = np.clip(spots[:, 0], 0, width - 1), np.clip(spots[:, 1], 0, height - 1)
        return np.asarray(np.median(self.rgb[y, x].astype(np.float64), axis=0))

    def blank(self) -> NDArray[np.float32]:
        return np.zeros(self.rgb.shape[:2], np.float32)


def draw(kind: str, rgb: Picture, mesh: NDArray[np.float32], rng: np.random.Generator) -> Covered:
    """Draw one of `OCCLUDERS` or `HARMLESS` over the face with `mesh` (478, 2) in `rgb` (h, w, 3).

    Raises:
        KeyError: `kind` is in neither.
    """
    return (OCCLUDERS | HARMLESS)[kind](_Face(rgb, mesh.astype(np.float64), rng))


def _filled(face: _Face, points: Floats) -> NDArray[np.float32]:
    mask = face.blank()
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], (1.0,), cv2.LINE_AA, 4)
    return np.clip(mask, 0, 1)


def _laid(face: _Face, mask: NDArray[np.float32], colour: Floats) -> Covered:
    """`colour` (h, w, 3) or (3,) over the picture where `mask` (h, w) is, softened as by a lens."""
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.006 * face.height, 0.4))
    laid = face.rgb * (1 - soft[..., None]) + np.clip(colour, 0, 255) * soft[..., None]
    return Covered(np.asarray(laid, np.uint8), np.asarray(soft, np.float32))


def _grain(face: _Face, fine: float, coarse: float) -> Floats:
    """Noise (h, w): `fine` a pixel, and `coarse` in patches of a tenth of a face."""
    height, width = face.rgb.shape[:2]
    step = max(0.12 * face.height, 1.0)
    few = face.rng.standard_normal((int(height / step) + 2, int(width / step) + 2), dtype=np.float32)
    patches = cv2.resize(few, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = face.rng.standard_normal((height, width), dtype=np.float32)
    return np.asarray(fine * cv2.blur(noise, (2, 2)) + coarse * patches, np.float64)


def _hand(face: _Face) -> Covered:
    rng = face.rng
    tone = face.skin * rng.uniform(0.75, 1.15)
    if rng.random() < 0.3:
        tone = np.array([1.0, 0.78, 0.68]) * rng.uniform(60, 235)
    turn = rng.uniform(-np.pi, np.pi)
    ahead, aside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    size = rng.uniform(0.75, 1.1)
    start = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.35, 0.45)]) - ahead * size * 0.45
    colour = np.broadcast_to(tone, face.rgb.shape) + _grain(face, 2.0, 7.0)[..., None]
    whole = face.blank()
    light = rng.uniform(-np.pi, np.pi)

    def part(points: list[Floats], widths: list[float], shade: float) -> None:
        nonlocal colour
        mask = face.blank()
        line = np.stack([face.at(*point) for point in points])
        for first, second, width in zip(line[:-1], line[1:], widths, strict=False):
            ends = (np.rint(first * 16).astype(int).tolist(), np.rint(second * 16).astype(int).tolist())
            cv2.line(mask, ends[0], ends[1], (1.0,), max(1, round(width * face.height)), cv2.LINE_AA, 4)
        inner = cv2.GaussianBlur(mask, (0, 0), max(0.02 * face.height, 0.8))
        slope = np.stack(np.gradient(inner), axis=-1) @ np.array([np.sin(light), np.cos(light)])
        rounded = 0.55 + 0.45 * np.clip((inner - 0.35) / 0.5, 0, 1) - slope * 0.9 * 0.02 * face.height
        fresh = np.clip(mask, 0, 1)[..., None]
        colour = colour * (1 - fresh) + (tone * shade * rounded[..., None] + _grain(face, 2.0, 4.0)[..., None]) * fresh
        np.maximum(whole, mask, out=whole)

    palm = [start + ahead * size * share for share in (-0.3, 0.0, 0.3)]
    part(palm, [0.34 * size, 0.4 * size], 1.0)
    gap = rng.uniform(0.0, 0.03)
    for finger in range(4):
        root = start + ahead * size * 0.35 + aside * (finger - 1.5) * size * (0.095 + gap)
        spread = ahead + aside * (finger - 1.5) * rng.uniform(0.0, 0.12)
        length = size * (0.42, 0.48, 0.46, 0.36)[finger] * rng.uniform(0.8, 1.0)
        bend = root + spread * length * 0.55
        part([root, bend, root + spread * length + aside * rng.normal(0, 0.02)], [0.1 * size, 0.085 * size], 0.97)
    if rng.random() < 0.7:
        side = aside * rng.choice([-1, 1]) * size
        part([start + side * 0.15, start + side * 0.3 + ahead * size * 0.2], [0.11 * size], 0.98)
    return _laid(face, np.clip(whole, 0, 1), colour)


def _mask(face: _Face) -> Covered:
    rng = face.rng
    bridge = face.mesh[168] * (1 - (top := rng.uniform(0.25, 0.9))) + face.mesh[4] * top
    line = np.concatenate([face.mesh[list(_JAW)][1:-1], [bridge]])
    line = (line - face.at(0, 0.2)) * rng.uniform(1.0, 1.08) + face.at(0, 0.2)
    palette = np.array(
        [
            [225, 235, 245],
            [120, 170, 215],
            [30, 30, 34],
            [130, 190, 150],
            [235, 190, 190],
            [90, 95, 110],
            [200, 170, 140],
        ]
    )
    base = palette[rng.integers(len(palette))] * rng.uniform(0.5, 1.05)
    down = (np.indices(face.rgb.shape[:2])[::-1].transpose(1, 2, 0) - face.at(0, 0)) @ face.axes[1] / face.height**2
    across = (np.indices(face.rgb.shape[:2])[::-1].transpose(1, 2, 0) - face.at(0, 0)) @ face.axes[0] / face.height**2
    pleats = 1 - rng.uniform(0, 0.25) * np.maximum(np.sin(2 * np.pi * rng.uniform(7, 14) * down), 0) ** 4
    shade = pleats * (1 - rng.uniform(0.3, 1.3) * across**2)
    return _laid(face, _filled(face, line), base * shade[..., None] + _grain(face, 2, 5)[..., None])


def _phone(face: _Face) -> Covered:
    rng = face.rng
    wide, long = rng.uniform(0.42, 0.6), rng.uniform(0.85, 1.1)
    turn = rng.normal(0, 0.4) + rng.choice([0, np.pi / 2])
    middle = np.array([rng.uniform(-0.35, 0.35), rng.uniform(-0.3, 0.45)])
    half = np.array([[-wide, -long], [wide, -long], [wide, long], [-wide, long]]) / 2
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    place = [face.at(*(middle + corner @ rotation)) for corner in half]
    base = np.array([[25, 25, 28], [235, 235, 238], [60, 70, 95], [190, 160, 140], [150, 30, 40]])[rng.integers(5)]
    yy, xx = np.indices(face.rgb.shape[:2])
    glare = rng.uniform(0, 60) * np.exp(-((xx - yy + rng.normal(0, face.height)) ** 2) / (0.15 * face.height) ** 2)
    colour = base + glare[..., None] + _grain(face, 1.5, 2)[..., None]
    mask = _filled(face, np.stack(place))
    for lens in range(rng.integers(1, 4)):
        spot = face.at(*(middle + np.array([-0.3 * wide, -0.42 * long + 0.11 * lens]) @ rotation))
        dark = face.blank()
        cv2.circle(dark, np.rint(spot).astype(int).tolist(), max(1, round(0.045 * face.height)), (1.0,), -1)
        colour = colour * (1 - 0.8 * dark[..., None])
    return _laid(face, mask, colour)


def _scarf(face: _Face) -> Covered:
    rng = face.rng
    top = rng.uniform(-0.02, 0.28)
    steps = np.linspace(-0.75, 0.75, 25)
    wave = top + 0.03 * np.sin(steps * rng.uniform(4, 12) + rng.uniform(0, 6)) + rng.uniform(-0.1, 0.1) * steps
    line = [face.at(across, down) for across, down in zip(steps, wave, strict=True)]
    line += [face.at(0.75, 1.2), face.at(-0.75, 1.2)]
    place = np.indices(face.rgb.shape[:2])[::-1].transpose(1, 2, 0) - face.at(0, 0)
    down, across = place @ face.axes[1] / face.height**2, place @ face.axes[0] / face.height**2
    first, second = rng.uniform(15, 240, 3), rng.uniform(15, 240, 3)
    folds = np.sin(2 * np.pi * (rng.uniform(3, 9) * down + rng.uniform(-3, 3) * across + 0.15 * np.sin(9 * across)))
    stripes = (np.sin(2 * np.pi * rng.uniform(2, 10) * (down + 0.3 * across)) > rng.uniform(-0.5, 1.2))[..., None]
    knit = rng.uniform(0, 14) * np.sin(2 * np.pi * 45 * across) * np.sin(2 * np.pi * 45 * down)
    colour = np.where(stripes, second, first) * (0.8 + 0.2 * folds[..., None]) + knit[..., None]
    return _laid(face, _filled(face, np.stack(line)), colour + _grain(face, 3, 6)[..., None])


def _hair(face: _Face) -> Covered:
    """Strands from one side over half of the face, or from above down to the mouth."""
    rng = face.rng
    base = np.array([[18, 15, 14], [45, 30, 22], [95, 65, 40], [175, 140, 90], [120, 118, 115]])[rng.integers(5)]
    side = rng.choice([-1, 1])
    inner, outer = rng.uniform(-0.15, 0.12), 0.62
    reach = rng.uniform(0.2, 0.6)
    mask = face.blank()
    colour = np.broadcast_to(base.astype(np.float64), face.rgb.shape).copy()
    for _ in range(rng.integers(130, 240)):
        across = side * rng.uniform(inner, outer) * -1
        sway = rng.normal(0, 0.05)
        steps = np.linspace(0, 1, 9)[:, None]
        path = np.array([across * 0.8, -0.62]) + steps * np.array([across * 0.3 + sway, 0.62 + reach])
        path[:, 0] += 0.03 * np.sin(3 * steps[:, 0] + rng.uniform(0, 6))
        line = np.rint(np.stack([face.at(*point) for point in path]) * 16).astype(np.int32)
        width = max(1, round(rng.uniform(0.012, 0.03) * face.height))
        shade = (base * rng.uniform(0.55, 1.5)).tolist()
        cv2.polylines(colour, [line], False, shade, width, cv2.LINE_AA, 4)
        cv2.polylines(mask, [line], False, (1.0,), width, cv2.LINE_AA, 4)
    return _laid(face, np.clip(mask, 0, 1), colour)


def _glasses(face: _Face) -> Covered:
    rng = face.rng
    tint = rng.uniform(10, 140) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.5, 1)])
    colour = (float(tint[0]), float(tint[1]), float(tint[2]))
    rgb = face.rgb.copy()
    width = max(1, round(rng.uniform(0.008, 0.022) * face.height))
    for eye in _EYES:
        middle = face.mesh[list(eye)].mean(axis=0) + 0.02 * face.axes[1]
        size = (round(rng.uniform(0.12, 0.15) * face.height), round(rng.uniform(0.08, 0.13) * face.height))
        angle = float(np.degrees(np.arctan2(face.axes[0, 1], face.axes[0, 0])))
        cv2.ellipse(rgb, np.rint(middle).astype(int).tolist(), size, angle, 0, 360, colour, width, cv2.LINE_AA)
    left, right = (np.rint(face.mesh[index]).astype(int).tolist() for index in (193, 417))
    cv2.line(rgb, left, right, colour, width, cv2.LINE_AA)
    return Covered(np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.5), np.uint8), face.blank())


def _beard(face: _Face) -> Covered:
    rng = face.rng
    line = np.concatenate([face.mesh[list(_JAW)][2:-2], face.mesh[[426, 322, 164, 92, 206]]])
    mask = _filled(face, line)
    lips = cv2.convexHull(face.mesh[[61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 269, 0, 39]].astype(np.float32))
    cv2.fillConvexPoly(mask, np.rint(lips).astype(np.int32), (0.0,))
    base = np.array([[20, 17, 15], [60, 42, 30], [110, 80, 55], [130, 128, 125]])[rng.integers(4)]
    dense = cv2.GaussianBlur(mask, (0, 0), max(0.03 * face.height, 1.0)) * rng.uniform(0.35, 0.95)
    stubble = np.clip(0.75 + 0.35 * cv2.GaussianBlur(rng.normal(size=mask.shape), (0, 0), 0.8), 0, 1.2)
    dense = np.clip(dense * stubble, 0, 1)[..., None]
    laid = face.rgb * (1 - dense) + base * dense + 4 * rng.normal(size=mask.shape)[..., None] * dense
    return Covered(np.asarray(np.clip(laid, 0, 255), np.uint8), face.blank())


def _darker(face: _Face) -> Covered:
    """The face in less light, with darker, warmer skin."""
    rng = face.rng
    gain = np.array([1.0, 0.92, 0.85]) * rng.uniform(0.15, 0.6)
    light = (face.rgb / 255.0) ** 2.2 * gain
    return Covered(np.asarray(255 * light ** (1 / 2.2), np.uint8), face.blank())


_Drawing = Callable[[_Face], Covered]
#: Objects that hide a face, by name.
OCCLUDERS: Final[dict[str, _Drawing]] = {"hand": _hand, "mask": _mask, "phone": _phone, "scarf": _scarf, "hair": _hair}
#: Changes that do not hide it.
HARMLESS: Final[dict[str, _Drawing]] = {"glasses": _glasses, "beard": _beard, "darker": _darker}
