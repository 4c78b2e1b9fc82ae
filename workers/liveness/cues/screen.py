"""Cues of screens and prints: a flicker that runs over the face, and straight edges beside it."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.face.portraits import Portrait

#: Sampling rate in Hz at which the flicker is analysed.
_GRID_HZ: Final = 30.0
#: Beat frequencies of a screen's refresh with the camera's frame rate, and the number of waves in the crop's height.
_BEAT_HZ: Final = (0.25, 6.0)
_WAVES: Final = (0.3, 1.6)
#: Shortest clip in which the flicker is measured, in seconds.
_MIN_DURATION_S: Final = 5.0
#: Lower bound of the power, so that its logarithm exists.
_MIN_POWER: Final = 1e-12


def measure_rolling_band(times_s: NDArray[np.float64], crops: NDArray[np.uint8]) -> float | None:
    """Return the prominence in decibels of a wave that runs up or down the face; None for a clip below 5 s.

    `times_s` (n,) are the times of the face crops (n, 72, 72, 3). The prominence is the power of the strongest beat
    over the median over all beat frequencies.
    """
    if len(times_s) < 2 or times_s[-1] - times_s[0] < _MIN_DURATION_S:
        return None
    grid = np.arange(times_s[0], times_s[-1], 1 / _GRID_HZ)
    level = np.log(crops[:, 4:68, 10:62, 1].reshape(len(crops), 32, -1).mean(axis=2) + 4.0)
    rows = np.stack([np.interp(grid, times_s, row) for row in level.T])
    # Steps occur where the crop's box follows the head. What all rows have in common is illumination and pulse.
    steps = np.diff(rows, axis=1)
    spread = np.median(np.abs(steps), axis=1, keepdims=True) + 1e-6
    steps = np.clip(steps, -6 * spread, 6 * spread)
    spectrum = np.fft.rfft(steps * np.hanning(steps.shape[1]), axis=1)
    frequencies = np.fft.rfftfreq(steps.shape[1], 1 / _GRID_HZ)
    chosen = (frequencies >= _BEAT_HZ[0]) & (frequencies <= _BEAT_HZ[1])
    spectrum = spectrum[:, chosen] / (2j * np.pi * frequencies[chosen])
    place = (np.arange(32) + 0.5) / 32
    best = np.zeros(spectrum.shape[1])
    for waves in np.linspace(*_WAVES, 8):
        up, down = (np.abs(np.exp(sign * 2j * np.pi * waves * place) @ spectrum) ** 2 for sign in (-1, 1))
        best = np.maximum(best, np.abs(up - down))
    # The median is the reference, because motion is broadband and a beat is a line.
    weighted = best * frequencies[chosen] ** 2
    peak, median = float(weighted.max()), float(np.median(weighted))
    # Crops that never change, as of a frozen stream, have no power at all.
    return float(10 * np.log10(max(peak, _MIN_POWER) / max(median, _MIN_POWER)))


def measure_border_edges(portrait: Portrait, min_length: float = 0.3) -> float:
    """Return the shorter of the longest upright edges left and right of the face, in heights of the portrait.

    Edges shorter than `min_length` are ignored.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(portrait.rgb, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    height = portrait.rgb.shape[0]
    lines = cv2.HoughLinesP(
        cv2.Canny(grey, 30, 80), 1, np.pi / 180, 60, minLineLength=min_length * height, maxLineGap=6
    )
    low, high = portrait.landmarks[:, 0].min(), portrait.landmarks[:, 0].max()
    left = right = 0.0
    found = np.zeros((0, 4)) if lines is None else np.asarray(lines, np.float64).reshape(-1, 4)
    for x1, y1, x2, y2 in found:
        rise, middle = abs(y2 - y1), (x1 + x2) / 2
        if abs(x2 - x1) > 0.25 * rise:
            continue
        left = max(left, rise / height) if middle < low else left
        right = max(right, rise / height) if middle > high else right
    return min(left, right)
