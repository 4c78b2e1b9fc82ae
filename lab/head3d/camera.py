"""The camera: exposure, noise, tone and sharpness."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats, Floats32
from lab.head3d.tone import curve
from lab.world.conditions import Conditions
from lab.world.shot import Shot

#: Standard deviation of the green noise at `light` 1 in 640x480, in 255ths of the root of the light.
_NOISE: Final = 0.8
#: Noise of red and blue relative to green, which white balance amplifies less.
_CHANNELS: Final = np.array([1.35, 1.0, 1.6], np.float32)
#: Pixels by which a tile of noise exceeds the picture, and the number of tiles.
_SPARE, _TILES = 64, 4
#: Step of the automatic exposure in octaves, its delay in frames, seconds between two steps.
_STEP_EV, _DELAY, _STEP_S = 1 / 48, 2, 0.1
#: Light that the camera gives the middle of the picture.
_MIDDLE: Final = 0.22
_REFERENCE_PX: Final = 640 * 480


class Camera:
    """A camera of its own for each shot; frames must come in order."""

    def __init__(self, shot: Shot) -> None:
        conditions = shot.conditions
        rng = conditions.rng("head3d/camera")
        self._conditions, self._times = conditions, shot.times_s
        self._rng = conditions.rng("head3d/noise")
        sensor = float(np.exp(0.25 * rng.standard_normal()))
        width, height = conditions.size
        binning = (width * height / _REFERENCE_PX) ** 0.25
        self.noise = _NOISE * sensor * binning / np.sqrt(conditions.light)
        self._tiles = _noise_tiles(self._rng, conditions, self.noise)
        self._sharpness = float(rng.choice([0.0, 0.25, 0.5]))
        # In the dark the gain ends before the picture is as bright as usual.
        dimming = float(np.clip(conditions.light / 0.2, 0.35, 1.0)) ** 0.4
        self._tone = _tone_table(0.2 + 0.3 * conditions.tone_mapping)
        self._exposure = _Exposure(conditions, dimming)
        self._phase = float(rng.random())
        self._local: Floats32 | None = None

    def start(self, root: Floats32) -> None:
        """Set the exposure by the root of the light (h, w, 3) with gains of 1."""
        self._exposure.start(root)

    def gains(self, index: int) -> Floats:
        """Gains (3,) of frame `index`, from the light of those before."""
        return self._exposure.gains(float(self._times[index]))

    def frame(self, index: int, root: Floats32) -> NDArray[np.uint8]:
        """Values (h, w, 3) of frame `index`, from the root of the exposed light (h, w, 3), which is overwritten."""
        self._exposure.meter(root)
        if self._conditions.band_depth > 0:
            root *= self._bands(index, root.shape[0])
        if self._conditions.tone_mapping > 0:
            root *= self._local_gain(root)
        tile = self._tiles[int(self._rng.integers(_TILES))]
        x, y = self._rng.integers(_SPARE, size=2)
        height, width = root.shape[:2]
        noisy = cv2.scaleAdd(root, 255.0, tile[y : y + height, x : x + width], dst=root)
        values = np.asarray(cv2.LUT(cv2.convertScaleAbs(noisy), self._tone), np.uint8)
        if self._sharpness == 0:
            return values
        soft = cv2.GaussianBlur(values, (5, 5), 1.1)
        return np.asarray(cv2.addWeighted(values, 1 + self._sharpness, soft, -self._sharpness, 0), np.uint8)

    def _bands(self, index: int, height: int) -> Floats32:
        """Root of the factor (h, 1, 1) of light that changes while the shutter rolls over the rows."""
        c = self._conditions
        row = np.arange(height) / height
        turns = c.band_count * row + c.band_hz * self._times[index] + self._phase
        factor = 1 + c.band_depth * np.sin(2 * np.pi * turns)
        return np.asarray(np.sqrt(factor)[:, None, None], np.float32)

    def _local_gain(self, root: Floats32) -> Floats32:
        """Gain (h, w, 1) that lifts dark parts and holds back bright ones, slow as phones' is."""
        height, width = root.shape[:2]
        small = cv2.resize(root, (max(width // 16, 4), max(height // 16, 4)), interpolation=cv2.INTER_AREA)
        base = cv2.GaussianBlur(np.asarray(small.mean(axis=2) + 0.016, np.float32), (0, 0), 2.0)
        gain = np.asarray((float(base.mean()) / base) ** (0.35 * self._conditions.tone_mapping), np.float32)
        self._local = gain if self._local is None else np.asarray(0.9 * self._local + 0.1 * gain, np.float32)
        whole = cv2.resize(self._local, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole[..., None], np.float32)


class _Exposure:
    """Automatic exposure and white balance: late, and in steps."""

    def __init__(self, conditions: Conditions, dimming: float) -> None:
        self._share, self._base = conditions.auto_exposure, dimming
        self._metered: list[Floats] = []
        self._first = np.ones(3)
        self._steps = 0
        self._balance = np.ones(3)
        self._applied = np.ones(3)
        self._next_s = 0.0

    def start(self, root: Floats32) -> None:
        """Set the exposure by the root of the light (h, w, 3) with gains of 1."""
        self._first = _metered(root)
        self._base *= float(np.clip((_MIDDLE / max(float(self._first.mean()), 1e-3)) ** 0.7, 0.5, 2.5))

    def meter(self, root: Floats32) -> None:
        """Measure the frame that the last gains exposed."""
        if self._share > 0:
            self._metered = [*self._metered, _metered(root) / self._applied][-_DELAY:]

    def gains(self, time_s: float) -> Floats:
        """Gains (3,) for the next frame."""
        if self._share > 0 and time_s >= self._next_s and len(self._metered) == _DELAY:
            seen = self._metered[0]
            wanted = -self._share * float(np.log2(seen.mean() / self._first.mean()))
            error = wanted - self._steps * _STEP_EV
            if abs(error) > 0.75 * _STEP_EV:
                self._steps += int(np.sign(error)) * (1 if abs(error) < 6 * _STEP_EV else 3)
            cast = (seen / seen.mean()) / (self._first / self._first.mean())
            self._balance += 0.06 * (cast ** (-0.5 * self._share) - self._balance)
            self._next_s = time_s + _STEP_S
        self._applied = self._base * self._balance * 2.0 ** (self._steps * _STEP_EV)
        return self._applied


def _metered(root: Floats32) -> Floats:
    """Mean light (3,) of a picture by its root (h, w, 3): the middle counts more."""
    stride = max(1, root.shape[0] // 60)
    light = np.square(root[::stride, ::stride])
    height, width = light.shape[:2]
    middle = light[height // 6 : height - height // 6, width // 4 : width - width // 4]
    whole, inner = (part.mean(axis=(0, 1), dtype=np.float64) for part in (light, middle))
    return np.asarray(0.4 * whole + 0.6 * inner, np.float64)


def _noise_tiles(rng: np.random.Generator, conditions: Conditions, noise: float) -> list[Floats32]:
    """Tiles of noise in the root of the light, where a photon's noise is the same everywhere (Anscombe 1948).

    Red and blue are measured at every other pixel and interpolated.
    """
    width, height = conditions.size
    size = (width + _SPARE, height + _SPARE)
    tiles = []
    for _ in range(_TILES):
        green = rng.standard_normal((size[1], size[0]), dtype=np.float32)
        green = 0.8 * green + 0.2 * cv2.blur(green, (3, 3))
        sparse = [rng.standard_normal((size[1] // 2, size[0] // 2), dtype=np.float32) for _ in range(2)]
        red, blue = (cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in sparse)
        planes = [noise * scale * plane for scale, plane in zip(_CHANNELS, (red, green, blue), strict=True)]
        tiles.append(np.asarray(cv2.merge([np.asarray(plane, np.float32) for plane in planes]), np.float32))
    return tiles


def _tone_table(contrast: float) -> NDArray[np.uint8]:
    """Values (256,) of the root of the light in 255ths."""
    light = (np.arange(256) / 255.0) ** 2
    return np.asarray(np.round(255 * curve(light, contrast)), np.uint8)
