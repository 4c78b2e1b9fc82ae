"""Movements of a person before a webcam: sway, head turns, breathing, blinks and the pulse, one value a frame."""

from dataclasses import dataclass, fields, replace

import numpy as np

from lab.arrays import Floats
from lab.simulate.physiology import Body, sample_body, wander

#: Rise of the shoulders from the end of expiration to the end of inspiration, in face heights: about 4 mm for a face
#: of 19 cm.
BREATH_RISE = 0.022
#: Share of that rise that the head follows.
BREATH_NOD = 0.25
#: Rise of the head with each beat, in face heights: the ballistocardiographic motion, below 0.1 mm.
RECOIL = 0.0004
#: Length of a blink in seconds.
BLINK_S = 0.28


@dataclass(frozen=True)
class Posture:
    """Curves (n,) over n frames, lengths in face heights, angles in radians; all zero is the portrait as it is.

    across, down              translation of the head
    roll, yaw, pitch          turns of the head (roll clockwise)
    nearer                    growth of the head, as a share
    breath                    lung volume in [-1, 1]
    pulse, pulse_speed        blood volume, 1 for an average beat, and its change per second
    lids                      0 open, 1 closed
    shift_across, shift_down  translation of the whole person
    mouth                     opening between the lips, in face heights
    brows                     rise of the brows, in face heights
    """

    across: Floats
    down: Floats
    roll: Floats
    yaw: Floats
    pitch: Floats
    nearer: Floats
    breath: Floats
    pulse: Floats
    pulse_speed: Floats
    lids: Floats
    shift_across: Floats
    shift_down: Floats
    mouth: Floats
    brows: Floats

    def at(self, index: int) -> "Moment":
        """The values of one frame."""
        return Moment(**{curve.name: float(getattr(self, curve.name)[index]) for curve in fields(self)})


@dataclass(frozen=True)
class Moment:
    """`Posture` at one frame."""

    across: float
    down: float
    roll: float
    yaw: float
    pitch: float
    nearer: float
    breath: float
    pulse: float
    pulse_speed: float
    lids: float
    shift_across: float
    shift_down: float
    mouth: float
    brows: float


def at_rest(frames: int) -> Posture:
    """A posture of `frames` frames without motion or pulse: a photograph."""
    zero = np.zeros(frames)
    return Posture(**{curve.name: zero for curve in fields(Posture)})


def sitting(body: Body, times_s: Floats, motion: float, blink_rate: float, rng: np.random.Generator) -> Posture:
    """The posture of a person with `body` who sits before the camera, at `times_s` (n,) seconds.

    motion      factor on sway and turns: 1 is natural, 0 none
    blink_rate  blinks a minute
    """

    def sway(size: float, low_hz: float = 0.03, high_hz: float = 0.4) -> Floats:
        return motion * size * wander(times_s, low_hz, high_hz, rng)

    wave = sample_body(body, times_s)
    ahead = body.pulse(times_s + 0.01)
    behind = body.pulse(times_s - 0.01)
    rise = -0.5 * BREATH_RISE * BREATH_NOD * wave.lung_volume
    return Posture(
        across=sway(0.012),
        down=sway(0.005) + rise - RECOIL * wave.values,
        roll=sway(np.radians(0.6)),
        yaw=sway(np.radians(1.0)),
        pitch=sway(np.radians(0.6)) - 0.002 * wave.lung_volume,
        nearer=sway(0.004, 0.02, 0.2),
        breath=wave.lung_volume,
        pulse=wave.values,
        pulse_speed=(ahead - behind) / 0.02,
        lids=blinking(times_s, blink_rate, rng),
        shift_across=np.zeros(len(times_s)),
        shift_down=np.zeros(len(times_s)),
        mouth=np.zeros(len(times_s)),
        brows=np.zeros(len(times_s)),
    )


def moved(posture: Posture, across: Floats, down: Floats) -> Posture:
    """`posture` with the whole person shifted by the curves `across` and `down` (n,), in face heights."""
    return replace(posture, shift_across=posture.shift_across + across, shift_down=posture.shift_down + down)


def blinking(times_s: Floats, rate: float, rng: np.random.Generator) -> Floats:
    """Closure of the lids (n,) in [0, 1]: blinks at random times, at least a second apart."""
    lids = np.zeros(len(times_s))
    if rate <= 0:
        return lids
    moment = float(times_s[0]) + rng.exponential(60 / rate)
    while moment < times_s[-1]:
        part = (times_s - moment) / BLINK_S
        # Lids fall in a third of the time that they take to rise.
        shape = np.where(part < 0.25, part / 0.25, (1 - part) / 0.75)
        lids = np.maximum(lids, np.clip(shape, 0, 1) * (part > 0) * (part < 1))
        moment += 1.0 + rng.exponential(max(60 / rate - 1.0, 0.2))
    return lids
