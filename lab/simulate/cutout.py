"""Find the person in a picture: the face's mesh, and a matte."""

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.face_regions import CHIN, FOREHEAD
from lab.simulate.optics import Image
from shared.settings import models_folder
from workers.face.mesh import FaceFinder
from workers.models.build import model_file
from workers.models.person_network import SIDE
from workers.models.session import open_network


class NoFaceInPortrait(ValueError):  # noqa: N818  (named for what happened)
    """There is no face in the portrait; use one that faces the camera."""


def find_mesh(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Face mesh (478, 2) in pixels of a picture (h, w, 3) uint8 RGB.

    Raises:
        NoFaceInPortrait: no face is found.
    """
    mesh = FaceFinder(min_score=0.3).mesh(picture)
    if mesh is None:
        raise NoFaceInPortrait("no face was found in the portrait; take one that faces the camera")
    return mesh.astype(np.float64)


def find_person(picture: NDArray[np.uint8], cut_px: int | None = None) -> tuple[NDArray[np.float64], Image]:
    """Face mesh (478, 2) in pixels, and a matte (h, w) that is 1 where the person is.

    The matte is found at a height of at most `cut_px` pixels, which takes less time; None is the picture's own size.

    Raises:
        NoFaceInPortrait: no face is found.
    """
    mesh = find_mesh(picture)
    face_height = float(np.linalg.norm(mesh[FOREHEAD] - mesh[CHIN]))
    height, width = picture.shape[:2]
    scale = 1.0 if cut_px is None else min(1.0, cut_px / height)
    if scale == 1.0:
        return mesh, _cut_out(picture, _person(picture), face_height)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    rough = cv2.resize(_person(picture), (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
    matte = _cut_out(np.asarray(small, dtype=np.uint8), np.asarray(rough, dtype=np.float32), face_height * scale)
    return mesh, np.asarray(cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _person(picture: NDArray[np.uint8]) -> Image:
    """Probability (h, w) that each pixel shows the person."""
    network = open_network(model_file("mediapipe.person", models_folder()), 1)
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    mask = network(small.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))[0, 0]
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _cut_out(picture: NDArray[np.uint8], mask: Image, face_height: float) -> Image:
    """The network's rough mask (h, w) refined to the picture's edges, so that no old background remains.

    Rother et al. 2004, "GrabCut: interactive foreground extraction using iterated graph cuts".
    """
    band = max(3, round(0.085 * face_height))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    core = cv2.erode((mask > 0.5).astype(np.uint8), disc)  # the picture's edge does not erode
    reach = cv2.dilate((mask > 0.3).astype(np.uint8), disc)
    labels = np.where(mask > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[core > 0] = cv2.GC_FGD
    labels[reach == 0] = cv2.GC_BGD
    if not ((core > 0).any() and (reach == 0).any()):
        return mask
    cv2.setRNGSeed(1)  # GrabCut's clustering starts at random
    cv2.grabCut(picture, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)


def softened(matte: Image, face_height: float) -> Image:
    """A matte (h, w) with its edge softened as by a lens, and moved inwards a little."""
    soft = np.asarray(cv2.GaussianBlur(matte, (0, 0), 0.012 * face_height), dtype=np.float32)
    return np.asarray(np.clip((soft - 0.4) / 0.5, 0, 1), np.float32)
