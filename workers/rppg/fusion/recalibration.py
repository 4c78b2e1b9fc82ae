"""A calibration of the user's own: four numbers that `facevitals calibrate` fits to recordings of people.

Two move the log odds that decide whether a pulse is reported, two the heart rate's interval; nothing else changes.
"""

import hashlib
import json
import math
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final, Self

from workers.rppg.fusion.calibration import DIGEST

#: Version of the file's format.
FORMAT: Final = 1
#: Smallest half of an interval, /min: a value is rounded to twice of it.
MIN_HALF_WIDTH_PER_MIN: Final = 0.05


class RecalibrationUnreadable(ValueError):  # noqa: N818  (named for what happened)
    """The file is missing or broken, or belongs to another release; the message names file and remedy."""


@dataclass(frozen=True)
class Recalibration:
    """Offset and scale of the verdict and of the interval; the defaults change nothing.

    Attributes:
        verdict_offset: added to the log odds of a pulse before the gate compares them with its threshold.
        verdict_scale: factor of these log odds.
        interval_offset_per_min: added to half of the heart rate's interval, beats a minute.
        interval_scale: factor of that half.
    """

    verdict_offset: float = 0.0
    verdict_scale: float = 1.0
    interval_offset_per_min: float = 0.0
    interval_scale: float = 1.0

    def log_odds(self, log_odds: float) -> float:
        """Return the log odds that the gate compares, for those of the presence model."""
        return self.verdict_offset + self.verdict_scale * log_odds

    def half_width_per_min(self, half_width_per_min: float) -> float:
        """Return half of the interval, for that of the interval's models; at least `MIN_HALF_WIDTH_PER_MIN`."""
        return max(MIN_HALF_WIDTH_PER_MIN, self.interval_offset_per_min + self.interval_scale * half_width_per_min)

    @property
    def digest(self) -> str | None:
        """Digest of the numbers; None for the default."""
        if self == type(self)():
            return None
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:12]

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Read a file that `facevitals calibrate` wrote; None: the default.

        Raises:
            RecalibrationUnreadable: the file can't be read, is none of these files, or was fitted to another release.
        """
        if path is None:
            return cls()
        try:
            body: dict[str, Any] = json.loads(path.read_text("utf-8"))
            written, fitted_to = body["format"], body["fitted_to"]
            numbers = [
                float(body[name][key])
                for name, key in (
                    ("verdict", "offset"),
                    ("verdict", "scale"),
                    ("interval", "offset_per_min"),
                    ("interval", "scale"),
                )
            ]
        except OSError as error:
            raise RecalibrationUnreadable(f"FACEVITALS_CALIBRATION: {path} can't be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RecalibrationUnreadable(
                f"FACEVITALS_CALIBRATION: {path} is no file of `facevitals calibrate` ({error!r})"
            ) from error
        if written != FORMAT or fitted_to != DIGEST:
            raise RecalibrationUnreadable(
                f"FACEVITALS_CALIBRATION: {path} was fitted to another release, whose numbers mean something else. Run "
                "`facevitals calibrate` again, or unset the variable."
            )
        if not all(map(math.isfinite, numbers)) or min(numbers[1], numbers[3]) <= 0:
            raise RecalibrationUnreadable(
                f"FACEVITALS_CALIBRATION: {path}: offsets must be finite numbers, and scales positive ones"
            )
        return cls(*numbers)
