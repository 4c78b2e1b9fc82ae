"""A relief of a portrait's head: what each point reflects, how near it is, where it faces.

Canonical coordinates have their origin in the middle between forehead and chin of a face that looks at the camera and
their unit in the distance between both; x is to the right, y down, z towards the camera.
"""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats, Floats32
from lab.head3d.tone import to_light
from workers.face.mesh import FaceFinder

#: Half the width of a relief, its top and its bottom, face heights.
HALF_WIDTH, TOP, BOTTOM = 0.85, -1.0, 0.7  # a square
#: Nodes of the coarse maps (depth, normals, light) along each side of the whole field.
NODES: Final = 64
#: Landmarks: middle of the forehead's upper edge, tip of the chin.
FOREHEAD, CHIN = 10, 152
#: Outline of the face, clockwise from the forehead.
OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
#: Skin without hair, glare and shadow, for colours: both cheeks and the forehead.
BARE: Final = (50, 205, 101, 280, 425, 330, 151, 108, 337)
#: Semi-axes of the head's ellipsoid (across, down, towards the camera), and its centre's height.
_ELLIPSOID, _CENTRE_Y = (0.5, 0.76, 0.45), -0.14
#: Rises over the ellipsoid: landmark, height, radii across and down; after mean depths in Farkas 1994.
_RISES: Final = (
    (1, 0.115, 0.07, 0.08), (6, 0.04, 0.05, 0.12), (9, 0.02, 0.16, 0.06), (33, -0.035, 0.1, 0.06),
    (263, -0.035, 0.1, 0.06), (0, 0.03, 0.1, 0.05), (17, 0.022, 0.08, 0.04), (199, 0.035, 0.1, 0.07),
    (205, 0.02, 0.1, 0.1), (425, 0.02, 0.1, 0.1),
)  # fmt: skip
#: Share of the light in the portrait that is taken out, and the bounds of that.
_RELIGHT, _RELIGHT_BOUNDS = 0.6, (0.6, 1.7)
#: Light that skin reflects by type, 1 to 6, after exposure: a camera shows fair skin at half its range.
_SKIN_LEVELS: Final = (0.48, 0.44, 0.38, 0.29, 0.21, 0.13)
#: Pixels of a face height beyond which a portrait of webcam quality shows no more.
MAX_FACE_PX: Final = 280.0
_GRABCUT_PX: Final = 90.0


@dataclass(frozen=True)
class Relief:
    """A surface before the camera.

    albedo    (h, w, 3) share of the light that is reflected, times `alpha`
    alpha     (h, w) cover in [0, 1]
    face_px   texture pixels per face height
    origin    texture pixel (x, y) of the canonical origin
    depth     (r, c) at the nodes, the centres of equal cells of the texture: towards the camera, face heights
    normals   (r * c, 3) unit vectors out of the surface
    nodes     (r * c, 3) positions
    skin      (r, c) share of bare skin
    gloss     (h, w, 1) glare of skin, times `alpha`
    mesh      (478, 2) canonical landmarks
    uncut     (h, w, 3) the portrait with its backdrop and its own light
    """

    albedo: Floats32
    alpha: Floats32
    face_px: float
    origin: tuple[float, float]
    depth: Floats32
    normals: Floats32
    nodes: Floats32
    skin: Floats32
    gloss: Floats32
    mesh: Floats32
    uncut: Floats32

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the texture in canonical coordinates."""
        height, width = self.alpha.shape
        left, top = -self.origin[0] / self.face_px, -self.origin[1] / self.face_px
        return left, top, left + width / self.face_px, top + height / self.face_px

    def cropped(self) -> "Relief":
        """The part with cover, in whole cells of the nodes."""
        cell = self.alpha.shape[0] // self.depth.shape[0]
        covered = cv2.resize(self.alpha, self.depth.shape[::-1], interpolation=cv2.INTER_AREA) > 1e-4
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        part = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
        fine = slice(part[0].start * cell, part[0].stop * cell), slice(part[1].start * cell, part[1].stop * cell)
        whole = (*self.depth.shape, 3)
        return replace(
            self,
            albedo=np.ascontiguousarray(self.albedo[fine]),
            alpha=np.ascontiguousarray(self.alpha[fine]),
            origin=(self.origin[0] - fine[1].start, self.origin[1] - fine[0].start),
            depth=np.ascontiguousarray(self.depth[part]),
            normals=np.ascontiguousarray(self.normals.reshape(whole)[part]).reshape(-1, 3),
            nodes=np.ascontiguousarray(self.nodes.reshape(whole)[part]).reshape(-1, 3),
            skin=np.ascontiguousarray(self.skin[part]),
            gloss=np.ascontiguousarray(self.gloss[fine]),
            uncut=np.ascontiguousarray(self.uncut[fine]),
        )


def relief_of(picture: NDArray[np.uint8], skin_type: int, face_px: float) -> Relief:
    """Fit a relief to a portrait (h, w, 3) uint8 RGB; its texture has about `face_px` pixels per face height.

    Raises:
        ValueError: the portrait shows no face.
    """
    found = FaceFinder().mesh(picture)
    if found is None:
        raise ValueError("the portrait shows no face")
    cell = max(1, round(min(face_px, MAX_FACE_PX) * 2 * HALF_WIDTH / NODES))
    face_px = cell * NODES / (2 * HALF_WIDTH)
    to_canonical = _upright(found)
    mesh = np.asarray(found @ to_canonical[:, :2].T + to_canonical[:, 2], np.float32)
    width, height = texture_size(face_px)
    origin = (HALF_WIDTH * face_px, -TOP * face_px)
    to_texture = to_canonical * face_px
    to_texture[:, 2] += origin
    shown = _warped(picture, to_texture, (width, height))
    points = np.asarray(mesh * face_px + origin, np.float32)
    depth = depth_of(mesh)
    normals = normals_of(depth)
    alpha = _cut_out(picture, to_canonical, mesh, (width, height))
    skin = _skin(shown, points, face_px)
    uncut = to_light(shown)
    albedo = _relit(uncut, skin, normals)
    level = float(np.median(_colours(albedo, points[list(BARE)]).mean(axis=1)))
    exposure = np.float32(np.clip((_SKIN_LEVELS[skin_type - 1] / max(level, 1e-3)) ** 0.7, 0.5, 4.0))
    cover = alpha[..., None]
    coarse = np.asarray(cv2.resize(skin, (NODES, NODES), interpolation=cv2.INTER_AREA), np.float32)
    return Relief(
        albedo=np.asarray(np.clip(exposure * albedo, 0, 1) * cover, np.float32),
        alpha=alpha,
        face_px=face_px,
        origin=origin,
        depth=depth,
        normals=normals,
        nodes=nodes_of(depth),
        skin=coarse,
        gloss=np.asarray((0.25 + 0.75 * skin[..., None]) * cover, np.float32),
        mesh=mesh,
        uncut=np.asarray(np.clip(exposure * uncut, 0, 1), np.float32),
    )


def texture_size(face_px: float) -> tuple[int, int]:
    """(width, height) in pixels of a relief's texture."""
    return round(2 * HALF_WIDTH * face_px), round((BOTTOM - TOP) * face_px)


def grid_nodes() -> tuple[Floats32, Floats32]:
    """Canonical x (1, NODES) and y (NODES, 1) of the nodes: the centres of equal cells."""
    cell = (np.arange(NODES, dtype=np.float32) + 0.5) / NODES
    across, down = HALF_WIDTH * (2 * cell - 1), TOP + (BOTTOM - TOP) * cell
    return across.astype(np.float32)[None], down.astype(np.float32)[:, None]


def depth_of(mesh: Floats32) -> Floats32:
    """Depth (NODES, NODES) of a head with these canonical landmarks (478, 2)."""
    across, down = grid_nodes()
    wide = float(np.ptp(mesh[[234, 454], 0])) / 0.78
    a, b, c = _ELLIPSOID[0] * wide, _ELLIPSOID[1], _ELLIPSOID[2]
    inside = 1 - (across / a) ** 2 - ((down - _CENTRE_Y) / b) ** 2
    soft = 0.14 * np.logaddexp(0, inside / 0.14)  # the rim bends away gently: its sides aren't in the portrait
    depth = c * np.sqrt(soft)
    for point, height, radius_x, radius_y in _RISES:
        x, y = mesh[point].tolist()
        depth = depth + height * np.exp(-0.5 * (((across - x) / radius_x) ** 2 + ((down - y) / radius_y) ** 2))
    return np.asarray(depth, np.float32)


def normals_of(depth: Floats32) -> Floats32:
    """Unit normals (NODES * NODES, 3) of a depth map (NODES, NODES)."""
    down, across = np.gradient(depth, (BOTTOM - TOP) / NODES, 2 * HALF_WIDTH / NODES)
    normals = np.stack([-across, -down, np.ones_like(depth)], axis=-1).reshape(-1, 3)
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True), np.float32)


def nodes_of(depth: Floats32) -> Floats32:
    """Positions (NODES * NODES, 3) of the nodes of a depth map."""
    across, down = grid_nodes()
    everywhere = np.zeros_like(depth)
    return np.stack([across + everywhere, down + everywhere, depth], axis=-1).reshape(-1, 3)


def _upright(mesh: Floats32) -> Floats:
    """Matrix (2, 3) from pixels of the portrait to canonical coordinates."""
    middle, axis = (mesh[FOREHEAD] + mesh[CHIN]) / 2, mesh[CHIN] - mesh[FOREHEAD]
    length = float(np.hypot(*axis))
    cos, sin = axis[1] / length, axis[0] / length
    turn = np.array([[cos, -sin], [sin, cos]], np.float64) / length
    return np.column_stack([turn, -turn @ middle])


def _warped(picture: NDArray[np.uint8], matrix: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture after a similarity (2, 3), its edges repeated; area-weighted where it shrinks."""
    scale = float(np.linalg.norm(matrix[:, 0]))
    if scale < 0.8:
        # `warpAffine` doesn't average: shrink by whole pixels before.
        shrunk = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        ratio = np.array([picture.shape[1] / shrunk.shape[1], picture.shape[0] / shrunk.shape[0], 1.0])
        picture, matrix = np.asarray(shrunk, np.uint8), matrix * ratio
    warped = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _cut_out(picture: NDArray[np.uint8], to_canonical: Floats, mesh: Floats32, size: tuple[int, int]) -> Floats32:
    """Cover (h, w) of head, hair and neck, from GrabCut (Rother et al. 2004) between the face and a head's bounds."""
    width, height = texture_size(_GRABCUT_PX)
    to_small = to_canonical * _GRABCUT_PX
    to_small[:, 2] += (HALF_WIDTH * _GRABCUT_PX, -TOP * _GRABCUT_PX)
    small = _warped(picture, to_small, (width, height))
    x = (np.arange(width, dtype=np.float32) + 0.5)[None] / _GRABCUT_PX - HALF_WIDTH
    y = (np.arange(height, dtype=np.float32) + 0.5)[:, None] / _GRABCUT_PX + TOP
    oval = np.zeros((height, width), np.uint8)
    outline = (mesh[list(OVAL)] - (-HALF_WIDTH, TOP)) * _GRABCUT_PX
    cv2.fillPoly(oval, [np.round(outline).astype(np.int32)], (1,))
    likely = (x / 0.5) ** 2 + ((y + 0.16) / 0.68) ** 2 < 1
    possible = (x / 0.62) ** 2 + ((y + 0.14) / 0.82) ** 2 < 1
    neck = (np.abs(x) < 0.24) & (y > 0.2)
    labels = np.where(possible, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    labels[likely | neck] = cv2.GC_PR_FGD
    labels[oval > 0] = cv2.GC_FGD
    cv2.setRNGSeed(1)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, (0, 0, 0, 0), *models, 3, cv2.GC_INIT_WITH_MASK)
    kept = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    # Short hair and bald heads of the background's colour keep a head's shape.
    middle = float(np.mean([mesh[list(OVAL), 0].min(), mesh[list(OVAL), 0].max()]))
    half = 0.53 * float(np.ptp(mesh[list(OVAL), 0]))
    kept |= (((x - middle) / half) ** 2 + ((y + 0.1) / 0.62) ** 2 < 1).astype(np.uint8)
    closed = cv2.morphologyEx(cv2.medianBlur(kept, 5), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    soft = cv2.GaussianBlur(np.asarray(closed, np.float32), (0, 0), 1.3)
    fade = np.clip((HALF_WIDTH - 0.02 - np.abs(x)) / 0.05, 0, 1) * np.clip((y - TOP - 0.02) / 0.05, 0, 1)
    fade = fade * np.clip((0.64 - y) / 0.1, 0, 1)
    whole = cv2.resize(np.asarray(soft * fade, np.float32), size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(whole, 0, 1), np.float32)


def _colours(values: Floats32, at: Floats32) -> Floats32:
    """Values (k, 3) of a texture at positions (k, 2) in its pixels."""
    x, y = np.round(at).astype(int).T
    return np.asarray(values[y.clip(0, values.shape[0] - 1), x.clip(0, values.shape[1] - 1)], np.float32)


def _skin(shown: NDArray[np.uint8], points: Floats32, face_px: float) -> Floats32:
    """Share (h, w) of bare skin: within the outline of the face or the neck, and of the cheeks' colour.

    `points` are the landmarks (478, 2) in pixels.
    """
    calm = cv2.GaussianBlur(shown, (0, 0), 0.01 * face_px + 0.3)
    lab = np.asarray(cv2.cvtColor(calm, cv2.COLOR_RGB2Lab), np.float32)
    cheek = np.median(_colours(lab, points[list(BARE)]), axis=0)
    alike = np.exp(-((np.linalg.norm((lab - cheek) * np.array([0.45, 1.0, 1.0], np.float32), axis=2) / 26.0) ** 4))
    within = np.zeros(shown.shape[:2], np.uint8)
    outline = points[list(OVAL)]
    chin, left, right = points[CHIN], points[172], points[397]
    down = np.array([0.0, 0.4 * face_px])
    neck = np.array([left, right, right + down, left + down])
    cv2.fillPoly(within, [np.round(neck).astype(np.int32)], (160,))
    cv2.fillPoly(within, [np.round(chin + (outline - chin) * 1.02).astype(np.int32)], (255,))
    for eye in ((33, 160, 158, 133, 153, 144), (263, 387, 385, 362, 380, 373)):
        cv2.fillPoly(within, [np.round(points[list(eye)]).astype(np.int32)], (0,))
    soft = cv2.GaussianBlur(within.astype(np.float32) / np.float32(255), (0, 0), 0.012 * face_px + 0.3)
    return np.asarray(soft * alike, np.float32)


def _relit(light: Floats32, skin: Floats32, normals: Floats32) -> Floats32:
    """The texture (h, w, 3) with part of the portrait's own light taken out: a quadric of the normals, over skin."""
    small = np.asarray(cv2.resize(light, (NODES, NODES), interpolation=cv2.INTER_AREA), np.float32)
    weight = np.asarray(cv2.resize(skin, (NODES, NODES), interpolation=cv2.INTER_AREA), np.float64).ravel() ** 2
    level = np.log(small.mean(axis=2).ravel().astype(np.float64) + 0.01)
    x, y, _ = normals.astype(np.float64).T
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    ridge = 0.02 * weight.sum() * np.diag([0.0, 1, 1, 1, 1, 1])
    fit = np.linalg.solve(terms.T @ (terms * weight[:, None]) + ridge, terms.T @ (level * weight))
    shade = np.exp(_RELIGHT * (terms[:, 1:] @ fit[1:] - np.average(terms[:, 1:] @ fit[1:], weights=weight + 1e-9)))
    shade = np.clip(shade, *_RELIGHT_BOUNDS).reshape(NODES, NODES).astype(np.float32)
    whole = cv2.resize(shade, light.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(light / whole[..., None], np.float32)
