"""Prepare a picture of a person so that it can be moved, lit, and given a pulse."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import face_regions
from lab.simulate.cutout import find_person, softened
from lab.simulate.optics import Image, to_linear
from lab.simulate.skin_tone import retoned, skin_maps
from lab.simulate.torso import BELOW, with_shoulders
from lab.world.portraits import read_picture as read_file

#: Closure of the lids in the pictures of a blink, 1 being shut.
CLOSURES = (0.3, 0.6, 0.85, 1.0)
#: Smallest closure that is drawn.
MIN_CLOSURE = 0.12

#: Softness of a webcam's lens and its colour interpolation, in face heights: 0.8 pixels in the default scene.
WEBCAM_BLUR = 0.0045
#: Height of the picture at which a person is cut out from among others, pixels.
_CUT_PX = 256


@dataclass(frozen=True)
class Blink:
    """The region of the eyes with the lids closed to `closure` (1: shut), (h, w, 3) linear light."""

    closure: float
    patch: Image


@dataclass(frozen=True)
class PortraitLayers:
    """A person at the size they will have in the clip, in linear light.

    photo       (h, w, 3)  head and shoulders with the picture's own background
    linear      (h, w, 3)  the whole picture, with shoulders added where it has none; the arrays below have this size
    matte       (h, w)     1 where the person is
    skin        (h, w)     1 where skin of the face shows
    perfusion   (h, w)     strength of the pulse: 1 on cheeks and forehead, less elsewhere
    landmarks   (478, 2)   MediaPipe's face mesh, pixels
    face        (x, y, w, h)   pixels that pulse, blink or turn
    eyes        (x, y, w, h)   pixels that blink
    blinks      the closing eyes, by `CLOSURES`
    """

    photo: Image
    linear: Image
    matte: Image
    skin: Image
    perfusion: Image
    landmarks: NDArray[np.float64]
    face: tuple[int, int, int, int]
    eyes: tuple[int, int, int, int]
    blinks: tuple[Blink, ...]

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the face (2,), pixels."""
        middle: NDArray[np.float64] = (self.landmarks[face_regions.FOREHEAD] + self.landmarks[face_regions.CHIN]) / 2
        return middle

    @property
    def face_height(self) -> float:
        """Distance from the top of the forehead to the chin, pixels."""
        return float(np.linalg.norm(self.landmarks[face_regions.FOREHEAD] - self.landmarks[face_regions.CHIN]))


def region(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of a box (x, y, w, h)."""
    x, y, w, h = box
    return slice(y, y + h), slice(x, x + w)


def with_lids(face: Image, portrait: PortraitLayers, closure: float) -> Image:
    """The pixels `portrait.face` (h, w, 3) with the lids closed to `closure`, 1 being shut."""
    blink = next((blink for blink in portrait.blinks if blink.closure >= closure), None)
    if closure <= MIN_CLOSURE or blink is None:
        return face
    rows, columns = region(portrait.face)
    x, y, w, h = portrait.eyes
    face = face.copy()
    face[y - rows.start : y - rows.start + h, x - columns.start : x - columns.start + w] = blink.patch
    return face


def read_picture(source: Path | NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """A portrait as (h, w, 3) uint8 RGB: a file, an array, or None for scikit-image's astronaut.

    Raises:
        ValueError: the file is not a picture, or the array has another shape or type.
    """
    if source is None or isinstance(source, Path):
        return read_file(source)
    if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
        raise ValueError("a portrait must be (h, w, 3) uint8 RGB")
    return source


def load_portrait(
    source: Path | NDArray[np.uint8] | None,
    face_height: float,
    have: int = 2,
    want: int = 2,
    *,
    below: float = BELOW,
    alone: bool = False,
) -> PortraitLayers:
    """The person in `source` (None: scikit-image's astronaut), ready to be rendered.

    face_height  pixels from forehead to chin
    have         Fitzpatrick type that the picture shows;  want  the type to render
    below        how far below the face's middle the person reaches, in face heights
    alone        whether other people beside the person are cut off

    Raises:
        NoFaceInPortrait: no face is found in the picture.
        ValueError: `source` is not a picture.
    """
    picture = read_picture(source)
    return _prepared(picture.tobytes(), picture.shape, round(face_height, 1), (have, want), (below, alone))


def masked(portrait: PortraitLayers) -> PortraitLayers:
    """The same person in a surgical mask, which has no pulse and shows no skin."""
    size = (portrait.linear.shape[1], portrait.linear.shape[0])
    unit = portrait.face_height
    cloth = face_regions.area(portrait.landmarks, face_regions.SURGICAL_MASK, size, 0.008 * unit)
    (middle, nose), (_, chin) = portrait.landmarks[[face_regions.NOSE_BRIDGE, face_regions.CHIN]].tolist()
    height = (np.arange(size[1], dtype=np.float32)[:, None] - nose) / (chin - nose)
    pleats = 1 - 0.12 * np.maximum(np.sin(2 * np.pi * 4 * height), 0) ** 4 * ((height > 0.2) & (height < 0.85))
    across = (np.arange(size[0], dtype=np.float32)[None, :] - middle) / (0.5 * unit)
    blue = np.array([0.38, 0.60, 0.72], dtype=np.float32)
    shade = (pleats * (1 - 0.25 * across**2))[..., None] * blue
    linear = np.asarray(portrait.linear + cloth[..., None] * (shade - portrait.linear), dtype=np.float32)
    return replace(
        portrait,
        linear=linear,
        skin=portrait.skin * (1 - cloth),
        perfusion=portrait.perfusion * (1 - cloth),
        blinks=_blinks(linear, portrait.landmarks, portrait.eyes, unit),
    )


@lru_cache(maxsize=8)
def _prepared(
    data: bytes, shape: tuple[int, int, int], face_height: float, types: tuple[int, int], body: tuple[float, bool]
) -> PortraitLayers:
    picture = np.frombuffer(data, dtype=np.uint8).reshape(shape)
    below, alone = body
    points, matte = _found(data, shape, _CUT_PX if alone else None)
    scale = face_height / float(np.linalg.norm(points[face_regions.FOREHEAD] - points[face_regions.CHIN]))
    size = (round(shape[1] * scale), round(shape[0] * scale))
    landmarks = points * (np.array(size) / (shape[1], shape[0]))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    scaled = np.asarray(cv2.resize(picture, size, interpolation=interpolation), dtype=np.uint8)
    matte = softened(np.asarray(cv2.resize(matte, size), dtype=np.float32), face_height)
    if alone:
        matte = _connected(matte * _near(landmarks, size, face_height), landmarks)
    parts = skin_maps(scaled, landmarks, matte, face_height)
    linear = np.asarray(cv2.GaussianBlur(to_linear(scaled), (0, 0), WEBCAM_BLUR * face_height), dtype=np.float32)
    linear = retoned(linear, parts, *types)
    photo = _head_and_shoulders(linear, landmarks, face_height)
    bottom, before = size[1], landmarks[0, 0]
    linear, matte, landmarks = with_shoulders(linear, matte, landmarks, face_height, below)
    left = round(float(landmarks[0, 0] - before))
    around = ((0, matte.shape[0] - bottom), (left, matte.shape[1] - size[0] - left))
    eyes = _box(landmarks[[index for eye in face_regions.EYES for index in eye]], 0.16 * face_height, matte.shape)
    return PortraitLayers(
        photo=photo,
        linear=linear,
        matte=matte,
        skin=np.pad(parts.skin, around),
        perfusion=np.pad(parts.perfusion, around),
        landmarks=landmarks,
        face=_box(landmarks[list(face_regions.OVAL)], 0.25 * face_height, matte.shape),
        eyes=eyes,
        blinks=_blinks(linear, landmarks, eyes, face_height),
    )


def _near(landmarks: NDArray[np.float64], size: tuple[int, int], unit: float) -> Image:
    """Where a person's own head and shoulders can be, (h, w) in [0, 1]."""
    x, y = ((landmarks[face_regions.FOREHEAD] + landmarks[face_regions.CHIN]) / 2).tolist()
    half = np.array([(0.3, -1.0), (0.66, -0.7), (0.8, -0.2), (0.8, 0.35), (1.0, 0.6), (1.5, 0.9), (1.6, 9.0)])
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * unit + (x, y)
    return face_regions.polygon(outline, size, 0.03 * unit)


def _connected(matte: Image, landmarks: NDArray[np.float64]) -> Image:
    """The part of a matte (h, w) that is connected with the face."""
    _, labels = cv2.connectedComponents((matte > 0.25).astype(np.uint8))
    height, width = matte.shape
    x, y = np.clip(np.rint(landmarks[face_regions.NOSE_BRIDGE]), 0, (width - 1, height - 1)).astype(int)
    part = np.asarray(labels == labels[y, x], dtype=np.float32)
    # The soft edge stays.
    return matte * cv2.dilate(part, np.ones((9, 9), np.uint8))


def _head_and_shoulders(linear: Image, landmarks: NDArray[np.float64], unit: float) -> Image:
    x, y = (landmarks[face_regions.FOREHEAD] + landmarks[face_regions.CHIN]) / 2
    left, top = int(max(x - unit, 0)), int(max(y - 1.15 * unit, 0))
    return linear[top : int(y + 1.2 * unit), left : int(x + unit)]


@lru_cache(maxsize=8)
def _found(data: bytes, shape: tuple[int, int, int], cut_px: int | None) -> tuple[NDArray[np.float64], Image]:
    return find_person(np.frombuffer(data, dtype=np.uint8).reshape(shape), cut_px)


def _box(points: NDArray[np.float64], margin: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(axis=0) + margin), (shape[1], shape[0])).astype(int)
    return int(left), int(top), int(right - left), int(bottom - top)


def _blinks(
    linear: Image, landmarks: NDArray[np.float64], eyes: tuple[int, int, int, int], face_height: float
) -> tuple[Blink, ...]:
    """The closing eyes: the skin between brow and lashes is stretched down over the eye, column by column."""
    rows, columns = region(eyes)
    x, y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32), np.arange(rows.start, rows.stop, dtype=np.float32)
    )
    blinks = []
    for closure in CLOSURES:
        source = y.copy()
        for upper, lower in face_regions.LIDS:
            across = x[0]
            lid = np.interp(across, landmarks[list(upper), 0], landmarks[list(upper), 1])
            under = np.interp(across, landmarks[list(lower), 0], landmarks[list(lower), 1])
            edge = lid + closure * np.maximum(under - lid, 0)
            brow = lid - 0.07 * face_height
            drawn = (y > brow) & (y < edge) & (under - lid > 0.5)
            stretched = brow + (y - brow) * ((lid - brow) / np.maximum(edge - brow, 1))
            source = np.where(drawn, stretched, source)
        patch = cv2.remap(linear, x, source.astype(np.float32), cv2.INTER_LINEAR)
        blinks.append(Blink(closure, np.asarray(cv2.GaussianBlur(patch, (0, 0), 0.5), dtype=np.float32)))
    return tuple(blinks)
