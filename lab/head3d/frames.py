"""Frames of a shot: the scene, the camera, the software."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.head3d.camera import Camera
from lab.head3d.lights import Lights
from lab.head3d.room import room_of
from lab.head3d.software import CallSoftware, Denoiser
from lab.head3d.stage import Backdrop, Sight, Stage
from lab.world.shot import Shot


def frames_of(shot: Shot) -> Iterator[NDArray[np.uint8]]:
    """Render the frames (h, w, 3) uint8 RGB of a shot.

    Raises:
        ValueError: the portrait shows no face.
    """
    camera, software = Camera(shot), CallSoftware(shot)
    denoiser = Denoiser(shot.conditions.temporal_denoise, camera.noise)
    stage = _EmptyRoom(shot) if shot.conditions.subject in ("wall", "noise") else Stage(shot)
    camera.start(stage.sight(0, np.ones(3)).root)
    for index in range(len(shot.times_s)):
        sight = stage.sight(index, camera.gains(index))
        yield software.frame(index, denoiser.frame(camera.frame(index, sight.root)), sight)


class _EmptyRoom:
    """A room without a person, or a screen full of noise."""

    def __init__(self, shot: Shot) -> None:
        self._lights, self._backdrop = Lights(shot), Backdrop(room_of(shot.conditions))
        self._rng = shot.conditions.rng("head3d/screen")
        self._noisy = shot.conditions.subject == "noise"

    def sight(self, frame: int, gains: Floats) -> Sight:
        """What the sensor sees in frame `frame` with these gains (3,); the next call overwrites it."""
        received = self._lights.room[frame] * gains
        height, width = self._backdrop.light.shape[:2]
        if self._noisy:
            grains = self._rng.random((height // 4, width // 4, 3), dtype=np.float32)
            root = np.sqrt(grains * received.astype(np.float32))
            return Sight(
                np.asarray(cv2.resize(root, (width, height), interpolation=cv2.INTER_LINEAR), np.float32), None
            )
        return Sight(self._backdrop.root(received), None)
