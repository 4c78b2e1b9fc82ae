"""The table that the verdict is fitted to: the evidence in each clip of the world, without pictures or traces.

Each clip is in it twice, whole and as a cut of 6 to 12 seconds: what a rate needs depends on the length. Clips that the
gate refuses before it looks at the verdict are not in it, nor is bigeminy.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.render.measured import Measured, load
from workers.rppg.estimators import BY_COLOUR, whole_face_wave
from workers.rppg.fusion.evidence import Evidence, gather, of_measured
from workers.rppg.fusion.gate import MIN_SWAY
from workers.rppg.signals.nuisances import sway_of, without_nuisances
from workers.rppg.signals.traces import GRID_HZ

#: The table in the repository.
TABLE: Final = Path(__file__).with_name("verdict_table.npz")
#: Lengths of cuts, seconds.
CUTS_S: Final = (6.0, 12.0)


@dataclass(frozen=True)
class Example:
    """The evidence in a clip or in a cut of it.

    name, renderer, portrait, stratum  of the clip
    alive        whether a living person is seen
    rate_per_min true heart rate over the stretch; NaN without a pulse
    whole        whether it is the whole clip
    evidence     as the product gathers it
    """

    name: str
    renderer: str
    portrait: str
    stratum: str
    alive: bool
    rate_per_min: float
    whole: bool
    evidence: Evidence


def examples_of(folders: Sequence[Path]) -> Iterator[Example]:
    """The examples of kept clips (`python -m lab.render.measured`); clips that a check refuses are left out."""
    for file in (file for folder in folders for file in sorted(folder.glob("*.truth.json"))):
        kept = load(file)
        if kept.traces is None or kept.refused is not None:
            continue
        sway = sway_of(kept.traces)
        if sway is not None and sway < MIN_SWAY:
            continue
        if kept.rate_per_min is not None and kept.truth["conditions"]["rhythm"] == "bigeminy":
            # Every second beat moves little blood: what pulsates has half the rate of the beats.
            continue
        yield _example(kept, whole=True)
        n = len(kept.traces.times_s)
        rng = np.random.default_rng(int.from_bytes(kept.name.encode(), "big") % 2**32)
        length = min(round(rng.uniform(*CUTS_S) * GRID_HZ), n)
        start = int(rng.integers(n - length + 1))
        cut = {"mrc": whole_face_wave(kept.cleaned["mrc"])[start : start + length]}
        yield _example(replace(kept, traces=kept.traces.part(start, start + length), cleaned=cut), whole=False)


def _example(kept: Measured, *, whole: bool) -> Example:
    traces = kept.traces
    if traces is None:
        raise ValueError(f"{kept.name}: no traces")
    cleaned = without_nuisances(traces)
    waves = {name: run(cleaned) for name, run in BY_COLOUR.items()}
    conditions: dict[str, Any] = kept.truth["conditions"]
    rate = kept.rate_per_min
    return Example(
        name=kept.name,
        renderer=kept.truth["renderer"],
        portrait=str(conditions["portrait"]),
        stratum=conditions["stratum"],
        alive=rate is not None,
        rate_per_min=float("nan") if rate is None else rate,
        whole=whole,
        evidence=gather(traces, cleaned, waves, kept.cleaned["mrc"]),
    )


def save(examples: Sequence[Example], path: Path) -> None:
    """Write the table: measured curves and waves in half precision."""
    longest = max(len(example.evidence.wave) for example in examples)
    waves = np.full((len(examples), longest), np.nan, np.float16)
    for row, example in zip(waves, examples, strict=True):
        row[: len(example.evidence.wave)] = example.evidence.wave
    np.savez_compressed(
        path,
        allow_pickle=False,
        **{name: np.array([getattr(example, name) for example in examples]) for name in _COLUMNS},
        measured=np.array([example.evidence.measured for example in examples]).clip(-6e4, 6e4).astype(np.float16),
        waves=waves,
    )


def read(path: Path = TABLE) -> list[Example]:
    """Read the table."""
    with np.load(path) as data:
        columns = {name: data[name].tolist() for name in _COLUMNS}
        measured, waves = (data[name].astype(np.float64) for name in ("measured", "waves"))
    return [
        Example(
            **{name: columns[name][at] for name in _COLUMNS},
            evidence=of_measured(measured[at], waves[at][np.isfinite(waves[at])], GRID_HZ),
        )
        for at in range(len(waves))
    ]


_COLUMNS: Final = ("name", "renderer", "portrait", "stratum", "alive", "rate_per_min", "whole")
