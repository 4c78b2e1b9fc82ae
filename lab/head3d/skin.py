"""Blood in the skin: how much light it takes, where and when."""

from typing import Final

import numpy as np

from lab.arrays import Floats, Floats32
from lab.head3d.courses import grid_for, wandering
from lab.head3d.surface import Relief
from lab.world.shot import Shot

#: Median peak-to-trough AC/DC of the green light of a cheek by skin type, 1 to 6. Fair skin after Verkruysse et al.
#: 2008 and de Haan & van Leest 2014; melanin takes the light before it meets blood, so that type VI keeps about a
#: quarter (Nowara et al. 2020).
AC_DC: Final = (0.0170, 0.0160, 0.0140, 0.0105, 0.0070, 0.0043)
#: Perfusion relative to a cheek: landmark, value (regions as in Kumar et al. 2015).
_PERFUSION: Final = (
    (205, 1.0), (425, 1.0), (50, 1.0), (280, 1.0), (151, 0.9), (103, 0.8), (332, 0.8), (4, 0.75), (0, 0.75), (17, 0.8),
    (199, 0.7), (33, 0.55), (263, 0.55), (127, 0.65), (356, 0.65), (172, 0.7), (397, 0.7), (152, 0.55),
)  # fmt: skip
#: Landmarks in the middle of both cheeks.
_CHEEKS: Final = (50, 101, 205, 280, 330, 425)
#: Radius of a region, face heights.
_REGION: Final = 0.11
#: Later arrival at the forehead than at the chin, seconds, and the deviation of a patchy delay (Kamshilin et al. 2015).
_RISE_DELAY_S, _PATCHY_DELAY_S = 0.012, 0.008
#: Slow changes of blood volume in heights of a beat: vasomotion at 0.1 Hz, and the breath's.
_VASOMOTION, _BREATH = 0.35, 0.2


class Blood:
    """Absorption by the blood in a relief over the frames of a shot, after Beer and Lambert."""

    def __init__(self, shot: Shot, relief: Relief) -> None:
        conditions, times = shot.conditions, shot.times_s
        pulse = shot.pulse
        self._courses = np.zeros((len(times), 3), np.float32)
        self._maps = np.zeros((3, relief.depth.size, 1), np.float32)
        self._rgb = conditions.blood_rgb.astype(np.float32)
        if pulse is None:
            return
        strength = AC_DC[conditions.skin_type - 1] * conditions.pulse_strength * (1 - conditions.makeup)
        slope = (pulse.at(times + 0.01) - pulse.at(times - 0.01)) / 0.02
        self._courses = np.stack([pulse.at(times), slope, _slow(shot)], axis=1).astype(np.float32)
        perfusion, delay = perfusion_of(shot, relief)
        slow = relief.skin.ravel() * patches(conditions.rng("head3d/vasomotion"), relief, 0.3)
        maps = strength * np.stack([perfusion, -perfusion * delay, slow])
        self._maps = maps[..., None].astype(np.float32)

    def transmission(self, frame: int) -> Floats32:
        """Share (k, 3) of the light that the blood leaves."""
        courses = self._courses[frame]
        absorbed = courses[0] * self._maps[0] + courses[1] * self._maps[1] + courses[2] * self._maps[2]
        return np.asarray(np.exp(-absorbed * self._rgb), np.float32)


def perfusion_of(shot: Shot, relief: Relief) -> tuple[Floats, Floats]:
    """Perfusion of the skin relative to the cheeks, and the pulse's delay in seconds, each (k,)."""
    rng = shot.conditions.rng("head3d/perfusion")
    across, down, _ = relief.nodes.T.astype(np.float64)
    total, weights = np.zeros(len(across)), np.full(len(across), 1e-6)
    for point, value in _PERFUSION:
        x, y = relief.mesh[point].tolist()
        weight = np.exp(-0.5 * ((across - x) ** 2 + (down - y) ** 2) / _REGION**2)
        total, weights = total + weight * value, weights + weight
    skin = relief.skin.ravel()
    perfusion = total / weights * patches(rng, relief, 0.16)
    perfused = perfusion * skin
    # The strength is that of the cheeks: the patches change the rest relative to them.
    cheeks = sum(
        np.exp(-0.5 * ((across - x) ** 2 + (down - y) ** 2) / 0.05**2) for x, y in relief.mesh[list(_CHEEKS)].tolist()
    )
    perfused /= max(float(np.average(perfused, weights=cheeks + 1e-9)), 0.3)
    delay = -_RISE_DELAY_S * 2 * down
    delay += _PATCHY_DELAY_S * np.log(patches(rng, relief, 1.0))
    return perfused, delay


def patches(rng: np.random.Generator, relief: Relief, deviation: float) -> Floats:
    """Smooth positive patches (k,): the exponential of a random field of this deviation."""
    across, down, _ = relief.nodes.T.astype(np.float64)
    field = np.zeros(len(across))
    for _ in range(24):
        x, y, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.6), rng.uniform(0.07, 0.22)
        field += rng.standard_normal() * np.exp(-0.5 * ((across - x) ** 2 + (down - y) ** 2) / radius**2)
    return np.asarray(np.exp(deviation * field / max(float(field.std()), 1e-9) * 0.8), np.float64)


def _slow(shot: Shot) -> Floats:
    """Slow changes of blood volume (n,), in heights of a beat."""
    rng = shot.conditions.rng("head3d/slow")
    grid = grid_for(shot.times_s)
    phase = 2 * np.pi * (0.1 * grid + 0.1 * wandering(rng, len(grid), 8.0)) + rng.uniform(0, 2 * np.pi)
    vasomotion = np.sin(phase) * np.exp(0.3 * wandering(rng, len(grid), 10.0))
    slow = _VASOMOTION * np.interp(shot.times_s, grid, vasomotion)
    return np.asarray(slow + _BREATH * shot.breath.lung_at(shot.times_s - 0.6), np.float64)
