"""Light of a clip of the world: of the room, and of what lights the person alone."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.arrays import Floats, Floats32
from lab.simulate.optics import Image
from lab.simulate.physiology import wander
from lab.world.conditions import Conditions

#: Colours of a light that falls on the person, as linear RGB. "blood" is not among them: it has the blood's own.
_TINTS: Final = {
    "white": (1.0, 1.0, 1.0),
    "cold": (0.75, 1.0, 1.4),
    "warm": (1.45, 1.0, 0.55),
    "green": (0.35, 1.25, 0.45),
    "red": (1.7, 0.45, 0.4),
}
#: Share of the person's light that reaches the room behind.
_SPILL: Final = 0.05
#: Share of a light's colour cast that remains after the camera's white balance.
_CAST: Final = 0.5
#: How much a person's light differs between both sides of a face, as a share, by kind: a screen is wide and before it.
_ONE_SIDED: Final = {"none": 0.0, "monitor": 0.08, "television": 0.15, "lamp": 0.35, "window": 0.3}
#: Share of the light of a room that comes from its main direction, per unit of `light_field`.
_DIRECTED: Final = 1.2
#: Largest change, as a logarithm, of the light over the picture.
_MAX_FIELD: Final = 0.8
#: Colour drift of the room's light, relative to the drift of its level.
_COLOUR_DRIFT: Final = 0.15


@dataclass(frozen=True)
class Light:
    """Gains of the light over n frames, each 1 on average.

    room, person  (n, 3) linear RGB
    side          (n,) change of the person's light as a share of all light on them: on one side of the face it is more
    one_sided     (dx, 1) direction across, -1 or 1, times the difference between both sides
    direction     (3,) of the main light, length 1: right, down, towards the viewer
    field         change of the light per face height along `direction`, as a logarithm
    band_depth, band_count  of rolling bands;  band_turns  (n,) their phase in turns
    """

    room: Floats
    person: Floats
    side: Floats
    one_sided: float
    direction: tuple[float, float, float]
    field: float
    band_depth: float
    band_count: float
    band_turns: Floats

    @property
    def ambient(self) -> float:
        """Light from all around, relative to the light from the main direction."""
        directed = min(_DIRECTED * self.field, 0.8)
        return (1 - directed) / directed

    def at_place(self, across: Floats, down: Floats, nearer: Floats) -> Floats:
        """Gain (n,) on a head that is moved by these face heights, and grows by this share."""
        x, y, z = self.direction
        # A head that is a share nearer is that share of a viewing distance, about three face heights, nearer.
        return np.exp(self.field * (x * across + y * down + z * 0.5 * 3 * nearer))

    def over_room(self, size: tuple[int, int], place: tuple[float, float], unit: float) -> Image:
        """Gain (h, w, 1) of the light at each place of a room, relative to the light on the face at `place`."""
        across = (np.arange(size[0]) - place[0])[None, :] / unit
        down = (np.arange(size[1]) - place[1])[:, None] / unit
        logarithm = 0.5 * self.field * (self.direction[0] * across + self.direction[1] * down)
        return np.exp(_MAX_FIELD * np.tanh(logarithm / _MAX_FIELD))[..., None].astype(np.float32)

    def bands(self, index: int, height: int) -> Floats32 | None:
        """Gain (h, 1) of rolling bands in a frame; None without bands."""
        if not self.band_depth:
            return None
        turns = self.band_count * np.arange(height)[:, None] / height - self.band_turns[index]
        return np.asarray(1 + self.band_depth * np.sin(2 * np.pi * turns), dtype=np.float32)


def light_of(conditions: Conditions, times: Floats) -> Light:
    """The light of a clip at `times` (n,) seconds."""
    rng = conditions.rng("room light")
    level = 1 + conditions.light_drift * wander(times, 0.02, 0.25, rng)
    beat = np.sin(2 * np.pi * conditions.room_flicker_hz * times + rng.uniform(0, 2 * np.pi))
    level = level * (1 + conditions.room_flicker_depth * beat)
    colour = np.stack([wander(times, 0.02, 0.2, rng) for _ in range(3)], axis=1)
    room = level[:, None] * (1 + _COLOUR_DRIFT * conditions.light_drift * colour)
    around, above = rng.uniform(-1.2, 1.2), rng.uniform(0.1, 0.9)
    direction = (float(np.sin(around) * np.cos(above)), float(-np.sin(above)), float(np.cos(around) * np.cos(above)))
    turns = conditions.band_hz * times + rng.uniform()
    room, person, side = _with_person_light(conditions, times, room)
    kind = conditions.person_light
    one_sided = _ONE_SIDED[kind] * float(conditions.rng("side").choice([-1.0, 1.0]))
    return Light(
        room, person, side, one_sided, direction, conditions.light_field,
        conditions.band_depth, conditions.band_count, turns,
    )  # fmt: skip


def _with_person_light(conditions: Conditions, times: Floats, room: Floats) -> tuple[Floats, Floats, Floats]:
    """Gains of room and person (n, 3) with the person's own light, and its change (n,) as a share of all light."""
    if conditions.person_light == "none":
        return room, room, np.zeros(len(times))
    share = conditions.person_light_share
    change = person_change(conditions, times)
    if conditions.person_light_tint == "blood":
        shares = share * conditions.blood_rgb / conditions.blood_rgb.max()
        cast = np.ones(3)
    else:
        colour = share * np.array(_TINTS[conditions.person_light_tint])
        shares = colour / (1 - share + colour)
        cast = (1 - share + colour) ** _CAST
    person = cast * ((1 - shares) * room + shares * (1 + change[:, None]))
    spill = _SPILL * shares
    return (1 - spill) * room + spill * (1 + change[:, None]), person, share * change


def person_change(conditions: Conditions, times: Floats) -> Floats:
    """Change (n,) of the person's light, of standard deviation `person_light_depth`."""
    rng = conditions.rng("person light")
    irregular = _standard(_IRREGULAR[conditions.person_light](times, rng))
    drift = 1 + 0.003 * wander(times, 0.05, 0.3, rng)
    phase = 2 * np.pi * conditions.person_light_hz * times * drift + rng.uniform(0, 2 * np.pi)
    # Animations and cursors are less round than a sine.
    rhythmic = _standard(np.sin(phase) + rng.uniform(0, 0.4) * np.sin(2 * phase + rng.uniform(0, 2 * np.pi)))
    share = conditions.person_light_rhythmic
    change = conditions.person_light_depth * (np.sqrt(share) * rhythmic + np.sqrt(1 - share) * irregular)
    return np.asarray(np.maximum(change, -0.9), dtype=np.float64)


def _standard(curve: Floats) -> Floats:
    curve = curve - curve.mean()
    return np.asarray(curve / max(float(curve.std()), 1e-9), dtype=np.float64)


def _steps(times: Floats, rng: np.random.Generator, rate_hz: float, lasts_s: float) -> Floats:
    """Levels that change at random times, `rate_hz` a second, within `lasts_s`."""
    count = 1 + int(rng.poisson(rate_hz * float(times[-1] - times[0])))
    starts = np.sort(rng.uniform(times[0], times[-1], count))
    curve = np.zeros(len(times))
    for start, step in zip(starts, np.diff(rng.standard_normal(count + 1)), strict=True):
        curve += step * np.clip((times - start) / lasts_s, 0, 1)
    return curve


def _monitor(times: Floats, rng: np.random.Generator) -> Floats:
    """Pages that change at once, and pages that scroll."""
    return _steps(times, rng, 0.3, 0.05) + 0.6 * _steps(times, rng, 0.6, 0.5)


def _television(times: Floats, rng: np.random.Generator) -> Floats:
    """Cuts of a film, and motion within its shots."""
    return _steps(times, rng, 0.5, 0.03) + 0.4 * wander(times, 0.2, 2.5, rng)


def _lamp(times: Floats, rng: np.random.Generator) -> Floats:
    """A steady lamp that warms up and is shaded a little."""
    return wander(times, 0.03, 0.3, rng)


def _window(times: Floats, rng: np.random.Generator) -> Floats:
    """Slow clouds."""
    return wander(times, 0.01, 0.15, rng)


_IRREGULAR: Final = {"monitor": _monitor, "television": _television, "lamp": _lamp, "window": _window}
