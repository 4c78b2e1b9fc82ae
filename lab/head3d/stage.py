"""The scene: what light reaches the camera in each frame."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats, Floats32
from lab.head3d.body import body_of
from lab.head3d.expression import Expression
from lab.head3d.lights import Lights
from lab.head3d.motion import motion_of
from lab.head3d.projection import Projector, View, turn_of
from lab.head3d.props import board_of, photo_of, print_of
from lab.head3d.room import room_of
from lab.head3d.skin import Blood
from lab.head3d.surface import relief_of
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Focal length in widths of the picture: a webcam sees 60 degrees across.
_FOCAL_WIDTHS: Final = 0.87
#: Normal of a plane that faces the camera.
_TOWARDS_CAMERA: Final = np.array([0.0, 0.0, 1.0])
#: Second map of `cv2.remap` where the first holds both coordinates.
_NO_MAP: Final = np.empty(0, np.float32)


@dataclass(frozen=True)
class Sight:
    """What reaches the sensor: the root of the light (h, w, 3), and cover (h, w) of the person if software needs it.

    The root has the same noise everywhere (`lab.head3d.camera`).
    """

    root: Floats32
    person: Floats32 | None


class Backdrop:
    """The room as the sensor sees it, in a buffer of its own."""

    def __init__(self, room: Floats32) -> None:
        self.light = room
        self._root = np.sqrt(room).reshape(len(room), -1)
        self._buffer = np.empty_like(self._root)

    def root(self, gains: Floats) -> Floats32:
        """Root of the light (h, w, 3) with gains (3,); the next call overwrites it."""
        row = np.tile(np.sqrt(gains).astype(np.float32), self._root.shape[1] // 3)
        return np.multiply(self._root, row, out=self._buffer).reshape(self.light.shape)


def view_of(conditions: Conditions) -> View:
    """The camera's view of the person."""
    width, height = conditions.size
    face_px = conditions.face_share * height
    centre = (conditions.face_across * width, conditions.face_down * height)
    return View(face_px, centre, max(_FOCAL_WIDTHS * width / face_px, 1.6))


class Stage:
    """The scene of a shot with a person, a photo, a print, a doll or a board.

    Raises:
        ValueError: the portrait shows no face.
    """

    def __init__(self, shot: Shot) -> None:
        conditions = shot.conditions
        self.conditions, self.view = conditions, view_of(conditions)
        self._lights = Lights(shot)
        self._motion = motion_of(shot)
        self._backdrop = Backdrop(room_of(conditions))
        head = relief_of(shot.picture, conditions.skin_type, self.view.face_px)
        with_body = conditions.subject in ("live", "doll", "covered")
        self._body = body_of(conditions, head, self.view, self._lights.gradient) if with_body else None
        self._flat = conditions.subject in ("photo", "print")
        if conditions.subject == "photo":
            head = photo_of(conditions, head)
        elif conditions.subject == "print":
            head = print_of(conditions, head)
        head = head.cropped()
        self.head = head
        self._gloss = cv2.merge([head.gloss] * 4)
        self._texture = np.dstack([head.albedo, head.alpha])
        eyes = float(head.mesh[[33, 263], 1].mean())
        self._expression = None if self._flat else Expression(head, conditions)
        self._blood = Blood(shot, head) if shot.pulse is not None else None
        self._projector = Projector(self.view, head, conditions.size)
        self._board = board_of(conditions, self.view, eyes) if conditions.subject == "covered" else None
        self._board_course = self._motion.pose[:, 3:5] * 0.3

    def sight(self, frame: int, gains: Floats) -> Sight:
        """What the sensor sees in frame `frame` with these gains (3,); the next call overwrites it."""
        root = self._backdrop.root(self._lights.room[frame] * gains)
        person = np.zeros(root.shape[:2], np.float32) if self.conditions.background != "room" else None
        plane = self._lights.flat(frame, _TOWARDS_CAMERA) * gains
        if self._body is not None:
            layer = self._body.moved(self._motion.shoulders[frame], self.view.face_px)
            layer = np.asarray(cv2.multiply(layer, np.array([*plane, 1.0]), dst=layer), np.float32)
            _cover(root, person, (self._body.left, self._body.top), layer)
        self._add_head(frame, gains, root, person)
        if self._board is not None:
            self._board.paint(root, person, self._board_course[frame] * self.view.face_px, plane)
        return Sight(root, person)

    def _add_head(self, frame: int, gains: Floats, root: Floats32, person: Floats32 | None) -> None:
        pose = self._motion.pose[frame]
        window = self._projector.window(pose)
        left, top, right, bottom = window
        if right - left < 2 or bottom - top < 2:
            return
        texture, maps = self._lit(frame, pose, gains), self._projector.maps(pose, window)
        shown = cv2.remap(texture, maps, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        _cover(root, person, (left, top), np.asarray(shown, np.float32))

    def _lit(self, frame: int, pose: Floats, gains: Floats) -> Floats32:
        """Light that leaves the relief's texture towards the camera, times its cover, and that cover: (h, w, 4)."""
        head, turn = self.head, turn_of(pose)
        received = np.ones((len(head.nodes), 4), np.float32)
        received[:, :3] = self._lights.irradiance(frame, turn, pose[3:], head.nodes, head.normals) * gains
        if self._blood is not None:
            received[:, :3] *= self._blood.transmission(frame)
        texture = self._texture
        if self._expression is not None:
            texture = self._expression.albedo(float(self._motion.jaw[frame]), float(self._motion.lids[frame]))
        lit = cv2.multiply(texture, self._over_texture(received))
        if not self._flat:
            mirrored = np.zeros((len(head.nodes), 4), np.float32)
            mirrored[:, :3] = self._lights.glare(frame, turn, head.normals) * gains
            glare = self._over_texture(mirrored)
            lit = cv2.add(lit, cv2.multiply(glare, self._gloss, dst=glare), dst=lit)
        return np.asarray(lit, np.float32)

    def _over_texture(self, values: Floats32) -> Floats32:
        """Values (k, 4) of the nodes over the texture (h, w, 4)."""
        rows, columns = self.head.depth.shape
        size = self.head.alpha.shape[::-1]
        whole = cv2.resize(values.reshape(rows, columns, 4), size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole, np.float32)


def _cover(root: Floats32, person: Floats32 | None, corner: tuple[int, int], layer: Floats32) -> None:
    """Put a layer (h, w, 4), light times cover and cover, before what the root shows at a corner (x, y)."""
    rows, columns = slice(corner[1], corner[1] + len(layer)), slice(corner[0], corner[0] + layer.shape[1])
    cover = cv2.extractChannel(layer, 3)
    behind = root[rows, columns]
    light = cv2.multiply(behind, behind)
    open_share = np.asarray(1 - np.asarray(cover), np.float32)
    cv2.multiply(light, cv2.merge([open_share] * 3), dst=light)
    cv2.add(light, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB), dst=light)
    root[rows, columns] = cv2.sqrt(light, dst=light)
    if person is not None:
        np.maximum(person[rows, columns], cover, out=person[rows, columns])
