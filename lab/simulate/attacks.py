"""Presentation attacks: a bent print in a hand, a still and a film on a screen.

The print bends about its middle, so that it is not flat. The screen has a bezel, pixels that beat with the camera's
(moiré), a refresh that runs over the picture as a faint band, a bluish white and a reflection. A replayed film shows
its victim's pulse, blinks and head movements.
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats
from lab.simulate.flat_props import FlatProp, corners_of, hand_motion, photo_print
from lab.simulate.optics import Image
from lab.simulate.person import Person
from lab.simulate.portrait import PortraitLayers
from lab.simulate.posture import Posture, at_rest

#: Largest bend of a print: the angle of its edges, in units of 2.2 radians.
_BEND: Final = 0.35
#: Brightness of a screen relative to the room, and the colour of its white.
_SCREEN_LIGHT: Final = 0.85
_SCREEN_WHITE: Final = np.array([0.94, 1.0, 1.1], dtype=np.float32)


def bent_print(
    portrait: PortraitLayers, behind: Image, times_s: Floats, rng: np.random.Generator
) -> Callable[[int], Image]:
    """A print that a hand moves and bends to and fro; gives (h, w, 3) linear light of a frame by its index."""
    photo = photo_print(portrait)
    height, width = behind.shape[:2]
    size = (2.12 * portrait.face_height, 2.47 * portrait.face_height)
    hand = hand_motion(times_s, 0.04, 0.3, 1.0, rng)
    bend = _BEND * (0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * times_s + rng.uniform(0, 6)))

    def picture(i: int) -> Image:
        across, down, roll, yaw = hand[i]
        centre = np.array([(0.5 + across) * width, (0.5 + down) * height])
        return photo.paint_bent(behind, centre, size, (roll, yaw), float(bend[i]))

    return picture


class Screen:
    """A phone or a monitor that shows a film, in a hand or on a table."""

    def __init__(
        self, size: tuple[int, int], shown: tuple[int, int], times_s: Floats, rng: np.random.Generator
    ) -> None:
        width, height = size
        self._size = (0.62 * height * shown[0] / shown[1], 0.62 * height)
        edge = max(4, round(0.035 * shown[1]))
        self._edge = edge
        self._bezel = np.asarray(rng.choice([0.004, 0.02, 0.5]), dtype=np.float32)
        self._centre = np.array([0.5 * width, 0.47 * height])
        self._hand = hand_motion(times_s, float(rng.choice([0.0, 0.006, 0.02])), 0.2, 1.2, rng)
        pitch = rng.uniform(1.9, 2.3)
        rows, columns = np.indices((shown[1], shown[0]), dtype=np.float32)
        self._grid = 1 + 0.05 * np.sin(2 * np.pi * columns / pitch) * np.sin(2 * np.pi * rows / pitch)
        self._rows = rows / shown[1]
        self._beat_hz = rng.uniform(0.3, 4.0)
        self._band = rng.uniform(0.005, 0.03)
        self._times_s = times_s
        glare = np.exp(-(((columns - rows * 0.7) / shown[0] - rng.uniform(-0.2, 0.8)) ** 2) / 0.02)
        self._glare = (rng.uniform(0.0, 0.05) * glare)[..., None].astype(np.float32)

    def show(self, behind: Image, film: Image, i: int) -> Image:
        """Frame `i`, (h, w, 3) linear light: the screen with the picture `film` on it in front of `behind`."""
        phase = 2 * np.pi * (self._rows - self._beat_hz * float(self._times_s[i]))
        light = (self._grid * (1 + self._band * np.sin(phase)))[..., None]
        lit = film * light * (_SCREEN_LIGHT * _SCREEN_WHITE) + self._glare + 0.004
        edge = self._edge
        bezel = (float(self._bezel),) * 3
        whole = cv2.copyMakeBorder(lit, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=bezel)
        across, down, roll, yaw = self._hand[i]
        centre = self._centre + np.array([across, down]) * behind.shape[0]
        return FlatProp(np.asarray(whole, dtype=np.float32)).paint(
            behind, corners_of(centre, self._size, float(roll), float(yaw))
        )


def on_screen(
    person: Person, rooms: tuple[Image, Image], posture: Posture | None, times_s: Floats, rng: np.random.Generator
) -> Callable[[int], Image]:
    """A recording of `person` in the first room, on a screen in the second one.

    Gives (h, w, 3) linear light of a frame by its index. Without a `posture` the recording is a still.
    """
    room, behind = rooms
    height, width = room.shape[:2]
    still = at_rest(1).at(0)
    left, right = round(0.2 * width), round(0.8 * width)
    screen = Screen((width, height), (right - left, height), times_s, rng)
    frozen = person.paint(room, still)[:, left:right]

    def picture(i: int) -> Image:
        film = frozen if posture is None else person.paint(room, posture.at(i))[:, left:right]
        return screen.show(behind, np.ascontiguousarray(film), i)

    return picture
