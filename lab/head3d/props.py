"""What stands in a person's place or before them: a photo, a print in a hand, a board."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lab.arrays import Floats, Floats32
from lab.head3d.projection import View
from lab.head3d.surface import BOTTOM, HALF_WIDTH, NODES, TOP, Relief, grid_nodes, nodes_of, normals_of
from lab.world.conditions import Conditions


def photo_of(conditions: Conditions, head: Relief) -> Relief:
    """A flat picture in the person's place: with its backdrop as a poster, or cut out."""
    rng = conditions.rng("head3d/photo")
    flat = np.zeros((NODES, NODES), np.float32)
    if rng.random() < 0.5:
        return _sheet(head, head.albedo, head.alpha, flat)
    cover = _rectangle(head, HALF_WIDTH - 0.05, TOP + 0.05, BOTTOM - 0.05)
    return _sheet(head, head.uncut * cover[..., None], cover, flat)


def print_of(conditions: Conditions, head: Relief) -> Relief:
    """A print with a border of paper, slightly bent, held by a thumb at its lower edge."""
    rng = conditions.rng("head3d/print")
    border = float(rng.uniform(0.02, 0.08))
    paper = _rectangle(head, HALF_WIDTH - 0.04, TOP + 0.04, BOTTOM - 0.04)
    picture = _rectangle(head, HALF_WIDTH - 0.04 - border, TOP + 0.04 + border, BOTTOM - 0.04 - border)[..., None]
    white = float(rng.uniform(0.6, 0.8)) * np.array([1.0, 0.99, 0.96], np.float32)
    sheet = np.asarray(0.02 + 0.85 * head.uncut * picture + white * (1 - picture), np.float32)
    thumb = (int(head.origin[0] + rng.uniform(-0.5, 0.5) * head.face_px), round((BOTTOM - TOP - 0.06) * head.face_px))
    size = (round(0.055 * head.face_px) + 1, round(0.11 * head.face_px) + 1)
    skin = [float(value) for value in np.median(head.uncut.reshape(-1, 3), axis=0).clip(0.08, 0.6) * (1.2, 0.9, 0.75)]
    cv2.ellipse(sheet, thumb, size, float(rng.uniform(-20, 20)), 0, 360, skin, -1, cv2.LINE_AA)
    across, _ = grid_nodes()
    bend = float(rng.uniform(-0.12, 0.12)) * across**2 + np.zeros((NODES, 1), np.float32)
    return _sheet(head, sheet * paper[..., None], paper, np.asarray(bend, np.float32))


def _sheet(head: Relief, albedo: Floats32, cover: Floats32, depth: Floats32) -> Relief:
    """The relief of a sheet that shows `albedo` (h, w, 3), times its cover (h, w)."""
    return replace(
        head,
        albedo=np.asarray(albedo, np.float32),
        alpha=cover,
        depth=depth,
        normals=normals_of(depth),
        nodes=nodes_of(depth),
        skin=np.zeros_like(head.skin),
        gloss=np.zeros_like(head.gloss),
    )


def _rectangle(head: Relief, half: float, top: float, bottom: float) -> Floats32:
    """Cover (h, w) of a rectangle, with soft edges."""
    height, width = head.alpha.shape
    x = (np.arange(width, dtype=np.float32) + 0.5 - head.origin[0])[None] / head.face_px
    y = (np.arange(height, dtype=np.float32) + 0.5 - head.origin[1])[:, None] / head.face_px
    inside = np.minimum(half - np.abs(x), np.minimum(y - top, bottom - y))
    return np.asarray(np.clip(0.5 + inside * head.face_px, 0, 1), np.float32)


@dataclass(frozen=True)
class Board:
    """A board before the face up to the eyes: its corner (left, top) in pixels, and its colours (h, w, 3)."""

    left: int
    top: int
    albedo: Floats32

    def paint(self, root: Floats32, person: Floats32 | None, shift: Floats, received: Floats) -> None:
        """Paint the board over the root of the light (h, w, 3), shifted by (2,) pixels, receiving the light (3,)."""
        height, width = root.shape[:2]
        left, top = self.left + round(float(shift[0])), self.top + round(float(shift[1]))
        from_x, from_y = max(0, -left), max(0, -top)
        shown = self.albedo[from_y : height - top, from_x : width - left]
        if shown.size == 0:
            return
        rows, columns = (
            slice(max(top, 0), max(top, 0) + shown.shape[0]),
            slice(max(left, 0), max(left, 0) + shown.shape[1]),
        )
        root[rows, columns] = np.sqrt(shown * received.astype(np.float32))
        if person is not None:
            person[rows, columns] = 1.0


def board_of(conditions: Conditions, view: View, eyes: float) -> Board:
    """Draw a board of cardboard, wood or cloth from just below the `eyes` (canonical height) down."""
    rng = conditions.rng("head3d/board")
    _, height = conditions.size
    half = float(rng.uniform(0.6, 0.95)) * view.face_px
    top = round(view.centre[1] + (eyes + 0.05) * view.face_px)
    across, down = round(2 * half), max(2, round(min(1.6 * view.face_px, 1.3 * height)))
    colour = (
        rng.uniform(0.1, 0.6) * np.array([(1.0, 0.8, 0.55), (1.0, 0.97, 0.94), (0.4, 0.6, 1.0)])[int(rng.integers(3))]
    )
    grain = rng.standard_normal((max(2, down // 3), 16)).astype(np.float32)
    fibre = cv2.resize(grain, (across, down), interpolation=cv2.INTER_CUBIC)
    albedo = np.ascontiguousarray((1 + 0.06 * fibre)[..., None] * colour, np.float32)
    return Board(round(view.centre[0] - half), top, np.clip(albedo, 0.01, 0.9))
