"""Who or what is before the camera in a clip of the world, drawn into the frame without its light."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from lab.arrays import Floats
from lab.simulate.face_regions import CHIN, MOUTH
from lab.simulate.flat_props import clipboard, hand_motion, photo_print
from lab.simulate.flat_props import corners_of as flat_corners
from lab.simulate.optics import GREEN_PULSE, Image
from lab.simulate.portrait import PortraitLayers, load_portrait, region, with_lids
from lab.simulate.posture import at_rest
from lab.simulate.shading import shading
from lab.simulate.warp import Placed, Warp
from lab.simulate.world_light import Light
from lab.simulate.world_motion import posture_of, sway
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Draws a frame by its index: the person without light, and the gain (3,) of the light on them.
Drawn = Callable[[int], tuple[Placed, Floats]]


@dataclass(frozen=True)
class Subject:
    """What is before the camera: how a frame of it is drawn, and the middle of the face (n, 2) in pixels."""

    draw: Drawn
    places: Floats


#: Largest deviation of the skin's perfusion from its usual map, and delay of the pulse, seconds, between two places.
_UNEVEN: Final = 0.3
_DELAY_S: Final = 0.04
#: Size of the regions that differ in perfusion and delay, face heights.
_REGION: Final = 0.28
#: Light of skin above which it is a highlight that has no pulse, relative to the median.
_SHINE: Final = 1.7
#: Linear RGB of an open mouth.
_MOUTH_RGB: Final = (0.035, 0.012, 0.012)
#: Width and height of the board, face heights.
_BOARD_SIZE: Final = (1.5, 1.9)


def face_height(conditions: Conditions) -> float:
    """Pixels from forehead to chin."""
    return conditions.face_share * conditions.size[1]


def face_place(conditions: Conditions) -> tuple[float, float]:
    """Pixel (x, y) of the middle of the face."""
    return conditions.face_across * conditions.size[0], conditions.face_down * conditions.size[1]


def subject_of(shot: Shot, light: Light) -> Subject | None:
    """What is before the camera in a shot, or None for a wall and for noise.

    Raises:
        ValueError: no face is found in the portrait.
    """
    conditions = shot.conditions
    if conditions.subject in {"wall", "noise"}:
        return None
    below = (1 - conditions.face_down) / conditions.face_share + 0.5
    portrait = load_portrait(shot.picture, face_height(conditions), below=below, alone=True)
    if conditions.subject == "print":
        return _printed(shot, light, portrait)
    if conditions.subject == "photo":
        return _photo(shot, light, portrait)
    subject = _person(shot, light, portrait)
    return _behind_board(shot, subject) if conditions.subject == "covered" else subject


def blood_of(conditions: Conditions, portrait: PortraitLayers) -> tuple[Image, Image]:
    """Light of the pixels `portrait.face` that a unit of blood volume absorbs, and its delay in seconds times it.

    Both are (h, w, 3) linear light. Green light of well perfused skin has the peak-to-trough AC/DC of its type times
    `pulse_strength`.
    """
    rows, columns = region(portrait.face)
    base, usual = portrait.linear[rows, columns], portrait.perfusion[rows, columns]
    rng = conditions.rng("perfusion")
    uneven = 1 + _UNEVEN * _smooth_map(usual.shape, portrait.face_height, rng)
    well = usual > 0.8
    if well.any():
        uneven = uneven / float((usual * uneven)[well].mean())
    green = GREEN_PULSE[conditions.skin_type - 1] * conditions.pulse_strength * (1 - conditions.makeup)
    strength = (green * conditions.blood_rgb).astype(np.float32)
    limit = _SHINE * np.median(base[well], axis=0) if well.any() else np.full(3, 1.0)
    blood = np.minimum(base, limit) * strength * (usual * uneven)[..., None]
    y = (np.arange(rows.start, rows.stop)[:, None] - portrait.centre[1]) / portrait.face_height
    delay = 0.5 * _DELAY_S * np.clip(0.5 * y + 0.7 * _smooth_map(usual.shape, portrait.face_height, rng), -1, 1)
    return blood.astype(np.float32), (blood * delay[..., None]).astype(np.float32)


def _smooth_map(shape: tuple[int, ...], unit: float, rng: np.random.Generator) -> Image:
    """A smooth random map (h, w) in [-1, 1] that differs between regions of a face of `unit` pixels."""
    few = rng.uniform(-1, 1, (9, 9)).astype(np.float32)
    side = int(np.ceil(9 * _REGION * unit))
    large = cv2.resize(few, (max(side, shape[1]), max(side, shape[0])), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(large[: shape[0], : shape[1]], -1, 1), dtype=np.float32)


class _Mouth:
    """Opens the mouth of the pixels `portrait.face`: the jaw goes down, and between the lips it is dark."""

    def __init__(self, portrait: PortraitLayers) -> None:
        rows, columns = region(portrait.face)
        unit = portrait.face_height
        lips = portrait.landmarks[list(MOUTH)] - (columns.start, rows.start)
        chin = float(portrait.landmarks[CHIN, 1]) - rows.start
        (left, top), (right, bottom) = lips.min(axis=0), lips.max(axis=0)
        middle, line = (left + right) / 2, (top + bottom) / 2
        half = max((right - left) / 2, 1.0)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        first = max(0, int(line - 0.12 * unit))
        self._part = slice(first, height)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(first, height, dtype=np.float32))
        narrow = np.clip(1 - ((x - middle) / half) ** 2, 0, 1)
        wide = np.exp(-0.5 * ((x - middle) / (0.24 * unit)) ** 4)
        down = np.clip((y - line) / max(chin - line, 1), 0, 1)
        jaw = ((1 - down) * narrow + down * wide) * np.clip(1 - (y - chin) / (0.3 * unit), 0, 1)
        self._x, self._y, self._line = x, y, line
        self._gap = (narrow * unit).astype(np.float32)
        self._jaw = np.where(y >= line, jaw * unit, 0).astype(np.float32)
        self._soft = max(0.006 * unit, 0.7)

    def open(self, face: Image, opening: float) -> Image:
        """`face` (h, w, 3) with its lips `opening` face heights apart."""
        face = face.copy()
        part = face[self._part]
        # The lower lip is where the gap ends; the jaw below it is compressed towards the neck.
        source = np.maximum(self._y - opening * self._jaw, np.where(self._y >= self._line, self._line, 0))
        drawn = cv2.remap(part, self._x, (source - self._part.start).astype(np.float32), cv2.INTER_LINEAR)
        edge = self._y - self._line
        inside = np.clip((edge + self._soft) / self._soft, 0, 1)
        gap = opening * self._gap
        inside *= np.clip((gap - edge) / self._soft, 0, 1) * np.clip(gap / self._soft, 0, 1)
        dark = np.asarray(_MOUTH_RGB, dtype=np.float32)
        part[:] = drawn + inside[..., None] * (np.minimum(dark, part) - drawn)
        return face


def _person(shot: Shot, light: Light, portrait: PortraitLayers) -> Subject:
    """A person or a doll, moving; without a pulse in the shot no blood is painted."""
    conditions = shot.conditions
    posture = posture_of(shot)
    rows, columns = region(portrait.face)
    base = np.ascontiguousarray(portrait.linear[rows, columns])
    blood, late = blood_of(conditions, portrait)
    turned = shading(portrait, light.direction, light.ambient)
    sided = _one_sided(base, portrait, light.one_sided)
    mouth = _Mouth(portrait)
    canvas = np.dstack([portrait.linear, portrait.matte]).astype(np.float32)
    warp = Warp(portrait, conditions.size, face_place(conditions))
    nearness = light.at_place(posture.across + posture.shift_across, posture.down + posture.shift_down, posture.nearer)

    def drawn(i: int) -> tuple[Placed, Floats]:
        moment = posture.at(i)
        face: cv2.typing.MatLike = with_lids(base, portrait, moment.lids)
        if shot.pulse is not None:
            face = cv2.scaleAdd(blood, -moment.pulse, face)
            face = cv2.scaleAdd(late, moment.pulse_speed, face)
        for shade, turn in ((turned.yaw, moment.yaw), (turned.pitch, moment.pitch), (turned.roll, moment.roll)):
            if turn:
                face = cv2.scaleAdd(shade, turn, face)
        if light.side[i]:
            face = cv2.scaleAdd(sided, float(light.side[i]), face)
        if moment.mouth > 0.002:
            face = mouth.open(np.asarray(face, dtype=np.float32), moment.mouth)
        canvas[rows, columns, :3] = face
        return warp.draw(canvas, moment), light.person[i] * nearness[i]

    moves = np.stack([posture.across, posture.down], axis=1) * portrait.face_height
    return Subject(drawn, face_place(conditions) + moves)


def _one_sided(base: Image, portrait: PortraitLayers, difference: float) -> Image:
    """Light (h, w, 3) by which a unit of a light from one side differs from even light."""
    _, columns = region(portrait.face)
    x = (np.arange(columns.start, columns.stop) - portrait.centre[0]) / (0.5 * portrait.face_height)
    return np.asarray(base * (difference * x * np.exp(-0.5 * x**4))[None, :, None], dtype=np.float32)


def _photo(shot: Shot, light: Light, portrait: PortraitLayers) -> Subject:
    """The portrait in the person's place; nothing moves."""
    conditions = shot.conditions
    canvas = np.dstack([portrait.linear, portrait.matte]).astype(np.float32)
    placed = Warp(portrait, conditions.size, face_place(conditions)).draw(canvas, at_rest(1).at(0))
    places = np.tile(face_place(conditions), (len(shot.times_s), 1))
    return Subject(lambda i: (placed, light.person[i]), places)


def _printed(shot: Shot, light: Light, portrait: PortraitLayers) -> Subject:
    """A print with a border, which a hand moves; it is flat, so that a turn changes all of its light alike."""
    conditions, times = shot.conditions, shot.times_s
    sheet = photo_print(portrait).picture
    unit, place = face_height(conditions), np.array(face_place(conditions))
    moves = sway(conditions, times)
    hand = hand_motion(times, 0.008 * conditions.sway, 0.2, 1.5, conditions.rng("hand"))
    across, down = moves["across"] + hand[:, 0], moves["down"] + hand[:, 1]
    roll, yaw, pitch = moves["roll"] + hand[:, 2], moves["yaw"] + hand[:, 3], moves["pitch"]
    lx, ly, lz = light.direction
    facing = np.maximum(lz * np.cos(yaw) * np.cos(pitch) + lx * np.sin(yaw) + ly * np.sin(pitch), 0.05)
    gain = (facing + light.ambient) / (lz + light.ambient) * light.at_place(across, down, moves["nearer"])
    size = (float(sheet.shape[1]), float(sheet.shape[0]))

    def drawn(i: int) -> tuple[Placed, Floats]:
        corners = _turned_corners(size, (yaw[i], pitch[i], roll[i]), 1 + moves["nearer"][i])
        corners += place + np.array([across[i], down[i]]) * unit
        return flat(sheet, corners, conditions.size), light.person[i] * gain[i]

    return Subject(drawn, place + np.stack([across, down], axis=1) * unit)


def _turned_corners(size: tuple[float, float], turn: tuple[float, float, float], growth: float) -> Floats:
    """Corners (4, 2) around (0, 0), clockwise from top left, of a sheet of `size`, turned by yaw, pitch, roll."""
    width, height = size
    yaw, pitch, roll = turn
    x = np.array([-0.5, 0.5, 0.5, -0.5]) * width
    y = np.array([-0.5, -0.5, 0.5, 0.5]) * height
    # From about two sheet heights away.
    far = growth / (1 + (np.sin(yaw) * x + np.sin(pitch) * y) / (2.0 * height))
    points = np.stack([x * np.cos(yaw) * far, y * np.cos(pitch) * far], axis=1)
    return np.asarray(
        points @ np.array([(np.cos(roll), np.sin(roll)), (-np.sin(roll), np.cos(roll))]), dtype=np.float64
    )


def flat(picture: Image, corners: Floats, size: tuple[int, int]) -> Placed:
    """A flat `picture` (h, w, 4), linear light and matte, with its corners (4, 2) at these pixels of a frame."""
    low = np.clip(np.floor(corners.min(axis=0)) - 1, 0, np.array(size) - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2, low + 1, size).astype(int)
    own = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * (picture.shape[1], picture.shape[0])
    warp = cv2.getPerspectiveTransform(own.astype(np.float32), (corners - low).astype(np.float32))
    drawn = cv2.warpPerspective(picture, warp, (high - low).tolist())
    return Placed(
        slice(int(low[1]), int(high[1])),
        slice(int(low[0]), int(high[0])),
        np.asarray(cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR), dtype=np.float32),
        np.asarray(cv2.extractChannel(drawn, 3), dtype=np.float32),
    )


def _behind_board(shot: Shot, person: Subject) -> Subject:
    """The person behind a board that hides the face from below the eyes."""
    conditions = shot.conditions
    unit, place = face_height(conditions), np.array(face_place(conditions))
    rng = conditions.rng("board")
    size = (_BOARD_SIZE[0] * unit, _BOARD_SIZE[1] * unit)
    picture = clipboard(round(size[0]), round(size[1])).picture
    hand = hand_motion(shot.times_s, 0.012 * conditions.sway, 0.05, 0.8, rng)
    # The eyes are 0.1 face heights above the middle; the board begins below them.
    middle = np.array([0.0, 0.02 + _BOARD_SIZE[1] / 2])

    def drawn(i: int) -> tuple[Placed, Floats]:
        placed, gain = person.draw(i)
        corners = flat_corners(place + unit * (hand[i, :2] + middle), size, float(hand[i, 2]), float(hand[i, 3]))
        return _over(flat(picture, corners, conditions.size), placed), gain

    return Subject(drawn, person.places)


def _over(front: Placed, behind: Placed) -> Placed:
    """Both as one."""
    rows = slice(min(front.rows.start, behind.rows.start), max(front.rows.stop, behind.rows.stop))
    columns = slice(min(front.columns.start, behind.columns.start), max(front.columns.stop, behind.columns.stop))
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    colour, matte = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    place = _within(behind, rows, columns)
    colour[place], matte[place] = behind.colour, behind.matte
    place = _within(front, rows, columns)
    colour[place] += front.matte[..., None] * (front.colour - colour[place])
    np.maximum(matte[place], front.matte, out=matte[place])
    return Placed(rows, columns, colour, matte)


def _within(placed: Placed, rows: slice, columns: slice) -> tuple[slice, slice]:
    return (
        slice(placed.rows.start - rows.start, placed.rows.stop - rows.start),
        slice(placed.columns.start - columns.start, placed.columns.stop - columns.start),
    )
