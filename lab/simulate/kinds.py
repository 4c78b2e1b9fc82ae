"""What is in front of the camera: the living person, and everything that must not be taken for one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lab.simulate import background
from lab.simulate.figure import Figure
from lab.simulate.optics import Image
from lab.simulate.physiology import Body, Floats, live
from lab.simulate.portrait import Portrait, load_portrait
from lab.simulate.posture import at_rest, moved, sitting
from lab.simulate.spec import ClipSpec

FACE_SHARE = 0.37
"""Height of the face (forehead to chin) in the picture's: a person half a metre to a metre from a laptop."""


@dataclass(frozen=True)
class Take:
    """What the camera is pointed at. `picture(i)` is (h, w, 3) linear light of frame i; `body` whose life is the
    truth, None where there is none; `frozen` the frame after which the stream repeats itself; `faces` how many faces
    are to be seen."""

    picture: Callable[[int], Image]
    body: Body | None
    faces: int = 1
    frozen: int | None = None


@dataclass(frozen=True)
class Stage:
    """What a kind is built from: conditions, times of the frames (n,), and random numbers of its own."""

    spec: ClipSpec
    times_s: Floats
    rng: np.random.Generator

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.spec.width, self.spec.height

    def room(self) -> Image:
        """The room behind."""
        return background.room(*self.size, np.random.default_rng([self.spec.seed, 2]))

    def portrait(self, share: float = FACE_SHARE) -> Portrait:
        """The person, their face `share` of the picture's height."""
        spec = self.spec
        return load_portrait(spec.portrait, share * spec.height, spec.portrait_skin_tone, spec.skin_tone)

    def figure(self, across: float = 0.5, down: float = 0.44) -> Figure:
        """The person, their face's middle at shares of the picture's width and height."""
        place = (across * self.spec.width, down * self.spec.height)
        return Figure(self.portrait(), self.size, place, self.spec.skin_tone, self.spec.pulse_strength)

    def body(self) -> Body:
        """The person's rhythms: those of `pulse_wave` for the same rates and seed."""
        spec = self.spec
        rng = np.random.default_rng([spec.seed, 0])
        return live(spec.heart_rate, spec.respiration_rate, spec.duration_s, rng, spec.hrv_sdnn_ms)


@dataclass(frozen=True)
class Kind:
    """A scene by name. `change` sets the conditions that belong to it."""

    name: str
    summary: str
    build: Callable[[Stage], Take]
    change: Callable[[ClipSpec], ClipSpec] = lambda spec: spec


def _live(stage: Stage) -> Take:
    behind, figure, body = stage.room(), stage.figure(), stage.body()
    posture = sitting(body, stage.times_s, stage.spec.motion, stage.spec.blink_rate, stage.rng)
    return Take(lambda i: figure.paint(behind, posture.at(i)), body)


def _still(stage: Stage) -> Take:
    picture = stage.figure().paint(stage.room(), at_rest(1).at(0))
    return Take(lambda _: picture, None)


def _wall(stage: Stage) -> Take:
    picture = background.wall(*stage.size, stage.rng)
    return Take(lambda _: picture, None, faces=0)


def _noise(stage: Stage) -> Take:
    width, height = stage.size
    return Take(lambda _: stage.rng.random((height, width, 3), dtype=np.float32), None, faces=0)


def _frozen(stage: Stage) -> Take:
    return replace(
        _live(stage), body=None, frozen=int(np.searchsorted(stage.times_s, min(2.0, 0.2 * stage.spec.duration_s)))
    )


def _no_face(stage: Stage) -> Take:
    picture = stage.room()
    return Take(lambda _: picture, None, faces=0)


def _leaving(stage: Stage) -> Take:
    behind, figure, body = stage.room(), stage.figure(), stage.body()
    posture = sitting(body, stage.times_s, stage.spec.motion, stage.spec.blink_rate, stage.rng)
    part = np.clip((stage.times_s - 0.35 * stage.spec.duration_s) / 1.5, 0, 1)
    way = part * part * (3 - 2 * part) * 1.2 * stage.spec.width / (FACE_SHARE * stage.spec.height)
    posture = moved(posture, way, 0.1 * way)
    return Take(lambda i: figure.paint(behind, posture.at(i)), None)


_KINDS: Final = (
    Kind("live", "a living person before a webcam", _live),
    Kind("still", "a still photograph that fills the scene", _still),
    Kind("wall", "a bare wall", _wall),
    Kind("noise", "nothing but noise", _noise),
    Kind("frozen", "a living person whose stream freezes after two seconds", _frozen),
    Kind("no_face", "the room with nobody in it", _no_face),
    Kind("face_leaves", "a living person who leaves after a third of the clip", _leaving),
    Kind(
        "flicker",
        "a still photograph under a lamp that flickers like a pulse",
        _still,
        lambda spec: replace(spec, flicker_hz=spec.heart_rate / 60, flicker_depth=0.01),
    ),
    Kind("too_short", "a living person for four seconds", _live, lambda spec: replace(spec, duration_s=4.0)),
    Kind("low_fps", "a living person at five frames a second", _live, lambda spec: replace(spec, fps=5.0)),
)
KINDS: Final = {kind.name: kind for kind in _KINDS}
"""Every kind of clip by name."""
