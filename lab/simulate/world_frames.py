"""Frames of a clip of the world, by the warp of a portrait.

A portrait is pulsed, shaded and moved, lit together with the room, and taken by a camera with its software. It shares
no code with the renderer of a head of three dimensions.
"""

from collections.abc import Callable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate import rooms
from lab.simulate.optics import Image
from lab.simulate.world_camera import Camera, LitScene
from lab.simulate.world_light import Light, light_of
from lab.simulate.world_person import face_height, face_place, subject_of
from lab.simulate.world_software import Software
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Number of fields of noise that a clip without a picture is made of.
_NOISES: Final = 5


def frames_of(shot: Shot) -> Iterator[NDArray[np.uint8]]:
    """Render the frames (h, w, 3) uint8 RGB of a shot, in order.

    Raises:
        NoFaceInPortrait: a ValueError; no face is found in the portrait.
    """
    conditions, times = shot.conditions, shot.times_s
    light = light_of(conditions, times)
    subject = subject_of(shot, light)
    behind = _behind(conditions, light)
    unit = face_height(conditions)
    camera, software = Camera(conditions, times, unit), Software(conditions, times, unit)
    for index in range(len(times)):
        placed, person = (None, light.room[index]) if subject is None else subject.draw(index)
        picture = camera.take(LitScene(behind(index), placed, light.room[index], person), light, index)
        if subject is not None and placed is not None:
            picture = software.change(picture, placed, (subject.places[index, 0], subject.places[index, 1]), index)
        yield picture


def _behind(conditions: Conditions, light: Light) -> Callable[[int], Image]:
    """What is behind the person in each frame, (h, w, 3) linear light."""
    rng = conditions.rng("room")
    width, height = conditions.size
    if conditions.subject == "noise":
        fields = rng.random((_NOISES, height, width, 3), dtype=np.float32)
        order = rng.integers(0, _NOISES, 100_000)
        flips = rng.integers(-1, 2, 100_000)
        return lambda i: np.asarray(cv2.flip(fields[order[i]], int(flips[i])), dtype=np.float32)
    wall = conditions.subject == "wall" or rng.uniform() < 0.4
    room = rooms.wall(width, height, rng) if wall else rooms.room(width, height, rng)
    level = rng.uniform(0.35, 1.1)
    lit = room * (level * light.over_room(conditions.size, face_place(conditions), face_height(conditions)))
    picture = np.ascontiguousarray(lit, dtype=np.float32)
    return lambda _: picture
