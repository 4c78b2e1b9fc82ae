"""Scenes that a clip can show: a living person, and negatives in which no pulse may be reported."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lab.arrays import Floats
from lab.simulate import rooms
from lab.simulate.attacks import bent_print, on_screen
from lab.simulate.flat_props import clipboard, corners_of, hand_motion, photo_print
from lab.simulate.optics import Image
from lab.simulate.person import Person
from lab.simulate.physiology import Body, live
from lab.simulate.portrait import PortraitLayers, load_portrait, masked, read_picture
from lab.simulate.posture import Posture, at_rest, moved, sitting
from lab.simulate.spec import ClipSpec

#: Height of the face (forehead to chin) as a share of the picture's: a person 0.5 to 1 m from a laptop.
FACE_SHARE = 0.37


@dataclass(frozen=True)
class Scene:
    """What the camera sees.

    picture  gives (h, w, 3) linear light of a frame by its index
    body     the person whose rhythms are the clip's truth; None without one
    faces    number of faces
    frozen   index of the frame that repeats until the end; None if the stream does not freeze
    """

    picture: Callable[[int], Image]
    body: Body | None
    faces: int = 1
    frozen: int | None = None


@dataclass(frozen=True)
class Setting:
    """What a scene is built from: the spec, the frames' times (n,) in seconds, and a random generator."""

    spec: ClipSpec
    times_s: Floats
    rng: np.random.Generator

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.spec.width, self.spec.height

    def room(self) -> Image:
        """The room behind the person, (h, w, 3) linear light."""
        return rooms.room(*self.size, np.random.default_rng([self.spec.seed, 2]))

    def rooms(self) -> tuple[Image, Image]:
        """The rooms (h, w, 3) that a replayed film was recorded in, and that it is replayed in."""
        return self.room(), np.ascontiguousarray(self.room()[:, ::-1])

    def portrait(self, share: float = FACE_SHARE) -> PortraitLayers:
        """The person, `share` of the picture's height from forehead to chin."""
        spec = self.spec
        return load_portrait(spec.portrait, share * spec.height, spec.portrait_skin_tone, spec.skin_tone)

    def person(self, portrait: PortraitLayers, across: float = 0.5, down: float = 0.44) -> Person:
        """`portrait` in the frame, the middle of the face at these shares of its width and height."""
        place = (across * self.spec.width, down * self.spec.height)
        return Person(portrait, self.size, place, self.spec.skin_tone, self.spec.pulse_strength)

    def sitting(self, body: Body) -> Posture:
        """The movements of a person with `body` who sits before the camera."""
        return sitting(body, self.times_s, self.spec.motion, self.spec.blink_rate, self.rng)

    def body(self) -> Body:
        """The person's rhythms: those of `pulse_wave` for the same rates and seed."""
        spec = self.spec
        rng = np.random.default_rng([spec.seed, 0])
        return live(spec.heart_rate, spec.respiration_rate, spec.duration_s, rng, spec.hrv_sdnn_ms)


@dataclass(frozen=True)
class Kind:
    """A scene by name. `change` sets the conditions of the spec that belong to it."""

    name: str
    summary: str
    build: Callable[[Setting], Scene]
    change: Callable[[ClipSpec], ClipSpec] = lambda spec: spec


def _live(setting: Setting) -> Scene:
    behind, person, body = setting.room(), setting.person(setting.portrait()), setting.body()
    posture = setting.sitting(body)
    return Scene(lambda i: person.paint(behind, posture.at(i)), body)


def _still(setting: Setting) -> Scene:
    picture = setting.person(setting.portrait()).paint(setting.room(), at_rest(1).at(0))
    return Scene(lambda _: picture, None)


def _wall(setting: Setting) -> Scene:
    picture = rooms.wall(*setting.size, setting.rng)
    return Scene(lambda _: picture, None, faces=0)


def _noise(setting: Setting) -> Scene:
    width, height = setting.size
    return Scene(lambda _: setting.rng.random((height, width, 3), dtype=np.float32), None, faces=0)


def _frozen(setting: Setting) -> Scene:
    return replace(
        _live(setting), body=None, frozen=int(np.searchsorted(setting.times_s, min(2.0, 0.2 * setting.spec.duration_s)))
    )


def _no_face(setting: Setting) -> Scene:
    picture = setting.room()
    return Scene(lambda _: picture, None, faces=0)


def _leaving(setting: Setting) -> Scene:
    behind, person, body = setting.room(), setting.person(setting.portrait()), setting.body()
    posture = setting.sitting(body)
    part = np.clip((setting.times_s - 0.35 * setting.spec.duration_s) / 1.5, 0, 1)
    way = part * part * (3 - 2 * part) * 1.2 * setting.spec.width / (FACE_SHARE * setting.spec.height)
    posture = moved(posture, way, 0.1 * way)
    return Scene(lambda i: person.paint(behind, posture.at(i)), None)


def _waved(setting: Setting) -> Scene:
    behind, portrait = setting.room(), setting.portrait(0.3)
    photo = photo_print(portrait)
    width, height = setting.size
    size = (2.12 * portrait.face_height, 2.47 * portrait.face_height)
    hand = hand_motion(setting.times_s, 0.09, 0.4, 1.2, setting.rng)

    def picture(i: int) -> Image:
        across, down, roll, yaw = hand[i]
        centre = np.array([(0.5 + across) * width, (0.5 + down) * height])
        return photo.paint(behind, corners_of(centre, size, roll, yaw))

    return Scene(picture, None)


def _behind_board(setting: Setting, across: float, down: float, roll: float) -> tuple[Callable[[int], Image], Body]:
    """A living person behind a clipboard, whose middle is `across`, `down` face heights from that of the face."""
    behind, person, body = setting.room(), setting.person(setting.portrait()), setting.body()
    posture = setting.sitting(body)
    unit = FACE_SHARE * setting.spec.height
    size = (1.3 * unit, 1.8 * unit)
    board = clipboard(round(size[0]), round(size[1]))
    place = np.array([0.5 * setting.spec.width, 0.44 * setting.spec.height])
    hand = hand_motion(setting.times_s, 0.01, 0.05, 0.6, setting.rng) + np.array([across, down, roll, 0.0])

    def picture(i: int) -> Image:
        corners = corners_of(place + unit * hand[i, :2], size, hand[i, 2], hand[i, 3])
        return board.paint(person.paint(behind, posture.at(i)), corners)

    return picture, body


def _covered(setting: Setting) -> Scene:
    picture, _ = _behind_board(setting, 0.0, 0.8, 0.03)
    return Scene(picture, None)


def _half_covered(setting: Setting) -> Scene:
    picture, body = _behind_board(setting, -0.68, 0.1, 0.06)
    return Scene(picture, body)


def _masked(setting: Setting) -> Scene:
    behind, person, body = setting.room(), setting.person(masked(setting.portrait())), setting.body()
    posture = setting.sitting(body)
    return Scene(lambda i: person.paint(behind, posture.at(i)), body)


def _two_faces(setting: Setting) -> Scene:
    spec = setting.spec
    behind, body = setting.room(), setting.body()
    posture = setting.sitting(body)
    guest = replace(
        spec,
        portrait=np.ascontiguousarray(read_picture(spec.portrait)[:, ::-1]),
        skin_tone=spec.skin_tone + 3 if spec.skin_tone <= 3 else spec.skin_tone - 3,
        heart_rate=spec.heart_rate + 19 if spec.heart_rate < 120 else spec.heart_rate - 19,
        seed=(spec.seed + 1) % 2**32,
    )
    other = replace(setting, spec=guest)
    other_posture = other.sitting(other.body())
    near, far = setting.person(setting.portrait(0.33), 0.3, 0.5), other.person(other.portrait(0.29), 0.72, 0.42)
    return Scene(lambda i: near.paint(far.paint(behind, other_posture.at(i)), posture.at(i)), None, faces=2)


def _screen(setting: Setting) -> Scene:
    behind = setting.room()
    person, rest = setting.person(setting.portrait()), at_rest(1).at(0)
    glow = setting.body().pulse(setting.times_s)
    tint = np.array([0.7, 1.0, 1.15], dtype=np.float32)

    def picture(i: int) -> Image:
        # A tenth of the light that the screen adds to the wall falls on the face.
        light = float(glow[i])
        room, spill = 1 + 0.05 * light * tint, 1 + 0.005 * light * tint
        return np.asarray(person.paint((behind * (room / spill)).astype(np.float32), rest) * spill, dtype=np.float32)

    return Scene(picture, None)


def _bent(setting: Setting) -> Scene:
    return Scene(bent_print(setting.portrait(0.3), setting.room(), setting.times_s, setting.rng), None)


def _replayed(setting: Setting) -> Scene:
    """The film contains the victim's pulse, but no living person is before the camera."""
    posture = setting.sitting(setting.body())
    person = setting.person(setting.portrait(0.5))
    return Scene(on_screen(person, setting.rooms(), posture, setting.times_s, setting.rng), None)


def _shown(setting: Setting) -> Scene:
    person = setting.person(setting.portrait(0.5))
    return Scene(on_screen(person, setting.rooms(), None, setting.times_s, setting.rng), None)


_KINDS: Final = (
    Kind("live", "a living person before a webcam", _live),
    Kind("still", "a still photograph that fills the scene", _still),
    Kind("waved", "a printed photograph waved by hand", _waved),
    Kind("wall", "a bare wall", _wall),
    Kind("noise", "nothing but noise", _noise),
    Kind("frozen", "a living person whose stream freezes after two seconds", _frozen),
    Kind("no_face", "an empty room", _no_face),
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
#: Every kind of clip by name.
KINDS: Final = {kind.name: kind for kind in _KINDS}
