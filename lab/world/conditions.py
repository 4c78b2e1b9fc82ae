"""Conditions of one clip, drawn from the distributions of `world.toml`."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.arrays import Floats
from lab.world.portraits import Portrait

_FILE: Final = Path(__file__).with_name("world.toml")

#: Strata in which a living person is before the camera. Goals are stated for each.
LIVING: Final = ("still", "motion", "speech", "dark", "low_light", "processing")
#: Strata without a pulse.
LIFELESS: Final = ("photo_light", "photo_call", "print_moved", "doll", "covered", "wall")


@dataclass(frozen=True)
class Conditions:
    """Every condition of a clip. `world.toml` gives the unit, the distribution and its source.

    stratum, seed, index  identify the draw; a renderer draws what it needs from `rng`
    portrait, skin_type   name of the portrait's file, and the Fitzpatrick type that it shows, 1 to 6
    subject               "live"; "photo" (a picture in the person's place), "print" (in a hand), "doll" (moves as a
                          person does), "covered" (a person behind a board), "wall", "noise": without a pulse
    rhythm                "contact" (a recorded pulse), "sinus", "ramp", "ectopic", "fibrillation", "bigeminy"
    rhythmic_size         degrees for pitch, yaw and roll, else hundredths of the face's height
    """

    stratum: str
    seed: int
    index: int
    portrait: str
    skin_type: int
    subject: str
    duration_s: float
    fps: float
    resolution: str
    codec: str
    bitrate_bps: float
    keyframe_s: float
    jitter: float
    dropped: float
    face_share: float
    face_across: float
    face_down: float
    rhythm: str
    heart_rate: float
    sdnn_ms: float
    respiration_rate: float
    pulse_strength: float
    blood_red: float
    blood_blue: float
    makeup: float
    sway: float
    rhythmic_axis: str
    rhythmic_hz: float
    rhythmic_size: float
    rhythmic_drift: float
    large_moves: float
    talking: float
    blink_rate: float
    light: float
    light_drift: float
    light_field: float
    person_light: str
    person_light_share: float
    person_light_depth: float
    person_light_hz: float
    person_light_rhythmic: float
    person_light_tint: str
    room_flicker_depth: float
    room_flicker_hz: float
    band_depth: float
    band_hz: float
    band_count: float
    auto_exposure: float
    tone_mapping: float
    temporal_denoise: float
    beauty: float
    background: str
    mask_error: float
    downscale: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        width, height = self.resolution.split("x")
        return int(width), int(height)

    @property
    def alive(self) -> bool:
        """Whether the clip shows skin with a pulse."""
        return self.subject == "live"

    @property
    def blood_rgb(self) -> Floats:
        """Relative pulsation (3,) of red, green and blue, green being 1."""
        return np.array([self.blood_red, 1.0, self.blood_blue])

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator of this clip's own for one purpose: what one part draws leaves the others as they are."""
        return _generator(self.seed, self.stratum, self.index, purpose)

    def to_dict(self) -> dict[str, Any]:
        """The conditions as plain values."""
        return asdict(self)


def draw(stratum: str, seed: int, index: int, portraits: Sequence[Portrait]) -> Conditions:
    """Draw the conditions of clip `index` of a stratum; the same arguments give the same conditions.

    Raises:
        KeyError: the world has no such stratum.
        ValueError: no portrait is of the stratum's skin types.
    """
    entries = {**world()["base"], **world()["strata"][stratum]}
    types = entries.pop("skin_types")["value"]
    found: dict[str, Any] = {
        name: _value(entry, _generator(seed, stratum, index, name)) for name, entry in entries.items()
    }
    fitting = [portrait for portrait in portraits if portrait.skin_type in types]
    if not fitting:
        raise ValueError(f"no portrait is of the skin types {types}")
    by_type = sorted({portrait.skin_type for portrait in fitting})
    # A type first, then a portrait of it: sets of portraits hold many of some types and few of others.
    rng = _generator(seed, stratum, index, "portrait")
    chosen_type = by_type[int(rng.integers(len(by_type)))]
    of_type = [portrait for portrait in fitting if portrait.skin_type == chosen_type]
    portrait = of_type[int(rng.integers(len(of_type)))]
    return Conditions(
        stratum=stratum, seed=seed, index=index, portrait=portrait.name, skin_type=portrait.skin_type, **found
    )


def is_ordinary(conditions: Conditions) -> bool:
    """Whether every condition is within the ranges that `world.toml` calls ordinary."""
    for name, allowed in world()["ordinary"].items():
        value = getattr(conditions, name)
        within = value in allowed if isinstance(value, str) else allowed[0] <= value <= allowed[1]
        if not within:
            return False
    return True


@cache
def world() -> Mapping[str, Any]:
    """The world as `world.toml` states it."""
    return tomllib.loads(_FILE.read_text("utf-8"))


def is_judged(portrait: str) -> bool:
    """Whether a portrait of this name belongs to those that nothing is fitted on."""
    digest = hashlib.sha256(Path(portrait).name.encode()).digest()
    return bool(int.from_bytes(digest[:4], "big") / 2**32 < world()["judged_share"])


def _generator(seed: int, stratum: str, index: int, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{stratum}/{purpose}".encode()).digest()
    return np.random.default_rng([seed, index, int.from_bytes(digest[:8], "big")])


def _value(entry: Mapping[str, Any], rng: np.random.Generator) -> float | str:
    """Draw one value of a distribution."""
    if "value" in entry:
        fixed: float | str = entry["value"]
        return fixed
    if "uniform" in entry:
        return float(rng.uniform(*entry["uniform"]))
    if "log_uniform" in entry:
        return float(np.exp(rng.uniform(*np.log(entry["log_uniform"]))))
    if "normal" in entry:
        low, high = entry.get("range", (-np.inf, np.inf))
        while not low <= (value := float(rng.normal(*entry["normal"]))) <= high:
            pass
        return value
    weights = np.array(entry["weights"], np.float64)
    chosen: float | str = entry["choice"][int(rng.choice(len(weights), p=weights / weights.sum()))]
    return chosen


def _check_fields() -> None:
    """Check that the world states each field, and no other."""
    stated = (set(world()["base"]) - {"skin_types"}) | {"stratum", "seed", "index", "portrait", "skin_type"}
    have = {item.name for item in fields(Conditions)}
    if stated != have:
        raise ValueError(f"{_FILE.name} and Conditions differ in {sorted(stated ^ have)}")


_check_fields()
