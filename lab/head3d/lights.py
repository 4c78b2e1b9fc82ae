"""Light on a relief: an environment, a lamp or window at one side, and a light of the person's own."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import uniform_filter1d

from lab.arrays import Floats, Floats32
from lab.head3d.courses import (
    GRID_HZ,
    events,
    grid_for,
    minimum_jerk,
    phase_of,
    standardised,
    wandering,
)
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Colours of the person's light, by tint; "blood" is white that changes in the colours of the blood.
_TINTS: Final = {
    "white": (1.0, 1.0, 1.0), "cold": (0.82, 1.0, 1.25), "warm": (1.25, 1.0, 0.68), "green": (0.65, 1.25, 0.65),
    "red": (1.6, 0.7, 0.7), "blood": (1.0, 1.0, 1.0),
}  # fmt: skip
#: Directions to the person's light (x right, y down, z to the camera), its distance in face heights, its width in
#: [0, 1]: 1 is a sky, 0 a point.
_KINDS: Final = {
    "monitor": ((0.1, 0.25, 1.0), 3.0, 0.5), "television": ((0.35, 0.1, 1.0), 9.0, 0.35),
    "lamp": ((0.45, -0.9, 0.5), 4.0, 0.1), "window": ((1.0, -0.25, 0.45), 7.0, 0.6),
}  # fmt: skip
#: Share of the change of the person's light that reaches the room behind.
SPILL: Final = 0.03
#: Sharpness of the glare, and its height on skin: skin reflects about 4 % at its surface (Weyrich et al. 2006).
_GLARE_POWER, _GLARE = 12, 0.055


@dataclass(frozen=True)
class Light:
    """A light far from the face, or near it.

    towards   (3,) unit vector from the face to the light
    distance  in face heights; None is far
    width     of its source in [0, 1]
    course    (n, 3) irradiance of the face in each frame, mean over the face
    """

    towards: Floats
    distance: float | None
    width: float
    course: Floats


class Lights:
    """The lights of a shot: what they give the person, and the room's course (n, 3) in `room`."""

    def __init__(self, shot: Shot) -> None:
        conditions, count = shot.conditions, len(shot.times_s)
        rng = conditions.rng("head3d/lights")
        side = float(rng.choice([-1.0, 1.0]))
        share = 0.0 if conditions.person_light == "none" else conditions.person_light_share
        common = _common(shot)[:, None]
        self.lights: list[Light] = []
        key_share = float(rng.uniform(0.25, 0.55))
        key = np.array([side * rng.uniform(0.5, 1.0), -rng.uniform(0.2, 0.8), rng.uniform(0.5, 1.0)])
        # The light of a lamp at this distance changes by `light_field` over a face height.
        distance = 2.0 * key_share / max(conditions.light_field, 1e-3) + 0.5
        parts: list[tuple[Floats, float | None, float, float, float]] = [(key, distance, 0.15, key_share, 0.06)]
        for towards, part in (((0.0, -1.0, 0.4), 0.35), ((-side, 0.1, 0.6), 0.3), ((0.2 * side, 0.5, 0.9), 0.35)):
            parts.append((np.array(towards) + 0.15 * rng.standard_normal(3), None, 0.7, (1 - key_share) * part, 0.04))
        for aim, far, width, part, spread in parts:
            colour = 1 + spread * rng.standard_normal(3)
            colour *= 3 / colour.sum()
            course = common * ((1 - share) * part * colour)
            self.lights.append(Light(_unit(aim), far, width, course))
        self.room = common * np.ones(3)
        #: Gradient of the room's light over the picture, a share per face height, along the direction to the key.
        self.gradient = 0.6 * conditions.light_field * _unit(key)[:2]
        if share > 0:
            kind, near, width = _KINDS[conditions.person_light]
            aim = np.array(kind) * [float(rng.choice([-1.0, 1.0])), 1, 1] + 0.12 * rng.standard_normal(3)
            tint = np.array(_TINTS[conditions.person_light_tint])
            change = conditions.person_light_depth * person_course(shot)[:, None]
            colours = conditions.blood_rgb if conditions.person_light_tint == "blood" else np.ones(3)
            course = share * tint * np.clip(1 + change * colours, 0.0, None)
            self.lights.append(Light(_unit(aim), near, width, course * np.ones((count, 3))))
            self.room = self.room + SPILL * (course - share * tint)
        self._mean = [max(float(_diffuse(light, np.array([[0.0, 0, 1]]))[0]), 0.2) for light in self.lights]

    def irradiance(self, frame: int, turn: Floats, shift: Floats, nodes: Floats32, normals: Floats32) -> Floats32:
        """Irradiance (k, 3) of nodes (k, 3) with normals (k, 3), turned by `turn` (3, 3) and moved by `shift` (3,)."""
        total = np.zeros((len(nodes), 3), np.float32)
        for light, mean in zip(self.lights, self._mean, strict=True):
            towards = (light.towards @ turn).astype(np.float32)
            received = _received(normals @ towards, light.width)
            received *= _falloff(light, towards, shift, nodes)
            total += received[:, None] * (light.course[frame] / mean).astype(np.float32)
        return np.maximum(total, 0.01)

    def glare(self, frame: int, turn: Floats, normals: Floats32) -> Floats32:
        """Light (k, 3) that the surface of skin mirrors to the camera (Blinn 1977), in the lights' colours."""
        total = np.zeros((len(normals), 3), np.float32)
        for light in self.lights:
            if light.width > 0.65:
                continue
            half = _unit(light.towards + np.array([0.0, 0.0, 1.0])) @ turn
            lobe = np.maximum(normals @ half.astype(np.float32), 0) ** _GLARE_POWER
            total += lobe[:, None] * (_GLARE * light.course[frame]).astype(np.float32)
        return total

    def flat(self, frame: int, normal: Floats) -> Floats:
        """Irradiance (3,) of a plane that faces `normal` (3,)."""
        total = np.zeros(3)
        for light, mean in zip(self.lights, self._mean, strict=True):
            total += float(_diffuse(light, normal[None])[0]) * light.course[frame] / mean
        return np.maximum(total, 0.01)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)


def _received(cosine: Floats32, width: float) -> Floats32:
    """Share of a light that matt surfaces receive by the cosine to it: the first three of the spherical harmonics.

    Ramamoorthi & Hanrahan 2001; a wide source weakens the higher ones.
    """
    second = (5 / 32) * (1 - width)
    return np.asarray(0.25 + 0.5 * (1 - 0.35 * width) * cosine + second * (3 * cosine * cosine - 1), np.float32)


def _diffuse(light: Light, normals: Floats) -> Floats32:
    return _received((normals @ light.towards).astype(np.float32), light.width)


def _falloff(light: Light, towards: Floats32, shift: Floats, nodes: Floats32) -> Floats32 | float:
    """Inverse square of the distance to the light, 1 at the place of the unmoved face."""
    if light.distance is None:
        return 1.0
    nearer = nodes @ towards + np.float32(light.towards @ shift)
    distance = np.maximum(light.distance - nearer + 0.2, 0.5 * light.distance)
    return np.asarray((light.distance / distance) ** 2, np.float32)


def _common(shot: Shot) -> Floats:
    """Course (n,) of the room's light: slow drift, and what mains flicker leaves after the shutter."""
    conditions = shot.conditions
    rng = conditions.rng("head3d/room light")
    grid = grid_for(shot.times_s)
    drift = wandering(rng, len(grid), 6.0)
    flicker = np.sin(2 * np.pi * (conditions.room_flicker_hz * shot.times_s + rng.random()))
    slow = 1 + conditions.light_drift * np.interp(shot.times_s, grid, drift)
    return np.asarray(slow * (1 + conditions.room_flicker_depth * flicker), np.float64)


def person_course(shot: Shot) -> Floats:
    """Changes (n,) of the person's light, of standard deviation 1: a rhythmic part, and one of its kind's own."""
    conditions = shot.conditions
    rng = conditions.rng("head3d/person light")
    grid = grid_for(shot.times_s)
    phase = phase_of(rng, len(grid), conditions.person_light_hz, 0.01)
    part = phase % 1
    if conditions.person_light == "monitor":  # an animation: up at once, down slowly
        rhythm = minimum_jerk(part / 0.2) - minimum_jerk((part - 0.3) / 0.7)
    else:
        rhythm = np.sin(2 * np.pi * phase) + 0.2 * np.sin(4 * np.pi * phase + 1)
    own = _own_course(conditions, grid, rng)
    share = conditions.person_light_rhythmic
    mixed = np.sqrt(share) * standardised(rhythm) + np.sqrt(1 - share) * own
    return standardised(np.interp(shot.times_s, grid, mixed))


def _own_course(conditions: Conditions, grid: Floats, rng: np.random.Generator) -> Floats:
    """What a monitor, a television, a lamp or a window does besides rhythms, (m,) of standard deviation 1."""
    if conditions.person_light == "monitor":
        return standardised(_scenes(rng, grid, 0.8, 5.0, 0.05) + 0.5 * _scroll(rng, grid))
    if conditions.person_light == "television":
        pans = wandering(rng, len(grid), 0.5)
        return standardised(_scenes(rng, grid, 1.0, 6.0, 0.03) + 0.35 * pans)
    if conditions.person_light == "window":
        return standardised(wandering(rng, len(grid), 3.0) + 0.3 * wandering(rng, len(grid), 0.6))
    return wandering(rng, len(grid), 1.0)


def _scenes(rng: np.random.Generator, grid: Floats, shortest_s: float, longest_s: float, step_s: float) -> Floats:
    """Levels (m,) that change at cuts; within a scene the light moves evenly."""
    cuts = events(rng, grid, shortest_s, longest_s)
    scene = np.searchsorted(cuts, grid)
    levels, slopes = rng.standard_normal(len(cuts) + 1), 0.15 * rng.standard_normal(len(cuts) + 1)
    starts = np.concatenate([grid[:1], cuts])
    course = levels[scene] + slopes[scene] * (grid - starts[scene])
    width = max(1, round(step_s * GRID_HZ))
    return np.asarray(uniform_filter1d(course, width), np.float64)


def _scroll(rng: np.random.Generator, grid: Floats) -> Floats:
    """A page (m,) that is scrolled by reaches of 0.3 s."""
    course = np.zeros(len(grid))
    for moment in events(rng, grid, 0.4, 3.0):
        course += float(rng.standard_normal()) * minimum_jerk((grid - moment) / 0.3)
    return course
