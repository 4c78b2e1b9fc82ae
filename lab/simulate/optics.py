"""Light from skin to sensor.

Skin follows the reflection model of Wang et al. 2017, "Algorithmic principles of remote PPG", IEEE Transactions on
Biomedical Engineering 64(7):1479: a point's colour is the light's intensity times the sum of a specular part without a
pulse and a diffuse part that the blood's absorption modulates. All values between picture and sensor are linear light,
1 being the sensor's white.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

#: A curve from linear light to the values of a picture in [0, 1].
Response = Callable[[NDArray[np.float64]], NDArray[np.float64]]

#: Relative pulsation AC/DC of R, G, B: de Haan & van Leest 2014, "Improved motion robustness of remote-PPG by using the
#: blood volume pulse signature".
PULSE_SIGNATURE = (0.33, 0.77, 0.53)

#: Peak-to-trough AC/DC of diffuse green by Fitzpatrick type I-VI. Level: its fundamental then has an amplitude of
#: 0.5-0.6 % of the light of fair cheeks, within the usual 0.5-1 %, and in the lower half of what real webcam clips show
#: (0.4-1.0 %). The decline is chosen here to follow Nowara et al. 2020, "A meta-analysis of the impact of skin tone and
#: gender on non-contact PPG": little until IV, steep to VI.
GREEN_PULSE = (0.024, 0.022, 0.019, 0.015, 0.011, 0.007)

#: CIE Lab of skin by type: from the middle of each class of the individual typology angle (Chardon et al. 1991; Del
#: Bino & Bernerd 2013).
SKIN_LAB = ((74, 9, 14), (69, 11, 18), (64, 11, 20), (57, 12, 20), (44, 13, 19), (34, 8, 14))

#: Specular part of skin in even light, as linear light: a third of the 4 % that a surface of its refractive index
#: returns.
SPECULAR = 0.012

#: Electrons of a small webcam pixel at white, in a bright room.
FULL_WELL = 5000.0
#: Standard deviation of the read noise, electrons.
READ_NOISE = 8.0
#: What a webcam's noise reduction leaves: noise in blotches of some pixels, as a share of the noise of a pixel. Chosen
#: by comparison with static parts of three real clips, whose code values averaged over 16 x 16 pixels vary by 0.2-0.4
#: from frame to frame (0.3 here, 0.14 without blotches). This noise also dithers: a pulse smaller than a step of the
#: codec's quantiser passes it.
BLOTCHES, BLOTCH_PX = 0.25, 12


@cache
def _decoding() -> Image:
    code = np.arange(256) / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


def to_linear(srgb: NDArray[np.uint8]) -> Image:
    """uint8 sRGB as linear light in [0, 1] (IEC 61966-2-1)."""
    return _decoding()[srgb]


def to_srgb(linear: Image | NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of any shape as sRGB in [0, 1], not rounded."""
    value = np.clip(np.asarray(linear, dtype=np.float64), 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def skin_colour(skin_tone: int) -> Image:
    """Linear RGB (3,) of skin of a Fitzpatrick type, 1 to 6."""
    lab = np.array([[SKIN_LAB[skin_tone - 1]]], dtype=np.float32)
    colour: Image = cv2.cvtColor(lab, cv2.COLOR_Lab2LRGB)[0, 0]
    return colour


def pulsation(linear: Image, weight: Image, skin_tone: int) -> Image:
    """Light (h, w, 3) that one unit of blood volume absorbs on skin that shows `linear` (h, w, 3).

    `weight` (h, w) is the skin's perfusion in [0, 1].
    """
    signature = np.array(PULSE_SIGNATURE, dtype=np.float32)
    strength = signature / signature[1] * GREEN_PULSE[skin_tone - 1]
    diffuse = np.maximum(linear - SPECULAR, 0)
    return np.asarray(diffuse * strength * weight[..., None], dtype=np.float32)


#: Steps of the square root of light that a sensor's codes resolve, and the brightest light that they are for.
_STEPS, _BRIGHTEST = 16384, 1.5
#: Rows of a picture that are developed at once: a strip stays in the processor's cache from light to code.
_STRIP = 48


@dataclass(frozen=True)
class Sensor:
    """A camera's sensor with its gain: shot noise, read noise, sRGB encoding.

    Noise is added to the square root of the signal, where shot noise is equal at every brightness. It is cut from tiles
    that are drawn once, at a random place for each frame: a million normal numbers a frame would cost more than all the
    rest of the rendering. Light becomes a signal, `gain * light + floor`, whose square root times `scale` is a code
    of 16 bits.

    spread  standard deviation of a pixel's noise, as codes;  codes  (65536,) sRGB of each code
    """

    gain: float
    floor: float
    scale: float
    spread: float
    codes: NDArray[np.uint8]
    tiles: Image
    rng: np.random.Generator

    def expose(self, linear: Image) -> NDArray[np.uint8]:
        """`linear` (h, w, 3) as the camera's sRGB picture, uint8."""
        height, width = linear.shape[:2]
        noise = self.noise((width, height))
        picture = np.empty(linear.shape, np.uint8)
        for top in range(0, height, _STRIP):
            rows = slice(top, top + _STRIP)
            signal = np.multiply(linear[rows], self.gain, dtype=np.float32)
            np.add(signal, self.floor, out=signal)
            self.picture(self.noisy(signal, noise[rows]), picture[rows])
        return picture

    def with_response(self, response: Response) -> "Sensor":
        """The same sensor with another curve than sRGB from linear light to the picture, in [0, 1]."""
        return replace(self, codes=_codes(self.scale, self.floor, response))

    def noise(self, size: tuple[int, int]) -> Image:
        """Noise (h, w, 3) of the square root of a signal, for a frame of `size` (w, h)."""
        width, height = size
        tile = self.tiles[self.rng.integers(len(self.tiles))]
        top = int(self.rng.integers(tile.shape[0] - height + 1))
        left = int(self.rng.integers(tile.shape[1] - width + 1))
        return np.asarray(tile[top : top + height, left : left + width], dtype=np.float32)

    def noisy(self, signal: Image, noise: Image) -> NDArray[np.int16]:
        """Codes (h, w, 3) of a `signal` (h, w, 3), which is overwritten, with noise."""
        np.sqrt(np.maximum(signal, 0, out=signal), out=signal)
        np.add(signal, noise, out=signal)
        np.multiply(signal, self.scale, out=signal)
        return signal.astype(np.int16)

    def picture(self, codes: NDArray[np.int16], out: NDArray[np.uint8]) -> None:
        """Write codes (h, w, 3) as sRGB to `out` (h, w, 3)."""
        cv2.LUT(codes.view(np.uint16), self.codes, dst=out)


def sensor(width: int, height: int, light: float, rng: np.random.Generator) -> Sensor:
    """A sensor of this size in a room with `light` in (0, 1], 1 being bright.

    In the dark, exposure makes up for half of the missing light in stops, and noise grows.
    """
    exposure = float(np.sqrt(light))
    return sensor_of((width, height), exposure, FULL_WELL * exposure, rng)


def sensor_of(size: tuple[int, int], gain: float, electrons: float, rng: np.random.Generator) -> Sensor:
    """A sensor of `size` (w, h) whose picture is the light times `gain`, with `electrons` in a pixel at its white."""
    width, height = size
    floor = READ_NOISE**2 / electrons
    scale = (_STEPS - 1) / float(np.sqrt(_BRIGHTEST + floor))
    spread = 0.5 / float(np.sqrt(electrons))
    tiles = rng.standard_normal((6, height + 64, width + 64, 3), dtype=np.float32) * np.float32(spread)
    coarse = (len(tiles), -(-(height + 64) // BLOTCH_PX), -(-(width + 64) // BLOTCH_PX), 3)
    blotches = rng.standard_normal(coarse, dtype=np.float32) * np.float32(BLOTCHES * spread)
    for tile, blotch in zip(tiles, blotches, strict=True):
        # A webcam interpolates colours, so that neighbouring pixels share noise; its lowest frequencies stay.
        cv2.GaussianBlur(tile, (0, 0), 0.6, dst=tile)
        np.add(tile, cv2.resize(blotch, (width + 64, height + 64), interpolation=cv2.INTER_CUBIC), out=tile)
    return Sensor(gain, floor, scale, spread * scale, _codes(scale, floor, to_srgb), tiles, rng)


def _codes(scale: float, floor: float, response: Response) -> NDArray[np.uint8]:
    """uint8 (65536,) of each code of 16 bits; those of the upper half are negative, and black."""
    value = (np.arange(32768) / scale) ** 2 - floor
    shown = np.round(np.clip(response(value), 0, 1) * 255)
    return np.concatenate([shown, np.zeros(32768)]).astype(np.uint8)
