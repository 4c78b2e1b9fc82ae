"""Every threshold and error bar of the pulse, read from `calibration.json` beside this file.

`python -m lab.calibrate` writes that file, and says in it which data it saw.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workers.rppg.estimators import NEURAL
from workers.rppg.fusion.agreement import Agreement, Fusion, Reliability
from workers.rppg.fusion.evidence import Evidence
from workers.rppg.fusion.pulse_presence import PresenceModel

#: Who speaks for an estimator whose answers on real clips are not in the calibration data: its nearest relative there.
#: LGI and OMIT project like CHROM; PhysNet and TS-CAN are held for no better than the published DeepPhys and MTTS-CAN.
STAND_INS: Final = {
    "lgi": "chrom",
    "omit": "chrom",
    "pbv": "chrom",
    "ica": "green",
    "mrc": "green",
    "2sr": "green",
    "physnet": "deepphys",
    "tscan": "mttscan",
}

Array = NDArray[np.float64]

#: Errors below this many beats a minute are the reference's own.
LEAST_ERROR_PER_MIN: Final = 0.05
#: Norms of variability are those of five minutes (Task Force 1996, Circulation 93:1043).
FULL_S: Final = 300.0
#: Movement over that of a still sitter counts between these.
MOVEMENTS: Final = (0.5, 8.0)
#: What is added to an error of SDNN or RMSSD before its logarithm is taken, milliseconds.
LEAST_ERROR_MS: Final = 1.0
#: Stretches of beats count between these, seconds: what their error was fitted to.
STRETCHES_S: Final = (15.0, 60.0)


@dataclass(frozen=True)
class Gate:
    """What a pulse must show before its rate is told; see `workers.rppg.fusion.evidence.Evidence` for the quantities.

    presence                       is there a pulse at all: where networks ran
    presence_patches               the same where none did, and the crops were looked at
    presence_alone                 the same where the regions' colours are all that was looked at
    confidence, signal_members     least belief in the rate, and least estimators behind it, networks left out and
                                   relatives (`STAND_INS`) counted once
    least_greenness                what varies in the face with this or more, and a standard error or more above light,
                                   is blood, and needs no second estimator
    lamp_snr_db, lamp_share        a background that beats more than both of these is a lamp
    grey_snr_db, grey_excess_db    without a background: a pulse below the one in chrominance, and above the other in
                                   green over chrominance, is light and not blood
    half_line_db, half_share       half of the rate that stands out by more than both may be the rate
    coded_share                    keyframes that did more than this share of the pulse left beside them leave a doubt
    coded_log_odds                 keyframes leave no doubt of a pulse whose log odds are above this
    between_log_odds               nor of one that is heard by no less than this with their jumps alone taken away
    settled_confidence             from here on a rate that can be told needs no further estimator: dissent is heard out
    """

    presence: PresenceModel
    presence_patches: PresenceModel
    presence_alone: PresenceModel
    confidence: float
    signal_members: int
    least_greenness: float
    lamp_snr_db: float
    lamp_share: float
    grey_snr_db: float
    grey_excess_db: float
    half_line_db: float
    half_share: float
    coded_share: float
    coded_log_odds: float
    between_log_odds: float
    settled_confidence: float

    def presence_for(self, evidence: Evidence) -> PresenceModel:
        """The model that was fitted to evidence of this kind."""
        if evidence.neural_snr_db is not None:
            return self.presence
        return self.presence_alone if evidence.patches_snr_db is None else self.presence_patches

    def few_witnesses(self, agreement: Agreement) -> bool:
        """Whether too few estimators hear the rate that have not learnt what a pulse looks like.

        However many halves of the face a network hears it in: a person played on a screen beats in both of them. And
        relatives are one: GREEN and patches of the face follow light of any colour alike.
        """
        heard = {STAND_INS.get(name, name) for name in agreement.members if name not in NEURAL}
        return len(heard) < self.signal_members

    def imagined(self, evidence: Evidence, agreement: Agreement) -> bool:
        """Whether few witnesses may follow light: neither another estimator nor the colour of the skin says blood."""
        green, error = evidence.greenness, evidence.greenness_error
        seen = green is not None and error is not None and green >= max(self.least_greenness, error)
        return self.few_witnesses(agreement) and not seen

    def lamp_behind(self, evidence: Evidence) -> bool:
        """Whether the background beats along; not where none is to be seen."""
        return (
            evidence.background_snr_db is not None
            and evidence.background_share is not None
            and evidence.background_snr_db > self.lamp_snr_db
            and evidence.background_share > self.lamp_share
        )

    def half_stands_out(self, evidence: Evidence) -> bool:
        """Whether half of the rate may be the rate."""
        return evidence.half_line_db > self.half_line_db and evidence.half_share > self.half_share

    def keyframes_stronger(self, evidence: Evidence) -> bool:
        """Whether keyframes did so much beside the pulse that is left that they leave a doubt."""
        return evidence.coded > self.coded_share * evidence.modulation


@dataclass(frozen=True)
class IntervalModel:
    """Half-width of the 90 % interval of real people's clips: quantile regression, made to hold on people left out.

    log(h + `LEAST_ERROR_PER_MIN`) is the weights' product with `interval_features`.
    """

    level: float
    entropy: float
    near: float
    shortness: float
    movement: float

    def half_width_per_min(self, agreement: Agreement, duration_s: float, movement: float) -> float:
        """Half-width of the interval around the agreed rate."""
        weights = (self.level, self.entropy, self.near, self.shortness, self.movement)
        log_width = float(interval_features(agreement, duration_s, movement) @ np.array(weights))
        return max(float(np.exp(log_width)) - LEAST_ERROR_PER_MIN, LEAST_ERROR_PER_MIN)


def interval_features(agreement: Agreement, duration_s: float, movement: float) -> Array:
    """What the width of the interval depends on (5,).

    A constant; the belief's entropy, which is the logarithm of a width already; how near the nearest estimates are;
    shortness of the clip; movement over that of a still sitter.
    """
    return np.array(
        [
            1.0,
            agreement.entropy,
            np.log(agreement.near_per_min + 0.1),
            np.log(15 / duration_s),
            np.log(np.clip(movement, *MOVEMENTS)),
        ]
    )


@dataclass(frozen=True)
class PixelIntervalModel:
    """Half-width of the 90 % interval, fitted in the same way to simulated clips; the wider of the two is told.

    Published answers on real clips know nothing of the wave; this one knows its noise.
    """

    level: float
    noise: float
    spread: float

    def half_width_per_min(self, evidence: Evidence, agreement: Agreement) -> float:
        """Half-width of the interval around the rate told."""
        features = pixel_interval_features(evidence, agreement)
        return float(np.exp(features @ np.array((self.level, self.noise, self.spread))))


def pixel_interval_features(evidence: Evidence, agreement: Agreement) -> Array:
    """What the width depends on (3,): a constant, the fused wave's noise, the members' spread."""
    return np.array([1.0, -float(np.clip(evidence.snr_db, -10, 15)) / 10, np.log(agreement.spread_per_min + 0.1)])


@dataclass(frozen=True)
class VariabilityModel:
    """The band in which beats are placed, the least SNR for it, and the error of what is read from them.

    Noise lengthens what a wide band gives, and a narrow one shortens it: `half_bands_hz` at `at_snr_db` (and between
    them in proportion) are where the two cancel on simulated clips and on clean photoplethysmograms (BIDMC).

    `errors` is how far beside what its sample allows a measure lies in nine of ten: quantile regression on both, made
    to hold on people left out; log(error + 1 ms) is its product with `variability_features`. Where that of a short
    stretch is more than `most_error_ms`, a measure says more of the noise than of the heart.

    SDNN of `FULL_S` over that of T seconds in them has, as a logarithm, the median drift·log(`FULL_S`/T) and a standard
    deviation: (drift, spread) is `shortfall`. `python -m lab.calibrate.variability` fits both.
    """

    half_bands_hz: tuple[float, float]
    at_snr_db: tuple[float, float]
    least_snr_db: float
    most_error_ms: float
    errors: dict[str, tuple[float, ...]]
    shortfall: tuple[float, float]

    def half_band_hz(self, snr_db: float) -> float:
        """Half of the band for a wave of that SNR."""
        return float(np.interp(snr_db, self.at_snr_db, self.half_bands_hz))

    def error_ms(self, name: str, mean_ibi_s: float, snr_db: float, stretch_s: float = STRETCHES_S[0]) -> float:
        """The error of a measure of so many seconds of beats, milliseconds."""
        features = variability_features(mean_ibi_s, snr_db, stretch_s)
        return max(float(np.exp(features @ np.array(self.errors[name]))) - LEAST_ERROR_MS, 0.0)

    def shortfall_of(self, duration_s: float) -> tuple[float, float]:
        """Median and standard deviation of log(SDNN of `FULL_S` / SDNN of so many seconds); none beyond `FULL_S`."""
        drift, spread = self.shortfall
        return (drift * float(np.log(FULL_S / duration_s)), spread) if duration_s < FULL_S else (0.0, 0.0)


def variability_features(mean_ibi_s: float, snr_db: float, stretch_s: float) -> Array:
    """What the error depends on (4,): a constant, slowness of the heart, the wave's SNR, and the stretch's length.

    A sample's own interval narrows as the stretch grows, and what moves beats in bouts (an ectopic beat, a moment's
    movement) does not: it is the likelier met.
    """
    longer = float(np.clip(stretch_s, *STRETCHES_S)) / STRETCHES_S[0]
    return np.array([1.0, np.log(mean_ibi_s), np.clip(snr_db, -5, 20) / 10, np.log(longer)])


@dataclass(frozen=True)
class RespirationModel:
    """How much each signal's spectrum counts, and what the belief must show before a rate is told.

    A 90 % interval spans `belief_in_interval` of the belief, and `least_half_width_per_min` to each side at least.
    Without a pulse the chest must swing by an amplitude within `chest_swing` (face widths), and one sine explain
    `chest_explained` of it.
    """

    weights: dict[str, float]
    confidence: float
    prominence: float
    belief_in_interval: float
    least_half_width_per_min: float
    chest_swing: tuple[float, float]
    chest_explained: float


@dataclass(frozen=True)
class Calibration:
    """How estimates are fused, when a vital is told, and how wide its interval is."""

    fusion: Fusion
    gate: Gate
    interval: IntervalModel
    pixel_interval: PixelIntervalModel
    variability: VariabilityModel
    respiration: RespirationModel


def read_calibration(document: dict[str, Any]) -> Calibration:
    """The calibration in the document that `lab.calibrate` writes."""
    measured = _reliabilities(document["fusion"]["reliabilities"])
    stood_in = {name: measured[other] for name, other in STAND_INS.items() if name not in measured}
    return Calibration(
        fusion=Fusion(
            weight=float(document["fusion"]["weight"]),
            prior=tuple(document["fusion"]["prior"]),
            reliabilities={**measured, **stood_in},
            in_step=_reliabilities(document["in_step"]),
        ),
        gate=Gate(
            **{
                **document["gate"],
                "presence": PresenceModel(**document["gate"]["presence"]),
                "presence_patches": PresenceModel(**document["gate"]["presence_patches"]),
                "presence_alone": PresenceModel(**document["gate"]["presence_alone"]),
            }
        ),
        interval=IntervalModel(**document["interval"]),
        pixel_interval=PixelIntervalModel(**document["pixel_interval"]),
        variability=VariabilityModel(
            **{
                **document["variability"],
                "half_bands_hz": tuple(document["variability"]["half_bands_hz"]),
                "at_snr_db": tuple(document["variability"]["at_snr_db"]),
                "errors": {name: tuple(row) for name, row in document["variability"]["errors"].items()},
                "shortfall": tuple(document["variability"]["shortfall"]),
            }
        ),
        respiration=RespirationModel(
            **{**document["respiration"], "chest_swing": tuple(document["respiration"]["chest_swing"])}
        ),
    )


def _reliabilities(rows: Mapping[str, Any]) -> dict[str, Reliability]:
    return {
        name: Reliability(float(row["hit"]), float(row["scale_per_min"]), tuple(row["misses"]))
        for name, row in rows.items()
    }


CALIBRATION: Final = read_calibration(
    json.loads((files("workers.rppg.fusion") / "calibration.json").read_text("utf-8"))
)
