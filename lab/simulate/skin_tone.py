"""Skin and hair of a portrait: their masks, the perfusion of the skin, and the conversion to another skin type."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import face_regions
from lab.simulate.optics import SPECULAR, Image, skin_colour

#: Brightness of dark hair, as a share of the portrait's fair hair.
DARK_HAIR = 0.16
#: Fitzpatrick type from which on hair and brows are darkened.
DARK_HAIR_FROM = 4


@dataclass(frozen=True)
class SkinMaps:
    """Weights (h, w) in [0, 1].

    skin       bare skin of the face that a camera could read a pulse from: no eye, lip, brow or hair
    perfusion  strength of the pulse: 1 on cheeks and forehead, less elsewhere
    toned      everything that has the colour of the person's skin, including lids, lips, neck and ears
    hair       hair, brows and irises: dark parts
    """

    skin: Image
    perfusion: Image
    toned: Image
    hair: Image


def skin_maps(picture: NDArray[np.uint8], landmarks: NDArray[np.float64], matte: Image, unit: float) -> SkinMaps:
    """Find skin and hair in `picture` (h, w, 3) uint8 sRGB.

    landmarks  (478, 2) the face mesh in pixels;  matte  (h, w) 1 where the person is
    unit       height of the face in pixels
    """
    size = (picture.shape[1], picture.shape[0])
    alike = _alike(picture, landmarks, unit)
    outline = landmarks[list(face_regions.OVAL)]
    inside = face_regions.polygon(face_regions.widened(outline, 1.04), size, 0.015 * unit)
    bare = inside * alike * matte
    for part, factor in (
        *((eye, 1.25) for eye in face_regions.EYES),
        (face_regions.LIPS, 1.05),
        *((brow, 1.1) for brow in face_regions.BROWS),
    ):
        bare = bare * (
            1 - face_regions.polygon(face_regions.widened(landmarks[list(part)], factor), size, 0.012 * unit)
        )

    open_parts = np.zeros_like(matte)
    for part in (*face_regions.EYES, face_regions.MOUTH):
        open_parts = np.maximum(open_parts, face_regions.area(landmarks, part, size, 0.006 * unit))
    dark = np.zeros_like(matte)
    for part in (*face_regions.BROWS, *face_regions.IRISES):
        dark = np.maximum(dark, 0.75 * face_regions.area(landmarks, part, size, 0.012 * unit))
    # Below the brows everything is skin, shadows and nostrils too; above them only colour separates skin from hair.
    middle = face_regions.polygon(_below_brows(landmarks, unit), size, 0.02 * unit)
    near = np.maximum(
        face_regions.polygon(face_regions.widened(outline, 1.12), size, 0.02 * unit), _neck(landmarks, size, unit)
    )
    toned = np.maximum(alike * near, middle) * matte * (1 - open_parts)
    hair = _head(landmarks, size, unit) * matte * (1 - toned) * (1 - open_parts)
    return SkinMaps(
        skin=bare.astype(np.float32),
        perfusion=(bare * _strength(landmarks, size, unit)).astype(np.float32),
        toned=toned.astype(np.float32),
        hair=np.maximum(hair, dark).astype(np.float32),
    )


def retoned(linear: Image, parts: SkinMaps, have: int, want: int) -> Image:
    """`linear` (h, w, 3) with skin of Fitzpatrick type `have` turned to type `want`.

    Specular highlights stay as they are. From `DARK_HAIR_FROM` on, hair is darkened too.
    """
    if have == want:
        return linear
    skin = np.median(linear[parts.skin > 0.8], axis=0)
    level = skin.mean() / skin_colour(have).mean()
    # The new type's hue is taken for a distant type, the person's own hue is kept for a near one.
    own_hue = 1 - min(abs(want - have) / 3, 1)
    target = level * skin_colour(want) * (skin / (level * skin_colour(have))) ** own_hue
    shine = np.minimum(SPECULAR, linear.min(axis=2, keepdims=True))
    toned = shine + (linear - shine) * (np.maximum(target - SPECULAR, 0.002) / np.maximum(skin - SPECULAR, 0.002))
    result = linear + parts.toned[..., None] * (toned - linear)
    if want >= DARK_HAIR_FROM > have:
        grey = result.mean(axis=2, keepdims=True)
        result = result + parts.hair[..., None] * (DARK_HAIR * 0.5 * (result + grey) - result)
    return np.asarray(result, dtype=np.float32)


def _alike(picture: NDArray[np.uint8], landmarks: NDArray[np.float64], unit: float) -> Image:
    """How close each pixel (h, w) is to the cheeks' colour, in [0, 1]."""
    size = (picture.shape[1], picture.shape[0])
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    (left_up, left_down), (right_up, right_down) = face_regions.CHEEKS
    between = face_regions.area(landmarks, (left_up, right_up, right_down, left_down), size, 1.0)
    distance = (lab - np.median(lab[between > 0.5], axis=0)) / np.array([26.0, 11.0, 12.0])
    alike = np.clip(2.2 - np.linalg.norm(distance, axis=2), 0, 1).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(alike, (0, 0), 0.008 * unit), dtype=np.float32)


def _below_brows(landmarks: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    """Outline of the face from the brows down."""
    outline = face_regions.widened(landmarks[list(face_regions.OVAL)], 0.93)
    outline[:, 1] = np.maximum(outline[:, 1], landmarks[face_regions.BETWEEN_BROWS, 1] - 0.04 * unit)
    return outline


def _head(landmarks: NDArray[np.float64], size: tuple[int, int], unit: float) -> Image:
    """The region around the head down to the chin, (h, w) in [0, 1]."""
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    chin, brows = float(landmarks[face_regions.CHIN, 1]), float(landmarks[face_regions.BETWEEN_BROWS, 0])
    floor = np.clip((chin - 0.05 * unit - y) / (0.06 * unit), 0, 1)
    near = np.clip((1.0 * unit - np.abs(x - brows)) / (0.1 * unit), 0, 1)
    return np.asarray(floor * near, dtype=np.float32)


def _neck(landmarks: NDArray[np.float64], size: tuple[int, int], unit: float) -> Image:
    """Where a neck can be, (h, w) in [0, 1]."""
    x, y = landmarks[face_regions.CHIN]
    corners = np.array([(-0.38, -0.35), (0.38, -0.35), (0.5, 0.5), (-0.5, 0.5)]) * unit + (x, y)
    return face_regions.polygon(corners, size, 0.03 * unit)


def _strength(landmarks: NDArray[np.float64], size: tuple[int, int], unit: float) -> Image:
    """Pulse strength (h, w): high on cheeks and forehead, lower on nose, chin and rim.

    Verkruysse et al. 2008, "Remote plethysmographic imaging using ambient light".
    """
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    brow = (landmarks[face_regions.FOREHEAD] + landmarks[face_regions.BETWEEN_BROWS]) / 2
    strength = np.full((size[1], size[0]), 0.5, dtype=np.float32)
    spots = [(brow, 0.42, 0.2), *((landmarks[list(cheek)].mean(axis=0), 0.2, 0.22) for cheek in face_regions.CHEEKS)]
    for point, wide, high in spots:
        across, down = point.tolist()
        distance = ((x - across) / (wide * unit)) ** 2 + ((y - down) / (high * unit)) ** 2
        strength = np.maximum(strength, 0.5 + 0.5 * np.exp(-0.5 * distance**2))
    return np.asarray(strength, dtype=np.float32)
