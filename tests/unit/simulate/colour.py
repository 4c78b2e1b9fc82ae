"""The skin's mean colour in each frame, read from the encoded file."""

from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lab.simulate.optics import to_linear
from workers.face.mesh import FaceFinder

CHEEKS = ((117, 118, 101, 205, 187, 147, 123), (346, 347, 330, 425, 411, 376, 352))


def decoded(path: Path) -> tuple[NDArray[np.float64], list[NDArray[np.uint8]]]:
    """Presentation times (n,) and frames, (h, w, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        shown = [
            (frame.time, np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8))
            for frame in container.decode(video=0)
        ]
    return np.array([time for time, _ in shown]), [frame for _, frame in shown]


def faces_in(frames: list[NDArray[np.uint8]], stride: int = 1) -> list[int]:
    """How many faces are detected on every `stride`-th frame by itself, covered ones included."""
    finder = FaceFinder()
    return [len(finder.faces(frame)) for frame in frames[::stride]]


def cheeks(frames: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """(n, 3) mean linear RGB of the cheeks, following the face."""
    finder, colours = FaceFinder(), []
    for frame in frames:
        mesh = finder.mesh(frame)
        assert mesh is not None
        skin = np.zeros(frame.shape[:2], dtype=np.uint8)
        for part in CHEEKS:
            cv2.fillPoly(skin, [np.round(mesh[list(part)]).astype(np.int32)], (1,))
        colours.append(to_linear(frame[skin > 0]).mean(axis=0))
    return np.array(colours)


def pos(colours: NDArray[np.float64], fs: float) -> NDArray[np.float64]:
    """The pulse by POS (Wang et al. 2017), implemented here to be independent of the product's own code."""
    wave, length = np.zeros(len(colours)), round(1.6 * fs)
    for start in range(len(colours) - length + 1):
        window = colours[start : start + length]
        red, green, blue = (window / window.mean(axis=0)).T
        first, second = green - blue, green + blue - 2 * red
        part = first + first.std() / second.std() * second
        wave[start : start + length] += part - part.mean()
    return wave


def rate(wave: NDArray[np.float64], fs: float, low: float = 40, high: float = 180) -> float:
    """The strongest rate of `wave`, /min."""
    power = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave)), 2**15)) ** 2
    rates = np.fft.rfftfreq(2**15, 1 / fs) * 60
    return float(rates[np.argmax(power * ((rates >= low) & (rates <= high)))])
