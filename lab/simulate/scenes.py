"""What is in front of the camera: the living person, and everything that must not be taken for one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lab.simulate import background
from lab.simulate.attacks import bent_print, on_screen
from lab.simulate.flat_props import clipboard, corners_of, held, print_of
from lab.simulate.optics import Image
from lab.simulate.person import Figure
from lab.simulate.physiology import Body, Floats, live
from lab.simulate.portrait import Portrait, load_portrait, masked, read_picture
from lab.simulate.posture import Posture, at_rest, moved, sitting
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

    def rooms(self) -> tuple[Image, Image]:
        """The room in which a film was made, and another one in which it is shown."""
        return self.room(), np.ascontiguousarray(self.room()[:, ::-1])

    def portrait(self, share: float = FACE_SHARE) -> Portrait:
        """The person, their face `share` of the picture's height."""
        spec = self.spec
        return load_portrait(spec.portrait, share * spec.height, spec.portrait_skin_tone, spec.skin_tone)

    def person(self, portrait: Portrait, across: float = 0.5, down: float = 0.44) -> Figure:
        """`portrait` in the frame, its face's middle at shares of the picture's width and height."""
        place = (across * self.spec.width, down * self.spec.height)
        return Figure(portrait, self.size, place, self.spec.skin_tone, self.spec.pulse_strength)

    def sitting(self, body: Body) -> Posture:
        """How they move, frame by frame."""
        return sitting(body, self.times_s, self.spec.motion, self.spec.blink_rate, self.rng)

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
    behind, figure, body = stage.room(), stage.person(stage.portrait()), stage.body()
    posture = stage.sitting(body)
    return Take(lambda i: figure.paint(behind, posture.at(i)), body)


def _still(stage: Stage) -> Take:
    picture = stage.person(stage.portrait()).paint(stage.room(), at_rest(1).at(0))
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
    behind, figure, body = stage.room(), stage.person(stage.portrait()), stage.body()
    posture = stage.sitting(body)
    part = np.clip((stage.times_s - 0.35 * stage.spec.duration_s) / 1.5, 0, 1)
    way = part * part * (3 - 2 * part) * 1.2 * stage.spec.width / (FACE_SHARE * stage.spec.height)
    posture = moved(posture, way, 0.1 * way)
    return Take(lambda i: figure.paint(behind, posture.at(i)), None)


def _waved(stage: Stage) -> Take:
    behind, portrait = stage.room(), stage.portrait(0.3)
    photo = print_of(portrait)
    width, height = stage.size
    size = (2.12 * portrait.face_height, 2.47 * portrait.face_height)
    hand = held(stage.times_s, 0.09, 0.4, 1.2, stage.rng)

    def picture(i: int) -> Image:
        across, down, roll, yaw = hand[i]
        centre = np.array([(0.5 + across) * width, (0.5 + down) * height])
        return photo.paint(behind, corners_of(centre, size, roll, yaw))

    return Take(picture, None)


def _behind_board(stage: Stage, across: float, down: float, roll: float) -> tuple[Callable[[int], Image], Body]:
    """A living person, a clipboard's middle held at `across`, `down` face heights from that of their face."""
    behind, figure, body = stage.room(), stage.person(stage.portrait()), stage.body()
    posture = stage.sitting(body)
    unit = FACE_SHARE * stage.spec.height
    size = (1.3 * unit, 1.8 * unit)
    board = clipboard(round(size[0]), round(size[1]))
    place = np.array([0.5 * stage.spec.width, 0.44 * stage.spec.height])
    hand = held(stage.times_s, 0.01, 0.05, 0.6, stage.rng) + np.array([across, down, roll, 0.0])

    def picture(i: int) -> Image:
        corners = corners_of(place + unit * hand[i, :2], size, hand[i, 2], hand[i, 3])
        return board.paint(figure.paint(behind, posture.at(i)), corners)

    return picture, body


def _covered(stage: Stage) -> Take:
    picture, _ = _behind_board(stage, 0.0, 0.8, 0.03)
    return Take(picture, None)


def _half_covered(stage: Stage) -> Take:
    picture, body = _behind_board(stage, -0.68, 0.1, 0.06)
    return Take(picture, body)


def _masked(stage: Stage) -> Take:
    behind, figure, body = stage.room(), stage.person(masked(stage.portrait())), stage.body()
    posture = stage.sitting(body)
    return Take(lambda i: figure.paint(behind, posture.at(i)), body)


def _two_faces(stage: Stage) -> Take:
    spec = stage.spec
    behind, body = stage.room(), stage.body()
    posture = stage.sitting(body)
    guest = replace(
        spec,
        portrait=np.ascontiguousarray(read_picture(spec.portrait)[:, ::-1]),
        skin_tone=spec.skin_tone + 3 if spec.skin_tone <= 3 else spec.skin_tone - 3,
        heart_rate=spec.heart_rate + 19 if spec.heart_rate < 120 else spec.heart_rate - 19,
        seed=(spec.seed + 1) % 2**32,
    )
    other = replace(stage, spec=guest)
    other_posture = other.sitting(other.body())
    near, far = stage.person(stage.portrait(0.33), 0.3, 0.5), other.person(other.portrait(0.29), 0.72, 0.42)
    return Take(lambda i: near.paint(far.paint(behind, other_posture.at(i)), posture.at(i)), None, faces=2)


def _screen(stage: Stage) -> Take:
    behind = stage.room()
    figure, rest = stage.person(stage.portrait()), at_rest(1).at(0)
    glow = stage.body().pulse(stage.times_s)
    tint = np.array([0.7, 1.0, 1.15], dtype=np.float32)

    def picture(i: int) -> Image:
        # A tenth of what the screen adds to the wall falls on the face as well.
        room, spill = 1 + 0.05 * glow[i] * tint, 1 + 0.005 * glow[i] * tint
        return np.asarray(figure.paint((behind * (room / spill)).astype(np.float32), rest) * spill, dtype=np.float32)

    return Take(picture, None)


def _bent(stage: Stage) -> Take:
    return Take(bent_print(stage.portrait(0.3), stage.room(), stage.times_s, stage.rng), None)


def _replayed(stage: Stage) -> Take:
    """The victim's pulse is in the film; it is no pulse of somebody before the camera."""
    posture = stage.sitting(stage.body())
    figure = stage.person(stage.portrait(0.5))
    return Take(on_screen(figure, stage.rooms(), posture, stage.times_s, stage.rng), None)


def _shown(stage: Stage) -> Take:
    figure = stage.person(stage.portrait(0.5))
    return Take(on_screen(figure, stage.rooms(), None, stage.times_s, stage.rng), None)


_KINDS: Final = (
    Kind("live", "a living person before a webcam", _live),
    Kind("still", "a still photograph that fills the scene", _still),
    Kind("waved", "a printed photograph waved by hand", _waved),
    Kind("wall", "a bare wall", _wall),
    Kind("noise", "nothing but noise", _noise),
    Kind("frozen", "a living person whose stream freezes after two seconds", _frozen),
    Kind("no_face", "the room with nobody in it", _no_face),
    Kind("two_faces", "two living people side by side", _two_faces),
    Kind("covered", "a living person with a board before the face, up to the eyes", _covered),
    Kind(
        "half_covered", "a living person with a board before half of the face; the other half does pulse", _half_covered
    ),
    Kind("masked", "a living person in a surgical mask; what is left of the face does pulse", _masked),
    Kind("face_leaves", "a living person who leaves after a third of the clip", _leaving),
    Kind(
        "flicker",
        "a still photograph under a lamp that flickers like a pulse",
        _still,
        lambda spec: replace(spec, flicker_hz=spec.heart_rate / 60, flicker_depth=0.01),
    ),
    Kind("screen", "a still photograph before a screen that pulsates", _screen),
    Kind("bent", "a printed photograph bent and moved by hand", _bent),
    Kind("replayed", "a film of a living person on a screen, with their pulse in it", _replayed),
    Kind("shown", "a still photograph on a screen", _shown),
    Kind("too_short", "a living person for four seconds", _live, lambda spec: replace(spec, duration_s=4.0)),
    Kind("low_fps", "a living person at five frames a second", _live, lambda spec: replace(spec, fps=5.0)),
)
KINDS: Final = {kind.name: kind for kind in _KINDS}
"""Every kind of clip by name."""
