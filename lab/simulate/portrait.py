"""A picture of a person becomes a figure that can be moved, lit and made to pulse: matte, skin, hair, eyelids,
relief."""

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.optics import Image, retone, to_linear

EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Upper and lower lids in MediaPipe's face mesh, from one corner to the other."""
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (336, 296, 334, 293, 300, 276, 283, 282, 295, 285))
# fmt: off
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on
FOREHEAD, CHIN, NOSE, CHEEKS = 10, 152, 4, (50, 280, 205, 425)

# fmt: off
MASK = (
    197, 118, 117, 123, 137, 132, 58, 172, 136, 150, 149, 176, 148, 152,
    377, 400, 378, 379, 365, 397, 288, 361, 366, 352, 346, 347,
)
# fmt: on
"""Outline of a surgical mask: over the nose, below the eyes, round the jaw."""

CLOSURES = (0.3, 0.6, 0.85, 1.0)
"""How far the lids are down in the pictures of a blink."""


WEBCAM_BLUR = 0.0045
"""Softness of a webcam's lens and its colour interpolation, in face heights: 0.8 pixels in the default scene."""


class NoFaceInPortrait(ValueError):  # noqa: N818  (named for what happened)
    """The portrait shows no face that MediaPipe finds; take one that faces the camera."""


@dataclass(frozen=True)
class Blink:
    """The patch of a figure round its eyes with the lids `closure` down."""

    closure: float
    patch: Image


@dataclass(frozen=True)
class Portrait:
    """A person at the size they will have in the clip, in linear light.

    linear      (h, w, 3)  the picture
    matte       (h, w)     1 where the person is
    skin        (h, w)     1 where skin of the face shows
    perfusion   (h, w)     how strongly that skin pulses: 1 on cheeks and forehead, less elsewhere
    landmarks   (478, 2)   MediaPipe's face mesh, pixels
    face        (x, y, w, h)   pixels that pulse, blink or turn, `region` of the arrays
    eyes        (x, y, w, h)   pixels that blink
    blinks      the eyes closing, by `CLOSURES`
    """

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
        """(2,) middle of the face, pixels."""
        middle: NDArray[np.float64] = (self.landmarks[FOREHEAD] + self.landmarks[CHIN]) / 2
        return middle

    @property
    def face_height(self) -> float:
        """From the forehead's top to the chin, pixels."""
        return float(np.linalg.norm(self.landmarks[FOREHEAD] - self.landmarks[CHIN]))


def region(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """The rows and columns of a box (x, y, w, h)."""
    x, y, w, h = box
    return slice(y, y + h), slice(x, x + w)


def read_picture(source: Path | NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """(h, w, 3) uint8 RGB of a portrait. Raises ValueError for what is no picture."""
    if source is None:
        import skimage.data

        return np.asarray(skimage.data.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    if isinstance(source, Path):
        stored = cv2.imread(str(source), cv2.IMREAD_COLOR)
        if stored is None:
            raise ValueError(f"the portrait {source} is no picture that can be read")
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
        raise ValueError("a portrait must be (h, w, 3) uint8 RGB")
    return source


def load_portrait(
    source: Path | NDArray[np.uint8] | None, face_height: float, have: int = 2, want: int = 2
) -> Portrait:
    """The person in `source` (None: scikit-image's astronaut), `face_height` pixels from forehead to chin, skin of
    Fitzpatrick type `want`.

    `have` is the type that the picture shows. Raises NoFaceInPortrait, and ValueError for what is no picture.
    """
    picture = read_picture(source)
    return _prepared(picture.tobytes(), picture.shape, round(face_height, 1), have, want)


def masked(portrait: Portrait) -> Portrait:
    """The same person in a surgical mask, which neither pulses nor shows skin."""
    size = (portrait.linear.shape[1], portrait.linear.shape[0])
    unit = portrait.face_height
    cloth = _filled(portrait.landmarks[list(MASK)], size, 0.008 * unit)
    nose, chin = portrait.landmarks[197, 1], portrait.landmarks[CHIN, 1]
    height = (np.arange(size[1], dtype=np.float32)[:, None] - nose) / (chin - nose)
    pleats = 1 - 0.12 * np.maximum(np.sin(2 * np.pi * 4 * height), 0) ** 4 * ((height > 0.2) & (height < 0.85))
    across = (np.arange(size[0], dtype=np.float32)[None, :] - portrait.landmarks[197, 0]) / (0.5 * unit)
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
def _prepared(data: bytes, shape: tuple[int, int, int], face_height: float, have: int, want: int) -> Portrait:
    picture = np.frombuffer(data, dtype=np.uint8).reshape(shape)
    mesh, matte = _seen(data, shape)
    scale = face_height / float(np.linalg.norm(mesh[FOREHEAD] - mesh[CHIN]))
    size = (round(shape[1] * scale), round(shape[0] * scale))
    landmarks = mesh * (np.array(size) / (shape[1], shape[0]))
    interpolation = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    scaled = np.asarray(cv2.resize(picture, size, interpolation=interpolation), dtype=np.uint8)
    matte = _softened(
        np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32), face_height
    )
    linear = np.asarray(cv2.GaussianBlur(to_linear(scaled), (0, 0), WEBCAM_BLUR * face_height), dtype=np.float32)
    skin = _skin(scaled, landmarks, face_height) * matte
    linear = retone(linear, skin, have, want)
    if want >= 4 > have:
        linear = _darkened_hair(linear, matte, skin, landmarks, face_height)
    face = _box(landmarks[list(OVAL)], 0.25 * face_height, size)
    eyes = _box(landmarks[[index for eye in EYES for lid in eye for index in lid]], 0.16 * face_height, size)
    perfusion = skin * _perfused(landmarks, size, face_height)
    return Portrait(
        linear, matte, skin, perfusion, landmarks, face, eyes, _blinks(linear, landmarks, eyes, face_height)
    )


@lru_cache(maxsize=8)
def _seen(data: bytes, shape: tuple[int, int, int]) -> tuple[NDArray[np.float64], Image]:
    """Face mesh (478, 2) in pixels and the person's matte (h, w)."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    from mediapipe.python.solutions.face_mesh import FaceMesh
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    picture = np.frombuffer(data, dtype=np.uint8).reshape(shape)
    with FaceMesh(static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.3) as finder:
        found = finder.process(picture).multi_face_landmarks
    if not found:
        raise NoFaceInPortrait("no face was found in the portrait; take one that faces the camera")
    mesh = np.array([(point.x * shape[1], point.y * shape[0]) for point in found[0].landmark])
    with SelfieSegmentation(model_selection=0) as cutter:
        matte = cutter.process(picture).segmentation_mask
    face_height = float(np.linalg.norm(mesh[FOREHEAD] - mesh[CHIN]))
    return mesh, _cut_out(picture, np.asarray(matte, dtype=np.float32), face_height)


def _cut_out(picture: NDArray[np.uint8], mask: Image, face_height: float) -> Image:
    """The network's rough mask drawn to the picture's own edges (GrabCut, Rother et al. 2004), so that nothing of the
    old background comes along."""
    band = max(3, round(0.085 * face_height))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    core = cv2.erode((mask > 0.5).astype(np.uint8), disc)  # the picture's edge does not erode
    reach = cv2.dilate((mask > 0.3).astype(np.uint8), disc)
    labels = np.where(mask > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[core > 0] = cv2.GC_FGD
    labels[reach == 0] = cv2.GC_BGD
    if not ((core > 0).any() and (reach == 0).any()):
        return mask
    cv2.setRNGSeed(1)  # its clustering starts at random places
    cv2.grabCut(picture, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)


def _softened(matte: Image, face_height: float) -> Image:
    """A cut-out's edge as a lens shows it, drawn in a little."""
    soft = np.asarray(cv2.GaussianBlur(matte, (0, 0), 0.012 * face_height), dtype=np.float32)
    return np.clip((soft - 0.4) / 0.5, 0, 1).astype(np.float32)


def _filled(points: NDArray[np.float64], size: tuple[int, int], soften: float) -> Image:
    mask = np.zeros((size[1], size[0]), dtype=np.float32)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], (1.0,))
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), soften), dtype=np.float32)


def _skin(picture: NDArray[np.uint8], landmarks: NDArray[np.float64], face_height: float) -> Image:
    """Inside the face's oval (a little wider), of the cheeks' colour, and neither eye nor lip nor brow."""
    size = (picture.shape[1], picture.shape[0])
    centre = landmarks[list(OVAL)].mean(axis=0)
    inside = _filled(centre + 1.04 * (landmarks[list(OVAL)] - centre), size, 0.015 * face_height)
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    cheeks = _filled(landmarks[list(CHEEKS)][[0, 2, 3, 1]], size, 1) * inside
    sample = lab[cheeks > 0.5]
    middle = np.median(sample, axis=0)
    distance = (lab - middle) / np.array([26.0, 11.0, 12.0])
    alike = np.clip(2.2 - np.linalg.norm(distance, axis=2), 0, 1).astype(np.float32)
    alike = np.asarray(cv2.GaussianBlur(alike, (0, 0), 0.008 * face_height), dtype=np.float32)
    skin = inside * alike
    for part, widen in (
        (EYES[0][0] + EYES[0][1][::-1], 1.25),
        (EYES[1][0] + EYES[1][1][::-1], 1.25),
        (LIPS, 1.05),
        *((b, 1.1) for b in BROWS),
    ):
        outline = landmarks[list(part)]
        middle = outline.mean(axis=0)
        skin = skin * (1 - _filled(middle + widen * (outline - middle), size, 0.012 * face_height))
    return np.asarray(skin, dtype=np.float32)


def _darkened_hair(
    linear: Image, matte: Image, skin: Image, landmarks: NDArray[np.float64], face_height: float
) -> Image:
    """Hair (what of the head is no skin, above the chin and outside the oval; and brows) at a sixth of its light."""
    size = (linear.shape[1], linear.shape[0])
    rows = np.arange(size[1], dtype=np.float32)[:, None]
    above = np.clip((landmarks[CHIN, 1] - 0.08 * face_height - rows) / (0.1 * face_height), 0, 1)
    inner = landmarks[list(OVAL)]
    centre = inner.mean(axis=0)
    features = _filled(centre + [[0.9, 0.72]] * (inner - centre) + [0, 0.1 * face_height], size, 0.03 * face_height)
    hair = matte * above * (1 - features) * (1 - np.clip(skin * 1.5, 0, 1))
    for brow in BROWS:
        hair = np.maximum(hair, 0.8 * _filled(landmarks[list(brow)], size, 0.012 * face_height))
    grey = linear.mean(axis=2, keepdims=True)
    dark = 0.16 * (0.5 * linear + 0.5 * grey)
    return np.asarray(linear + hair[..., None] * (dark - linear), dtype=np.float32)


def _perfused(landmarks: NDArray[np.float64], size: tuple[int, int], face_height: float) -> Image:
    """Strong on cheeks and forehead, weaker on nose, chin and the rim: as pulse amplitude maps of faces show
    (Verkruysse et al. 2008)."""
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    brow = (landmarks[FOREHEAD] + landmarks[9]) / 2
    strength = np.full((size[1], size[0]), 0.5, dtype=np.float32)
    for point, reach in (
        (brow, (0.42, 0.2)),
        (landmarks[[50, 205]].mean(axis=0), (0.2, 0.22)),
        (landmarks[[280, 425]].mean(axis=0), (0.2, 0.22)),
    ):
        spread = ((x - point[0]) / (reach[0] * face_height)) ** 2 + ((y - point[1]) / (reach[1] * face_height)) ** 2
        strength = np.maximum(strength, 0.5 + 0.5 * np.exp(-0.5 * spread**2))
    return strength


def _box(points: NDArray[np.float64], margin: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    right, bottom = np.minimum(np.ceil(points.max(axis=0) + margin), size).astype(int)
    return int(left), int(top), int(right - left), int(bottom - top)


def _blinks(
    linear: Image, landmarks: NDArray[np.float64], eyes: tuple[int, int, int, int], face_height: float
) -> tuple[Blink, ...]:
    """The skin between brow and lashes is drawn down over the eye, column by column."""
    rows, columns = region(eyes)
    x, y = np.meshgrid(
        np.arange(columns.start, columns.stop, dtype=np.float32), np.arange(rows.start, rows.stop, dtype=np.float32)
    )
    blinks = []
    for closure in CLOSURES:
        source = y.copy()
        for upper, lower in EYES:
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
