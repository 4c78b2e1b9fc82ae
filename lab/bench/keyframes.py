"""`python -m lab.bench.keyframes CLIP`: whether a periodic signal comes from the heart or from the encoder.

An encoder works on the whole picture, and a keyframe is a jump: its spectral line has harmonics, in hair and clothes as
on skin. Blood is only in the skin, and in phase everywhere. So, for a clip with regular keyframes, this measures the
line at their rate and its harmonics on skin and beside the face, and the coherence of forehead and cheeks at each rate,
with the colours as decoded and with the changes across keyframes removed, against surrogates shifted in time.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from workers.face.skin_regions import linear
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import Frame, open_clip
from workers.rppg.estimators import pos
from workers.rppg.signals.filters import detrend, to_pulse_wave
from workers.rppg.signals.keyframe_artifacts import rate_per_min, regions_without_jumps

#: Side in pixels of the cells beside the face.
CELL: Final = 8
#: Range of a cell's mean linear light for it to be used: neither black nor clipped.
LIGHT: Final = (0.02, 0.8)
RATES_PER_MIN: Final = np.arange(45.0, 180.0, 0.5)
#: Length in seconds of the windows in which waves are compared: a heart's rate is stable for that long.
WINDOW_S: Final = 10.0
#: Seconds between the starts of two windows.
STEP_S: Final = 0.5
#: Number of surrogates.
SURROGATES: Final = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one clip, print the result as JSON; exit 1 without regular keyframes or with a face that leaves."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.keyframes", description=__doc__)
    parser.add_argument("clip", type=Path)
    options = parser.parse_args(arguments)
    cells: list[NDArray[np.float32]] = []
    with open_clip(options.clip) as clip:
        track = FaceTracker().track(_recording_cells(clip.frames(), cells))
    keyframes = track.is_keyframe
    per_min = None if keyframes is None else rate_per_min(track.times_s, keyframes)
    if keyframes is None or per_min is None:
        sys.stderr.write("no regular keyframes\n")
        return 1
    fs = 1 / float(np.median(np.diff(track.times_s)))
    skin = track.regions.astype(np.float64)
    if not np.isfinite(skin).all():
        sys.stderr.write("the face or a part of it is not visible throughout\n")
        return 1
    interpolated = regions_without_jumps(track.regions, keyframes)
    report = {
        "keyframes_per_min": round(per_min, 2),
        "comb": {
            "skin": _comb(skin[:, 0], fs, per_min),
            "beside the face": _comb(_beside(np.array(cells), track), fs, per_min),
        },
        "coherence": {
            "as decoded": _coherence(skin, fs, per_min),
            "between keyframes": _coherence(interpolated.astype(np.float64), fs, per_min),
        },
    }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")
    return 0


def _recording_cells(frames: Iterable[Frame], cells: list[NDArray[np.float32]]) -> Iterator[Frame]:
    """The frames, unchanged; the mean light of their cells is appended to `cells`."""
    for frame in frames:
        rows, columns = (side // CELL for side in frame.rgb.shape[:2])
        light = linear(frame.rgb)[: rows * CELL, : columns * CELL]
        cells.append(light.reshape(rows, CELL, columns, CELL, 3).mean(axis=(1, 3)))
        yield frame


def _beside(cells: NDArray[np.float32], track: FaceTrack) -> Floats:
    """Mean colour (n, 3) of the cells that the face's mesh never touches, each relative to its own mean."""
    low = np.nanmin(track.landmarks, axis=(0, 1)) // CELL
    high = np.nanmax(track.landmarks, axis=(0, 1)) // CELL
    rows, columns = np.mgrid[: cells.shape[1], : cells.shape[2]]
    face = (columns >= low[0]) & (columns <= high[0]) & (rows >= low[1]) & (rows <= high[1])
    mean = cells.mean(axis=0)
    lit = (mean > LIGHT[0]).all(axis=-1) & (mean < LIGHT[1]).all(axis=-1)
    chosen: Floats = (cells / np.maximum(mean, 1e-6))[:, lit & ~face].mean(axis=1, dtype=np.float64)
    return chosen


def _comb(colour: Floats, fs: float, per_min: float) -> list[float]:
    """Amplitude of green minus red of (n, 3) at one, two and three times a rate, over the median of all rates."""
    relative = colour / colour.mean(axis=0)
    signal = detrend(relative[:, 1] - relative[:, 0], fs)
    amplitudes = np.abs(_transforms(len(signal), fs, RATES_PER_MIN) @ signal)
    lines = np.abs(_transforms(len(signal), fs, per_min * np.arange(1, 4, dtype=np.float64)) @ signal)
    return [round(float(line / np.median(amplitudes)), 1) for line in lines]


def _transforms(n: int, fs: float, rates_per_min: Floats) -> NDArray[np.complex128]:
    """Hann-windowed Fourier sums (k, n) at `rates_per_min` (k,)."""
    phases = 2 * np.pi * np.outer(rates_per_min / 60, np.arange(n) / fs)
    return np.asarray(np.hanning(n) * np.exp(-1j * phases))


def _coherence(regions: Floats, fs: float, per_min: float) -> dict[str, float]:
    """Rate at which POS of forehead and cheeks (n, 4, 3) is most coherent, and the coherence at the keyframes' rate.

    Strength is the common power over the waves' mean power at all rates. `p` is the share of surrogates, the waves
    shifted in time against each other, whose most coherent rate is as strong.
    """
    waves = [to_pulse_wave(pos.project(region.T, fs), fs) for region in regions[:, 1:].swapaxes(0, 1)]
    n, rng = len(waves[0]), np.random.default_rng(0)
    found = _common_power(waves, fs)
    surrogates = np.array(
        [
            _common_power(
                [np.roll(wave, shift) for wave, shift in zip(waves, _shifts(n, fs, rng), strict=True)], fs
            ).max()
            for _ in range(SURROGATES)
        ]
    )
    at_keyframes = float(np.interp(per_min, RATES_PER_MIN, found))
    return {
        "rate": float(RATES_PER_MIN[found.argmax()]),
        "strength": round(float(found.max()), 2),
        "p": round(float((surrogates >= found.max()).mean()), 3),
        "strength at the keyframes": round(at_keyframes, 2),
        "p at the keyframes": round(float((surrogates >= at_keyframes).mean()), 3),
    }


def _shifts(n: int, fs: float, rng: np.random.Generator) -> tuple[int, int, int]:
    """Random shifts in samples of three waves against each other: at least a sixth of the clip, or 1.5 s."""
    slack = round(1.5 * fs)
    return 0, int(rng.integers(n // 6, n // 2 - slack)), int(rng.integers(n // 2 + slack, n - n // 6))


def _common_power(waves: Sequence[Floats], fs: float) -> Floats:
    """Power (k,) that waves share in phase at each rate, in windows, over their mean power at all rates."""
    length = round(WINDOW_S * fs)
    starts = range(0, len(waves[0]) - length + 1, round(STEP_S * fs))
    sums = _transforms(length, fs, RATES_PER_MIN)
    spectra = np.array([[sums @ wave[start : start + length] for start in starts] for wave in waves])
    power = (np.abs(spectra) ** 2).sum(axis=(0, 1))
    pairs = len(waves) * (len(waves) - 1)
    shared: Floats = ((np.abs(spectra.sum(axis=0)) ** 2).sum(axis=0) - power) / pairs
    return shared / float(power.mean() / len(waves))


if __name__ == "__main__":
    sys.exit(main())
