"""Motion of the chest: vertical optical flow of the region below the chin.

Gradients give the flow v of each block (Lucas, Kanade 1981, IJCAI, restricted to the vertical). A gain g of the light,
one for all blocks of a frame, is fitted beside it, because a change of brightness would look like a shift of slopes:

    It = -Iy·v + I·g

The blocks' first principal component in the band of breathing is the common motion of the blocks.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from workers.face.chest_patches import Torso

#: Side of a block in patch pixels.
BLOCK: Final = 10
#: Standard deviation of the smoothing, pixels, that makes a gradient valid for a shift of a pixel.
_BLUR: Final = 1.2
#: Mean squared gradient, (grey levels per pixel)², below which a block has no texture to follow.
_MIN_GRADIENT: Final = 4.0
#: The band in which blocks are compared, Hz.
_BAND_HZ: Final = (0.08, 0.8)
#: Patches that are needed.
_MIN_PATCHES: Final = 24


def chest_position(torso: Torso, grid_s: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the chest's vertical position (n,), face widths, at `grid_s` (n,), up to a slow drift; None if hidden."""
    if len(torso.times_s) < _MIN_PATCHES:
        return None
    flows = block_flow(torso.patches)
    if flows.shape[1] == 0:
        return None
    positions = np.cumsum(flows, axis=0) / torso.scale
    on_grid = np.stack([np.interp(grid_s, torso.times_s, column) for column in positions.T])
    fs = 1 / float(grid_s[1] - grid_s[0])
    band = sosfiltfilt(butter(2, _BAND_HZ, btype="bandpass", fs=fs, output="sos"), on_grid, axis=-1)
    # Blocks that move together get the weight; one that moves on its own, or against them, gets none.
    strength = np.sqrt((band**2).mean(axis=-1, keepdims=True))
    standard = np.divide(band, strength, out=np.zeros_like(band), where=strength > 0)
    leading = np.linalg.svd(standard, full_matrices=False)[2][0]
    loads = standard @ leading
    weights = np.clip(loads if loads.sum() >= 0 else -loads, 0, None)
    total = float(weights.sum())
    return np.asarray(weights @ on_grid / total, np.float64) if total > 0 else None


def block_flow(patches: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the vertical shift (m, b), pixels, of each block with texture between patches (m, h, w); row 0 is 0.

    A change of the light by one factor over the whole patch is no shift.
    """
    count, height, width = patches.shape
    rows, columns = height // BLOCK, width // BLOCK
    if count < 2 or rows == 0 or columns == 0:
        return np.zeros((count, 0))
    smooth = np.stack([cv2.GaussianBlur(patch, (0, 0), _BLUR) for patch in patches.astype(np.float32)])
    middle = (smooth[1:] + smooth[:-1]) / 2
    along = np.gradient(middle, axis=1)
    change = smooth[1:] - smooth[:-1]
    squares = _block_sums(along * along, rows, columns)
    followed = squares.mean(axis=0) / BLOCK**2 > _MIN_GRADIENT
    shifts = np.zeros((count, int(followed.sum())))
    slopes = np.maximum(squares[:, followed], 1e-6)
    moved, lit, brightened, bright = (
        _block_sums(product, rows, columns)[:, followed]
        for product in (along * change, along * middle, middle * change, middle * middle)
    )
    # The shifts are eliminated from the normal equations; what is left of them gives the gain (m - 1, 1).
    gain = (brightened - lit * moved / slopes).sum(axis=1, keepdims=True)
    gain /= np.maximum((bright - lit**2 / slopes).sum(axis=1, keepdims=True), 1e-6)
    shifts[1:] = (lit * gain - moved) / slopes
    return shifts


def _block_sums(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float64]:
    """Sums (m, rows * columns) over the blocks of (m, h, w)."""
    cut = values[:, : rows * BLOCK, : columns * BLOCK].reshape(len(values), rows, BLOCK, columns, BLOCK)
    return np.asarray(cut.sum(axis=(2, 4), dtype=np.float64).reshape(len(values), -1))
