"""Shots of the portrait that scikit-image ships, and what reaches the sensor in them."""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats, Floats32
from lab.head3d.stage import Stage
from lab.render.clip import frame_times
from lab.world.conditions import Conditions, draw
from lab.world.portraits import find_portraits
from lab.world.pulse import pulse_of
from lab.world.shot import Shot

#: Landmarks of both cheeks.
CHEEKS = (50, 101, 205, 280, 330, 425)
#: Conditions under which nothing changes but what a test changes.
CALM = {
    "duration_s": 1.0, "fps": 30, "resolution": "160x120", "jitter": 0.0, "dropped": 0.0, "face_share": 0.6,
    "face_across": 0.5, "face_down": 0.46, "rhythm": "sinus", "heart_rate": 72.0, "skin_type": 2, "sway": 1e-9,
    "rhythmic_axis": "none", "large_moves": 0.0, "talking": 0.0, "blink_rate": 0.01, "light": 1.0,
    "light_drift": 1e-9, "person_light": "none", "room_flicker_depth": 0.0, "band_depth": 0.0, "auto_exposure": 0.0,
    "tone_mapping": 0.0, "temporal_denoise": 0.0, "beauty": 0.0, "background": "room", "makeup": 0.0,
    "pulse_strength": 1.0,
}  # fmt: skip


@cache
def picture() -> NDArray[np.uint8]:
    return find_portraits(None)[0].picture()


def shot(**changes: object) -> Shot:
    drawn = draw("still", 3, 0, find_portraits(None))
    return shot_of(replace(drawn, **(CALM | changes)))  # type: ignore[arg-type]


def shot_of(conditions: Conditions) -> Shot:
    breath = pulse_of(conditions, None)
    return Shot(conditions, frame_times(conditions, 1000), picture(), breath if conditions.alive else None, breath)


def light(taken: Shot) -> tuple[Stage, Floats32]:
    """The stage of a shot, and the light (n, h, w, 3) at the sensor in each frame."""
    stage = Stage(taken)
    seen = [np.square(stage.sight(frame, np.ones(3)).root) for frame in range(len(taken.times_s))]
    return stage, np.array(seen, np.float32)


def cheeks(stage: Stage, seen: Floats32) -> Floats:
    """Mean light (n, 3) of the cheeks of a face that hardly moves."""
    head, view = stage.head, stage.view
    middles = (head.mesh[list(CHEEKS)] * view.face_px + view.centre).round().astype(int)
    reach = max(1, round(0.03 * view.face_px))
    patches = [seen[:, y - reach : y + reach + 1, x - reach : x + reach + 1] for x, y in middles]
    return np.asarray(np.mean([patch.mean(axis=(1, 2), dtype=np.float64) for patch in patches], axis=0))
