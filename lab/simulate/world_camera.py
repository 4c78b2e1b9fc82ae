"""The camera of a clip of the world: exposure, tone mapping, sensor noise and its reduction."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.simulate.optics import FULL_WELL, Image, Sensor, sensor_of
from lab.simulate.warp import Placed
from lab.simulate.world_light import Light
from lab.world.conditions import Conditions

Picture = NDArray[np.uint8]

#: Time in which auto exposure undoes most of a change, seconds.
_EXPOSURE_S: Final = 0.7
#: How much of a dark room's missing brightness the camera leaves missing, as an exponent of the light.
_DARK: Final = 0.3
#: Longest exposure relative to that at 30 frames a second.
_LONGEST: Final = 3.0
#: Step, pixels, of the pixels that auto exposure meters.
_METER: Final = 16
#: Rows of a picture that are developed at once.
_STRIP: Final = 48
#: Deviation from the last picture, in standard deviations of the noise, up to which it is taken for noise.
_STILL: Final = 3.0


@dataclass(frozen=True)
class LitScene:
    """A scene and its light in one frame.

    behind        (h, w, 3) linear light;  placed  what is before it, or None
    room, person  (3,) gains of the light on both
    """

    behind: Image
    placed: Placed | None
    room: Floats
    person: Floats


class Camera:
    """Exposes and develops the frames of one clip, in order.

    unit  height of the face in pixels
    """

    def __init__(self, conditions: Conditions, times: Floats, unit: float) -> None:
        self._conditions = conditions
        self._steps = np.diff(times, prepend=times[0])
        self._unit = unit
        size = conditions.size
        exposure = float(np.clip(30 / conditions.fps, 0.5, _LONGEST))
        gain = conditions.light**_DARK
        self._sensor = sensor_of(size, gain, FULL_WELL * conditions.light * exposure / gain, conditions.rng("sensor"))
        self._exposure = 1.0
        self._metered: tuple[float, float] | None = None
        self._last: NDArray[np.int16] | None = None
        self._denoise = _denoising(conditions.temporal_denoise, self._sensor)

    def take(self, scene: LitScene, light: Light, index: int) -> Picture:
        """The picture (h, w, 3) uint8 sRGB of a scene; the exposure of the next frame follows it."""
        height, width = scene.behind.shape[:2]
        bands = light.bands(index, height)
        noise = self._sensor.noise((width, height))
        picture = np.empty((height, width, 3), np.uint8)
        last, metered = self._last, 0.0
        if self._denoise is not None and last is None:
            self._last = np.empty((height, width, 3), np.int16)
        # A strip of the picture stays in the processor's cache from light to code.
        step = height if self._conditions.tone_mapping else _STRIP
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            signal = self._signal(scene, rows)
            if bands is not None:
                signal *= bands[rows, :, None]
                signal += self._sensor.floor * (1 - bands[rows, :, None])
            if self._conditions.tone_mapping:
                self._map_tones(signal)
            metered += float(signal[::_METER, ::_METER].sum())
            codes = self._sensor.noisy(signal, noise[rows])
            if self._denoise is not None and self._last is not None:
                if last is not None:
                    change = cv2.subtract(codes, last[rows])
                    codes = np.asarray(cv2.add(last[rows], cv2.LUT(change.view(np.uint16), self._denoise)), np.int16)
                self._last[rows] = codes
            self._sensor.picture(codes, picture[rows])
        self._adapt(metered / (-(-height // _METER) * -(-width // _METER) * 3), index)
        return picture

    def _signal(self, scene: LitScene, rows: slice) -> Image:
        """Signal (h, w, 3) of some rows of a scene."""
        factor, offset = self._sensor.gain * self._exposure, self._sensor.floor
        signal = np.asarray(_scaled(scene.behind[rows], scene.room * factor, offset), dtype=np.float32)
        placed = scene.placed
        if placed is None:
            return signal
        top, bottom = max(rows.start, placed.rows.start), min(rows.stop, placed.rows.stop)
        if top < bottom:
            own = slice(top - placed.rows.start, bottom - placed.rows.start)
            matte = placed.matte[own]
            part = signal[top - rows.start : bottom - rows.start, placed.columns]
            lit = _scaled(placed.colour[own], scene.person * factor, offset)
            part[:] = cv2.blendLinear(lit, part, matte, np.subtract(1, matte))
        return signal

    def _adapt(self, signal: float, index: int) -> None:
        """Set the exposure of the next frame by the mean `signal` of this one."""
        conditions = self._conditions
        if not conditions.auto_exposure:
            return
        level = (signal - self._sensor.floor) / self._exposure
        if self._metered is None:
            self._metered = (level, level)
        first, followed = self._metered
        # The camera follows the light of the past second, and undoes a share of its change.
        follow = 1 - float(np.exp(-self._steps[index] / _EXPOSURE_S))
        followed += follow * (level - followed)
        self._metered = (first, followed)
        self._exposure = float(np.clip(first / max(followed, 1e-9), 0.25, 4.0)) ** conditions.auto_exposure

    def _map_tones(self, signal: Image) -> None:
        """Raise dark parts of the picture and lower bright ones, by the light around each place."""
        height, width = signal.shape[:2]
        small = cv2.resize(signal, (max(width // 16, 4), max(height // 16, 4)), interpolation=cv2.INTER_AREA)
        around = cv2.GaussianBlur(small.mean(axis=2), (0, 0), max(0.35 * self._unit / 16, 1.0))
        level = self._sensor.gain * 0.2
        gain = (level / np.maximum(around, 0.02 * level)) ** (0.5 * self._conditions.tone_mapping)
        large = cv2.resize(np.clip(gain, 0.4, 2.5).astype(np.float32), (width, height))
        signal *= large[..., None]


def _scaled(linear: Image, gain: Floats, offset: float) -> cv2.typing.MatLike:
    matrix = np.zeros((3, 4), np.float32)
    np.fill_diagonal(matrix, gain)
    matrix[:, 3] = offset
    return cv2.transform(linear, matrix)


def _denoising(strength: float, sensor: Sensor) -> NDArray[np.int16] | None:
    """Step (65536,) from the last picture for each change of a code: small changes are taken for noise."""
    if not strength:
        return None
    change = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.float64)
    noise = change / (_STILL * sensor.spread)
    kept = strength / (1 + noise**4)
    return np.round((1 - kept) * change).astype(np.int16)
