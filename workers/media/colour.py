"""Conversion of decoded pictures to sRGB, and the facts about their colours.

swscale obeys the file's range and matrix, but not its transfer function: without `_standard_range`, samples of high
dynamic range (ITU-R BT.2100: HLG and PQ) would be taken for sRGB.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from shared.schemas import ClipColour

#: Names of the transfer functions in the facts.
_TRANSFERS: Final = {
    ColorTrc.BT709: "bt709",
    ColorTrc.GAMMA22: "gamma22",
    ColorTrc.GAMMA28: "gamma28",
    ColorTrc.SMPTE170M: "smpte170m",
    ColorTrc.SMPTE240M: "smpte240m",
    ColorTrc.LINEAR: "linear",
    ColorTrc.LOG: "log",
    ColorTrc.LOG_SQRT: "log_sqrt",
    ColorTrc.IEC61966_2_4: "xvycc",
    ColorTrc.BT1361_ECG: "bt1361",
    ColorTrc.IEC61966_2_1: "srgb",
    ColorTrc.BT2020_10: "bt2020_10",
    ColorTrc.BT2020_12: "bt2020_12",
    ColorTrc.SMPTE2084: "pq",
    ColorTrc.SMPTE428: "smpte428",
    ColorTrc.ARIB_STD_B67: "hlg",
}
#: Names of the ranges in the facts.
_RANGES: Final[dict[int, Literal["limited", "full"]]] = {ColorRange.MPEG: "limited", ColorRange.JPEG: "full"}

#: FFmpeg's AVCOL_SPC_UNSPECIFIED.
_NO_MATRIX: Final = 2

#: Linear light of BT.709 from that of BT.2020 (ITU-R BT.2087) and of Display P3.
_TO_BT709: Final = {
    ColorPrimaries.BT2020: np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
    ),
    ColorPrimaries.SMPTE432: np.array(
        [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32
    ),
    ColorPrimaries.BT709: np.eye(3, dtype=np.float32),
}
#: Luminance of the reference white in cd/m2, and its HLG signal (ITU-R BT.2408).
_WHITE_NITS: Final = 203.0
_WHITE_HLG: Final = 0.75
#: Linear light up to which the conversion is exact, over the reference white. Lighter parts are compressed, because a
#: face in front of a window can be lighter than the reference white. Compression would change the ratio of the
#: pulse's amplitudes in red and blue.
_KNEE: Final = 0.8
#: Largest linear light over the reference white; the end of HLG's range is at 3.8.
_LIGHTEST: Final = 4.0
#: Rows that are converted at a time, so that their linear light stays in the processor's cache: 22 ms a frame of
#: 1920x1080, against 42 ms for whole frames.
_STRIPE: Final = 16
#: Pixels of a frame up to which primaries are converted: of larger frames (3840x2160) that would take the processor
#: time that is meant for decoding. Without it, colours are paler.
_MAX_CONVERTED_PIXELS: Final = 2_100_000

#: Factor that leaves the channels as they are.
_ONES: Final = (1.0, 1.0, 1.0, 1.0)

#: Pictures between two of which the colours are examined.
_GREY_EVERY: Final = 8
#: Pixels along each side of a picture of which one is examined.
_GREY_STRIDE: Final = 8
#: Difference between the largest and the smallest channel (of 255) that grey pixels do not exceed.
_GREY_SPREAD: Final = 6
#: Part of the pixels that must be grey: a face of the smallest size has 1 % of 640x480 pixels.
_GREY_PART: Final = 0.995


class ColourObserver:
    """Convert the pictures of one clip to sRGB, and observe their colours."""

    def __init__(self) -> None:
        self._count = 0
        self._coloured = False
        self._range: Literal["limited", "full"] | None = None
        self._transfer: str | None = None

    def rgb(self, picture: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Convert `picture` to sRGB (h, w, 3) at `size` (w, h)."""
        rgb = rgb_of(picture, size)
        if self._count == 0:
            self._range = _RANGES.get(picture.color_range)
            self._transfer = transfer_of(picture)
        if not self._coloured and self._count % _GREY_EVERY == 0:
            self._coloured = not is_grey(rgb[::_GREY_STRIDE, ::_GREY_STRIDE])
        self._count += 1
        return rgb

    @property
    def facts(self) -> ClipColour:
        """The colours of the pictures so far; range and transfer function are those of the first."""
        return ClipColour(range=self._range, transfer=self._transfer, grey=self._count > 0 and not self._coloured)


def transfer_of(picture: VideoFrame) -> str | None:
    """Return the name of the transfer function of `picture`; None where the file does not state it."""
    return _TRANSFERS.get(picture.color_trc)  # type: ignore[call-overload, no-any-return]


def is_grey(rgb: NDArray[np.uint8]) -> bool:
    """Return whether pictures (..., 3) in sRGB have no colour, as those of an infrared camera.

    Coding noise is allowed for. An infrared picture with a cast of colour is not grey.
    """
    if not rgb.size:
        return False
    spread = rgb.max(axis=-1) - rgb.min(axis=-1)
    return float(np.mean(spread <= _GREY_SPREAD)) >= _GREY_PART


def rgb_of(picture: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Convert `picture` to sRGB (h, w, 3) at `size` (w, h); high dynamic range is reduced to the standard one."""
    # swscale's default splits a webcam frame over all cores and loses time (0.54 s with one thread against 0.78 s for
    # 450 frames of 640x480).
    options: dict[str, Any] = {"format": "rgb24", "threads": 1}
    if (picture.width, picture.height) != size:
        options |= {"width": size[0], "height": size[1]}
    transfer = transfer_of(picture)
    if transfer is None or transfer not in _TO_LINEAR:
        return np.asarray(picture.to_ndarray(**options), np.uint8)
    if picture.colorspace == _NO_MATRIX:
        options["src_colorspace"] = Colorspace.BT2020
    samples = np.asarray(picture.to_ndarray(**options), np.uint8)
    return _standard_range(samples, transfer, picture.color_primaries)


def _standard_range(samples: NDArray[np.uint8], transfer: str, primaries: int) -> NDArray[np.uint8]:
    """Convert `samples` (h, w, 3) of high dynamic range to sRGB with the primaries of BT.709.

    The reference white of BT.2408 becomes white. HLG is converted by the light of the scene, without the display's
    gamma (BT.2100, OOTF), because the pulse changes the light that skin reflects.
    """
    to_linear, encoded = _linear_table(transfer), _srgb_table()
    if samples.shape[0] * samples.shape[1] > _MAX_CONVERTED_PIXELS:
        by_channel = encoded[np.rint(to_linear * (65535 / _LIGHTEST)).clip(0, 65535).astype(np.uint16)]
        return np.asarray(cv2.LUT(samples, by_channel), np.uint8)
    matrix = _TO_BT709.get(primaries, _TO_BT709[ColorPrimaries.BT2020])  # type: ignore[call-overload]
    matrix = matrix * np.float32(65535 / _LIGHTEST)
    rgb = np.empty_like(samples)
    for top in range(0, len(samples), _STRIPE):
        light = cv2.transform(cv2.LUT(samples[top : top + _STRIPE], to_linear), matrix)
        # Rounds, and limits to the range of the type.
        index = cv2.multiply(light, _ONES, dtype=cv2.CV_16U)  # type: ignore[call-overload]
        encoded.take(index, out=rgb[top : top + _STRIPE], mode="clip")
    return rgb


def _hlg_to_linear(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the opto-electronic transfer function of HLG (BT.2100): light of the scene in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12), np.float64)


def _pq_to_linear(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Electro-optical transfer function of PQ (BT.2100): luminance over 10,000 cd/m2."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1), np.float64)


_Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

#: Curve to linear light by transfer function, and the light of the reference white.
_TO_LINEAR: Final[dict[str | None, tuple[_Curve, float]]] = {
    "hlg": (_hlg_to_linear, float(_hlg_to_linear(np.array(_WHITE_HLG)))),
    "pq": (_pq_to_linear, _WHITE_NITS / 10_000),
}


@lru_cache
def _linear_table(transfer: str) -> NDArray[np.float32]:
    """Return linear light over the reference white (256,) for each sample."""
    curve, white = _TO_LINEAR[transfer]
    return (curve(np.arange(256) / 255) / white).astype(np.float32)


@lru_cache
def _srgb_table() -> NDArray[np.uint8]:
    """Return sRGB (65536,) for linear light from 0 to `_LIGHTEST`, compressed above `_KNEE`."""
    light: NDArray[np.float64] = np.linspace(0, _LIGHTEST, 65536)
    above = np.maximum(light - _KNEE, 0)
    room = 1 - _KNEE
    light = np.asarray(np.minimum(light, _KNEE) + room * above / (above + room), np.float64)
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * srgb), np.uint8)
